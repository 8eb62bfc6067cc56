"""The value that `report` returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

from llmcache_plugins.counters import TierStats
from llmcache_plugins.money import Savings
from llmcache_plugins.report.ab_test import ABReport
from llmcache_plugins.report.rollout import RolloutReport
from llmcache_plugins.report.sections import sections_of
from llmcache_plugins.report.text import markdown_of, text_of
from llmcache_plugins.types import JsonValue, Namespace

__all__ = ["VERSION", "Alert", "Change", "FalseHits", "Freshness", "Group", "Notice", "Report", "Timing", "Trend"]

VERSION = 1
"""Of the JSON. It rises when a number changes its name or its meaning; new ones may come at any time."""


@runtime_checkable
class Notice(Protocol):
    """Whatever can stand under the alerts of a report: an `Alert`, or one of those that `telemetry.alerts` finds."""

    @property
    def name(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that wants attention: its name, how much (`"warning"`, `"urgent"`), and what it is, for people."""

    name: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Lookups of one query type or namespace."""

    hits: int = 0
    misses: int = 0
    bypasses: int = 0

    @property
    def lookups(self) -> int:
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float:
        """Hits over lookups, in [0, 1]; 0.0 before the first lookup."""
        return self.hits / self.lookups if self.lookups else 0.0


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, in seconds: how often, the mean, and what 50, 95 and 99 % of them took at most. Those
    three are bounds of a histogram, and infinite beyond its last."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True)
class FalseHits:
    """Wrong matches among those that somebody has checked.

    Args:
        rejected: by validators: found before they were served.
        differed: by the checks of the adaptive policy; found before they were served, too.
        reported: by users, of what was served.
        checked: matches that validators or the adaptive policy have judged, and the reported ones.
        rate: wrong ones of them, in [0, 1]; None when nobody but users has checked: they tell of wrong hits alone.
        low: where the rate lies with 95 % confidence (Wilson), from here ...
        high: ... to here.
    """

    rejected: int = 0
    differed: int = 0
    reported: int = 0
    checked: int = 0
    rate: float | None = None
    low: float = 0.0
    high: float = 1.0

    @property
    def wrong(self) -> int:
        return self.rejected + self.differed + self.reported


@dataclass(frozen=True, slots=True)
class Freshness:
    """How the age of answers showed.

    Args:
        stale_hits: answers past their time, or marked, that were served while they were renewed.
        expired_misses: lookups that met the very answer, past its time.
        stale_misses: the same, marked by an invalidation.
        refreshes: lookups that were chosen to renew an answer.
        expirations: entries removed because their time was over.
        invalidated: entries that invalidations removed or marked.
    """

    stale_hits: int = 0
    expired_misses: int = 0
    stale_misses: int = 0
    refreshes: int = 0
    expirations: int = 0
    invalidated: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A number then and now; None where it was not known."""

    before: float | None
    now: float | None

    @property
    def by(self) -> float | None:
        return None if self.before is None or self.now is None else self.now - self.before


