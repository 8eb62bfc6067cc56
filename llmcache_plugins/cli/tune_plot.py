"""The picture of `llmcache tune`: right hits over wrong hits, one curve with the guards and one without."""

from __future__ import annotations

from pathlib import Path

from llmcache_plugins.cli.plot_file import write_plot
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.evaluation.tune import Trial, Tuning

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtraError("the plot of llmcache tune", "plot") from error

__all__ = ["save_plot"]


def save_plot(tuning: Tuning, path: Path) -> None:
    """Write the picture as PNG, PDF or SVG, by the ending of the name.

    Raises:
        ConfigError: no such ending, or the file cannot be written.
    """
    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for use_guards, label, style in ((True, "with guards", "o-"), (False, "without guards", "s--")):
        thresholds = [
            one for one in tuning.trials if one.setting.use_guards == use_guards and _threshold(one) is not None
        ]
        axes.plot([_error(one) for one in thresholds], [_right(one) for one in thresholds], style, ms=4, label=label)
        for one in thresholds if use_guards else ():
            axes.annotate(f"{_threshold(one):g}", (_error(one), _right(one)), fontsize=7, ha="right", va="bottom")
    budgets = [one for one in tuning.trials if one.setting.max_error_rate is not None and one.setting.use_guards]
    if budgets:
        axes.plot([_error(one) for one in budgets], [_right(one) for one in budgets], "^-", label="error budgets")
    axes.axvline(100 * tuning.max_error_rate, color="grey", lw=1, label="budget")
    if tuning.recommendation is not None:
        best = tuning.recommendation.trial
        axes.plot([_error(best)], [_right(best)], "o", ms=12, mfc="none", color="black", label="recommended")
    axes.set_xlabel("wrong hits, % of all pairs")
    axes.set_ylabel("right hits, % of all pairs")
    axes.legend()
    axes.grid(alpha=0.3)
    write_plot(figure, path)


def _threshold(trial: Trial) -> float | None:
    return trial.setting.similarity_threshold


def _error(trial: Trial) -> float:
    return 100 * trial.error_rate.value


def _right(trial: Trial) -> float:
    return 100 * trial.counts.right / max(1, trial.counts.rows)
