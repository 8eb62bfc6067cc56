"""What alerts keep of a cache's counters: a few numbers at one moment, and what came between two of them. Pure."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from llmcache_plugins.counters import CacheStats, Latency

__all__ = ["Counted", "History", "Sight", "counted"]

_STEPS = 60  # of a window: what is kept of a day is as much as of a quarter of an hour


@dataclass(frozen=True, slots=True)
class Counted:
    """The counters that alerts go by; each of them only grows.

    Args:
        numbers: by name: `hits`, `misses`, `validated`, `rejected`, `evictions`.
        left_alone: calls that were not made for an open circuit, by part.
        warnings: of the server's memory, by kind.
        hit_latency: how long hits took.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    left_alone: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    hit_latency: Latency = field(default_factory=Latency)

    def since(self, before: Counted) -> Counted:
        """What was counted after `before`; nothing is below 0."""
        latency, earlier = self.hit_latency, before.hit_latency
        buckets = tuple(max(0, now - then) for now, then in zip(latency.buckets, earlier.buckets, strict=True))
        return Counted(
            self.numbers - before.numbers,
            self.left_alone - before.left_alone,
            self.warnings - before.warnings,
            Latency(sum(buckets), max(0.0, latency.seconds - earlier.seconds), buckets),
        )

    def is_before(self, later: Counted) -> bool:
        """False where a counter went back: they were reset, or the process was forked."""
        return all(
            not (then - now)
            for then, now in (
                (self.numbers, later.numbers),
                (self.left_alone, later.left_alone),
                (self.warnings, later.warnings),
            )
        )


def counted(stats: CacheStats, evictions: int) -> Counted:
    """What of these counters alerts go by.

    Args:
        evictions: where the store cannot be asked for them: what was known last.
    """
    numbers = Counter(
        hits=stats.hit_count,
        misses=stats.miss_count,
        validated=stats.validated,
        rejected=stats.rejected,
        evictions=evictions if stats.evictions is None else stats.evictions,
    )
    return Counted(
        numbers,
        Counter(stats.left_alone),
        Counter(stats.warnings),
        stats.latency.get("hit", Latency()),
    )


@dataclass(frozen=True, slots=True)
class Sight:
    """All there is to go by at one moment.

    Args:
        now: what was counted within the window.
        before: what was counted within as long a time before it.
        seconds: how long the window is by now: at first it is shorter than it is meant to be.
        window: how long it is meant to be.
        utilisation: how much of the capacity is taken now; None where that is not known.
        stores_down: names of the stores that cannot be asked now.
    """

    now: Counted
    before: Counted
    seconds: float
    window: float
    utilisation: float | None = None
    stores_down: tuple[str, ...] = ()


class History:
    """Counters of the last two windows of one length, thinned out: a window is up to 1/60 longer than it is meant to
    be.

    Args:
        window: seconds.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._kept: deque[tuple[float, Counted]] = deque()
        self._latest: Counted | None = None

    def add(self, at: float, now: Counted) -> None:
        """
        Args:
            at: seconds of a clock that only goes forward.
        """
        if self._latest is not None and not self._latest.is_before(now):
            self._kept.clear()
        self._latest = now
        if not self._kept or at - self._kept[-1][0] >= self._window / _STEPS:
            self._kept.append((at, now))
        while len(self._kept) > 1 and self._kept[1][0] <= at - 2 * self._window:
            self._kept.popleft()

    def windows(self, at: float, now: Counted) -> tuple[Counted, Counted, float]:
        """What was counted in the window, in the one before it, and how many seconds the window has."""
        since, start = self._at(at - self._window)
        _, earlier = self._at(since - self._window)
        return now.since(start), start.since(earlier), at - since

    def _at(self, moment: float) -> tuple[float, Counted]:
        """What was kept last at this moment or before it; else the oldest there is."""
        found = self._kept[0]
        for kept in self._kept:
            if kept[0] > moment:
                break
            found = kept
        return found
