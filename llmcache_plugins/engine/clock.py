"""The real time."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Wall clock for what is stored, monotonic clock for durations."""

    @staticmethod
    def now() -> float:
        return time.time()

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()
