"""The tables of docs/performance.md, put between its markers; the prose around them is written by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks import chain, exact, misses, semantic
from benchmarks.results import Aim, Results, aims_of
from benchmarks.timing import Group

__all__ = ["blocks_of", "with_blocks"]

_MARKER = re.compile(r"(?P<begin><!-- begin (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end (?P=name) -->)", re.DOTALL)
_TIMED = (exact.SECTION, semantic.SECTION, semantic.SCAN, semantic.EMBEDDED, misses.SECTION, chain.HIT, chain.MISS)


def with_blocks(document: str, blocks: dict[str, str]) -> str:
    """`document` with every marked block replaced.

    Raises:
        ValueError: blocks and markers are not the same names.
    """
    names = [match["name"] for match in _MARKER.finditer(document)]
    if sorted(names) != sorted(blocks):
        raise ValueError(f"the document marks {sorted(names)}, and there are {sorted(blocks)}")
    return _MARKER.sub(lambda match: f"{match['begin']}{blocks[match['name']]}\n{match['end']}", document)


def blocks_of(results: Results) -> dict[str, str]:
    """Name of a marker -> what belongs there."""
    blocks = {section: _timings(results.of(section)) for section in _TIMED}
    blocks["aims"] = _aims(aims_of(results))
    blocks["machine"] = "\n".join(f"- {name}: {value}" for name, value in results.machine.items())
    blocks["loop"] = _loop(results)
    blocks["share"] = _share(results.of(semantic.EMBEDDED))
    return blocks


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first stand right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def in_unit(seconds: float) -> str:
    """Seconds in the unit that suits them, three digits.

    >>> in_unit(2.5e-6), in_unit(0.0123)
    ('2.50 µs', '12.3 ms')
    """
    value, unit = (seconds * 1e6, "µs") if seconds < 1e-3 else (seconds * 1e3, "ms")
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"


def _timings(groups: Sequence[Group]) -> str:
    parts = []
    for group in groups:
        rows = [
            [one.name, in_unit(one.seconds), f"{in_unit(one.low)} - {in_unit(one.high)}", f"{one.ratio:.2f}"]
            for one in group.timings
        ]
        head = (f"{group.title} ({group.floor.rounds} rounds)", "median", "middle half", "times the floor")
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def _aims(aims: Sequence[Aim]) -> str:
    rows = [
        [aim.what, f"{_plain(aim.limit)} {aim.unit}", f"{_plain(aim.measured)} {aim.unit}", _bold(aim)] for aim in aims
    ]
    missed = sum(not aim.is_met for aim in aims)
    summary = f"{len(aims) - missed} of {len(aims)} aims are met, {missed} missed."
    return f"{summary}\n\n{table(('aim', 'at most', 'measured', 'verdict'), rows)}"


def _bold(aim: Aim) -> str:
    return aim.verdict if aim.is_met else f"**{aim.verdict}**"


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _loop(results: Results) -> str:
    stalls = [[stall.name, f"{stall.seconds * 1e3:.1f} ms", f"{stall.took * 1e3:,.0f} ms"] for stall in results.stalls]
    crowds = [[crowd.name, str(crowd.callers), str(crowd.calls)] for crowd in results.crowds]
    return "\n\n".join(
        [
            table(("event loop", "longest stall", "while working for"), stalls),
            table(("single-flight", "equal questions at once", "provider calls"), crowds),
        ]
    )


def _share(groups: Sequence[Group]) -> str:
    """How much of a semantic hit is the model: the floor's share in the same round."""
    shares = [
        f"{min(1, 1 / timing.ratio):.0%} ({timing.name.removesuffix(', lookup')})"
        for group in groups
        for timing in group.timings[1:]
    ]
    return f"Share of the embedding in a semantic hit: {', '.join(shares)}."