@dataclass(frozen=True, slots=True)
class Trend:
    """What has changed since an earlier report.

    Args:
        at: of that report, wall clock.
        changes: numbers then and now, by name.
        lookups: between the two; None when counting began anew meanwhile.
        hit_rate: of the lookups between the two; None when there was none, or nobody knows.
    """

    at: float
    changes: Mapping[str, Change] = field(default_factory=dict)
    lookups: int | None = None
    hit_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a cache has done since counting began. `print` it.

    Args:
        at: when, wall clock.
        since: when counting began, wall clock; None when nothing was counted yet.
        is_shared: all processes that use the store were counted; else this one.
        is_complete: False when the store could not be read, and it is what this process has counted alone.
        processes: that counted something within the last hour or so.
        lookups: all but bypasses.
        hit_rate: in [0, 1]; 0.0 before the first lookup.
        low: where the hit rate lies with 95 % confidence (Wilson), from here ...
        high: ... to here.
        hits: by kind.
        misses: by reason.
        near_misses: misses near a stored question, by reason.
        updates: answers stored; `refusals` those that were not, by reason.
        timings: of lookups (`hit`, `miss`) and of calls of models (`model`), where they were measured.
        uncached_seconds: what an answer takes without the cache's help: the mean of a miss and of a call together.
        seconds_saved: what the hits' calls took when they were made, less the lookups.
        entries: in the cache now; `size_bytes` of these.
        evictions: entries that left for want of room.
        damaged: stored entries that could not be read.
        query_types: lookups by query type, the best hit rate first.
        namespaces: lookups by namespace, the busiest first.
        tiers: hottest first.
        money: what was saved.
        rollout: those who are served beside those who are not; None where everybody is.
        ab_test: two policies beside each other; None without such a test.
        alerts: what wants attention.
        trend: None without an earlier report.
    """

    at: float
    namespace: Namespace = ()
    since: float | None = None
    is_shared: bool = False
    is_complete: bool = True
    processes: int = 1
    lookups: int = 0
    bypasses: int = 0
    hit_rate: float = 0.0
    low: float = 0.0
    high: float = 1.0
    hits: Mapping[str, int] = field(default_factory=dict)
    misses: Mapping[str, int] = field(default_factory=dict)
    near_misses: Mapping[str, int] = field(default_factory=dict)
    updates: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, Timing] = field(default_factory=dict)
    uncached_seconds: float | None = None
    seconds_saved: float = 0.0
    entries: int = 0
    size_bytes: int = 0
    evictions: int = 0
    damaged: int = 0
    query_types: Mapping[str, Group] = field(default_factory=dict)
    namespaces: Mapping[Namespace, Group] = field(default_factory=dict)
    tiers: Mapping[str, TierStats] = field(default_factory=dict)
    false_hits: FalseHits = field(default_factory=FalseHits)
    freshness: Freshness = field(default_factory=Freshness)
    money: Savings = field(default_factory=Savings)
    rollout: RolloutReport | None = None
    ab_test: ABReport | None = None
    alerts: tuple[Alert, ...] = ()
    trend: Trend | None = None

    @property
    def hit_count(self) -> int:
        return sum(self.hits.values())

    @property
    def miss_count(self) -> int:
        return sum(self.misses.values())

    def as_json(self) -> dict[str, JsonValue]:
        """All of it, as JSON. Seconds, bytes and shares; null for what is not known or infinite. `query_types` and
        `namespaces` are lists, for they have an order."""
        content: dict[str, JsonValue] = _finite({"version": VERSION, **asdict(self)})
        content["namespace"] = list(self.namespace)
        content["hit_count"], content["miss_count"] = self.hit_count, self.miss_count
        content["query_types"] = [{"query_type": name, **_group(group)} for name, group in self.query_types.items()]
        content["namespaces"] = [{"namespace": list(name), **_group(group)} for name, group in self.namespaces.items()]
        content["false_hits"]["wrong"] = self.false_hits.wrong
        for name in ("cost", "net", "without_cache", "with_cache"):
            content["money"][name] = getattr(self.money, name)
        if self.trend is not None:
            for name, change in self.trend.changes.items():
                content["trend"]["changes"][name]["by"] = change.by
        return content

    def to_markdown(self) -> str:
        """Headings and tables, as GitHub reads them."""
        return markdown_of(sections_of(self))

    def __str__(self) -> str:
        return text_of(sections_of(self))


def _group(group: Group) -> dict[str, JsonValue]:
    return {**asdict(group), "lookups": group.lookups, "hit_rate": group.hit_rate}


def _finite(content: Any) -> Any:
    """JSON knows no infinity, and no keys but text."""
    if isinstance(content, Mapping):
        return {name if isinstance(name, str) else "/".join(name): _finite(value) for name, value in content.items()}
    if isinstance(content, tuple | list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
