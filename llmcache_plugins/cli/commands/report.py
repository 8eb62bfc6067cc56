"""The arguments of `llmcache report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, PricesOption, StoreOption, UrlOrVariable, one_url
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["REPORT"]

_MONEY = "What things cost, in dollars"


def _read(
    url: UrlOrVariable = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown")] = False,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="what --json printed earlier: shows the trend")
    ] = None,
    prices: PricesOption = None,
    call_cost: Annotated[
        float,
        typer.Option(
            "--call-cost", metavar="X", help="a call whose tokens or price are unknown", rich_help_panel=_MONEY
        ),
    ] = 0.10,
    hit_cost: Annotated[float, typer.Option("--hit-cost", metavar="X", help="a hit", rich_help_panel=_MONEY)] = 0.0001,
    embedding_cost: Annotated[
        float,
        typer.Option(
            "--embedding-cost", metavar="X", help="running the embedder for one question", rich_help_panel=_MONEY
        ),
    ] = 0.0,
    monthly_cost: Annotated[
        float,
        typer.Option("--monthly-cost", metavar="X", help="the cache's server, each month", rich_help_panel=_MONEY),
    ] = 0.0,
    setup_cost: Annotated[
        float,
        typer.Option(
            "--setup-cost",
            metavar="X",
            help="putting the cache in, once: how soon that is paid back",
            rich_help_panel=_MONEY,
        ),
    ] = 0.0,
    false_hit_cost: Annotated[
        float,
        typer.Option("--false-hit-cost", metavar="X", help="an answer that was wrong", rich_help_panel=_MONEY),
    ] = 0.0,
    monthly_lookups: Annotated[
        float | None,
        typer.Option(
            "--monthly-lookups", metavar="N", help="for the projection (default: as counted)", rich_help_panel=_MONEY
        ),
    ] = None,
) -> Run:
    from llmcache_plugins.cli.report_command import ReportOptions, run_report

    options = ReportOptions(
        url=one_url(url, store),
        json=as_json,
        markdown=markdown,
        prices=prices,
        compare=compare,
        call_cost=call_cost,
        hit_cost=hit_cost,
        embedding_cost=embedding_cost,
        monthly_cost=monthly_cost,
        setup_cost=setup_cost,
        false_hit_cost=false_hit_cost,
        monthly_lookups=monthly_lookups,
    )
    return lambda: run_report(options)


REPORT = Command(
    name="report",
    read=_read,
    summary="say what a cache has done and saved: hit rates, latencies, money, quality",
    description="Of all processes that use a cache in a file or on a server. What calls cost is told by the tokens of "
    "the stored answers and the prices of their models.",
    example="llmcache report redis://localhost:6379/0 --setup-cost 2000",
)
