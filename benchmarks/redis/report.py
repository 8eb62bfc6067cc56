"""The tables and the picture of docs/redis-benchmark.md; the prose around the tables is written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.redis.cases import EXACT, SEMANTIC, UPDATE
from benchmarks.redis.counting import Counted, Held
from benchmarks.redis.kinds import Kind
from benchmarks.redis.timing import Cell, Row
from benchmarks.report import in_unit, table

__all__ = ["blocks_of", "plot"]


def blocks_of(
    machine: dict[str, str],
    held: Sequence[Held],
    counts: Sequence[Counted],
    compared: Sequence[Kind],
    cells: Sequence[Cell],
) -> dict[str, str]:
    """Name of a marker -> what belongs there."""

    def of(section: str, *, runs_model: bool = False) -> str:
        return "\n\n".join(_cell(one) for one in cells if (one.section, one.runs_model) == (section, runs_model))

    return {
        "machine": "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "summary": _summary(cells),
        "commands": _commands(counts),
        "held": _held(held),
        "kinds": _kinds(compared),
        "exact": of(EXACT),
        "semantic": of(SEMANTIC),
        "semantic-model": of(SEMANTIC, runs_model=True),
        "update": of(UPDATE),
        "update-model": of(UPDATE, runs_model=True),
    }


def _cell(cell: Cell) -> str:
    floor = cell.rows[0].name
    clients = "1 client" if cell.clients == 1 else f"{cell.clients} clients"
    head = (
        f"{cell.entries:,} entries, {clients}",
        "p50",
        "p99",
        "a second",
        f"times {floor}",
        f"times {cell.peer.split()[0]}",
        "right",
    )
    rows = [
        [
            row.name,
            in_unit(row.p50),
            in_unit(row.p99),
            f"{row.rate:,.0f}",
            f"{row.to_floor:.2f}",
            f"{row.to_peer:.2f}",
            _right(row),
        ]
        for row in cell.rows
    ]
    return table(head, rows)


def _right(row: Row) -> str:
    if not row.wrong:
        return "100%"
    reasons = ", ".join(f"{number} {reason}" for reason, number in row.wrong.items())
    return f"**{row.right:.1%}** ({reasons} of {row.calls:,})"


def _summary(cells: Sequence[Cell]) -> str:
    """The fewest clients, the largest caches: p50 and ratios, with vectors that are given and with the model."""
    largest = max(cell.entries for cell in cells)
    fewest = min(cell.clients for cell in cells)
    there = {(c.section, c.runs_model): c for c in cells if (c.entries, c.clients) == (largest, fewest)}
    rows = []
    for (section, runs_model), cell in there.items():
        with_model = {row.name: row for row in there[section, True].rows} if (section, True) in there else {}
        for row in cell.rows if not runs_model else ():
            same = with_model.get(row.name)
            more = ["", ""] if same is None else [in_unit(same.p50), f"{same.to_peer:.2f}"]
            rows.append([section, row.name, in_unit(row.p50), f"{row.to_floor:.2f}", f"{row.to_peer:.2f}", *more])
    clients = f"{fewest} client" if fewest == 1 else f"{fewest} clients"
    size = f"{largest:,} entries, {clients}"
    head = (size, "call", "p50", "times GET or SET", "times the peer", "p50 with the model", "times the peer")
    return table(head, rows)


def _commands(counts: Sequence[Counted]) -> str:
    rows = [
        [
            one.name,
            f"{one.round_trips:.2f}",
            ", ".join(name if number == 1 else f"{number:.2g} {name}" for name, number in one.names.items()) or "none",
            f"{one.in_scripts:.1f}",
            f"{one.sent:,.0f}",
            f"{one.received:,.0f}",
        ]
        for one in counts
    ]
    return table(("call", "round trips", "commands", "inside scripts", "bytes sent", "bytes received"), rows)


def _held(held: Sequence[Held]) -> str:
    rows = [
        [
            f"{one.name}, {one.entries:,} entries",
            f"{one.all_bytes:,.0f}",
            f"{one.key_bytes:,.0f}",
            "" if one.index_bytes is None else f"{one.index_bytes:,.0f}",
            f"{one.rate:,.0f}",
        ]
        for one in held
    ]
    head = ("bytes by entry", "used_memory", "the entry's key", "the index, by its own word", "stored a second")
    return table(head, rows)


def _kinds(compared: Sequence[Kind]) -> str:
    rows = [
        [
            f"{one.entries:,}",
            one.index,
            one.vectors,
            in_unit(one.insertion),
            in_unit(one.search),
            f"{one.recall:.2%}",
            f"{one.held:,.0f}",
        ]
        for one in compared
    ]
    return table(("entries", "index", "vectors", "to store one", "to find 9", "recall", "bytes by entry"), rows)


def plot(cells: Sequence[Cell], path: Path) -> None:
    """p50 by the number of clients, vectors given: a panel for each kind of call, the largest caches."""
    import matplotlib

    matplotlib.use("Agg")  # before pyplot: there is no screen
    import matplotlib.pyplot as plt

    largest = max(cell.entries for cell in cells)
    figure, axes = plt.subplots(1, 3, figsize=(17, 5.5), layout="constrained")
    for panel, section in zip(axes, (EXACT, SEMANTIC, UPDATE), strict=True):
        there = [c for c in cells if (c.section, c.entries, c.runs_model) == (section, largest, False)]
        clients = [cell.clients for cell in there]
        for place, first in enumerate(there[0].rows):
            rows: list[Row] = [cell.rows[place] for cell in there]
            style = ":" if place == 0 else "-" if first.name.startswith("llmcache") else "--"
            panel.plot(clients, [row.p50 * 1e6 for row in rows], style, marker="o", label=first.name)
        panel.set_xscale("log", base=2)
        panel.set_xticks(clients, [str(number) for number in clients])
        panel.set_yscale("log")
        panel.set_title(f"{section}, {largest:,} entries, vectors given")
        panel.set_xlabel("clients (threads of one process)")
        panel.set_ylabel("p50 of one call (µs, log scale)")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7.5)
    figure.savefig(path, dpi=110)
    plt.close(figure)
