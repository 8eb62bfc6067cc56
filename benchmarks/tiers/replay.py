"""A real stream of requests through caches that are too small for it: what is found, where, and how old it is."""

from __future__ import annotations

import gzip
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmcache_plugins import Hit, TierConfig, open_cache
from llmcache_plugins.evaluation import PreparedEmbedder
from llmcache_plugins.policies.placement import default_tiers
from llmcache_plugins.testing import FakeClock

__all__ = ["SHAPES", "STREAMS", "Replayed", "read_stream", "replays"]

STREAMS = ("qqp_zipf", "querylog")
_GAP = 10.0  # seconds between two requests of a stream without times
_TTL = 12 * 3600.0  # half of the day that the query log covers, so that entries do expire
_BYTES = 2**33
_MAINTAINED = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of one stream in one shape of cache. Rates in [0, 1], ages in seconds.

    `too_old` counts answers that were served after their time to live: a tier must never lengthen it.
    """

    stream: str
    shape: str
    capacity: int
    requests: int
    hit_rate: float
    by_tier: dict[str, float]
    median_age: float
    oldest: float
    too_old: int
    promotions: int
    demotions: int
    evictions: int


def _one(eviction: str) -> Any:
    return lambda capacity: (TierConfig("all", eviction=eviction),)


def _three(eviction: str) -> Any:
    def tiers(capacity: int) -> tuple[TierConfig, ...]:
        hot, warm, cold = default_tiers(capacity, _BYTES)
        return hot, warm, replace(cold, eviction=eviction)

    return tiers


SHAPES: dict[str, Any] = {
    "one tier, LRU": _one("lru"),
    "one tier, LFU": _one("lfu"),
    "one tier, random": _one("random"),
    "three tiers (default: cold LRU)": _three("lru"),
    "three tiers, cold LFU": _three("lfu"),
    "three tiers, cold random": _three("random"),
}


def read_stream(path: Path) -> list[Asked]:
    """The requests of a labelled stream, in order; no label is read."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [Asked(row["query"], float(row.get("t", _GAP * number))) for number, row in enumerate(rows)]


def replays(
    name: str, stream: Sequence[Asked], embedder: PreparedEmbedder, capacities: Sequence[int]
) -> Iterator[Replayed]:
    """Every shape at every capacity."""
    for capacity in capacities:
        for shape, tiers in SHAPES.items():
            yield replay(name, shape, stream, embedder, capacity, tiers(capacity))


def replay(
    name: str,
    shape: str,
    stream: Sequence[Asked],
    embedder: PreparedEmbedder,
    capacity: int,
    tiers: Sequence[TierConfig],
) -> Replayed:
    """Ask for every request in order, from an empty cache; what is missed is stored."""
    clock, maintained, ages = FakeClock(), 0.0, list[float]()
    with open_cache(
        "memory://",
        embedder=embedder,
        tiers=tiers,
        clock=clock,
        ttl=_TTL,
        max_entries=capacity,
        max_bytes=_BYTES,
        embedding_cache_entries=0,
        maintenance="manual",
        near_miss_log=0,
    ) as cache:
        for asked in stream:
            clock.advance(max(0.0, asked.at - clock.monotonic()))
            if clock.monotonic() - maintained >= _MAINTAINED:
                cache.maintain()
                maintained = clock.monotonic()
            outcome = cache.lookup(asked.text)
            if isinstance(outcome, Hit):
                ages.append(outcome.age)
            else:
                cache.update(asked.text, "an answer")
        stats = cache.stats()
    return Replayed(
        name,
        shape,
        capacity,
        len(stream),
        len(ages) / len(stream),
        {tier: counted.hits / len(stream) for tier, counted in stats.tiers.items()},
        statistics.median(ages) if ages else 0.0,
        max(ages, default=0.0),
        sum(age >= _TTL for age in ages),
        sum(tier.promotions for tier in stats.tiers.values()),
        sum(tier.demotions for tier in stats.tiers.values()),
        sum(tier.evictions for tier in stats.tiers.values()),
    )
