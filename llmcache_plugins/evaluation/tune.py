"""Which setting suits a user's own labelled pairs: every setting of a grid tried on the same pairs.

The pairs go once through the public look-ups of a cache that serves whatever is nearest; what it found (an exact match,
or a similarity) is then put before each setting's own guards and policy, the functions a cache decides by. No label is
in sight until every setting has decided on every pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import policies_for, verifier_of
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.evaluation.intervals import Interval, Rate
from llmcache_plugins.evaluation.replay import open_replay_cache, replay_pairs
from llmcache_plugins.evaluation.rows import LabelledPair
from llmcache_plugins.evaluation.scores import PairCounts
from llmcache_plugins.evaluation.vectors import Progress, silent
from llmcache_plugins.matching import Judged, Policy, VerifiedPolicy, has_conflict, judged
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.protocols import Embedder, Verifier
from llmcache_plugins.types import Candidate, Hit, JsonValue, MissReason, Outcome, Request, Verdict

__all__ = ["Recommendation", "Setting", "Trial", "Tuning", "pairs_needed", "recommend", "settings_for", "tune"]

LEAST_PAIRS, LEAST_OF_A_LABEL = 20, 5
_THRESHOLDS = (0.80, 0.84, 0.88, 0.90, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
_LEXICAL_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
_BUDGETS = (0.002, 0.005, 0.01, 0.02, 0.05)
_FOLDS = 5
_ANY = 1e-6  # the least threshold there is: whatever is found is served
_MOST_PAIRS = 10_000_000


@dataclass(frozen=True, slots=True)
class Setting:
    """Arguments of `open_cache` to try. `policy` is what they make of the embedder at hand."""

    similarity_threshold: float | None = None
    max_error_rate: float | None = None
    use_guards: bool = True
    policy: Policy | None = field(default=None, repr=False, compare=False)

    @property
    def arguments(self) -> dict[str, Any]:
        """What differs from the defaults, by name."""
        values = {"similarity_threshold": self.similarity_threshold, "max_error_rate": self.max_error_rate}
        chosen = {name: value for name, value in values.items() if value is not None}
        return chosen if self.use_guards else {**chosen, "use_guards": False}

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items())


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and what it did: of label 1 right hits and misses, of label 0 wrong hits and refusals."""

    setting: Setting
    counts: PairCounts

    @property
    def hit_rate(self) -> Rate:
        """Hits, right or wrong, of all pairs."""
        return Rate(self.counts.right + self.counts.wrong, self.counts.rows)

    @property
    def error_rate(self) -> Rate:
        """Wrong hits of all pairs."""
        return self.counts.rates["error_rate"]

    def saving(self, cost_per_call: float) -> float:
        """What right hits save in 1,000 requests that are like the pairs."""
        return 1000 * cost_per_call * self.counts.right / max(1, self.counts.rows)

    def as_json(self, cost_per_call: float) -> dict[str, JsonValue]:
        hits = self.hit_rate
        return {
            "setting": self.setting.arguments,
            "hit_rate": hits.value,
            "hit_rate_interval": [hits.interval.low, hits.interval.high],
            **self.counts.as_json(),
            "saving_per_1000": self.saving(cost_per_call),
        }


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The setting with the most right hits whose error rate is within the budget.

    Args:
        is_sure: the upper end of its 95 % interval is within the budget too.
        pairs_needed: how many such pairs would make it sure; None when no number would.
        held_out: hits of settings that were chosen without the pairs they are counted on: what the choice itself is
            worth, for the best of many settings looks better on its own pairs than elsewhere.
    """

    trial: Trial
    is_sure: bool
    pairs_needed: int | None
    held_out: PairCounts


@dataclass(frozen=True, slots=True)
class Tuning:
    """What `tune` found: every trial, and the recommendation (None: no setting is within the budget)."""

    trials: Sequence[Trial]
    max_error_rate: float
    recommendation: Recommendation | None


def settings_for(embedder: Embedder) -> list[Setting]:
    """The grid: error budgets where the embedder has a calibration, and thresholds, with the guards and without.

    A calibration counts on the guards: without them one cosine decides whatever the budget, and the budgets are left
    out.
    """
    thresholds = _LEXICAL_THRESHOLDS if isinstance(embedder, LexicalMatcher) else _THRESHOLDS
    verifier = _verifier(embedder)
    found: list[Setting] = []
    for use_guards in (True, False):
        budgets = [Setting(max_error_rate=one, use_guards=use_guards) for one in _BUDGETS]
        budgets = _different(budgets, embedder, verifier)
        plain = [Setting(similarity_threshold=one, use_guards=use_guards) for one in thresholds]
        plain = _different(plain, embedder, verifier)
        found += [*(budgets if len(budgets) > 1 else ()), *plain]
    return found


def _verifier(embedder: Embedder) -> Verifier | None:
    """The one that a cache with this embedder asks by default."""
    return verifier_of("grey", CacheConfig(), embedder)


def _different(settings: Sequence[Setting], embedder: Embedder, verifier: Verifier | None) -> list[Setting]:
    """The settings with their policies; of several with one policy the first."""
    found: dict[str, Setting] = {}
    for setting in settings:
        policy = policies_for(CacheConfig(**setting.arguments), embedder, verifier=verifier).default
        found.setdefault(policy.policy_id, replace(setting, policy=policy))
    return list(found.values())


def tune(
    pairs: Sequence[LabelledPair],
    embedder: Embedder,
    *,
    max_error_rate: float = 0.01,
    settings: Sequence[Setting] | None = None,
    progress: Progress = silent,
) -> Tuning:
    """Try every setting on every pair.

    Args:
        pairs: labelled; those tagged ambiguous are left out.
        embedder: of the cache to be tuned; a `PreparedEmbedder` for speed.
        max_error_rate: wrong hits / pairs that the recommended setting may have.
        settings: in place of `settings_for(embedder)`.

    Raises:
        ConfigError: fewer than 20 pairs, or fewer than 5 of one label; a budget outside (0, 0.5].
    """
    CacheConfig(max_error_rate=max_error_rate)
    pairs = [pair for pair in pairs if not pair.ambiguous]
    _check_enough(pairs)
    settings = settings_for(embedder) if settings is None else settings
    found = _find([(pair.a, pair.b) for pair in pairs], embedder, progress)
    verifier = _verifier(embedder)
    if verifier is not None:
        found = _scored(found, settings, verifier, progress)
    hits = [[one.is_hit(setting) for one in found] for setting in settings]
    labels = [pair.label for pair in pairs]
    folds = [_fold_of(pair) for pair in pairs]
    return Tuning(
        [Trial(setting, _counts(labels, row)) for setting, row in zip(settings, hits, strict=True)],
        max_error_rate,
        recommend(settings, hits, labels, folds, max_error_rate),
    )


def _check_enough(pairs: Sequence[LabelledPair]) -> None:
    same = sum(pair.label for pair in pairs)
    other = len(pairs) - same
    if len(pairs) < LEAST_PAIRS or min(same, other) < LEAST_OF_A_LABEL:
        raise ConfigError(
            f"too few labelled pairs to choose by: {same} of label 1 and {other} of label 0; at least {LEAST_PAIRS} "
            f"are needed, and {LEAST_OF_A_LABEL} of either label"
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """What a cache without guards and threshold found for one pair."""

    asked: str
    kind: str  # "" when there was nothing to be judged
    candidate: Candidate | None
    verdicts: tuple[Verdict, ...]
    score: float | None = None  # of the verifier, where some setting asks it

    def is_hit(self, setting: Setting) -> bool:
        """Whether a cache of this setting would have served it."""
        if self.candidate is None or self.kind == "exact":
            return self.candidate is not None
        if self.kind == "normalised":
            return not (setting.use_guards and has_conflict(self.verdicts)) and setting.policy is not None
        seen = self._judged(setting)
        if seen is None or seen.reason is None:
            return seen is not None
        return self._is_asked(seen) and seen.scored(self.score).is_sure

    def is_asked(self, setting: Setting) -> bool:
        """Whether a cache of this setting would ask the verifier about it."""
        seen = self._judged(setting) if self.kind == "semantic" else None
        return seen is not None and self._is_asked(seen)

    @staticmethod
    def _is_asked(seen: Judged) -> bool:
        return seen.reason is MissReason.LOW_CONFIDENCE and seen.is_grey and isinstance(seen.policy, VerifiedPolicy)

    def _judged(self, setting: Setting) -> Judged | None:
        verdicts = self.verdicts if setting.use_guards else ()
        if self.candidate is None or setting.policy is None or has_conflict(verdicts):
            return None
        return judged(
            self.asked, [self.candidate], 0, policy=setting.policy, guards=lambda asked, stored: verdicts, refused={}
        )


def _find(requests: Sequence[tuple[Request, Request]], embedder: Embedder, progress: Progress) -> list[_Found]:
    settings: dict[str, Any] = {"similarity_threshold": _ANY, "use_guards": False}
    with open_replay_cache(embedder, rows=len(requests), **settings) as cache:
        outcomes = replay_pairs(cache, requests, progress)
    return [_found(asked.text, outcome) for (_, asked), outcome in zip(requests, outcomes, strict=True)]


def _scored(
    found: Sequence[_Found], settings: Sequence[Setting], verifier: Verifier, progress: Progress
) -> list[_Found]:
    """With the verifier's score where one of the settings asks for it."""
    scored: list[_Found] = []
    for number, one in enumerate(found, 1):
        if one.candidate is not None and any(one.is_asked(setting) for setting in settings):
            score = float(verifier.verify([(one.asked, one.candidate.entry.text)])[0])
            one = replace(one, score=None if math.isnan(score) else score)
        scored.append(one)
        progress("verifying", number, len(found))
    return scored


