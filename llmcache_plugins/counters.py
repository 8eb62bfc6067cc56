"""Counters: of a store, and of a whole cache."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmcache_plugins.types import Namespace, Usage

__all__ = [
    "LATENCY_BOUNDS",
    "AdaptiveStats",
    "ArmStats",
    "CacheStats",
    "GroupStats",
    "Latency",
    "LookupCounts",
    "ModelUse",
    "ServerLoad",
    "Share",
    "SharedStats",
    "StoreStats",
    "TierStats",
]

LATENCY_BOUNDS = (*(digit * 10.0**power for power in range(-5, 2) for digit in (1, 2, 5)), 100.0)
"""Seconds, 10 microseconds to 100 s. The same everywhere and for good: histograms of several processes add up."""


@dataclass(frozen=True, slots=True)
class Share:
    """What of a store is placed in one tier: entries and their bytes."""

    entries: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counters of one store since it was opened, and its size now. `size_bytes` is what the capacity limit counts."""

    entries: int = 0
    aliases: int = 0
    size_bytes: int = 0
    evictions: int = 0
    expirations: int = 0
    damaged: int = 0
    shares: Mapping[str, Share] = field(default_factory=dict)  # by name of the tier


@dataclass(frozen=True, slots=True)
class TierStats:
    """One tier: what is placed in it now, and what it has done since the cache was opened.

    Args:
        entries: placed here now; of the last tier, those that are in no other.
        size_bytes: of these.
        max_entries: capacity, None for none; of the last tier that of all tiers together.
        max_bytes: the same in bytes.
        utilisation: how much of the capacity is taken, by entries or bytes, whichever is more. Of the last tier, how
            much of the whole store.
        hits: lookups answered by an entry that was here.
        misses: lookups that found nothing here: all misses of the cache, and the hits of the tiers below.
        promotions: entries that moved up from here.
        demotions: entries that moved down from here.
        evictions: entries that left the cache for want of room; they are counted at the last tier.
    """

    entries: int = 0
    size_bytes: int = 0
    max_entries: int | None = None
    max_bytes: int | None = None
    utilisation: float = 0.0
    hits: int = 0
    misses: int = 0
    promotions: int = 0
    demotions: int = 0
    evictions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveStats:
    """What the adaptive policy has checked and learnt for one error budget.

    Args:
        max_error_rate: the budget.
        requests: lookups under it.
        checked: would-be hits that were sent to the model.
        agreed: of these, whose answer proved right; `differed` wrong, and `unknown`: nobody could tell.
        near_agreed: the same of candidates that were not sure enough to be served; also `near_differed` and
            `near_unknown`. They cost no call.
        wrong_at_most: wrong hits that were served, at most, with 95 % confidence.
        wrong_allowed: wrong hits that may have been served by now.
        threshold: the least confidence that is served, in the cache as a whole; infinite for none.
        check_chance: the chance with which a would-be hit is checked now; 1 when none is served.
    """

    max_error_rate: float
    requests: int
    checked: int
    agreed: int
    differed: int
    unknown: int
    near_agreed: int
    near_differed: int
    near_unknown: int
    wrong_at_most: float
    wrong_allowed: float
    threshold: float
    check_chance: float


