"""A clock that moves only when a test says so."""

from __future__ import annotations

__all__ = ["FakeClock"]


class FakeClock:
    """Wall and monotonic time in one hand: both stand still until `advance`.

    >>> clock = FakeClock(start=100.0)
    >>> clock.advance(3)
    >>> clock.now()
    103.0
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move both times forward; `seconds` of at least 0."""
        if seconds < 0:
            raise ValueError(
                f"advance takes at least 0 seconds, not {seconds!r}; see set_wall to turn the wall clock back"
            )
        self._elapsed += seconds

    def set_wall(self, now: float) -> None:
        """Let the wall clock jump, as one does after a time synchronisation; the monotonic time does not."""
        self._start = now - self._elapsed
