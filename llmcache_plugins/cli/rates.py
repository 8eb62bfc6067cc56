"""What a cache has done between two looks at its counts. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from llmcache_plugins.counters import CacheStats, Latency

__all__ = ["Rates", "rates_between"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Between two looks.

    Args:
        seconds: between them.
        lookups: a second; so are `hits`, `misses`, `updates` and `errors`.
        hit_rate: in [0, 1]; None when nothing was looked up.
        hit_latency: seconds that 95 % of the hits took at most; None when there were none.
    """

    seconds: float
    lookups: float
    hits: float
    misses: float
    updates: float
    errors: float
    hit_rate: float | None
    hit_latency: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rates_between(before: CacheStats, after: CacheStats, seconds: float) -> Rates:
    """
    Args:
        seconds: between the two, above 0.

    Counts that have become less were let begin at 0 in between: what is counted since then is what was done.
    """

    def grown(was: int, now: int) -> int:
        return now - was if now >= was else now

    hits, misses = grown(before.hit_count, after.hit_count), grown(before.miss_count, after.miss_count)
    errors = grown(sum(before.errors.values()), sum(after.errors.values()))
    latency = _grown(before.latency.get("hit", Latency()), after.latency.get("hit", Latency()))
    return Rates(
        seconds=seconds,
        lookups=(hits + misses) / seconds,
        hits=hits / seconds,
        misses=misses / seconds,
        updates=grown(before.updates, after.updates) / seconds,
        errors=errors / seconds,
        hit_rate=hits / (hits + misses) if hits + misses else None,
        hit_latency=latency.quantile(0.95) if latency.count else None,
    )


def _grown(before: Latency, after: Latency) -> Latency:
    if after.count < before.count:
        return after
    buckets = tuple(max(0, now - was) for was, now in zip(before.buckets, after.buckets, strict=True))
    return Latency(after.count - before.count, max(0.0, after.seconds - before.seconds), buckets)
