"""The picture beside the tables. The one module that needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # before pyplot: there is no screen

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from benchmarks import chain, exact, misses, semantic
from benchmarks.results import Results
from benchmarks.timing import Group

__all__ = ["plot"]

_FLOOR = "#9a9a9a"
_COLOURS = {
    "memory": "#1b6ca8",
    "disk": "#d9822b",
    "SQLiteCache": "#8e5ea2",
    "no cache": "#4c9f70",
    "matrix @ query": "#5f5f5f",
}


def plot(results: Results, path: Path) -> None:
    """Four panels: exact hits, the search, misses and updates, LangChain."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 9.5), layout="constrained")
    largest = [group for group in results.of(exact.SECTION) if group.title.endswith(_last_size(results))]
    _bars(axes[0][0], largest, "Exact hit in the bare engine", kept=("floor", "lookup"))
    _search(axes[0][1], results.of(semantic.SCAN), results.of(semantic.SECTION))
    _bars(
        axes[1][0], results.of(misses.SECTION), "Miss: what the cache adds to the model call", kept=("lookup", "update")
    )
    _bars(axes[1][1], results.of(chain.HIT), "Exact hit through LangChain's model.invoke")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _last_size(results: Results) -> str:
    return results.of(exact.SECTION)[-1].title.rpartition(", ")[2]


def _bars(axes: Axes, groups: Sequence[Group], title: str, *, kept: tuple[str, ...] = ("",)) -> None:
    """One cluster of bars for each group; a bar's number is its own time in microseconds."""
    names = list(dict.fromkeys(t.name for g in groups for t in g.timings if any(word in t.name for word in kept)))
    width = 0.84 / max(1, len(names))
    for place, name in enumerate(names):
        there = [(at, group.timing(name)) for at, group in enumerate(groups) if group.has(name)]
        spots = [at + (place - (len(names) - 1) / 2) * width for at, _ in there]
        heights = [timing.seconds * 1e6 for _, timing in there]
        low_high = [[(t.seconds - t.low) * 1e6 for _, t in there], [(t.high - t.seconds) * 1e6 for _, t in there]]
        hatch = "//" if name.endswith("update") else None
        bars = axes.bar(
            spots, heights, width, yerr=low_high, label=name, color=_colour(name), hatch=hatch, edgecolor="white"
        )
        _number(axes, bars, heights)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.25)  # room for the legend above the bars
    axes.set_xticks(range(len(groups)), [_wrapped(group.title) for group in groups], fontsize=8)
    _finish(axes, title, "median time of one call (µs, log scale)")


def _number(axes: Axes, bars: BarContainer, heights: Sequence[float]) -> None:
    axes.bar_label(
        bars, [f"{height:.3g}" if height < 1000 else f"{height:,.0f}" for height in heights], fontsize=7, padding=3
    )


def _search(axes: Axes, scans: Sequence[Group], hits: Sequence[Group]) -> None:
    sizes = [_size(group) for group in scans]
    for name in [timing.name for timing in scans[0].timings]:
        times = [group.timing(name).seconds * 1e6 for group in scans]
        style = "--" if name.startswith("floor") or "@" in name else "-"
        axes.plot(sizes, times, style, marker="o", label=name, color=_colour(name))
    for store in ("memory", "disk"):
        times = [group.timing(f"{store}, lookup").seconds * 1e6 for group in hits]
        axes.plot(
            [_size(group) for group in hits],
            times,
            ":",
            marker="s",
            label=f"{store}, whole semantic hit",
            color=_colour(store),
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("vectors in the scope (384 x float32, log scale)")
    _finish(axes, "Search by meaning, vectors given", "median time of one search (µs, log scale)")


def _size(group: Group) -> int:
    return int(group.title.split()[0].replace(",", ""))


def _colour(name: str) -> str:
    return next((colour for word, colour in _COLOURS.items() if word in name), _FLOOR)


def _wrapped(title: str) -> str:
    return title.replace(", ", ",\n", 1).replace(" in ", "\nin ", 1)


def _finish(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_ylabel(label)
    axes.grid(axis="y", which="major", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize=7.5, framealpha=0.9, loc="upper left", ncols=2)
