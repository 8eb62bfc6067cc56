"""The arguments of `llmcache report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmcache_plugins.cli.report_command import ReportOptions

__all__ = ["add_report_options", "report_options"]

_COSTS = (
    ("call_cost", "a call whose tokens or price are unknown"),
    ("hit_cost", "a hit"),
    ("embedding_cost", "running the embedder for one question"),
    ("monthly_cost", "the cache's server, each month"),
    ("setup_cost", "putting the cache in, once: how soon that is paid back"),
    ("false_hit_cost", "an answer that was wrong"),
)


def add_report_options(report: argparse.ArgumentParser) -> None:
    report.add_argument("url", nargs="?", metavar="URL", help="the cache (default: LLMCACHE_URL)")
    report.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    report.add_argument("--markdown", action="store_true", help="print Markdown")
    report.add_argument("--compare", type=Path, metavar="FILE", help="what --json printed earlier: shows the trend")
    report.add_argument("--prices", type=Path, metavar="FILE", help="prices of your own (docs/report.md)")
    money = report.add_argument_group("what things cost, in dollars")
    defaults = ReportOptions()
    for name, what in _COSTS:
        default = getattr(defaults, name)
        option = f"--{name.replace('_', '-')}"
        money.add_argument(option, type=float, default=default, metavar="X", help=f"{what} (default: {default:g})")
    money.add_argument("--monthly-lookups", type=float, metavar="N", help="for the projection (default: as counted)")


def report_options(given: argparse.Namespace) -> ReportOptions:
    """
    Raises:
        ConfigError: they do not go together.
    """
    fields = ReportOptions.__dataclass_fields__
    return ReportOptions(**{name: getattr(given, name) for name in fields})
