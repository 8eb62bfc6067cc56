"""How often something may happen. Pure: it is told the time."""

from __future__ import annotations

from collections import deque

__all__ = ["RateLimit"]


class RateLimit:
    """Grants at most `rate` in a second, wherever the second begins: a bucket of tokens that does not fill up while
    nobody asks. Below 1 a second, one grant in each 1 / `rate` seconds. Not thread-safe.

    Args:
        rate: grants in a second, above 0.

    >>> limit = RateLimit(2.0)
    >>> [limit.take(now) for now in (0.0, 0.9, 0.95, 1.0, 1.5)]
    [True, True, False, True, False]
    """

    def __init__(self, rate: float) -> None:
        self._most = max(1, int(rate))
        self._window = self._most / rate
        self._granted: deque[float] = deque(maxlen=self._most)

    def take(self, now: float) -> bool:
        """Take one, if there is one.

        Args:
            now: monotonic seconds, never less than before.
        """
        if self.wait_for(now) > 0.0:
            return False
        self._granted.append(now)
        return True

    def wait_for(self, now: float) -> float:
        """Seconds until there is one; 0.0 when there is."""
        if len(self._granted) < self._most:
            return 0.0
        return max(0.0, self._granted[0] + self._window - now)
