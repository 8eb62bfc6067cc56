"""A circuit breaker: who is known to be dead is not asked again and again. Pure but for a lock and the clock given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from threading import Lock

__all__ = ["Breaker"]


class Breaker:
    """Opens after `failures` in a row; then one caller at a time may try, after a pause that doubles.

    Args:
        failures: in a row, until it opens.
        pause: seconds until the first try.
        longest: seconds between two tries at most.
        monotonic: the clock.
        jitter: a number in [0, 1) each time; a pause is shortened by up to a quarter of it, so that replicas that lost
            the same server do not all come back at once.
    """

    def __init__(
        self,
        *,
        failures: int = 3,
        pause: float = 0.5,
        longest: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._failures = failures
        self._pause = pause
        self._longest = longest
        self._monotonic = monotonic
        self._jitter = jitter
        self.after_fork()

    def after_fork(self) -> None:
        self._lock = Lock()
        self._failed = 0
        self._opened = 0  # times in a row
        self._try_at = 0.0
        self._is_tried = False  # somebody was let through since it opened

    @property
    def is_open(self) -> bool:
        return self._opened > 0

    def allows(self) -> bool:
        """May the server be asked? While open, True for one caller when the pause is over: the others wait for what
        becomes of it."""
        if not self._opened:
            return True
        with self._lock:
            now = self._monotonic()
            if not self._opened:
                return True
            if now < self._try_at:
                return False
            self._try_at = now + self._next_pause()
            self._is_tried = True
            return True

    def succeeded(self) -> bool:
        """True when it was open until now."""
        if not self._failed and not self._opened:
            return False
        with self._lock:
            was_open = self._opened > 0
            self._failed = self._opened = 0
            return was_open

    def failed(self) -> bool:
        """True when it opened now."""
        with self._lock:
            self._failed += 1
            if self._opened and not self._is_tried:
                return False  # asked before it opened: that it failed, too, is no news
            if self._failed < self._failures and not self._opened:
                return False
            self._is_tried = False
            has_opened = not self._opened
            self._opened += 1
            self._try_at = self._monotonic() + self._next_pause()
            return has_opened

    def _next_pause(self) -> float:
        pause = min(self._pause * 2.0 ** min(max(self._opened - 1, 0), 30), self._longest)
        return pause * (1.0 - self._jitter() / 4.0)
