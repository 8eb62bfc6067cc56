"""The arguments of `llmcache stats`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, StoreOption, UrlOrVariable, one_url
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["STATS"]


def _read(
    url: UrlOrVariable = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    reset: Annotated[bool, typer.Option("--reset", help="let all counts begin at 0")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="with --reset: say what would be forgotten, and keep it")
    ] = False,
) -> Run:
    from llmcache_plugins.cli.stats import StatsOptions, run_stats

    options = StatsOptions(url=one_url(url, store), as_json=as_json, reset=reset, dry_run=dry_run)
    return lambda: run_stats(options)


STATS = Command(
    name="stats",
    read=_read,
    summary="say what all processes that use a cache have counted",
    description="Hits, misses, errors and so on of all processes that use a cache in a file or on a server, living and "
    "gone. A process writes its counts every few seconds.",
    example="llmcache stats redis://localhost:6379/0",
)
