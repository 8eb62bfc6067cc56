"""A report from the counts of a cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmcache_plugins.analysis import wilson
from llmcache_plugins.counters import CacheStats, Latency, LookupCounts, StoreStats
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.money import MoneySettings, savings_of
from llmcache_plugins.report.ab_test import ab_of
from llmcache_plugins.report.rollout import rollout_of
from llmcache_plugins.report.trend import trend_of
from llmcache_plugins.report.values import Alert, FalseHits, Freshness, Group, Notice, Report, Timing
from llmcache_plugins.types import MissReason, Namespace

__all__ = ["alerts_from", "report_of"]

_NEAR = (MissReason.GUARD_CONFLICT, MissReason.LOW_CONFIDENCE, MissReason.REJECTED, MissReason.REPORTED)


def report_of(
    stats: CacheStats,
    *,
    at: float,
    since: float | None = None,
    namespace: Namespace = (),
    is_shared: bool = False,
    is_complete: bool = True,
    processes: int = 1,
    money: MoneySettings | None = None,
    alerts: Iterable[Notice | tuple[str, str, str]] = (),
    earlier: Mapping[str, Any] | None = None,
    fraction: float | None = None,
) -> Report:
    """The report of these counts.

    Args:
        at: now, wall clock.
        since: when counting began, wall clock.
        money: prices and costs; None for those that come with the package.
        alerts: what wants attention: name, level and text of each.
        earlier: what `as_json` of an earlier report gave, for the trend.
        fraction: the share of the requests that a roll-out serves now; None without one, or when nobody says.

    Raises:
        ConfigError: `earlier` is no report of this version, or `alerts` are none.
    """
    store = next(iter(stats.stores.values()), StoreStats())
    false_hits = _false_hits(stats)
    low, high = wilson(stats.hit_count, stats.lookups)
    report = Report(
        at=at,
        namespace=namespace,
        since=since,
        is_shared=is_shared,
        is_complete=is_complete,
        processes=processes,
        lookups=stats.lookups,
        bypasses=stats.bypasses,
        hit_rate=stats.hit_rate,
        low=low,
        high=high,
        hits=stats.hits,
        misses=stats.misses,
        near_misses={reason.value: stats.misses[reason] for reason in _NEAR if stats.misses.get(reason)},
        updates=stats.updates,
        refusals=stats.refusals,
        errors=stats.errors,
        warnings=stats.warnings,
        timings={kind: _timing(latency) for kind, latency in stats.latency.items()},
        uncached_seconds=_uncached(stats.latency),
        seconds_saved=stats.seconds_saved,
        entries=stats.entries,
        size_bytes=store.size_bytes,
        evictions=store.evictions,
        damaged=store.damaged,
        query_types=_by_rate(stats.query_types),
        namespaces=_by_lookups(stats.namespaces),
        tiers=stats.tiers,
        false_hits=false_hits,
        freshness=_freshness(stats, store),
        money=savings_of(
            stats,
            money,
            seconds=None if since is None else max(0.0, at - since),
            false_hit_rate=_share_served(false_hits, stats.hit_count),
        ),
        rollout=rollout_of(stats, money, fraction=fraction),
        ab_test=ab_of(stats),
        alerts=alerts_from(alerts),
    )
    return report if earlier is None else trend_of(report, earlier)


def alerts_from(alerts: Iterable[Notice | tuple[str, str, str]]) -> tuple[Alert, ...]:
    """
    Raises:
        ConfigError: one of them has neither name, level and text nor is three texts.
    """
    found = []
    for alert in alerts:
        parts = (alert.name, alert.level, alert.text) if isinstance(alert, Notice) else alert
        if not isinstance(parts, tuple | list) or len(parts) != 3 or not all(isinstance(part, str) for part in parts):
            raise ConfigError(f"an alert must be a name, a level and a text, not {type(alert).__name__}")
        found.append(Alert(*parts))
    return tuple(found)


def _timing(latency: Latency) -> Timing:
    mean = latency.seconds / latency.count if latency.count else 0.0
    return Timing(latency.count, mean, *(latency.quantile(share) for share in (0.5, 0.95, 0.99)))


def _uncached(latency: Mapping[str, Latency]) -> float | None:
    miss, model = (_timing(latency.get(kind, Latency())) for kind in ("miss", "model"))
    return miss.mean + model.mean if model.count else None


def _false_hits(stats: CacheStats) -> FalseHits:
    differed = sum(one.differed for one in stats.adaptive) + sum(one.different for one in stats.groups.values())
    agreed = sum(one.agreed for one in stats.adaptive) + sum(one.same for one in stats.groups.values())
    judged = stats.validated + differed + agreed
    checked, wrong = judged + stats.reported, stats.rejected + differed + stats.reported
    low, high = wilson(wrong, checked) if judged else (0.0, 1.0)
    rate = wrong / checked if judged else None
    return FalseHits(stats.rejected, differed, stats.reported, checked, rate, low, high)


def _share_served(found: FalseHits, hits: int) -> float | None:
    """What share of the hits is taken for wrong: the rate of what was checked; without one, what users have reported,
    which is the least that it can be."""
    if found.rate is not None:
        return found.rate
    return min(1.0, found.reported / hits) if hits else None


def _freshness(stats: CacheStats, store: StoreStats) -> Freshness:
    return Freshness(
        stale_hits=stats.stale_hits,
        expired_misses=stats.misses.get(MissReason.EXPIRED, 0),
        stale_misses=stats.misses.get(MissReason.STALE, 0),
        refreshes=stats.misses.get(MissReason.REFRESH, 0),
        expirations=store.expirations,
        invalidated=stats.invalidated,
    )


def _by_rate(counts: Mapping[str, LookupCounts]) -> dict[str, Group]:
    groups = {name: _group(one) for name, one in counts.items()}
    return dict(sorted(groups.items(), key=lambda item: (-item[1].hit_rate, -item[1].lookups, item[0])))


def _by_lookups(counts: Mapping[Namespace, LookupCounts]) -> dict[Namespace, Group]:
    groups = {name: _group(one) for name, one in counts.items()}
    return dict(sorted(groups.items(), key=lambda item: (-item[1].lookups, item[0])))


def _group(counts: LookupCounts) -> Group:
    return Group(counts.hits, counts.misses, counts.bypasses)
