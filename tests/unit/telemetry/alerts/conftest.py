"""A cache whose counts a test sets, and the time to go with it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins.counters import LATENCY_BOUNDS, CacheStats, Latency, SharedStats, StoreStats, TierStats
from llmcache_plugins.telemetry.alerts import Alert, AlertRule, Alerts, CallbackSink
from llmcache_plugins.testing import FakeClock


class CountedCache:
    """Counts that only grow, as those of a cache do; what is down cannot be asked for its evictions."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.utilisation = 0.5
        self.down: tuple[str, ...] = ()
        self.error: Exception | None = None
        self.is_complete = True
        self.asked = 0

    def more(self, *, took: float = 0.001, **counts: int) -> None:
        """What has happened; `took` is how many seconds each of the hits needed."""
        self.counts.update(counts)
        self.seconds += [took] * counts.get("hits", 0)

    def stats(self) -> CacheStats:
        self.asked += 1
        if self.error is not None:
            raise self.error
        counts, buckets = self.counts, Counter(bisect_left(LATENCY_BOUNDS, one) for one in self.seconds)
        latency = Latency(
            len(self.seconds), sum(self.seconds), tuple(buckets[place] for place in range(len(LATENCY_BOUNDS) + 1))
        )
        return CacheStats(
            hits={"exact": counts["hits"]},
            misses={"no_candidates": counts["misses"]},
            validated=counts["validated"],
            rejected=counts["rejected"],
            warnings={"memory": counts["warnings"]},
            left_alone={"main": counts["left_alone"]} if counts["left_alone"] else {},
            latency={"hit": latency},
            tiers={"hot": TierStats(utilisation=1.0), "main": TierStats(utilisation=self.utilisation, max_entries=100)},
            stores={}
            if self.down
            else {"main": StoreStats(evictions=counts["evictions"]), "copies": StoreStats(0, 0, 0, 9)},
            stores_down=self.down,
        )

    def shared_stats(self) -> SharedStats:
        stats = self.stats()
        return SharedStats(total=replace(stats, hits={"exact": 0}), is_complete=self.is_complete)


class Watching:
    """Alerts on such a cache, by hand: `run` lets time pass with traffic, and keeps what was told."""

    def __init__(self, rules: Iterable[AlertRule], cache: CountedCache | None = None, **settings: bool) -> None:
        self.cache = cache or CountedCache()
        self.clock = FakeClock()
        self.told: list[Alert] = []
        self.alerts = Alerts(self.cache, rules, [CallbackSink(self.told.append)], clock=self.clock, **settings)
        self.alerts.check()

    def run(self, seconds: float, step: float = 15.0, **traffic: Any) -> None:
        """A check at the end of each step, in which this traffic came."""
        for _ in range(round(seconds / step)):
            self.cache.more(**traffic)
            self.clock.advance(step)
            self.alerts.check()

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(alert.name, alert.state) for alert in self.told]


@pytest.fixture
def cache() -> CountedCache:
    return CountedCache()


@pytest.fixture
def watching() -> type[Watching]:
    return Watching
