"""What a cache counts, told to the store now and then, and what is watched there: never on the path of a lookup."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from llmcache_plugins.counters import CacheStats, SharedStats, StoreStats, TierStats
from llmcache_plugins.engine.clock import Every
from llmcache_plugins.engine.drivers import Tier
from llmcache_plugins.engine.watching import ServerWatch
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Clock, HasServer, SharedCounts, Store
from llmcache_plugins.recorded import ErrorEvent, Event, StoreEvent

__all__ = ["Publisher"]

_log = logging.getLogger(__name__)
_LOOKED_EVERY = 60.0  # seconds between two looks at other processes' counts, and at the server
_taken_lock = threading.Lock()
_taken: WeakKeyDictionary[Store, tuple[int, int, int]] = WeakKeyDictionary()
"""Evictions, expirations and damages of each store that were told of: several caches of a process may be over one."""


class Publisher:
    """Writes the counts of this process into the store of all entries.

    Failures are counted once for each time that they begin: the parts that serve lookups tell of a store that is down.

    Args:
        bottom: the store of all entries.
        counts: what was counted; None to publish nothing.
        emit: hears what the store has done by itself, and warnings.
    """

    def __init__(self, bottom: Tier, counts: SharedCounts | None, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._bottom = bottom
        self._counts = counts
        self._emit = emit
        self._looks = Every(_LOOKED_EVERY, clock)
        self._is_failing = False
        self._is_forked = False
        self._watch = ServerWatch(bottom.name, clock, emit) if isinstance(bottom.store, HasServer) else None

    def after_fork(self) -> None:
        """In a forked child; what the parent counted is the parent's."""
        global _taken_lock
        _taken_lock = threading.Lock()
        self._is_failing = False
        self._is_forked = True
        if self._counts is not None:
            self._counts.after_fork()

    def tick(self) -> None:
        """Write what is new, and once a minute look at what others left behind, and at the server. Raises nothing."""
        store = self._bottom.store
        try:
            is_time = self._looks.is_due()
            if is_time or (self._counts is not None and self._counts.has_news):
                self._tell_of_store()
            if self._counts is not None:
                self._counts.publish(store)
            if is_time:
                self._look()
        except Exception as error:
            self._failed(error)
        else:
            self._is_failing = False

    def _look(self) -> None:
        store = self._bottom.store
        if self._counts is not None:
            self._counts.fold(store)
        if self._watch is not None and isinstance(store, HasServer):
            evicted = store.stats().evictions
            if self._counts is not None:  # those of all processes
                evicted = self._counts.read(store, {"": StoreStats()}, {}).total.stores[""].evictions
            try:
                self._watch.looked(store.load(), evicted)
            except StoreError as error:  # a user who may not ask for INFO, perhaps: nothing depends on it
                _log.debug("how full the server is was not found out (%s)", type(error).__name__)

    def shared(self, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> SharedStats:
        """Everything added up, this process' counts up to this moment included.

        Args:
            stores: size of the store of all entries, by name; empty when it cannot be read.
        """
        if self._counts is None:
            return SharedStats(total=CacheStats(), is_complete=False)
        try:
            self._tell_of_store()
            self._counts.publish(self._bottom.store)
            return self._counts.read(self._bottom.store, stores, tiers)
        except StoreError as error:
            self._failed(error)
            return self._counts.own(stores, tiers)

    def reset(self) -> None:
        """Begin anew, for all processes. Raises `StoreError`."""
        if self._counts is not None:
            self._tell_of_store()
            self._counts.publish(self._bottom.store)
            self._counts.reset(self._bottom.store)

    def _tell_of_store(self) -> None:
        """What the store has evicted and so on since somebody in this process asked last."""
        store = self._bottom.store
        stats = store.stats()
        seen = stats.evictions, stats.expirations, stats.damaged
        with _taken_lock:
            before = seen if self._is_forked else _taken.get(store, (0, 0, 0))
            self._is_forked = False
            new = [now - then for now, then in zip(seen, before, strict=True)]
            if min(new) < 0:  # somebody else asked later, and was quicker
                return
            _taken[store] = seen
        if any(new):
            self._emit(StoreEvent(self._bottom.name, *new))

    def _failed(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            self._emit(ErrorEvent("shared statistics", type(error).__name__))
            if not (isinstance(error, StoreError) and error.is_told):  # else the store has said why
                _log.info("counts are not shared at the moment (%s); they are written later", type(error).__name__)
