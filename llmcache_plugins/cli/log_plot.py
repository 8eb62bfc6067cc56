"""The picture of `llmcache analyze LOG`: repeats over time, what sizes and times to live keep, what warming covers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmcache_plugins.cli.plot_file import write_plot
from llmcache_plugins.errors import MissingExtraError

try:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError("the plot of llmcache analyze", "plot") from error

if TYPE_CHECKING:
    from llmcache_plugins.logs.forecast import Forecast

__all__ = ["save_plot"]

_MOST_POINTS = 2_000


def save_plot(forecast: Forecast, path: Path) -> None:
    """Write the picture as PNG, PDF or SVG, by the ending of the name.

    Raises:
        ConfigError: no such ending, or the file cannot be written.
    """
    figure = Figure(figsize=(11.0, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    _over_time(panels[0][0], forecast)
    _curve(panels[0][1], forecast.profile.by_size, "entries (LRU)", forecast.advice.max_entries)
    _curve(panels[1][0], forecast.profile.by_ttl, "time to live, s", forecast.advice.ttl)
    _coverage(panels[1][1], forecast)
    for axes in panels.flat:
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
    write_plot(figure, path)


def _over_time(axes: Axes, forecast: Forecast) -> None:
    profile, rate = forecast.profile, forecast.hit_rate
    unit = 3600.0 if profile.is_timed else 1.0
    first = profile.periods[0].start if profile.periods else 0.0
    starts = [(one.start - first) / unit for one in profile.periods]
    axes.step(starts, [100 * one.repeat_rate for one in profile.periods], where="post", label="exact repeats")
    axes.axhline(100 * rate.value, color="tab:green", label="expected hit rate")
    axes.axhspan(100 * rate.low, 100 * rate.high, color="tab:green", alpha=0.15)
    axes.set_xlabel("hours" if profile.is_timed else "calls")
    axes.set_ylabel("% of calls")
    axes.legend(fontsize=8)


def _curve(axes: Axes, rates: object, label: str, recommended: float | None) -> None:
    assert isinstance(rates, dict)
    axes.set_xlabel(label)
    axes.set_ylabel("exact repeats answered, % of calls")
    if not rates:
        axes.text(0.5, 0.5, "the log has no times", transform=axes.transAxes, ha="center")
        return
    axes.plot(list(rates), [100 * rate for rate in rates.values()], "o-", ms=4)
    axes.set_xscale("log")
    if recommended is not None:
        axes.axvline(recommended, color="grey", lw=1, label="recommended")
        axes.legend(fontsize=8)


def _coverage(axes: Axes, forecast: Forecast) -> None:
    counts, calls = forecast.profile.frequencies.counts, max(1, forecast.profile.calls)
    step = max(1, len(counts) // _MOST_POINTS)
    covered, tops, shares = 0, [], []
    for place, count in enumerate(counts, 1):
        covered += count
        if place % step == 0 or place < 100:
            tops.append(place)
            shares.append(100 * covered / calls)
    axes.plot(tops, shares)
    axes.set_xscale("log")
    axes.set_xlabel("most frequent questions warmed")
    axes.set_ylabel("covered, % of calls")
