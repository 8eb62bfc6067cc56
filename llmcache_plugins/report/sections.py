"""The tables of a report, whatever they are printed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmcache_plugins.analysis.table import duration
from llmcache_plugins.report import words
from llmcache_plugins.report.money_sections import money_sections
from llmcache_plugins.report.rollout_sections import ab_section, rollout_section

if TYPE_CHECKING:
    from llmcache_plugins.report.values import Change, Group, Report

__all__ = ["Section", "sections_of"]

_MOST_ROWS = 20
_LONGEST = 300  # characters of what an alert says


@dataclass(frozen=True, slots=True)
class Section:
    """A small table.

    Args:
        rows: each as long as the others; the first cell is a name.
        head: of the columns; without one the second cell is what is to be said of the name.
        notes: sentences below it.
    """

    title: str
    rows: Sequence[Sequence[str]] = ()
    head: Sequence[str] = ()
    notes: Sequence[str] = ()


def sections_of(report: Report) -> list[Section]:
    """All that there is something to say in; the first says what is reported."""
    return [section for section in _sections(report) if section.rows or section.notes]


def _sections(report: Report) -> Iterator[Section]:
    yield _first(report)
    yield Section(
        "Alerts", [(words.name(one.name), one.level, words.name(one.text, _LONGEST)) for one in report.alerts]
    )
    yield _overall(report)
    yield _performance(report)
    yield from (Section(*parts) for parts in money_sections(report.money))
    yield _state(report)
    yield _groups("Hit rate by query type", "query type", report.query_types)
    namespaces = {"/".join(name) or "-": group for name, group in report.namespaces.items()}
    yield _groups("Namespaces", "namespace", namespaces)
    yield _tiers(report)
    yield _quality(report)
    yield Section(*rollout_section(report.rollout))
    yield Section(*ab_section(report.ab_test))
    yield _freshness(report)
    yield _trend(report)


def _first(report: Report) -> Section:
    began = "nothing was counted yet"
    if report.since is not None:
        began = f"{_day(report.since)}, {duration(max(0.0, report.at - report.since))} ago"
    who = "this process"
    if report.is_shared:
        who = f"all processes, {report.processes:,} of them within the last hour"
    notes = [] if report.is_complete else ["The counts of other processes could not be read: this process alone."]
    rows = [("at", _day(report.at)), ("since", began), ("counted by", who)]
    if report.namespace:
        rows.append(("namespace", words.name("/".join(report.namespace))))
    return Section("Cache report", rows, (), notes)


def _overall(report: Report) -> Section:
    rows = [
        ("lookups", f"{report.lookups:,}"),
        ("hits", _with_parts(report.hit_count, report.hits)),
        ("misses", _with_parts(report.miss_count, report.misses)),
        ("hit rate", f"{report.hit_rate:.2%}{_interval(report.low, report.high) if report.lookups else ''}"),
        ("bypasses", f"{report.bypasses:,}"),
        ("answers stored", f"{report.updates:,}"),
    ]
    for name, counts in (("refused", report.refusals), ("errors", report.errors), ("warnings", report.warnings)):
        if counts:
            rows.append((name, _with_parts(sum(counts.values()), counts)))
    return Section("Overall", rows)


def _performance(report: Report) -> Section:
    rows = []
    for kind, what in (("hit", "hit"), ("miss", "miss (lookup)"), ("model", "model call")):
        if timing := report.timings.get(kind):
            quantiles = (words.at_most(value) for value in (timing.p50, timing.p95, timing.p99))
            rows.append((what, f"{timing.count:,}", words.milliseconds(timing.mean), *quantiles))
    notes = []
    if report.uncached_seconds is not None:
        notes.append(f"A miss and its call together take {words.milliseconds(report.uncached_seconds)} in the mean.")
    if report.hit_count:
        notes.append(f"Hits have saved {report.seconds_saved:,.2f} s.")
    return Section("Performance", rows, ("", "count", "mean", "p50", "p95", "p99") if rows else (), notes)


def _state(report: Report) -> Section:
    size = report.size_bytes / 2**20
    rows = [
        ("entries", f"{report.entries:,}"),
        ("size", f"{size:,.2f} MiB"),
        ("evictions", f"{report.evictions:,}"),
        ("damaged", f"{report.damaged:,}"),
    ]
    return Section("Cache state", rows)


def _groups(title: str, kind: str, groups: Mapping[str, Group]) -> Section:
    rows = [
        (words.name(name), f"{group.hit_rate:.2%}", f"{group.hits:,}", f"{group.lookups:,}")
        for name, group in list(groups.items())[:_MOST_ROWS]
    ]
    notes = [f"And {len(groups) - _MOST_ROWS:,} more."] if len(groups) > _MOST_ROWS else []
    return Section(title, rows, (kind, "hit rate", "hits", "lookups"), notes)


def _tiers(report: Report) -> Section:
    rows = [
        (
            words.name(name),
            *(f"{count:,}" for count in (tier.entries, tier.hits, tier.promotions, tier.demotions, tier.evictions)),
            f"{tier.utilisation:.0%}",
        )
        for name, tier in report.tiers.items()
    ]
    return Section("Tiers", rows, ("tier", "entries", "hits", "promoted", "demoted", "evicted", "full"))


def _quality(report: Report) -> Section:
    found, near = report.false_hits, report.near_misses
    rows = [
        ("near misses", _with_parts(sum(near.values()), near)),
        ("checked matches", f"{found.checked:,}"),
        ("wrong ones", _with_parts(found.wrong, _wrong(report))),
    ]
    notes = []
    if found.rate is not None:
        rows.append(("false-hit rate", f"{found.rate:.2%}{_interval(found.low, found.high)}"))
    else:
        notes.append("Nobody has checked matches but users who reported wrong ones: the false-hit rate is not known.")
    return Section("Quality", rows, (), notes)


def _wrong(report: Report) -> dict[str, int]:
    found = report.false_hits
    parts = {"rejected": found.rejected, "differed": found.differed, "reported": found.reported}
    return {name: count for name, count in parts.items() if count}


def _freshness(report: Report) -> Section:
    one = report.freshness
    rows = [
        ("served while renewed", f"{one.stale_hits:,}"),
        ("missed, for they were expired", f"{one.expired_misses:,}"),
        ("missed, for they were marked", f"{one.stale_misses:,}"),
        ("missed to renew them", f"{one.refreshes:,}"),
        ("expired and removed", f"{one.expirations:,}"),
        ("invalidated", f"{one.invalidated:,}"),
    ]
    return Section("Freshness", rows)


def _trend(report: Report) -> Section:
    if report.trend is None:
        return Section("Trend")
    rows = [(_TRENDS[name][0], *_change(change, _TRENDS[name][1])) for name, change in report.trend.changes.items()]
    notes = [f"Compared with the report of {_day(report.trend.at)}."]
    if report.trend.lookups is None:
        notes.append("Counting began anew since then.")
    else:
        rate = "" if report.trend.hit_rate is None else f", {report.trend.hit_rate:.2%} of them hits"
        notes.append(f"{report.trend.lookups:,} lookups between the two{rate}.")
    return Section("Trend", rows, ("", "then", "now", "change"), notes)


_TRENDS = {  # what a number is called, and how it is shown
    "lookups": ("lookups", "{:,.0f}"),
    "hits": ("hits", "{:,.0f}"),
    "misses": ("misses", "{:,.0f}"),
    "hit_rate": ("hit rate", "{:.2%}"),
    "hit_seconds_mean": ("seconds of a hit, mean", "{:.6f}"),
    "hit_seconds_p95": ("seconds of a hit, p95", "{:.6f}"),
    "uncached_seconds": ("seconds of a miss and its call", "{:.3f}"),
    "false_hit_rate": ("false-hit rate", "{:.2%}"),
    "net_saved": ("saved, net", "{:,.2f}"),
    "entries": ("entries", "{:,.0f}"),
    "size_bytes": ("bytes", "{:,.0f}"),
    "evictions": ("evictions", "{:,.0f}"),
}


def _change(change: Change, form: str) -> tuple[str, str, str]:
    signed = form.replace("{:", "{:+")
    return (
        "-" if change.before is None else form.format(change.before),
        "-" if change.now is None else form.format(change.now),
        "-" if change.by is None else signed.format(change.by),
    )


def _with_parts(total: int, parts: Mapping[str, int]) -> str:
    """`3 (exact 2, semantic 1)`."""
    said = ", ".join(f"{words.name(name)} {count:,}" for name, count in sorted(parts.items()))
    return f"{total:,} ({said})" if said else f"{total:,}"


def _interval(low: float, high: float) -> str:
    return f" (95 % interval {low:.2%} to {high:.2%})"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"
