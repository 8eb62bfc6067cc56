"""The options of `llmcache warm` and `llmcache analyze`: apart from what they do, so that the help needs no cache."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmcache_plugins.cli.arguments import duration, namespace, positive_integer

__all__ = ["add_analyze_options", "add_warm_options"]


def add_warm_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL", help="the cache, disk:///path/of/file.db")
    asked = command.add_argument_group("what is asked (several: one after the other)")
    asked.add_argument("--questions", type=Path, metavar="FILE", help="a question a line, or JSON lines")
    asked.add_argument("--log", type=Path, metavar="FILE", help="a log of questions: the most frequent ones")
    asked.add_argument("--top", type=positive_integer, default=100, metavar="N", help="of the log (default: 100)")
    asked.add_argument("--now", action="store_true", help="of the log, what is asked at this hour and weekday")
    asked.add_argument(
        "--templates", type=Path, metavar="FILE", help='a template a line, "show interfaces on {device}"'
    )
    asked.add_argument("--entities", type=Path, metavar="FILE", help="what fills them: .json (names by kind) or .csv")
    asked.add_argument("--expiring", type=duration, metavar="TIME", help="what expires so soon and was read: 12h, 1d")
    model = command.add_argument_group("who is asked")
    model.add_argument(
        "--generate",
        metavar="MODULE:NAME",
        help="a function, a LangChain model or chain, or a LlamaIndex model of yours; the module is imported",
    )
    model.add_argument("--model", metavar="PROVIDER:NAME", help="a chat model by LangChain, anthropic:claude-haiku-4-5")
    model.add_argument("--system", metavar="TEXT", help="the system prompt of --model, the application's own")
    limits = command.add_argument_group("limits")
    limits.add_argument(
        "--concurrency", type=positive_integer, default=4, metavar="N", help="calls at a time (default: 4)"
    )
    limits.add_argument("--rate", type=float, metavar="X", help="calls a second")
    limits.add_argument("--budget", type=int, metavar="N", help="calls")
    limits.add_argument("--budget-tokens", type=int, metavar="N", help="tokens")
    limits.add_argument("--budget-money", type=float, metavar="X", help="money, at these prices:")
    limits.add_argument("--price-in", type=float, metavar="X", help="of a million tokens in")
    limits.add_argument("--price-out", type=float, metavar="X", help="of a million tokens out")
    command.add_argument("--namespace", type=namespace, default=(), metavar="A/B", help="the cache's own namespace")
    command.add_argument("--ask-fresh", action="store_true", help="also ask what a look-up would find")
    command.add_argument("--resume", metavar="NAME", help="go on with the run of this name if it did not end")
    command.add_argument("--dry-run", action="store_true", help="ask nothing; say what would be asked")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_analyze_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("url", metavar="URL|LOG", help="the cache, disk:///path/of/file.db, or a file of calls")
    command.add_argument("--namespace", type=namespace, default=(), metavar="A/B", help="the cache's own namespace")
    command.add_argument("--top", type=positive_integer, default=10, metavar="N", help="hotspots shown (default: 10)")
    command.add_argument("--with-text", action="store_true", help="show the questions of the hotspots")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
