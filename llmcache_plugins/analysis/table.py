"""An analysis as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcache_plugins.analysis.values import Analysis, Group, Hotspot
    from llmcache_plugins.counters import TierStats

__all__ = ["duration", "text_of"]

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_WIDEST = 60  # characters of a question


def text_of(analysis: Analysis) -> str:
    """Several small tables, one under the other."""
    efficiency = analysis.efficiency
    rate = "" if efficiency.hit_rate is None else f", {efficiency.hit_rate:.1%} answered"
    seen = "" if analysis.surveyed == analysis.entries else f" ({analysis.surveyed:,} of them looked at)"
    blocks = [
        [f"efficiency: {efficiency.verdict}{rate}", *(f"  {reason}" for reason in efficiency.reasons)],
        [f"entries: {analysis.entries:,}{seen}, {analysis.reads:,} served reads", *_coverage(analysis.coverage)],
        _tiers(analysis.tiers),
        _groups("query type", analysis.query_types),
        _groups("label", analysis.labels),
        _table(("still lives", "entries"), [(name, f"{count:,}") for name, count in analysis.remaining.items()]),
        _hotspots(analysis.hotspots),
        _advice(analysis),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def duration(seconds: float) -> str:
    """In the largest unit that leaves a number of at least 1.

    >>> duration(5400)
    '1.5 h'
    """
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s"


def _coverage(coverage: Mapping[int, float]) -> list[str]:
    return [f"  the {count:,} most read have {share:.0%} of the reads" for count, share in coverage.items()]


def _tiers(tiers: Mapping[str, TierStats]) -> list[str]:
    head = ("tier", "entries", "of", "KB", "full", "hits", "promoted", "demoted", "evicted")
    rows = [
        (
            name,
            f"{tier.entries:,}",
            "" if tier.max_entries is None else f"{tier.max_entries:,}",
            f"{tier.size_bytes / 1024:,.0f}",
            f"{tier.utilisation:.0%}",
            *(f"{count:,}" for count in (tier.hits, tier.promotions, tier.demotions, tier.evictions)),
        )
        for name, tier in tiers.items()
    ]
    return _table(head, rows)


def _groups(name: str, groups: Mapping[str, Group]) -> list[str]:
    return _table((name, "entries", "reads"), [(of, f"{g.entries:,}", f"{g.reads:,}") for of, g in groups.items()])


def _hotspots(hotspots: Sequence[Hotspot]) -> list[str]:
    rows = [
        (
            f"{one.reads:,}",
            f"{one.share:.1%}",
            one.query_type,
            one.tier,
            "for ever" if one.expires_in is None else duration(one.expires_in),
            one.label or one.key[:12],
            one.text if len(one.text) <= _WIDEST else one.text[: _WIDEST - 1] + "…",
        )
        for one in hotspots
    ]
    return _table(("reads", "share", "type", "tier", "still lives", "entry", "question"), rows)


def _advice(analysis: Analysis) -> list[str]:
    if not analysis.recommendations:
        return ["recommendations: none"]
    lines = ["recommendations:"]
    for one in analysis.recommendations:
        lines.append(f"- {one.text}")
        lines.append("  evidence: " + ", ".join(f"{name} {value:,.6g}" for name, value in one.evidence.items()))
    return lines


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns side by side, numbers to the right; nothing without a row."""
    body = [list(row) for row in rows]
    if not body:
        return []
    widths = [max(len(row[column]) for row in [list(head), *body]) for column in range(len(head))]
    is_number = [all(_is_number(row[column]) for row in body) for column in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in [list(head), *body]
    ]


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(",", "").replace(".", "").rstrip("%").isdigit()
