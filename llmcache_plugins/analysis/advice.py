"""What follows from the numbers. A rule says nothing before it has seen enough, and names what it has seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import median
from typing import Literal

from llmcache_plugins.analysis.interval import wilson
from llmcache_plugins.analysis.survey import Survey
from llmcache_plugins.analysis.table import duration
from llmcache_plugins.analysis.values import Efficiency, Recommendation
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.counters import CacheStats, TierStats

__all__ = ["advise", "judge"]

_GOOD, _FAIR = 0.60, 0.30
_LEAST_LOOKUPS = 100  # a hit rate from fewer is off by 10 points
_LEAST_EVENTS = 30
_LEAST_LIVES = 50
_FULL, _EMPTY = 0.90, 0.25


def judge(stats: CacheStats, survey: Survey) -> Efficiency:
    """How much of the traffic is answered, as far as anybody can tell."""
    if stats.lookups >= _LEAST_LOOKUPS:
        return _by_lookups(stats)
    count = survey.reads + survey.entries
    seen = f"{stats.lookups:,} lookups in this process are too few (at least {_LEAST_LOOKUPS})"
    if count < _LEAST_LOOKUPS:
        return Efficiency("unknown", "nothing", count=stats.lookups, reasons=(seen,))
    rate, (low, high) = survey.reads / count, wilson(survey.reads, count)
    reasons = (
        seen,
        f"the {survey.entries:,} entries that are there have been read {survey.reads:,} times: {rate:.1%} of what led "
        f"to them was answered",
        "answers that have left the cache unread do not show here, so the true rate is lower",
    )
    return Efficiency(_verdict(rate), "reads", rate, low, high, count, reasons=reasons)


def _by_lookups(stats: CacheStats) -> Efficiency:
    total, (low, high) = stats.lookups, wilson(stats.hit_count, stats.lookups)
    by_meaning = sum(stats.hits.get(kind, 0) for kind in ("semantic", "alias"))
    verdict = _verdict(stats.hit_rate)
    reasons = [f"{stats.hit_count:,} of {total:,} lookups answered, {low:.1%} to {high:.1%} with 95 % confidence"]
    if _verdict(low) != _verdict(high):
        reasons.append(f"more lookups may change the verdict ({_verdict(low)} to {_verdict(high)})")
    reason, count = max(stats.misses.items(), key=lambda item: item[1], default=("", 0))
    if count:
        reasons.append(f"most misses are {reason}: {count:,} of {stats.miss_count:,}")
    exact = (stats.hit_count - by_meaning) / total
    return Efficiency(
        verdict, "lookups", stats.hit_rate, low, high, total, exact, by_meaning / total, reasons=tuple(reasons)
    )


def advise(stats: CacheStats, survey: Survey, config: CacheConfig) -> tuple[Recommendation, ...]:
    """What might be changed, what weighs most first."""
    rules: Iterable[Callable[[CacheStats, Survey, CacheConfig], Recommendation | None]] = (
        _errors,
        _no_embedder,
        _larger,
        _hotter,
        _longer_life,
        _shorter_life,
        _near_misses,
        _unread,
        _warming,
        _smaller,
    )
    found = (rule(stats, survey, config) for rule in rules)
    return tuple(one for one in found if one is not None)


def _errors(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    errors = sum(stats.errors.values())
    if stats.lookups < _LEAST_LOOKUPS or errors < 0.01 * stats.lookups:
        return None
    parts = ", ".join(sorted(stats.errors))
    return Recommendation(
        "errors",
        f"parts of the cache fail ({parts}): each time costs a model call; see the log",
        {"errors": errors, "lookups": stats.lookups},
    )


def _no_embedder(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    count = stats.misses.get("no_embedder", 0)
    if count < _LEAST_EVENTS or count < 0.1 * stats.lookups:
        return None
    return Recommendation(
        "matching",
        "there is no embedder, so other wordings never match: pip install 'llmcache-plugins[local]'. `llmcache eval` "
        "on a recorded stream says what it would bring",
        {"misses without an embedder": count, "lookups": stats.lookups},
    )


def _larger(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    """A full store that evicts."""
    last = _last(stats)
    if last is None or last.utilisation < _FULL:
        return None
    if last.evictions < _LEAST_EVENTS or last.evictions < 0.05 * stats.updates:
        return None
    by_entries = last.max_entries is not None and survey.entries >= _FULL * last.max_entries
    setting, limit = ("max_entries", last.max_entries) if by_entries else ("max_bytes", last.max_bytes)
    share = 1 + min(
        last.evictions / max(survey.entries, 1), 3.0
    )  # what has left would have had room; four times at most
    return Recommendation(
        "size",
        f"the cache is full and answers leave before their time: a larger {setting} keeps them. How many of them would "
        f"have been asked for again, nobody can tell",
        {"utilisation": last.utilisation, "evictions": last.evictions, "updates": stats.updates},
        setting,
        None if limit is None else math.ceil(limit * share),
    )


def _hotter(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    """An upper tier that is full while much is served from below it."""
    below = stats.hit_count
    for name, tier in list(stats.tiers.items())[:-1]:
        below -= tier.hits
        if stats.hit_count >= _LEAST_LOOKUPS and tier.utilisation >= _FULL and below >= 0.2 * stats.hit_count:
            return Recommendation(
                "tiers",
                f"tier {name} is full, and many hits come from below it: more room there makes them faster (not more)",
                {"utilisation": tier.utilisation, "hits below": below, "hits": stats.hit_count},
                "max_entries",
                None if tier.max_entries is None else 2 * tier.max_entries,
            )
    return None


def _longer_life(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    count = stats.misses.get("expired", 0)
    if count < _LEAST_EVENTS or count < 0.05 * stats.lookups:
        return None
    return Recommendation(
        "ttl",
        f"{count / stats.lookups:.1%} of the lookups found an answer whose time was over, the same text each time. A "
        "longer ttl would answer them, where the data allows it; so would a refresh of what is about to expire "
        "(cache.expiring)",
        {"expired": count, "lookups": stats.lookups, "hit rate at most": (stats.hit_count + count) / stats.lookups},
        "ttl",
    )


def _shorter_life(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    """Only where room is short: else an old answer costs nothing."""
    last = _last(stats)
    if last is None or (last.utilisation < _FULL and not last.evictions) or len(survey.last_reads) < _LEAST_LIVES:
        return None
    reads = sorted(survey.last_reads)
    until, life = reads[math.ceil(0.95 * len(reads)) - 1], median(survey.lives)
    if until >= life / 4:
        return None
    return Recommendation(
        "ttl",
        f"95 % of the answers that are read at all are read for the last time {duration(until)} after they were "
        f"stored, and they live {duration(life)}: a shorter ttl makes room at little cost. Counted on entries with "
        "half of their life behind them",
        {"last read after (s)": until, "life (s)": life, "entries": len(reads), "utilisation": last.utilisation},
        "ttl",
        math.ceil(max(2 * until, 60.0)),
    )


def _near_misses(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    count = stats.misses.get("low_confidence", 0) + stats.misses.get("guard_conflict", 0)
    if stats.lookups < _LEAST_LOOKUPS or count < 0.2 * stats.lookups:
        return None
    return Recommendation(
        "matching",
        "many questions are near a stored one and are not served. Look at cache.near_misses(); `llmcache tune "
        "--from-log` says which pairs are worth a label, and labels say whether the budget may be larger",
        {"near misses": count, "lookups": stats.lookups},
    )


def _unread(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    if survey.ripe < _LEAST_LOOKUPS or survey.ripe_unread < 0.8 * survey.ripe:
        return None
    return Recommendation(
        "traffic",
        "most answers are never asked for again: the questions are diverse, or something that differs each time (a "
        "date, an id, a history) keeps equal ones apart. cache.explain(question) shows what one is compared with",
        {"unread": survey.ripe_unread, "entries past half of their life": survey.ripe},
    )


def _warming(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    share = survey.coverage.get(100, 0.0)
    if survey.reads < 2 * _LEAST_LOOKUPS or survey.entries < 200 or share < 0.4:
        return None
    return Recommendation(
        "warming",
        "few questions make up much of the traffic: warming the 100 most frequent ones (docs/warming.md) keeps "
        f"{share:.0%} of the reads from ever waiting for the model",
        {"share of reads": share, "reads": survey.reads, "entries": survey.entries},
    )


def _smaller(stats: CacheStats, survey: Survey, config: CacheConfig) -> Recommendation | None:
    """Only after a whole life of an answer, when the cache has been as full as it gets."""
    last = _last(stats)
    if last is None or last.max_entries is None or config.ttl is None or last.evictions:
        return None
    if last.utilisation >= _EMPTY or survey.entries < _LEAST_LOOKUPS or survey.oldest < 0.9 * config.ttl:
        return None
    return Recommendation(
        "size",
        "the cache is far from full after a whole ttl: it could be smaller, if the memory is wanted elsewhere",
        {"utilisation": last.utilisation, "entries": survey.entries, "oldest (s)": survey.oldest},
        "max_entries",
        2 * survey.entries,
    )


def _last(stats: CacheStats) -> TierStats | None:
    tiers = list(stats.tiers.values())
    return tiers[-1] if tiers else None


def _verdict(rate: float) -> Literal["good", "fair", "poor"]:
    return "good" if rate >= _GOOD else "fair" if rate >= _FAIR else "poor"
