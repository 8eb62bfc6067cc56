"""Warnings of a server's memory: it gets full, or so many entries leave that the cache is too small for its traffic."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Literal

from llmcache_plugins.counters import ServerLoad
from llmcache_plugins.policies.placement import Pressure
from llmcache_plugins.protocols import Clock
from llmcache_plugins.recorded import Event, EvictionsEvent, ServerPressureEvent

__all__ = ["EvictionRate", "ServerWatch"]

_log = logging.getLogger(__name__)
_HOUR = 3600.0
_MOST_EVICTIONS = 1000  # in an hour
_ENOUGH_LESS = 0.5  # of that: then it is told of again the next time


class EvictionRate:
    """Says once when a number that grows has grown by more than 1,000 within an hour; again only after it grew by less
    than half of that."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()
        self._is_told = False

    def crossed(self, count: int, now: float) -> tuple[int, float] | None:
        """By how much it grew within how many seconds, when that is to be told of.

        >>> rate = EvictionRate()
        >>> [rate.crossed(count, 60.0 * at) for at, count in enumerate((0, 900, 1100, 1500))]
        [None, None, (1100, 120.0), None]
        """
        readings = self._readings
        if readings and count < readings[-1][1]:  # counted anew: the server was started again, or it was reset
            readings.clear()
        readings.append((now, count))
        while readings[0][0] < now - _HOUR:
            readings.popleft()
        since, first = readings[0]
        grown = count - first
        if grown > _MOST_EVICTIONS and not self._is_told:
            self._is_told = True
            return grown, now - since
        if grown < _ENOUGH_LESS * _MOST_EVICTIONS:
            self._is_told = False
        return None


class ServerWatch:
    """What there is to warn of, each time somebody has looked at the server.

    Args:
        store: name of the store, for the warnings.
    """

    def __init__(self, store: str, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._store = store
        self._clock = clock
        self._emit = emit
        self._pressure = Pressure()
        self._by_server = EvictionRate()
        self._by_cache = EvictionRate()

    def looked(self, load: ServerLoad, evicted: int) -> None:
        """
        Args:
            evicted: entries that the cache itself has evicted, since whenever.
        """
        level = self._pressure.crossed(load.utilisation)
        if level is not None:
            _log.warning(
                "the server of %s is %.0f %% full (%.0f of %.0f MiB); what it does then is its maxmemory-policy",
                self._store,
                100.0 * load.utilisation,
                load.used_bytes / 2**20,
                load.max_bytes / 2**20,
            )
            self._emit(ServerPressureEvent(self._store, level, load))
        self._tell("server", self._by_server.crossed(load.evicted, self._clock.monotonic()))
        self._tell("cache", self._by_cache.crossed(evicted, self._clock.monotonic()))

    def _tell(self, by: Literal["cache", "server"], crossed: tuple[int, float] | None) -> None:
        if crossed is None:
            return
        count, seconds = crossed
        said = "the server of %s took %d keys in %.0f minutes: maxmemory is too small, or max_bytes too large"
        if by == "cache":
            said = "%s evicted %d entries in %.0f minutes: max_entries or max_bytes is small for this traffic"
        _log.warning(said, self._store, count, seconds / 60)
        self._emit(EvictionsEvent(self._store, by, count, seconds))