def _found(asked: str, outcome: Outcome) -> _Found:
    if not isinstance(outcome, Hit):
        return _Found(asked, "", None, ())
    stored = outcome.entry.text
    verdicts = () if outcome.kind == "exact" else judge(asked, stored)
    return _Found(asked, outcome.kind, Candidate(outcome.entry, outcome.similarity), verdicts)


def recommend(
    settings: Sequence[Setting],
    hits: Sequence[Sequence[bool]],
    labels: Sequence[int],
    folds: Sequence[int],
    max_error_rate: float,
) -> Recommendation | None:
    """The best setting within the budget; None when there is none.

    Args:
        hits: whether a setting (row) serves a pair (column).
        folds: the part each pair belongs to; settings are chosen on all parts but one and counted on that one.
    """
    everything = range(len(labels))
    best = _best(settings, hits, labels, everything, max_error_rate)
    if best is None:
        return None
    trial = Trial(settings[best], _counts(labels, hits[best]))
    held_out: list[bool] = [False] * len(labels)
    for fold in set(folds):
        others = [place for place in everything if folds[place] != fold]
        chosen = _best(settings, hits, labels, others, max_error_rate)
        for place in everything:
            if folds[place] == fold and chosen is not None:
                held_out[place] = hits[chosen][place]
    error = trial.error_rate
    needed = pairs_needed(error.value, max_error_rate)
    return Recommendation(trial, error.interval.high <= max_error_rate, needed, _counts(labels, held_out))


