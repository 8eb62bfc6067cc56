"""Who leaves a store in memory first: one queue for each tier, in the order of its eviction policy."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from llmcache_plugins.counters import Share
from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.types import Entry

__all__ = ["EvictionQueue", "EvictionQueues", "Queued", "Seat"]

_SLACK = 64


class Queued(Protocol):
    """What can stand in a queue."""

    @property
    def entry(self) -> Entry: ...
    @property
    def order(self) -> int: ...
    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=Queued)


class Seat(Generic[T]):
    """A place in one queue. Who leaves the queue leaves the seat empty: the heap then holds no entry any more."""

    __slots__ = ("holder", "policy", "priority", "weight")

    def __init__(self, holder: T, policy: EvictionPolicy, priority: float, weight: float) -> None:
        self.holder: T | None = holder
        self.policy = policy
        self.priority = priority
        self.weight = weight

    def read(self, now: float, order: int) -> None:
        """One served read of who sits here."""
        priority = self.policy.on_read(self.priority, self.weight, 1, now, order)
        if self.priority < priority < math.inf:  # what is no number changes nothing
            self.priority = priority

    def __lt__(self, other: Seat[T]) -> bool:
        return False  # asked only of two seats of one entry, of which one is empty


class EvictionQueue(Generic[T]):
    """The entries of one tier, lowest priority first, of equal ones the older.

    A read only raises a priority, so the heap is not told: what comes to its top with a number that is too low is put
    back with the right one. Not thread-safe.
    """

    def __init__(self, policy: EvictionPolicy) -> None:
        self.policy = policy
        self.entries = 0
        self.size_bytes = 0
        self._heap: list[tuple[float, int, Seat[T]]] = []

    def join(self, holder: T, now: float, order: int) -> Seat[T]:
        """Take a seat; `order` is the number of this write."""
        weight = _finite(self.policy.weight(holder.entry, holder.size))
        seat = Seat(holder, self.policy, _finite(self.policy.on_put(weight, now, order)), weight)
        self.entries += 1
        self.size_bytes += holder.size
        if len(self._heap) > 2 * self.entries + _SLACK:  # mostly seats that were left
            self._heap = [(s.priority, s.holder.order, s) for _, _, s in self._heap if s.holder is not None]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (seat.priority, holder.order, seat))
        return seat

    def leave(self, seat: Seat[T]) -> None:
        if seat.holder is not None:
            self.entries -= 1
            self.size_bytes -= seat.holder.size
            seat.holder = None

    def lowest(self, limit: int) -> list[T]:
        """The at most `limit` who are to leave first, in that order."""
        found = []
        for _ in range(min(limit, self.entries)):
            found.append(self._settle())
            heapq.heappop(self._heap)
        holders = []
        for seat in found:
            if seat.holder is not None:
                heapq.heappush(self._heap, (seat.priority, seat.holder.order, seat))
                holders.append(seat.holder)
        return holders

    def first(self, but: T | None) -> Seat[T] | None:
        """The seat of who is to leave first, other than `but`."""
        if not self.entries:
            return None
        seat = self._settle()
        if but is None or seat.holder is not but:
            return seat
        item = heapq.heappop(self._heap)
        second = self._settle() if self.entries > 1 else None
        heapq.heappush(self._heap, item)
        return second

    def _settle(self) -> Seat[T]:
        """The seat at the top, once that is taken and its number right; there is one."""
        while True:
            priority, order, seat = self._heap[0]
            if seat.holder is None:
                heapq.heappop(self._heap)
            elif seat.priority != priority:
                heapq.heapreplace(self._heap, (seat.priority, order, seat))
            else:
                return seat


class EvictionQueues(Generic[T]):
    """The queues of all tiers.

    Args:
        policy: of every tier that has none of its own.
        by_tier: policies by name of the tier.
        last_tier: who is placed there, or in no tier, leaves before all others.
    """

    def __init__(self, policy: EvictionPolicy, by_tier: Mapping[str, EvictionPolicy], last_tier: str) -> None:
        self._policy = policy
        self._by_tier = dict(by_tier)
        self._first = frozenset(("", last_tier))
        self._queues: dict[str, EvictionQueue[T]] = {}

    def of(self, tier: str) -> EvictionQueue[T]:
        queue = self._queues.get(tier)
        if queue is None:
            queue = self._queues[tier] = EvictionQueue(self._by_tier.get(tier, self._policy))
        return queue

    def first(self, but: T | None) -> T | None:
        """Who is to leave first, other than `but`; None when nobody else is there."""
        return self._first_of(but, in_last=True) or self._first_of(but, in_last=False)

    def _first_of(self, but: T | None, *, in_last: bool) -> T | None:
        lowest: T | None = None
        rank = (math.inf, 0)
        for tier, queue in self._queues.items():
            if not queue.entries or (tier in self._first) is not in_last:
                continue
            seat = queue.first(but)
            holder = None if seat is None else seat.holder
            if seat is not None and holder is not None and (seat.priority, holder.order) < rank:
                lowest, rank = holder, (seat.priority, holder.order)
        return lowest

    def shares(self) -> dict[str, Share]:
        """What is placed where; a tier without an entry is left out."""
        return {tier: Share(q.entries, q.size_bytes) for tier, q in self._queues.items() if q.entries}

    def clear(self) -> None:
        self._queues = {}


def _finite(value: float) -> float:
    """What a user's policy gives must be in order with everything, or the heap would never settle."""
    return value if math.isfinite(value) else 0.0
