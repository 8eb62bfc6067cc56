"""The keys of a log and their times, packed: 16 bytes for each call."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from llmcache_plugins.logs.rows import LoggedCall

__all__ = ["Trace", "trace_of"]

_GAP = 10.0  # seconds between two calls of a log without times: what ages by time (LFU) has to age by something


class Trace:
    """Calls in order: which key, and when.

    Args:
        keys: 64-bit integers; equal where one stored answer would do for both.
        times: seconds, as many; None when they are not known.
    """

    def __init__(self, keys: Iterable[int], times: Iterable[float] | None = None) -> None:
        self.keys = array("Q", keys)
        self.is_timed = times is not None
        self.times = array("d", times) if times is not None else array("d", (_GAP * n for n in range(len(self.keys))))
        if len(self.times) != len(self.keys):
            raise ValueError(f"{len(self.keys)} keys and {len(self.times)} times")

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.keys, self.times, strict=True)

    @property
    def distinct(self) -> int:
        return len(set(self.keys))

    def renamed(self, keys: Sequence[int]) -> Trace:
        """The same times with other keys."""
        return Trace(keys, self.times if self.is_timed else None)


def trace_of(calls: Iterable[LoggedCall]) -> Trace:
    """The calls of a log by their exact keys. A call without a time has that of the one before it; with times in less
    than 95 % of them the log counts as one without. Times that go back are taken as the latest so far."""
    keys, times, timed, latest = array("Q"), array("d"), 0, float("-inf")
    for call in calls:
        keys.append(call.key())
        if call.at is not None:
            timed += 1
            latest = max(latest, call.at)
        times.append(latest)
    if not timed or timed < 0.95 * len(keys):
        return Trace(keys)
    start = next(at for at in times if at != float("-inf"))
    return Trace(keys, (start if at == float("-inf") else at for at in times))
