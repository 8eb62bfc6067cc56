"""An A/B test of two policies in numbers. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from llmcache_plugins.counters import ArmStats, CacheStats
from llmcache_plugins.report.rollout import Share, share_with_interval

__all__ = ["ABReport", "ArmReport", "Difference", "ab_of"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The share of `b` less that of `a`, and the 95 % interval it lies in. They differ when 0 is not inside."""

    value: float = 0.0
    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """One policy.

    Args:
        answered: questions that the cache answered, or would have in a control group.
        by_meaning: those that it matched by meaning: only there can two policies differ.
        wrong: of those that were withheld and compared, those that the fresh answer contradicts.
        reported: answers that users reported as wrong.
    """

    answered: Share = field(default_factory=Share)
    by_meaning: Share = field(default_factory=Share)
    wrong: Share = field(default_factory=Share)
    reported: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ABReport:
    """Both policies beside each other.

    Args:
        by_meaning: how much more `b` matches by meaning.
        wrong: how much more of what it matches is wrong.
    """

    a: ArmReport = field(default_factory=ArmReport)
    b: ArmReport = field(default_factory=ArmReport)
    by_meaning: Difference = field(default_factory=Difference)
    wrong: Difference = field(default_factory=Difference)


def ab_of(stats: CacheStats) -> ABReport | None:
    """The A/B test in these counts; None when there is none."""
    if not stats.arms:
        return None
    a, b = (_arm(stats.arms.get(name, ArmStats())) for name in ("a", "b"))
    return ABReport(a=a, b=b, by_meaning=difference(a.by_meaning, b.by_meaning), wrong=difference(a.wrong, b.wrong))


def _arm(arm: ArmStats) -> ArmReport:
    return ArmReport(
        answered=share_with_interval(arm.answered, arm.lookups),
        by_meaning=share_with_interval(arm.by_meaning, arm.lookups),
        wrong=share_with_interval(arm.different, arm.same + arm.different),
        reported=arm.reported,
    )


def difference(a: Share, b: Share) -> Difference:
    """`b` less `a`, with the interval made of those of both.

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
    17 (1998), method 10.

    >>> found = difference(Share(48, 80, 0.6, 0.4905, 0.7003), Share(56, 70, 0.8, 0.6918, 0.8769))
    >>> round(found.low, 3), round(found.high, 3)  # the paper's first example: 56/70 and 48/80 differ by 0.2
    (0.052, 0.334)
    """
    if not a.total or not b.total:
        return Difference()
    value = b.value - a.value
    low = value - math.hypot(b.value - b.low, a.high - a.value)
    high = value + math.hypot(b.high - b.value, a.value - a.low)
    return Difference(value, max(-1.0, low), min(1.0, high))
