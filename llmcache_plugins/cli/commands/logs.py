"""The arguments of `llmcache analyze` and `llmcache replay`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmcache_plugins.cli.commands.arguments import (
    JsonOption,
    PlotOption,
    duration,
    namespace,
    several,
)
from llmcache_plugins.cli.commands.command import Command, Run

if TYPE_CHECKING:
    from llmcache_plugins.types import Usage

__all__ = ["ANALYZE", "REPLAY"]

_LOG = "Of a log"


def _size(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise typer.BadParameter(f"must be an integer of at least 1, not {text!r}")
    return int(text)


def _ttl(text: str) -> float | None:
    return None if text == "none" else duration(text)


def _read_analyze(
    url: Annotated[
        str, typer.Argument(metavar="URL|LOG", help="the cache, disk:///path/of/file.db, or a file of calls")
    ],
    own_namespace: Annotated[
        Any, typer.Option("--namespace", parser=namespace, metavar="A/B", help="the cache's own namespace")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="hotspots shown")] = 10,
    with_text: Annotated[bool, typer.Option("--with-text", help="show the questions of the hotspots")] = False,
    as_json: JsonOption = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="draw it", rich_help_panel=_LOG)
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, metavar="N", help="calls that are replayed", rich_help_panel=_LOG)
    ] = 5000,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="read only the first N calls", rich_help_panel=_LOG),
    ] = None,
    exact_only: Annotated[
        bool, typer.Option("--exact-only", help="exact repeats alone, without the embedder", rich_help_panel=_LOG)
    ] = False,
    per_month: Annotated[
        float | None,
        typer.Option("--per-month", metavar="N", help="calls (default: at the log's own rate)", rich_help_panel=_LOG),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="FILE", help="prices of your own (docs/report.md)", rich_help_panel=_LOG),
    ] = None,
    call_cost: Annotated[
        float,
        typer.Option("--call-cost", metavar="X", help="where tokens or price are unknown", rich_help_panel=_LOG),
    ] = 0.10,
    hit_cost: Annotated[float, typer.Option("--hit-cost", metavar="X", help="of a hit", rich_help_panel=_LOG)] = 0.0001,
    embedding_cost: Annotated[
        float, typer.Option("--embedding-cost", metavar="X", help="of embedding a question", rich_help_panel=_LOG)
    ] = 0.0,
) -> Run:
    from llmcache_plugins.cli.analyze import AnalyzeOptions, run_analyze
    from llmcache_plugins.cli.log_analysis import LogAnalysisOptions, is_log, run_log_analysis

    if not is_log(url):
        of_cache = AnalyzeOptions(url=url, namespace=own_namespace or (), top=top, with_text=with_text, as_json=as_json)
        return lambda: run_analyze(of_cache)
    of_log = LogAnalysisOptions(
        log=Path(url),
        as_json=as_json,
        plot=plot,
        sample=sample,
        limit=limit,
        exact_only=exact_only,
        calls_per_month=per_month,
        call_cost=call_cost,
        hit_cost=hit_cost,
        embedding_cost=embedding_cost,
        top=top,
        with_text=with_text,
    )
    return lambda: run_log_analysis(of_log, cost_of=_cost_of(prices))


def _cost_of(prices: Path | None) -> Callable[[str, Usage], float | None]:
    """What a call of a model took; None where tokens or price are unknown.

    Raises:
        ConfigError: the file is none of prices.
    """
    from llmcache_plugins.money import load_prices, shipped_prices
    from llmcache_plugins.types import Usage

    table = shipped_prices() if prices is None else load_prices(prices)

    def cost(model: str, usage: Usage) -> float | None:
        price = table.price_of(model)
        return None if price is None or usage == Usage() else price.of(usage)

    return cost


ANALYZE = Command(
    name="analyze",
    read=_read_analyze,
    summary="say what the entries of a cache tell about it, or what a cache would do for a log",
    description="Of a cache: look-ups are counted by the process that makes them, and cache.analyze() in there knows "
    "the hit rate too; from outside, the entries and their reads are what there is to see. Of a file with a call of a "
    "model in each line (text, JSON, CSV; gzipped or not): the hit rate and the saving to expect.",
    example="llmcache analyze calls.jsonl.gz",
)


def _read_replay(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="calls, as for analyze")],
    sizes: Annotated[
        Any, typer.Option("--sizes", parser=several(_size), metavar="N,N", help="entries (default: three)")
    ] = None,
    ttls: Annotated[
        Any, typer.Option("--ttls", parser=several(_ttl), metavar="T,T", help="1h, 1d, none for ever (default: none)")
    ] = None,
    evictions: Annotated[
        Any,
        typer.Option("--evictions", parser=several(str), metavar="E,E", help="lru, lfu, fifo, random (default: all)"),
    ] = None,
    by_meaning: Annotated[
        bool, typer.Option("--by-meaning", help="questions that one answer does for are one")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="read only the first N calls")
    ] = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.replay import ReplayOptions, run_replay
    from llmcache_plugins.logs import EVICTIONS

    options = ReplayOptions(
        log=log,
        sizes=sizes or (),
        ttls=ttls or (None,),
        evictions=evictions or EVICTIONS,
        by_meaning=by_meaning,
        limit=limit,
        as_json=as_json,
        plot=plot,
    )
    return lambda: run_replay(options)


REPLAY = Command(
    name="replay",
    read=_read_replay,
    summary="try sizes, orders of eviction, times to live and tiers on a log",
    description="What each would have answered of the log's calls, beside the most that any could have.",
    example="llmcache replay calls.jsonl.gz --sizes 100,1000 --ttls 1h,none",
)
