"""A share with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Interval", "Rate"]

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the true share in 95 of 100 such samples."""

    low: float
    high: float

    @classmethod
    def wilson(cls, count: int, total: int) -> Interval:
        """The score interval of Wilson (1927): sound for small samples and for shares near 0 or 1.

        >>> Interval.wilson(0, 10)
        Interval(low=0, high=0.2775)
        """
        if total == 0:
            return cls(0.0, 1.0)
        share, z2 = count / total, _Z * _Z
        centre = (share + z2 / (2 * total)) / (1 + z2 / total)
        half = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
        # At the ends the formula gives 0 and 1 but for a rounding error.
        low = 0.0 if count == 0 else max(0.0, centre - half)
        high = 1.0 if count == total else min(1.0, centre + half)
        return cls(low, high)

    def __repr__(self) -> str:
        return f"Interval(low={self.low:.4g}, high={self.high:.4g})"


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` out of `total`."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share; 0.0 when nothing was counted."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> Interval:
        return Interval.wilson(self.count, self.total)
