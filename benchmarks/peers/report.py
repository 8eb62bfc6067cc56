"""The tables and the picture of docs/peers.md; the prose around the tables is written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.cases import EXACT, FLOOR, MISS, SEMANTIC, UPDATE
from benchmarks.peers.contenders import OURS
from benchmarks.peers.whole import ASYNC, THREADS, Whole
from benchmarks.redis.timing import Cell, Row
from benchmarks.report import in_unit, table

__all__ = ["blocks_of", "plot"]


def blocks_of(machine: dict[str, str], cells: Sequence[Cell], parts: Sequence[Whole]) -> dict[str, str]:
    """Name of a marker -> what belongs there."""

    def of(section: str, *, runs_model: bool = False) -> str:
        return "\n\n".join(_cell(one) for one in cells if (one.section, one.runs_model) == (section, runs_model))

    sizes = sorted({one.entries for one in parts})
    return {
        "machine": "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "summary": _summary(cells),
        "exact": of(EXACT),
        "semantic": of(SEMANTIC),
        "semantic-model": of(SEMANTIC, runs_model=True),
        "miss": of(MISS),
        "miss-model": of(MISS, runs_model=True),
        "update": of(UPDATE),
        "whole": "\n\n".join(_whole([one for one in parts if one.entries == size]) for size in sizes),
        "many": "\n\n".join(_many([one for one in parts if one.entries == size]) for size in sizes[-1:]),
    }


def _cell(cell: Cell) -> str:
    head = (f"{cell.entries:,} entries", "p50", "p99", "times the floor", f"times {OURS}", "right")
    rows = [
        [
            row.name,
            in_unit(row.p50),
            in_unit(row.p99),
            f"{row.to_floor:,.1f}",
            f"{row.to_peer:,.2f}",
            "100%" if not row.wrong else f"**{row.right:.1%}**",
        ]
        for row in cell.rows
    ]
    return table(head, rows)


def _summary(cells: Sequence[Cell]) -> str:
    """How often ours is the fastest, and by how much the next is slower or faster."""
    rows = []
    for cell in cells:
        own = [row for row in cell.rows if row.name.startswith("llmcache")]
        others = [row for row in cell.rows if row.name != FLOOR and row not in own]
        if not others:
            continue
        best, rival = min(own, key=_speed), min(others, key=_speed)
        what = f"{cell.section}{', with the model' * cell.runs_model}, {cell.entries:,} entries"
        verdict = "first" if best.p50 <= rival.p50 else f"**{best.p50 / rival.p50:.2f} times the first**"
        ours = f"{in_unit(best.p50)} ({best.name.removeprefix('llmcache, ')})"
        rows.append([what, ours, rival.name, in_unit(rival.p50), verdict])
    return table(("", "llmcache", "the fastest other", "takes", "llmcache is"), rows)


def _speed(row: Row) -> float:
    return row.p50


def _whole(parts: Sequence[Whole]) -> str:
    head = (
        f"{parts[0].entries:,} entries",
        "one update, while it fills",
        "memory by entry",
        "start to the first exact hit",
        "start to the first look-up by meaning",
        "to remove 1 %",
    )
    rows = [
        [
            one.name,
            in_unit(one.put),
            f"{one.held:,.0f} B",
            _seconds(one.start),
            _seconds(one.meaning),
            "" if one.removal is None else f"{in_unit(one.removal)} ({one.removed:,} entries)",
        ]
        for one in parts
    ]
    return table(head, rows)


def _seconds(value: float | None) -> str:
    return "" if value is None else in_unit(value)


def _many(parts: Sequence[Whole]) -> str:
    callers = [*(("threads", number) for number in THREADS), *(("tasks", number) for number in ASYNC)]
    head = (f"exact hits a second, {parts[0].entries:,} entries", *(f"{number} {what}" for what, number in callers))
    rows = [[one.name, *(_rate(getattr(one, what).get(number)) for what, number in callers)] for one in parts]
    return table(head, rows)


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def plot(cells: Sequence[Cell], path: Path) -> None:
    """p50 by the number of entries: a panel for each kind of call, vectors given."""
    import matplotlib

    matplotlib.use("Agg")  # before pyplot: there is no screen
    import matplotlib.pyplot as plt

    names = dict.fromkeys(row.name for cell in cells for row in cell.rows)
    colours = {name: f"C{place}" for place, name in enumerate(names)}  # the same one in each panel
    figure, axes = plt.subplots(1, 4, figsize=(20, 5.5), layout="constrained", sharey=True)
    for panel, section in zip(axes, (EXACT, SEMANTIC, MISS, UPDATE), strict=True):
        there = [cell for cell in cells if (cell.section, cell.runs_model) == (section, False)]
        for name in dict.fromkeys(row.name for cell in there for row in cell.rows):
            points = [(cell.entries, row.p50 * 1e6) for cell in there for row in cell.rows if row.name == name]
            style = ":" if name == FLOOR else "-" if name.startswith("llmcache") else "--"
            panel.plot(*zip(*points, strict=True), style, color=colours[name], marker="o", label=name)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(f"{section}, vectors given")
        panel.set_xlabel("entries")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("p50 of one call (µs, log scale)")
    axes[0].legend(fontsize=7.5)
    figure.savefig(path, dpi=100)
    plt.close(figure)
