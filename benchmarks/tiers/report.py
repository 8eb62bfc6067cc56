"""The tables and the picture of docs/tiers.md; the prose around the tables is written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import in_unit, table
from benchmarks.tiers.replay import Replayed
from benchmarks.timing import Group

__all__ = ["LIMIT", "blocks_of", "plot"]

LIMIT = 1.3
"""A look-up with three tiers was to cost at most so many times one with one tier."""


def blocks_of(machine: dict[str, str], groups: Sequence[Group], replayed: Sequence[Replayed]) -> dict[str, str]:
    """Name of a marker -> what belongs there."""
    return {
        "machine": "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "cost": _cost(groups),
        **{f"replay-{name}": _replay([r for r in replayed if r.stream == name]) for name in _streams(replayed)},
    }


def _streams(replayed: Sequence[Replayed]) -> list[str]:
    return list(dict.fromkeys(one.stream for one in replayed))


def _cost(groups: Sequence[Group]) -> str:
    rows = []
    for group in groups:
        one, three = group.timings
        verdict = "" if group.section == "writes" else "met" if three.ratio <= LIMIT else "**missed**"
        rows.append([group.title, in_unit(one.seconds), in_unit(three.seconds), f"{three.ratio:.2f}", verdict])
    return table(("call", "one tier", "three tiers", "ratio", f"at most {LIMIT:g}"), rows)


def _replay(replayed: Sequence[Replayed]) -> str:
    parts = []
    for capacity in dict.fromkeys(one.capacity for one in replayed):
        rows = [
            [
                one.shape,
                f"{one.hit_rate:.1%}",
                " / ".join(f"{share:.1%}" for share in one.by_tier.values()),
                f"{one.median_age / 60:,.0f} min",
                f"{one.oldest / 3600:.1f} h",
                str(one.too_old),
                f"{one.promotions} / {one.demotions}",
                str(one.evictions),
            ]
            for one in replayed
            if one.capacity == capacity
        ]
        head = (
            f"{capacity} entries",
            "hit rate",
            "by tier",
            "median age",
            "oldest served",
            "served too old",
            "up / down",
            "evicted",
        )
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def plot(replayed: Sequence[Replayed], path: Path) -> None:
    """Hit rate by capacity, a panel for each stream; and where the hits of three tiers were."""
    import matplotlib

    matplotlib.use("Agg")  # before pyplot: there is no screen
    import matplotlib.pyplot as plt

    streams = _streams(replayed)
    figure, axes = plt.subplots(2, len(streams), figsize=(6.5 * len(streams), 9), layout="constrained", squeeze=False)
    for column, stream in enumerate(streams):
        rows = [one for one in replayed if one.stream == stream]
        capacities = list(dict.fromkeys(one.capacity for one in rows))
        above, below = axes[0][column], axes[1][column]
        for shape in dict.fromkeys(one.shape for one in rows):
            rates = [100.0 * one.hit_rate for one in rows if one.shape == shape]
            is_default = "default" in shape
            style = "-" if shape.startswith("three") else "--"
            above.plot(capacities, rates, style, marker="o", label=shape, linewidth=2.5 if is_default else 1.2)
        above.set_xscale("log")
        above.set_title(f"{stream}: hit rate")
        above.set_xlabel("capacity in entries (log scale)")
        above.set_ylabel("requests answered (%)")
        above.grid(alpha=0.3)
        above.legend(fontsize=7.5)
        default = [one for one in rows if "default" in one.shape]
        spots, bottom = range(len(default)), [0.0] * len(default)
        for tier in default[0].by_tier:
            shares = [100.0 * one.by_tier[tier] for one in default]
            below.bar(spots, shares, bottom=bottom, label=tier)
            bottom = [sum(pair) for pair in zip(bottom, shares, strict=True)]
        below.set_xticks(spots, [str(one.capacity) for one in default])
        below.set_title(f"{stream}: where the hits of three tiers were")
        below.set_xlabel("capacity in entries")
        below.set_ylabel("requests answered (%)")
        below.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
