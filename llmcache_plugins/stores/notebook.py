"""What a store in memory keeps beside its entries: notes, tallies, leases and the log of invalidations."""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock

from llmcache_plugins.selection import Invalidation, Lease
from llmcache_plugins.stores.invalidation_log import InvalidationLog
from llmcache_plugins.stores.leases import LeaseTable
from llmcache_plugins.types import Entry

__all__ = ["Notebook"]


class Notebook:
    """The verbs of a `Store` that touch no entry. One lock for these and for those that do."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._version = 0
        self._open_notebook()

    def _open_notebook(self) -> None:
        self._notes: dict[str, str] = {}
        self._tallies: dict[str, str] = {}
        self._leases = LeaseTable()
        self._log = InvalidationLog()

    def _admits(self, entry: Entry, tier: str, seen: int | None, fence: Lease | None) -> bool:
        """May an answer be stored that was computed under these?"""
        return self._log.admits(entry, tier, seen) and (fence is None or not self._leases.is_late(fence))

    def invalidations(self, *, since: float) -> list[Invalidation]:
        with self._lock:
            return self._log.since(since)

    def forget_invalidations(self, *, before: float) -> int:
        with self._lock:
            return self._log.forget(before)

    def sequence(self) -> int:
        return self._log.sequence

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        with self._lock:
            return self._leases.acquire(name, holder, now, until)

    def release(self, lease: Lease) -> None:
        with self._lock:
            self._leases.release(lease)

    def note(self, name: str, value: str | None) -> None:
        with self._lock:
            self._version += 1
            if value is None:
                self._notes.pop(name, None)
            else:
                self._notes[name] = value

    def notes(self, prefix: str = "") -> dict[str, str]:
        with self._lock:
            return {name: value for name, value in self._notes.items() if name.startswith(prefix)}

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        with self._lock:
            if any(self._tallies.get(name) != text for name, text in expected.items()):
                return False
            for name, text in changes.items():
                if text is None:
                    self._tallies.pop(name, None)
                else:
                    self._tallies[name] = text
            return True

    def tallies(self) -> dict[str, str]:
        with self._lock:
            return dict(self._tallies)

    def version(self) -> int:
        """How many entries and notes were replaced, marked or removed: several caches may share this object. What is
        only added changes no copy."""
        return self._version
