"""The picture of `llmcache replay`: hit rate by capacity, a curve for each configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llmcache_plugins.analysis.table import duration
from llmcache_plugins.cli.plot_file import write_plot
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.logs.simulate import Simulated

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError("the plot of llmcache replay", "plot") from error

__all__ = ["save_plot"]


def save_plot(rows: Sequence[Simulated], path: Path) -> None:
    """Write the picture as PNG, PDF or SVG, by the ending of the name.

    Raises:
        ConfigError: no such ending, or the file cannot be written.
    """
    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, ttl in dict.fromkeys((one.name, one.ttl) for one in rows):
        curve = sorted((one.entries, 100 * one.hit_rate) for one in rows if (one.name, one.ttl) == (name, ttl))
        label = name if ttl is None else f"{name}, ttl {duration(ttl)}"
        style = "k--" if name.startswith("optimum") else "o-"
        axes.plot([size for size, _ in curve], [rate for _, rate in curve], style, ms=4, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("capacity, entries")
    axes.set_ylabel("hit rate, % of calls")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    write_plot(figure, path)
