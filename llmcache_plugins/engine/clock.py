"""The real time, and what comes due in it."""

from __future__ import annotations

import time

from llmcache_plugins.protocols import Clock

__all__ = ["Every", "SystemClock"]


class SystemClock:
    """Wall clock for what is stored, monotonic clock for durations."""

    @staticmethod
    def now() -> float:
        return time.time()

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()


class Every:
    """Comes due each time `interval` seconds have passed; never, when it is None."""

    def __init__(self, interval: float | None, clock: Clock) -> None:
        self._interval = interval
        self._clock = clock
        self._last = clock.monotonic()

    def is_due(self) -> bool:
        """Whether it is; asked again, it has to come due anew."""
        now = self._clock.monotonic()
        if self._interval is None or now - self._last < self._interval:
            return False
        self._last = now
        return True
