"""A forecast as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmcache_plugins.analysis.table import duration

if TYPE_CHECKING:
    from llmcache_plugins.logs.forecast import Forecast, Saving
    from llmcache_plugins.logs.profile import LogProfile
    from llmcache_plugins.logs.simulate import Simulated

__all__ = ["size_text", "table", "text_of", "text_of_replay"]


def text_of(forecast: Forecast) -> str:
    blocks = [
        _head(forecast),
        _saving(forecast.saving),
        _advice(forecast),
        table(
            ("top questions warmed", "of all calls", "misses spared", "cost"),
            [(f"{w.top:,}", f"{w.covered:.1%}", f"{w.gained:.1%}", f"{w.cost:,.2f}") for w in forecast.warmth],
        ),
        table(
            ("entries (LRU)", "exact repeats answered"),
            [(f"{size:,}", f"{rate:.1%}") for size, rate in forecast.profile.by_size.items()],
        ),
        table(
            ("ttl", "exact repeats answered"),
            [(duration(ttl), f"{rate:.1%}") for ttl, rate in _telling(forecast.profile).items()],
        ),
        _over_time(forecast),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _head(forecast: Forecast) -> list[str]:
    profile, rate = forecast.profile, forecast.hit_rate
    about = "" if profile.is_exact else "about "
    span = "" if profile.span is None else f" in {duration(profile.span)}"
    clusters = forecast.replayed.clusters
    how = "all of it replayed" if rate.is_whole else f"from {rate.sampled:,} of its calls, replayed"
    lines = [
        f"{profile.calls:,} calls{span}, {about}{round(profile.distinct):,} different",
        f"exact repeats: {profile.repeat_rate:.1%}",
        f"expected hit rate: {rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}; {how})",
    ]
    if clusters:
        largest = ", ".join(f"{count:,}" for count in clusters[:5])
        lines.append(f"clusters: {len(clusters):,} among those replayed; the largest have {largest} calls")
    return lines


def _saving(saving: Saving | None) -> list[str]:
    if saving is None:
        return ["saving: say --per-month; the log has no times, or too short a span"]
    source = "a flat price" if saving.is_flat else "the log's tokens"
    return [
        f"saving in a month: {saving.value:,.2f} ({saving.low:,.2f} to {saving.high:,.2f}) of {saving.spent:,.2f}",
        f"  {saving.calls:,.0f} calls{' at the rate of the log' if saving.is_scaled else ''}, "
        f"{saving.call_cost:.4g} each ({source}), net of what hits cost",
    ]


def _advice(forecast: Forecast) -> list[str]:
    advice = forecast.advice
    entries = "too little repeats to tell" if advice.max_entries is None else f"{advice.max_entries:,}"
    ttl = "the log cannot tell" if advice.ttl is None else duration(advice.ttl)
    room = f"{size_text(advice.room.memory)} in memory or in a file"
    if advice.room.redis is not None and advice.room.redis_advised is not None:
        room += f", {size_text(advice.room.redis)} on Redis (maxmemory {size_text(advice.room.redis_advised)})"
    tiers = ", ".join(f"{name} {share:.1%}" for name, share in advice.tiers.items()) or "one is enough"
    return [
        "recommended to begin with:",
        f"- max_entries: {entries}",
        f"- ttl: {ttl}",
        f"- tiers: {tiers}",
        f"- room for {advice.room_entries:,} entries: {room}",
    ]


def _telling(profile: LogProfile) -> dict[float, float]:
    """The times to live up to the first that is longer than the log: those beyond are all alike."""
    longer = min((ttl for ttl in profile.by_ttl if profile.span is None or ttl >= profile.span), default=float("inf"))
    return {ttl: rate for ttl, rate in profile.by_ttl.items() if ttl <= longer}


def _over_time(forecast: Forecast) -> list[str]:
    profile = forecast.profile
    if not profile.periods:
        return []
    first = profile.periods[0].start
    head = "after" if profile.is_timed else "from call"
    rows = []
    for one in profile.periods:
        start = duration(one.start - first) if profile.is_timed else f"{one.start:,.0f}"
        rows.append((start, f"{one.calls:,}", f"{one.repeat_rate:.1%}"))
    return table((head, "calls", "exact repeats"), rows)


def text_of_replay(rows: Sequence[Simulated], calls: int, keys: int) -> str:
    """A table of configurations, best first."""
    body = [
        (
            one.name,
            f"{one.entries:,}",
            "none" if one.ttl is None else duration(one.ttl),
            f"{one.hit_rate:.1%}",
            " / ".join(f"{name} {share:.1%}" for name, share in one.by_tier.items()),
            f"{one.evictions:,}",
            f"{one.expirations:,}",
        )
        for one in rows
    ]
    head = ("configuration", "entries", "ttl", "hit rate", "by tier", "evicted", "expired")
    return "\n".join([f"{calls:,} calls, {keys:,} different", "", *table(head, body)])


def size_text(size: float) -> str:
    """Bytes in the unit that suits them.

    >>> size_text(2_500_000)
    '2.4 MiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, the first to the left; nothing without a row."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in (list(zip(row, widths, strict=True)) for row in (head, *rows))
    ]
