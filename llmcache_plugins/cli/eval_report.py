"""Tables and the progress bar of `llmcache eval`, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.evaluation import FileScores, PairCounts, PairScores, Progress, Rate, StreamScores
from llmcache_plugins.types import JsonValue

try:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Table
except ImportError as error:
    raise MissingExtraError("the tables of llmcache eval", "cli") from error

__all__ = ["print_scores", "progress_bar"]

_PAIR_RATES = {
    "recall": "hits of label 1",
    "wrong_hit_rate": "hits of label 0",
    "error_rate": "wrong hits of all",
    "precision": "precision",
}
_STREAM_RATES = {
    "hit_rate": "hits",
    "variant_hit_rate": "hits of variants",
    "error_rate": "wrong hits",
    "precision": "precision",
    "unjudged_rate": "unjudged",
}
_BREAKDOWNS = ("by_family", "by_kind", "by_source", "by_lang")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr, gone when the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)


def print_scores(
    scores: Mapping[str, FileScores], config: Mapping[str, JsonValue], console: Console | None = None
) -> None:
    """Every file's rates with their 95 % intervals, and of pairs the rates by family, kind or source."""
    console = console or Console()
    pairs = {name: one.scores for name, one in scores.items() if isinstance(one.scores, PairScores)}
    streams = {name: one.scores for name, one in scores.items() if isinstance(one.scores, StreamScores)}
    if pairs:
        console.print(
            _table("Pairs and conversations", _PAIR_RATES, {n: (s.all.rows, s.all.rates) for n, s in pairs.items()})
        )
    for name, found in pairs.items():
        _print_breakdown(console, name, found)
    if streams:
        rates = {name: (found.requests, found.rates) for name, found in streams.items()}
        console.print(_table("Streams", _STREAM_RATES, rates))
    console.print(f"policy: {escape(str(config.get('policy')))}, guards: {'on' if config.get('use_guards') else 'off'}")


def _print_breakdown(console: Console, name: str, scores: PairScores) -> None:
    by = next((by for by in _BREAKDOWNS if len(scores.by.get(by, ())) > 1), None)
    groups: dict[str, PairCounts] = dict(scores.by[by]) if by else {}
    groups |= {f"left out: {reason}": counts for reason, counts in scores.ambiguous.items()}
    if groups:
        title = f"{name}, {(by or 'ambiguous').replace('_', ' ')}"
        console.print(_table(title, _PAIR_RATES, {value: (c.rows, c.rates) for value, c in groups.items()}))
    if scores.mean_wrong_hit_rate is not None:
        console.print(f"mean over the families of hits of label 0: {scores.mean_wrong_hit_rate:.1%}")


def _table(title: str, columns: Mapping[str, str], rows: Mapping[str, tuple[int, Mapping[str, Rate]]]) -> Table:
    # Seven columns in the 80 of a terminal, and of a file: no lines between them, no blanks around them.
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=escape(title),
        caption="below each share: its 95 % interval, in percent",
    )
    table.add_column("", overflow="fold", min_width=10)
    table.add_column("rows", justify="right")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for name, (count, rates) in rows.items():
        table.add_row(escape(name), f"{count:,}", *(_said(rates[rate]) for rate in columns))
    return table


def _said(rate: Rate) -> str:
    if not rate.total:
        return "-"
    interval = rate.interval
    return f"{rate.value:.1%}\n{100 * interval.low:.1f}-{100 * interval.high:.1f}"
