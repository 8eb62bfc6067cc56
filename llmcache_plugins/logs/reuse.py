"""What a cache of a size, or with a time to live, would answer of a log: from distances and gaps between repeats.

The distance of a repeat is how many other keys came since the key was last asked: a cache that evicts the least
recently used answers it when it holds more than that (Mattson, Gecsei, Slutz and Traiger, 1970). Followed for a sample
of the keys only, as SHARDS does, with its correction of the total (Waldspurger and others, FAST 2015, SHARDS-adj).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmcache_plugins.logs.counting import SPACE, lowered

__all__ = ["TTLS", "Reuse"]

TTLS: tuple[float, ...] = (60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 604800.0, 2592000.0)
"""Times to live that are tried, seconds: a minute to thirty days."""
_EXACT = 128  # sizes up to here are kept as they are
_PER_OCTAVE = 16  # of larger ones so many between one and its double: a size is known to 2 %


class Reuse:
    """Follows at most `most` keys; says hit rates as shares of all calls.

    Args:
        most: keys that are followed. SHARDS reports errors below 1 point from 8,192 on.
    """

    def __init__(self, most: int = 16_384) -> None:
        self._most = most
        self._limit = SPACE
        self._slots: dict[int, int] = {}  # key -> its place in time
        self._stored: dict[int, list[float]] = {}  # key -> when it was last stored, for each of TTLS
        self._recency = _Fenwick(4 * most)
        self._needed: dict[int, float] = {}  # size that answers a repeat -> how many repeats
        self._seen = 0.0
        self._calls = 0
        self._timed = 0.0
        self._ttl_hits = [0.0] * len(TTLS)

    def add(self, key: int, at: float | None) -> None:
        """The next call of the log."""
        self._calls += 1
        if key >= self._limit:
            return
        weight = SPACE / self._limit
        self._seen += weight
        if self._recency.is_full:
            self._renumber()
        slot = self._slots.get(key)
        if slot is not None:
            needed = _rounded(1.0 + self._recency.after(slot) * weight)
            self._needed[needed] = self._needed.get(needed, 0.0) + weight
            self._recency.remove(slot)
        self._slots[key] = self._recency.append()
        if at is not None:
            self._timed += weight
            self._live(key, at, weight)
        if len(self._slots) > self._most:
            self._follow_fewer()

    def _live(self, key: int, at: float, weight: float) -> None:
        stored = self._stored.get(key)
        if stored is None:
            self._stored[key] = [at] * len(TTLS)
            return
        for place, ttl in enumerate(TTLS):
            if at - stored[place] < ttl:
                self._ttl_hits[place] += weight
            else:
                stored[place] = at

    def _renumber(self) -> None:
        ordered = sorted(self._slots, key=self._slots.__getitem__)
        self._recency = _Fenwick(4 * self._most)
        self._slots = {key: self._recency.append() for key in ordered}

    def _follow_fewer(self) -> None:
        self._limit = lowered(self._limit, list(self._slots), self._most)
        self._slots = {key: slot for key, slot in self._slots.items() if key < self._limit}
        self._stored = {key: stored for key, stored in self._stored.items() if key < self._limit}
        self._renumber()

    def hit_rate_at_size(self, entries: float) -> float:
        """What a cache of so many entries without a time to live answers, LRU; share of all calls."""
        if not self._calls:
            return 0.0
        found = sum(weight for needed, weight in self._needed.items() if needed <= entries)
        if found:
            found += self._calls - self._seen  # what the sample has too few or too many of are near repeats
        return min(1.0, max(0.0, found / self._calls))

    def hit_rate_with_ttls(self) -> dict[float, float]:
        """By time to live, what a cache without a limit of its size answers of the calls that have a time; the time to
        live counts from when an answer was stored. Empty when no call has a time."""
        if not self._timed:
            return {}
        return {ttl: hits / self._timed for ttl, hits in zip(TTLS, self._ttl_hits, strict=True)}

    def sizes(self) -> Sequence[int]:
        """Sizes worth a look: 1, 2, 5, 10, ... up to the first that holds the whole log."""
        largest = max(self._needed, default=1)
        found = []
        for power in range(40):
            size = (1, 2, 5)[power % 3] * 10 ** (power // 3)
            found.append(size)
            if size >= largest:
                break
        return found


def _rounded(size: float) -> int:
    """The same for sizes that are near each other, so that few are kept; small ones as they are."""
    return round(size) if size < _EXACT else round(2.0 ** (round(_PER_OCTAVE * math.log2(size)) / _PER_OCTAVE))


class _Fenwick:
    """How many of the slots behind one are taken, in logarithmic time (Fenwick, 1994)."""

    def __init__(self, size: int) -> None:
        self._tree = [0] * (size + 1)
        self._size = size
        self._next = 0
        self._taken = 0

    @property
    def is_full(self) -> bool:
        return self._next == self._size

    def append(self) -> int:
        self._next += 1
        self._change(self._next, 1)
        self._taken += 1
        return self._next

    def remove(self, slot: int) -> None:
        self._change(slot, -1)
        self._taken -= 1

    def after(self, slot: int) -> int:
        before = 0
        while slot:
            before += self._tree[slot]
            slot &= slot - 1
        return self._taken - before

    def _change(self, slot: int, by: int) -> None:
        while slot <= self._size:
            self._tree[slot] += by
            slot += slot & -slot