def _best(
    settings: Sequence[Setting],
    hits: Sequence[Sequence[bool]],
    labels: Sequence[int],
    places: Sequence[int],
    max_error_rate: float,
) -> int | None:
    """The setting with the most right hits within the budget; of equal ones the fewest wrong hits, then the first.

    Guards are there for look-alikes that a sample may not hold: without them a setting must gain 1 % of the pairs and
    have no more wrong hits.
    """
    ranked: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
    for number, (setting, row) in enumerate(zip(settings, hits, strict=True)):
        right = sum(row[place] for place in places if labels[place])
        wrong = sum(row[place] for place in places if not labels[place])
        if wrong <= max_error_rate * len(places):
            ranked[setting.use_guards].append((-right, wrong, number))
    guarded, bare = min(ranked[True], default=None), min(ranked[False], default=None)
    if guarded is None or bare is None:
        return (guarded or bare or (0, 0, None))[2]
    gains = guarded[0] - bare[0] >= 0.01 * len(places) and bare[1] <= guarded[1]
    return bare[2] if gains else guarded[2]


def pairs_needed(error_rate: float, max_error_rate: float) -> int | None:
    """How many pairs of this error rate bring the upper end of its 95 % interval within the budget.

    >>> pairs_needed(0.0, 0.01)
    381
    """
    if error_rate >= max_error_rate:
        return None
    return _first(lambda total: _upper(error_rate, total) <= max_error_rate)


def _upper(error_rate: float, total: int) -> float:
    return Interval.wilson(math.ceil(error_rate * total), total).high


def _first(is_enough: Callable[[int], bool]) -> int | None:
    high = 1
    while not is_enough(high):
        high *= 2
        if high > _MOST_PAIRS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _counts(labels: Sequence[int], hits: Sequence[bool]) -> PairCounts:
    right = sum(1 for label, hit in zip(labels, hits, strict=True) if label and hit)
    wrong = sum(1 for label, hit in zip(labels, hits, strict=True) if not label and hit)
    same = sum(labels)
    return PairCounts(right, same - right, wrong, len(labels) - same - wrong)


def _fold_of(pair: LabelledPair) -> int:
    """The same for every pair with this stored question, so that its rewordings stay together."""
    digest = blake2b(pair.a.text.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big") % _FOLDS
