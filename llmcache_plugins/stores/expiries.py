"""When entries in memory expire, soonest first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Protocol

from llmcache_plugins.types import Entry

__all__ = ["Expiries", "Expiring"]

_SLACK = 64


class Expiring(Protocol):
    @property
    def entry(self) -> Entry: ...
    @property
    def order(self) -> int: ...


class Expiries:
    """A heap that is not told of entries that leave: they are known by their number. Not thread-safe."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, str]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, record: Expiring, records: Mapping[tuple[str, str], Expiring]) -> None:
        """Note a record of `records`; drops those that are gone once they are most."""
        entry = record.entry
        if entry.expires_at is None:
            return
        heapq.heappush(self._heap, (entry.expires_at, record.order, entry.scope, entry.key))
        if len(self._heap) > 2 * len(records) + _SLACK:
            self._heap = [item for item in self._heap if (r := records.get(item[2:])) and r.order == item[1]]
            heapq.heapify(self._heap)

    def next(self, now: float) -> tuple[tuple[str, str], int] | None:
        """Address and number of one that has expired; it is not given again."""
        if not self._heap or self._heap[0][0] > now:
            return None
        _, order, scope, key = heapq.heappop(self._heap)
        return (scope, key), order
