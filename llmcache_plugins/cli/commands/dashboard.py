"""The arguments of `llmcache dashboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import (
    BudgetOption,
    JsonOption,
    LexicalOption,
    NamespaceOption,
    StoreOption,
    ThresholdOption,
)
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["DASHBOARD"]


def _read(
    store: StoreOption = None,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="where to listen; others than this machine need a token")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="0 for any free one")] = 0,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="TOKEN", help="whoever opens the page must have it (default: LLMCACHE_DASHBOARD_TOKEN)"
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="open it in a browser")] = False,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="append labels here, for llmcache tune")
    ] = None,
    near_misses: Annotated[
        Path | None, typer.Option("--near-misses", metavar="FILE", help="what the application's near_miss_file= writes")
    ] = None,
    namespace: NamespaceOption = None,
    max_error_rate: BudgetOption = None,
    similarity_threshold: ThresholdOption = None,
    lexical: LexicalOption = False,
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.dashboard import DashboardOptions, run_dashboard

    options = DashboardOptions(
        store=store,
        host=host,
        port=port,
        token=token,
        open=open_page,
        labels=labels,
        near_misses=near_misses,
        namespace=namespace or (),
        max_error_rate=max_error_rate,
        similarity_threshold=similarity_threshold,
        lexical=lexical,
        as_json=as_json,
    )
    return lambda: run_dashboard(options)


DASHBOARD = Command(
    name="dashboard",
    read=_read,
    summary="serve a local page with live numbers, near misses to label, entries and alerts, until Ctrl-C",
    description="A page on 127.0.0.1 over a cache that other processes use: hit rate, money and latency as they come, "
    "near misses to label with one click, entries to search, explain and invalidate, and alerts. It shows questions "
    "and answers in clear. Settings are those given here, not the application's. An encrypted cache is opened with "
    "LLMCACHE_ENCRYPTION_KEY.",
    example="llmcache dashboard --store redis://localhost:6379/0 --open",
)
