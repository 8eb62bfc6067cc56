"""How often a log repeats itself, counted in bounded memory: of many different keys a fixed number is followed.

Source of the sampling: SHARDS (Waldspurger, Park, Garthwaite and Ahmad, FAST 2015): a key is followed when its digest
is below a limit, and the limit falls when there are too many. So of a key that is followed every occurrence is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SPACE", "Bins", "Commonest", "FirstSeen", "Frequencies", "lowered"]

SPACE = 2**64
"""Keys are integers below this."""
_MOST_BINS = 512


def lowered(limit: int, keys: list[int], most: int) -> int:
    """The limit below which three quarters of `most` keys are: not every new key must lower it again."""
    return min(limit, sorted(keys)[most * 3 // 4])


class FirstSeen:
    """Which keys are new, and when they came first. Exact up to `most` different ones, beyond that an estimate from a
    uniform sample of the keys, whose standard error is about `1 / sqrt(most)` of their number."""

    def __init__(self, most: int = 65_536) -> None:
        self._most = most
        self._limit = SPACE
        self._first: dict[int, tuple[int, float | None]] = {}

    def add(self, key: int, number: int, at: float | None) -> None:
        if key >= self._limit or key in self._first:
            return
        self._first[key] = (number, at)
        if len(self._first) > self._most:
            self._limit = lowered(self._limit, list(self._first), self._most)
            self._first = {one: seen for one, seen in self._first.items() if one < self._limit}

    @property
    def rate(self) -> float:
        """The share of the keys that is followed, in (0, 1]."""
        return self._limit / SPACE

    @property
    def distinct(self) -> float:
        """How many different keys there were."""
        return len(self._first) / self.rate

    def by_number(self) -> list[float]:
        return [float(number) for number, _ in self._first.values()]

    def by_time(self) -> list[float]:
        return [at for _, at in self._first.values() if at is not None]


class Bins:
    """A histogram whose range nobody knows beforehand: when there are too many bins, two become one.

    >>> bins = Bins(1.0)
    >>> for value in (0.0, 0.5, 3.0):
    ...     bins.add(value)
    >>> dict(bins.counts)
    {0: 2, 3: 1}
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self.counts: dict[int, int] = {}

    def add(self, value: float) -> None:
        place = int(value // self.width)
        self.counts[place] = self.counts.get(place, 0) + 1
        while len(self.counts) > _MOST_BINS:
            self.width *= 2
            merged: dict[int, int] = {}
            for old, count in self.counts.items():
                merged[old // 2] = merged.get(old // 2, 0) + count
            self.counts = merged


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How often the commonest keys were seen, most often first; at least so often where `error` is above 0, and at most
    `error` times more."""

    counts: tuple[int, ...]
    error: int


class Commonest:
    """The most frequent keys by the counting of Misra and Gries (1982): exact up to `most` different keys; beyond, a
    key is counted too low by at most the number of calls over half of `most`."""

    def __init__(self, most: int = 65_536) -> None:
        self._most = most
        self._counts: dict[int, int] = {}
        self._error = 0

    def add(self, key: int) -> None:
        self._counts[key] = self._counts.get(key, 0) + 1
        if len(self._counts) > self._most:
            taken = sorted(self._counts.values())[self._most // 2]
            self._error += taken
            self._counts = {one: count - taken for one, count in self._counts.items() if count > taken}

    @property
    def frequencies(self) -> Frequencies:
        return Frequencies(tuple(sorted(self._counts.values(), reverse=True)), self._error)
