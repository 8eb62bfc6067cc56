"""A roll-out in numbers: those who are served beside those who are not. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmcache_plugins.analysis import errors_per_request, wilson
from llmcache_plugins.counters import CacheStats, GroupStats
from llmcache_plugins.money import MoneySettings, savings_of

__all__ = ["RolloutReport", "Share", "Side", "rollout_of", "share_with_interval"]

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
_LEAST = 30  # answers of a group, below which its mean is no normal one


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total`: the share, and the 95 % interval it lies in; from 0 to 1 when nothing was counted."""

    count: int = 0
    total: int = 0
    value: float = 0.0
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One group of a roll-out.

    Args:
        lookups: its requests.
        hits: of these, those that were answered by the cache; in the control group, that would have been.
        calls: answers of models that came.
        timed: answers of which it is known how long they took.
        seconds: of these, the mean; None of none.
        p50: seconds that half of them took at most, by a histogram; also `p95` and `p99`.
        spent: money for the calls, in the currency of the prices; calls of unknown tokens count as `call_cost`.
        spared: money that its hits' calls would have cost, or have cost again in the control group.
    """

    lookups: int = 0
    hits: Share = field(default_factory=Share)
    calls: int = 0
    timed: int = 0
    seconds: float | None = None
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    spent: float = 0.0
    spared: float = 0.0

    @property
    def spent_each(self) -> float | None:
        """Money for one request; None of none."""
        return self.spent / self.lookups if self.lookups else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutReport:
    """The served group beside the control group.

    Args:
        fraction: the share of the requests that this process serves now; None when nobody says.
        served: may be answered by the cache.
        control: never is: what the same traffic does without a cache.
        same: would-be hits whose fresh answer said the same; `different`, and `unclear`: nobody could tell.
        error_rate: wrong would-be hits / requests, as in `max_error_rate`; those that were compared stand for those
            that were not. The upper end of the interval holds even if all unclear ones are wrong.
        wrong_hits: wrong ones of the would-be hits that were compared.
        reported: answers that users reported as wrong; only who is served can.
        seconds_saved: what a served request is answered sooner in the mean; below 0: later. None while too little
            (30 answers of each group) is known. It lies from `seconds_saved_low` to `seconds_saved_high` in 95 % of
            such samples.
        cost_saved: money that a served request costs less in the mean, with what the cache itself costs; below 0: more.
            None without two groups.
        currency: of all money.
        steps: of a staged roll-out: `proven` up, `errors` and `reports` back.
    """

    fraction: float | None = None
    served: Side = field(default_factory=Side)
    control: Side = field(default_factory=Side)
    same: int = 0
    different: int = 0
    unclear: int = 0
    error_rate: Share = field(default_factory=Share)
    wrong_hits: Share = field(default_factory=Share)
    reported: int = 0
    seconds_saved: float | None = None
    seconds_saved_low: float | None = None
    seconds_saved_high: float | None = None
    cost_saved: float | None = None
    currency: str = "USD"
    steps: Mapping[str, int] = field(default_factory=dict)


def rollout_of(
    stats: CacheStats, money: MoneySettings | None = None, *, fraction: float | None = None
) -> RolloutReport | None:
    """The roll-out in these counts; None when there is none.

    Args:
        money: prices; None for those that come with the package.
        fraction: the share that is served now.
    """
    if not stats.groups:
        return None
    served, control = (stats.groups.get(name, GroupStats()) for name in ("served", "control"))
    sides = _side(served, served.hits, money), _side(control, control.withheld, money)
    saved, low, high = _sooner(served, control)
    worth = savings_of(stats, money)
    return RolloutReport(
        fraction=fraction,
        served=sides[0],
        control=sides[1],
        same=control.same,
        different=control.different,
        unclear=control.unclear,
        error_rate=_errors(control),
        wrong_hits=share_with_interval(control.different, control.same + control.different),
        reported=stats.reported,
        seconds_saved=saved,
        seconds_saved_low=low,
        seconds_saved_high=high,
        cost_saved=_cheaper(*sides, worth.cost / stats.lookups if stats.lookups else 0.0),
        currency=worth.currency,
        steps=stats.stages,
    )


def _side(group: GroupStats, hits: int, money: MoneySettings | None) -> Side:
    worth = savings_of(CacheStats(models=group.models), money)
    answers = group.answers
    p50, p95, p99 = (answers.quantile(share) for share in (0.5, 0.95, 0.99))
    return Side(
        lookups=group.lookups,
        hits=share_with_interval(hits, group.lookups),
        calls=group.calls,
        timed=answers.count,
        seconds=answers.seconds / answers.count if answers.count else None,
        p50=p50,
        p95=p95,
        p99=p99,
        spent=worth.spent,
        spared=worth.gross,
    )


def share_with_interval(count: int, total: int) -> Share:
    """The share with the interval of Wilson."""
    # Replicas write their counts at different moments: one may tell of a hit before its lookup is told of.
    count = min(count, total)
    return Share(count, total, count / total if total else 0.0, *wilson(count, total))


def _errors(control: GroupStats) -> Share:
    rate, low, _ = errors_per_request(control.lookups, control.withheld, control.same, control.different)
    worst = control.different + control.unclear
    _, _, high = errors_per_request(control.lookups, control.withheld, control.same, worst)
    return Share(control.different, control.lookups, rate, low, high)


def _sooner(served: GroupStats, control: GroupStats) -> tuple[float | None, float | None, float | None]:
    """The difference of the means, and its 95 % interval by the normal distribution (Welch: the groups vary each in
    its own way)."""
    if min(served.answers.count, control.answers.count) < _LEAST:
        return None, None, None
    means, variance = [], 0.0
    for group in (served, control):
        number = group.answers.count
        mean = group.answers.seconds / number
        means.append(mean)
        variance += max(0.0, group.seconds_squared - number * mean * mean) / (number - 1) / number
    saved, half = means[1] - means[0], _Z * math.sqrt(variance)
    return saved, saved - half, saved + half


def _cheaper(served: Side, control: Side, own: float) -> float | None:
    """
    Args:
        own: what the cache itself costs for one lookup; without a cache nobody would pay that.
    """
    if served.spent_each is None or control.spent_each is None:
        return None
    return control.spent_each - served.spent_each - own
