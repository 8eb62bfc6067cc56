"""The table of `llmcache tune`, for people: every setting as a bar, and what to paste."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import indent

from llmcache_plugins.cli.tune import TuneReport
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.evaluation.tune import Recommendation, Trial

try:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
except ImportError as error:
    raise MissingExtraError("the tables of llmcache tune", "cli") from error

__all__ = ["print_tuning"]

_BAR = 12  # characters for a hit rate of 100 %


def print_tuning(report: TuneReport, console: Console | None = None) -> None:
    """What every setting did, the recommended one, and how sure that is."""
    console = console or Console()
    console.print(_table(report))
    for line in _said(report):
        console.print(escape(line), soft_wrap=True)


def _table(report: TuneReport) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        title=f"{escape(', '.join(report.names))}: {report.pairs:,} pairs",
        caption=f"= right hits, ! wrong hits; all pairs would be {_BAR} long. In brackets: 95 % intervals.\nSaved: in "
        f"1,000 requests like these pairs, at {report.options.cost_per_call:g} a call.",
    )
    table.add_column("", no_wrap=True)
    for heading in ("hits", "wrong of all", "precision", "saved"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=_BAR)
    found = report.tuning.recommendation
    chosen = None if found is None else found.trial.setting
    for use_guards, heading in ((True, "with guards"), (False, "without guards")):
        table.add_section()
        table.add_row(f"[bold]{heading}")
        for trial in report.tuning.trials:
            if trial.setting.use_guards == use_guards:
                style = "bold green" if trial.setting == chosen else None
                table.add_row(*_cells(trial, report), style=style)
    return table


def _cells(trial: Trial, report: TuneReport) -> Iterator[str]:
    error, precision = trial.error_rate, trial.counts.rates["precision"]
    yield _name(trial, "score" if report.options.lexical else "cosine")
    yield f"{trial.hit_rate.value:.1%}"
    yield f"{error.value:.2%} ({100 * error.interval.low:.1f}-{100 * error.interval.high:.1f})"
    yield f"{precision.value:.1%}" if precision.total else "-"
    yield f"{trial.saving(report.options.cost_per_call):.2f}"
    yield bar(trial)


def _name(trial: Trial, measure: str) -> str:
    setting = trial.setting
    if setting.max_error_rate is not None:
        return f"budget {100 * setting.max_error_rate:g} %"
    return f"{measure} {setting.similarity_threshold}"


def bar(trial: Trial) -> str:
    """Right hits as `=`, wrong ones as `!`; a wrong hit is never rounded away."""
    rows = max(1, trial.counts.rows)
    right = round(_BAR * trial.counts.right / rows)
    wrong = max(round(_BAR * trial.counts.wrong / rows), int(trial.counts.wrong > 0))
    return "=" * right + "!" * wrong


def _said(report: TuneReport) -> Iterator[str]:
    if report.unlabelled:
        yield f"Rows without a label, skipped: {report.unlabelled}."
    if report.ambiguous:
        yield f"Rows marked ambiguous, left out: {report.ambiguous}."
    found, budget = report.tuning.recommendation, report.tuning.max_error_rate
    if found is None or report.code is None:
        yield f"No setting keeps wrong hits within {100 * budget:g} % of these pairs."
        return
    error = found.trial.error_rate
    yield f"Recommended: {found.trial.setting}: {found.trial.counts.right} right hits and {error.count} wrong."
    yield _certainty(found, budget)
    held_out = found.held_out.rates
    yield (
        "Chosen on four fifths and counted on the fifth, in turn: "
        f"recall {held_out['recall'].value:.1%}, wrong hits {held_out['error_rate'].value:.2%} of all."
    )
    yield "\n" + indent(report.code, "    ")


def _certainty(found: Recommendation, budget: float) -> str:
    high = found.trial.error_rate.interval.high
    if found.is_sure:
        return f"That its wrong hits are within {100 * budget:g} % is sure: at most {high:.2%} with 95 % confidence."
    start = (
        f"Not sure yet: with 95 % confidence its wrong hits are at most {high:.2%}, the budget is {100 * budget:g} %."
    )
    if found.pairs_needed is None:
        return f"{start} Its error rate is too near the budget to be told from it; a stricter setting leaves room."
    return f"{start} About {found.pairs_needed:,} labelled pairs like these would make it sure."
