"""Where a share lies that was counted."""

from __future__ import annotations

import math

__all__ = ["wilson"]

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of Wilson (1927) for `count` of `total`; from 0 to 1 when nothing was counted.

    >>> low, high = wilson(0, 10)
    >>> (low, round(high, 4))
    (0.0, 0.2775)
    """
    if not total:
        return 0.0, 1.0
    share, z2 = count / total, _Z * _Z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    # At the ends the formula gives 0 and 1 but for a rounding error.
    return (max(0.0, centre - half) if count else 0.0), (min(1.0, centre + half) if count < total else 1.0)
