"""Counters of one process, fed by the engine's events."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

from llmcache_plugins.counters import CacheStats, StoreStats, TierStats
from llmcache_plugins.recorded import Event, LookupEvent
from llmcache_plugins.telemetry.counting import Counts, cache_stats, count
from llmcache_plugins.telemetry.hit_tally import HitTally
from llmcache_plugins.types import Hit, Namespace

__all__ = ["Statistics"]


class Statistics:
    """A recorder that adds everything up. One lock, held for a few additions.

    Args:
        namespace: of the cache; events tell only what is below it.
    """

    def __init__(self, namespace: Namespace = ()) -> None:
        self._namespace = namespace
        self._counts: Counts = {}
        self._hits = HitTally()
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            # Most events are hits; those of a roll-out are counted by their groups, too.
            if type(event) is LookupEvent and isinstance(event.outcome, Hit):
                self._hits.add(event.outcome, event.query_type, event.namespace)
                if self._hits.is_full:
                    self._hits.tell(self._counts, self._namespace)
            else:
                count(event, self._counts, self._namespace)

    def counts(self) -> Counts:
        """A copy of all numbers: they only grow, and those of several processes add up."""
        with self._lock:
            self._hits.tell(self._counts, self._namespace)
            return {counter: dict(labels) for counter, labels in self._counts.items()}

    def snapshot(
        self, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats] = MappingProxyType({})
    ) -> CacheStats:
        """All counters at one moment.

        Args:
            stores: sizes of the stores, by name.
            tiers: sizes of the tiers, by name, hottest first.
        """
        return cache_stats(self.counts(), stores, tiers)
