"""The arguments of `llmcache export-rules`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption
from llmcache_plugins.cli.commands.command import Command, Run

__all__ = ["EXPORT_RULES"]


def _read(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="where the two files go; ones there are replaced")],
    prefix: Annotated[str, typer.Option("--prefix", metavar="NAME", help="what the metrics' names begin with")] = (
        "llmcache"
    ),
    as_json: JsonOption = False,
) -> Run:
    from llmcache_plugins.cli.rules import RulesOptions, run_rules

    options = RulesOptions(folder=folder, prefix=prefix, as_json=as_json)
    return lambda: run_rules(options)


EXPORT_RULES = Command(
    name="export-rules",
    read=_read,
    summary="write alert rules for Prometheus and a dashboard for Grafana",
    description="Alert rules as a file for Prometheus and a dashboard for Grafana, over the metrics of "
    "PrometheusCollector.",
    example="llmcache export-rules monitoring/",
)
