"""Adds up the entries of a store, one by one, so that none has to be kept."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping

from llmcache_plugins.analysis.values import Group, Hotspot
from llmcache_plugins.types import Entry, Stored

__all__ = ["BOUNDS", "Survey"]

BOUNDS: tuple[tuple[float, str], ...] = (
    (60.0, "under 1 min"),
    (300.0, "under 5 min"),
    (3600.0, "under 1 h"),
    (4 * 3600.0, "under 4 h"),
    (86400.0, "under 1 d"),
    (7 * 86400.0, "under 7 d"),
)
_LONGER, _FOR_EVER, _EXPIRED = "7 d and more", "for ever", "expired"
_COVERED = (1, 10, 100)


class Survey:
    """What the entries of a cache are, how they are read, and how long they live.

    Args:
        now: wall clock.
        with_text: hotspots show their questions.
    """

    def __init__(self, now: float, *, with_text: bool = False) -> None:
        self.now = now
        self.is_whole = False  # until no entry is left
        self._with_text = with_text
        self._hot: list[tuple[int, int, Stored]] = []
        self._types: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._labels: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._remaining: Counter[str] = Counter()
        self._reads_of_each: list[int] = []
        self.entries = 0
        self.reads = 0
        self.oldest = 0.0  # seconds
        self.ripe = 0  # entries with half of their life behind them: what they have been read for can be seen
        self.ripe_unread = 0
        self.last_reads: list[float] = []  # of ripe entries, seconds from storing to the last read
        self.lives: list[float] = []  # of the same entries, seconds from storing to expiry

    def add(self, stored: Stored) -> None:
        """One entry."""
        entry, reads = stored.entry, stored.access_count
        self.entries += 1
        self.reads += reads
        self._reads_of_each.append(reads)
        self.oldest = max(self.oldest, self.now - entry.created_at)
        for groups, name in ((self._types, entry.profile.query_type), (self._labels, _kind_of(entry.label))):
            if name:
                groups[name][0] += 1
                groups[name][1] += reads
        self._remaining[self._life_left(entry)] += 1
        if reads:
            # Of equal reads the one stored earlier: `-entries` falls.
            heapq.heappush(self._hot, (reads, -self.entries, stored))
            if len(self._hot) > max(_COVERED):
                heapq.heappop(self._hot)
        self._add_life(stored)

    def end(self, *, is_whole: bool) -> None:
        """All entries were added, or not."""
        self.is_whole = is_whole

    def hotspots(self, top: int) -> tuple[Hotspot, ...]:
        """The most read entries, at most 100, most read first."""
        return tuple(self._hotspot(stored) for _, _, stored in sorted(self._hot, reverse=True)[:top])

    @property
    def coverage(self) -> Mapping[int, float]:
        """Share of the reads that the so many most read entries have."""
        ranked = sorted(self._reads_of_each, reverse=True)
        if not self.reads:
            return {}
        return {count: sum(ranked[:count]) / self.reads for count in _COVERED if count < len(ranked)}

    @property
    def query_types(self) -> Mapping[str, Group]:
        return _groups(self._types)

    @property
    def labels(self) -> Mapping[str, Group]:
        return _groups(self._labels)

    @property
    def remaining(self) -> Mapping[str, int]:
        """Entries by the rest of their lives, only what there is."""
        names = (_EXPIRED, *(name for _, name in BOUNDS), _LONGER, _FOR_EVER)
        return {name: self._remaining[name] for name in names if self._remaining[name]}

    def _life_left(self, entry: Entry) -> str:
        if entry.expires_at is None:
            return _FOR_EVER
        left = entry.expires_at - self.now
        if left <= 0:
            return _EXPIRED
        return next((name for bound, name in BOUNDS if left < bound), _LONGER)

    def _add_life(self, stored: Stored) -> None:
        entry = stored.entry
        if entry.expires_at is None:
            return
        life = entry.expires_at - entry.created_at
        if life <= 0 or self.now - entry.created_at < life / 2:
            return
        self.ripe += 1
        if not stored.access_count:
            self.ripe_unread += 1
        elif stored.last_access is not None:
            self.last_reads.append(max(0.0, stored.last_access - entry.created_at))
            self.lives.append(life)

    def _hotspot(self, stored: Stored) -> Hotspot:
        entry = stored.entry
        return Hotspot(
            key=entry.key,
            reads=stored.access_count,
            share=stored.access_count / self.reads,
            query_type=entry.profile.query_type,
            label=entry.label,
            tier=stored.tier,
            age=max(0.0, self.now - entry.created_at),
            expires_in=None if entry.expires_at is None else max(0.0, entry.expires_at - self.now),
            text=entry.text if self._with_text else "",
        )


def _kind_of(label: str) -> str:
    """`v1:device:interface_status:rtr-001:...` -> `device:interface_status`."""
    parts = label.split(":")
    return ":".join(parts[1:3]) if len(parts) > 3 else ""


def _groups(groups: Mapping[str, list[int]]) -> dict[str, Group]:
    ranked = sorted(groups.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))
    return {name: Group(entries, reads) for name, (entries, reads) in ranked}