@dataclass(frozen=True, slots=True)
class LookupCounts:
    """How lookups ended."""

    hits: int = 0
    misses: int = 0
    bypasses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """Calls of one model: what hits have spared, and what was paid for.

    Args:
        hits: hits whose answer came from this model.
        hits_without_usage: of these, the ones of which nobody knows what the call took.
        saved: what the other hits' calls took when they were made, in sum.
        calls: answers of this model that were to be stored, but for those of warming.
        calls_without_usage: of these, the ones of which nobody said what they took.
        spent: what the others took.
        warmed: answers of this model that warming asked for.
        warmed_without_usage: of these, the ones of which nobody said what they took.
        warmed_spent: what the others took.
    """

    hits: int = 0
    hits_without_usage: int = 0
    saved: Usage = field(default_factory=Usage)
    calls: int = 0
    calls_without_usage: int = 0
    spent: Usage = field(default_factory=Usage)
    warmed: int = 0
    warmed_without_usage: int = 0
    warmed_spent: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long lookups or calls took: how many, their seconds in sum, and how many up to each of `LATENCY_BOUNDS` (and
    more than the bound before); the last number counts those beyond."""

    count: int = 0
    seconds: float = 0.0
    buckets: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)

    def quantile(self, share: float) -> float:
        """The bound that at least this share of lookups was within, in seconds; infinite beyond the last one, 0.0
        before the first lookup.

        >>> Latency(4, 0.1, (3, 1) + (0,) * (len(LATENCY_BOUNDS) - 1)).quantile(0.5) == LATENCY_BOUNDS[0]
        True
        """
        seen, wanted = 0, share * self.count
        for bound, number in zip((*LATENCY_BOUNDS, math.inf), self.buckets, strict=True):
            seen += number
            if number and seen >= wanted:
                return bound
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStats:
    """What became of the requests of one group of a roll-out: `served`, or `control`, which the cache never answers.

    Args:
        hits: answered by the cache; none in the control group.
        misses: all other lookups.
        withheld: of these, in the control group, those that would have been hits.
        same: withheld answers that the fresh one agreed with; `different`, and `unclear`: nobody could tell.
        calls: answers of models that came.
        answers: how long answers took: a hit its lookup, every other one the call of the model, where that is known.
        seconds_squared: the squares of these times in sum, seconds squared.
        models: what hits have spared, or withheld ones would have, and what calls took, by model.
    """

    hits: int = 0
    misses: int = 0
    withheld: int = 0
    same: int = 0
    different: int = 0
    unclear: int = 0
    calls: int = 0
    answers: Latency = field(default_factory=Latency)
    seconds_squared: float = 0.0
    models: Mapping[str, ModelUse] = field(default_factory=dict)

    @property
    def lookups(self) -> int:
        return self.hits + self.misses


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStats:
    """What became of the questions that one policy of an A/B test has decided about.

    Args:
        lookups: all of them.
        answered: by the cache, or in a control group it would have been.
        by_meaning: of these, those that were matched by meaning; only in them can two policies differ.
        same: of these, those whose withheld answer the fresh one agreed with; `different`, and `unclear`: nobody could
            tell. They come from a control group.
        reported: answers that users reported as wrong.
    """

    lookups: int = 0
    answered: int = 0
    by_meaning: int = 0
    same: int = 0
    different: int = 0
    unclear: int = 0
    reported: int = 0


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """How full the server of a store is.

    Args:
        used_bytes: memory in use; of a cluster, on the primary that is fullest.
        max_bytes: its limit there; 0 for none.
        evicted: keys that it has taken away by itself since it was started, on all primaries.
    """

    used_bytes: int
    max_bytes: int
    evicted: int

    @property
    def utilisation(self) -> float:
        """Used of the limit; 0.0 without one."""
        return self.used_bytes / self.max_bytes if self.max_bytes else 0.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache has done since it was opened.

    `hits` and `misses` count lookups by kind and by reason; `tokens_saved` and `seconds_saved` add up the stored
    answers' own costs, one for each hit. `stale_hits` are those past their time, or marked, that were served while they
    were renewed. `validated` counts the matches that validators were asked about, `rejected`
    those they refused: wrong hits found before they were served. A validator that broke counts under `errors` alone.
    `left_alone` counts, by part, how often one was not asked because it had failed just before: its circuit was open.
    `judged` counts what came of the judge, by the outcomes of `JudgeEvent`, and `judge_cost` what it cost.
    `resolved` counts what came of the resolver of follow-ups, by the outcomes of `ResolutionEvent`.
    `adaptive` is what the adaptive policy has learnt, for each error budget in use; empty with another policy.
    `namespaces` counts lookups by full namespace, `query_types` by query type; of either the first 256 are told apart,
    all others come under `("(others)",)` and `"(others)"`. `models` is what calls took and hits have spared, by model.
    `latency` is that of lookups, by `hit` and `miss`, and of the calls of models where it is known, `model`. `warnings`
    counts by kind: `tier` (one got full), `memory` of the server, `evictions` and `server_evictions` (more than 1,000
    in an hour).
    `groups` are those of a roll-out, `served` and `control`, as far as there is one; `stages` counts its steps, by
    `proven` (up), `errors` and `reports` (back).
    `arms` are those of an A/B test, `a` and `b`, as far as there is one.
    `reported` counts `report_wrong`, `invalidated` the entries that invalidations removed or marked. `tiers` are
    hottest first, `stores` what holds them: first the one with every entry, then those with copies. `stores_down` are
    those that could not be asked at this moment: they are not in `stores`. Of `shared_stats`, the one with every entry.
    """

    hits: Mapping[str, int] = field(default_factory=dict)
    misses: Mapping[str, int] = field(default_factory=dict)
    bypasses: int = 0
    stale_hits: int = 0
    updates: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    left_alone: Mapping[str, int] = field(default_factory=dict)
    tokens_saved: Usage = field(default_factory=Usage)
    seconds_saved: float = 0.0
    validated: int = 0
    rejected: int = 0
    judged: Mapping[str, int] = field(default_factory=dict)
    judge_cost: float = 0.0
    resolved: Mapping[str, int] = field(default_factory=dict)
    reported: int = 0
    invalidated: int = 0
    adaptive: tuple[AdaptiveStats, ...] = ()
    namespaces: Mapping[Namespace, LookupCounts] = field(default_factory=dict)
    query_types: Mapping[str, LookupCounts] = field(default_factory=dict)
    models: Mapping[str, ModelUse] = field(default_factory=dict)
    latency: Mapping[str, Latency] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, GroupStats] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)
    arms: Mapping[str, ArmStats] = field(default_factory=dict)
    tiers: Mapping[str, TierStats] = field(default_factory=dict)
    stores: Mapping[str, StoreStats] = field(default_factory=dict)
    stores_down: tuple[str, ...] = ()

    @property
    def hit_count(self) -> int:
        return sum(self.hits.values())

    @property
    def miss_count(self) -> int:
        return sum(self.misses.values())

    @property
    def lookups(self) -> int:
        return self.hit_count + self.miss_count

    @property
    def hit_rate(self) -> float:
        """Hits over lookups, in [0, 1]; 0.0 before the first lookup."""
        return self.hit_count / self.lookups if self.lookups else 0.0

    @property
    def false_positive_rate(self) -> float:
        """Rejected over validated matches, in [0, 1]; 0.0 before the first validation."""
        return self.rejected / self.validated if self.validated else 0.0

    @property
    def judge_calls(self) -> int:
        """How often the judge was asked."""
        return sum(self.judged.get(outcome, 0) for outcome in ("yes", "no", "none"))

    @property
    def evictions(self) -> int | None:
        """Entries that left the cache for want of room; None where the store with every entry cannot be asked. What
        stores of copies evict is not lost, and not in it."""
        return None if self.stores_down else next((store.evictions for store in self.stores.values()), None)

    @property
    def utilisation(self) -> float | None:
        """How much of the capacity is taken, that of the last tier, which is the whole store: that an upper tier is
        full is how tiers work. None without a limit, and where the store cannot be asked."""
        last = next(reversed(list(self.tiers.values())), TierStats())
        is_known = not self.stores_down and (last.max_entries is not None or last.max_bytes is not None)
        return last.utilisation if is_known else None

    @property
    def entries(self) -> int:
        """All entries, each counted once: the fullest store has them all."""
        return max((store.entries for store in self.stores.values()), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStats:
    """What all processes that use a store have done with it.

    Args:
        total: everything added up, of processes that live and that are gone. Sizes of stores and tiers are those of
            now; copies in processes are not in it, and `adaptive` is empty, for what is learnt does not add up.
        nodes: the same by node id, of those that counted something within the last hour or so.
        since: wall clock, when counting began: with the first process, or with the last reset. None when nothing was
            counted yet.
        is_complete: False when the store could not be read: then it is what this process has counted alone.
    """

    total: CacheStats
    nodes: Mapping[str, CacheStats] = field(default_factory=dict)
    since: float | None = None
    is_complete: bool = True
