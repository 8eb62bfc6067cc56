"""Progress bar and tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmcache_plugins.cli.summary import Matched, Served, Summary
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.types import Hit

try:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table
except ImportError as error:
    raise MissingExtraError("the report of llmcache", "cli") from error

__all__ = ["print_report", "with_progress"]


def with_progress(served: Iterable[Served], total: int) -> Iterator[Served]:
    """Pass everything on, with a bar on stderr when that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[hits]} from the cache"),
        TimeRemainingColumn(),
    )
    hits = 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("asking", total=total, hits=0)
        for one in served:
            hits += isinstance(one.outcome, Hit)
            progress.update(task, advance=1, hits=hits)
            yield one


def print_report(summary: Summary, settings: Mapping[str, object], console: Console | None = None) -> None:
    """The tables of one run, to stdout."""
    console = console or Console()
    console.print(_counts(summary, settings))
    console.print(_costs(summary, is_live=bool(settings.get("live"))))
    if summary.example_hits:
        console.print(_matches("Hits by meaning", summary.example_hits))
    if summary.refused_look_alikes:
        console.print(_refusals(summary))
    if summary.wrong_examples:
        console.print(_matches("Wrong hits by the labels", summary.wrong_examples))
    for name, count in {**summary.failures, **summary.cache_errors}.items():
        console.print(f"[bold red]failed[/]: {escape(name)}: {count}")


def what_decides(settings: Mapping[str, object]) -> str:
    """The policy of a run in words, from the `settings` of its JSON."""
    budget, threshold = settings.get("max_error_rate"), settings.get("similarity_threshold")
    if isinstance(budget, float):
        return f"error budget {100 * budget:g} % (calibrated confidence) and guards"
    return f"similarity threshold {threshold} (cosine) and guards"


def _counts(summary: Summary, settings: Mapping[str, object]) -> Table:
    table = Table(title=escape(f"{settings.get('data')}, {what_decides(settings)}"))
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("share", justify="right")

    def add(what: str, count: int, of: int) -> None:
        table.add_row(what, str(count), f"{count / of:.1%}" if of else "-")

    hits, requests = summary.hits, summary.requests
    table.add_row("requests", str(requests), "")
    add("hits, exact", hits["exact"], requests)
    add("hits, normalised (case, spaces, closing punctuation)", hits["normalised"], requests)
    add("hits, semantic", hits["semantic"], requests)
    add("hits, alias (a rewording met before)", hits["alias"], requests)
    add("misses", summary.miss_count, requests)
    for reason, count in summary.misses.items():
        add(f"  {reason}", count, requests)
    if summary.other_calls:
        add("past the cache", summary.other_calls, requests)
    table.add_section()
    add("wrong hits by the labels", summary.wrong_hits, requests)
    add("  of the guards' kinds (number, address, negation, ...)", summary.wrong_hits_of_guard_kinds, requests)
    add("  of other kinds (name, topic)", summary.wrong_hits_of_other_kinds, requests)
    if summary.unjudged_hits:
        add("hits without a label", summary.unjudged_hits, requests)
    table.add_section()
    add(f"rewordings hit, of {summary.rewordings}", summary.rewordings_hit, summary.rewordings)
    add("  by meaning, not because they were stored before", summary.rewordings_hit_by_meaning, summary.rewordings)
    add(f"look-alikes answered wrongly, of {summary.look_alikes}", summary.look_alikes_hit, summary.look_alikes)
    return table


def _costs(summary: Summary, *, is_live: bool) -> Table:
    counted = "as the provider counts them" if is_live else "the loopback server's own count, about 4 characters each"
    table = Table(title="Calls, tokens and time", caption=f"Tokens: {counted}.")
    for name in ("", "calls", "tokens in", "tokens out", "US$", "p50 ms", "p95 ms"):
        table.add_column(name, justify="left" if not name else "right")
    for name, cost, latency in (
        ("made", summary.spent, summary.miss_latency),
        ("saved", summary.saved, summary.hit_latency),
    ):
        tokens = (f"{cost.input_tokens:,}", f"{cost.output_tokens:,}", f"{cost.usd:.4f}")
        table.add_row(name, str(cost.calls), *tokens, f"{latency.p50_ms:.2f}", f"{latency.p95_ms:.2f}")
    return table


def _matches(title: str, matches: Sequence[Matched]) -> Table:
    table = Table(title=title)
    table.add_column("asked")
    table.add_column("answered with")
    table.add_column("kind")
    table.add_column("similarity", justify="right")
    for match in matches:
        table.add_row(escape(match.asked), escape(match.stored), match.kind, f"{match.similarity:.3f}")
    return table


def _refusals(summary: Summary) -> Table:
    table = Table(title="Look-alikes refused")
    table.add_column("asked")
    table.add_column("nearest stored")
    table.add_column("similarity", justify="right")
    table.add_column("reason")
    for refused in summary.refused_look_alikes:
        reason = f"{refused.guard}: {refused.detail}" if refused.guard else refused.reason
        table.add_row(escape(refused.asked), escape(refused.stored), f"{refused.similarity:.3f}", escape(reason))
    return table
