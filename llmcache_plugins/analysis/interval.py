"""Where a share lies that was counted."""

from __future__ import annotations

import math

__all__ = ["errors_per_request", "wilson"]

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


def errors_per_request(requests: int, withheld: int, same: int, different: int) -> tuple[float, float, float]:
    """The share of requests that a cache would have answered wrongly, and its 95 % interval; from 0 to 1, and 0, while
    nothing is known.

    Not every would-be hit has been compared: those that were stand for the others, so that the sample is as many
    requests as have brought forth so many comparisons.

    Args:
        requests: that were looked up and not served.
        withheld: of these, those that would have been served.
        same: of these, those whose fresh answer said the same; `different`: something else.

    >>> [round(share, 4) for share in errors_per_request(1000, 200, 95, 5)]
    [0.01, 0.0043, 0.0232]
    """
    compared = same + different
    if not compared or not withheld:
        return 0.0, 0.0, 1.0
    sample = max(compared, round(requests * min(compared, withheld) / withheld))
    return different / sample, *wilson(different, sample)
