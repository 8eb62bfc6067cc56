"""The log of invalidations in memory: what was noted, and whether an answer may still be stored."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import replace

from llmcache_plugins.selection import Invalidation, Selector
from llmcache_plugins.types import Entry

__all__ = ["LOGGED_INVALIDATIONS", "InvalidationLog"]

LOGGED_INVALIDATIONS = 10_000


class InvalidationLog:
    """The last invalidations, numbered from 1. Not thread-safe."""

    def __init__(self, kept: int = LOGGED_INVALIDATIONS) -> None:
        self._kept = kept
        self._noted: deque[Invalidation] = deque()
        self.sequence = 0
        self._forgotten = 0  # number of the last one that was dropped

    def note(self, selector: Selector, now: float, reason: str, mode: str) -> int:
        """Its number."""
        self.sequence += 1
        self._noted.append(Invalidation(self.sequence, now, selector, reason, mode))
        while len(self._noted) > self._kept:
            self._forgotten = self._noted.popleft().number
        return self.sequence

    def count(self, number: int, count: int) -> None:
        """Say how many entries it was about."""
        for place in range(len(self._noted) - 1, -1, -1):
            if self._noted[place].number == number:
                self._noted[place] = replace(self._noted[place], count=count)
                return

    def since(self, instant: float) -> list[Invalidation]:
        return [noted for noted in self._noted if noted.at >= instant]

    def forget(self, before: float) -> int:
        kept = deque(noted for noted in self._noted if noted.at >= before)
        dropped = [noted.number for noted in self._noted if noted.at < before]
        self._noted = kept
        self._forgotten = max([self._forgotten, *dropped])
        return len(dropped)

    def admits(self, entry: Entry, tier: str, seen: int | None) -> bool:
        """False when an invalidation after number `seen` is about the entry, or when that cannot be told any more."""
        if seen is None or seen >= self.sequence or entry.is_note:
            return True
        if seen < self._forgotten:
            return False
        later = itertools.takewhile(lambda noted: noted.number > seen, reversed(self._noted))
        return not any(noted.undoes(entry, tier) for noted in later)
