"""The arguments of `llmcache analyze LOG` and `llmcache replay LOG`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llmcache_plugins.cli.arguments import duration, positive_integer

if TYPE_CHECKING:  # what these bring along is not needed to print a help text
    from llmcache_plugins.cli.log_analysis import LogAnalysisOptions
    from llmcache_plugins.cli.replay import ReplayOptions
    from llmcache_plugins.types import Usage

__all__ = ["add_log_analysis_options", "add_replay_options", "cost_of", "log_analysis_options", "replay_options"]

T = TypeVar("T")


def add_log_analysis_options(command: argparse.ArgumentParser) -> None:
    log = command.add_argument_group("of a log")
    log.add_argument("--plot", type=Path, metavar="FILE.png", help="draw it")
    log.add_argument(
        "--sample", type=positive_integer, default=5000, metavar="N", help="calls that are replayed (default: 5000)"
    )
    log.add_argument("--limit", type=positive_integer, metavar="N", help="read only the first N calls")
    log.add_argument("--exact-only", action="store_true", help="exact repeats alone, without the embedder")
    log.add_argument("--per-month", type=float, metavar="N", help="calls (default: at the log's own rate)")
    log.add_argument("--prices", type=Path, metavar="FILE", help="prices of your own (docs/report.md)")
    log.add_argument(
        "--call-cost", type=float, default=0.10, metavar="X", help="where tokens or price are unknown (default: 0.10)"
    )
    log.add_argument("--hit-cost", type=float, default=0.0001, metavar="X", help="of a hit (default: 0.0001)")


def log_analysis_options(given: argparse.Namespace) -> LogAnalysisOptions:
    """
    Raises:
        ConfigError: one is out of range.
    """
    from llmcache_plugins.cli.log_analysis import LogAnalysisOptions

    return LogAnalysisOptions(
        log=Path(given.url),
        as_json=given.json,
        plot=given.plot,
        sample=given.sample,
        limit=given.limit,
        exact_only=given.exact_only,
        calls_per_month=given.per_month,
        call_cost=given.call_cost,
        hit_cost=given.hit_cost,
        top=given.top,
        with_text=given.with_text,
    )


def cost_of(prices: Path | None) -> Callable[[str, Usage], float | None]:
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


def add_replay_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("log", type=Path, metavar="LOG", help="calls, as for analyze")
    command.add_argument("--sizes", type=_several(positive_integer), default=(), metavar="N,N", help="entries")
    command.add_argument("--ttls", type=_several(_ttl), default=(None,), metavar="T,T", help="1h, 1d, none for ever")
    command.add_argument("--evictions", type=_several(str), metavar="E,E", help="lru, lfu, fifo, random (all)")
    command.add_argument("--by-meaning", action="store_true", help="questions that one answer does for are one")
    command.add_argument("--limit", type=positive_integer, metavar="N", help="read only the first N calls")
    command.add_argument("--plot", type=Path, metavar="FILE.png", help="draw it")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def replay_options(given: argparse.Namespace) -> ReplayOptions:
    from llmcache_plugins.cli.replay import ReplayOptions
    from llmcache_plugins.logs import EVICTIONS

    return ReplayOptions(
        log=given.log,
        sizes=given.sizes,
        ttls=given.ttls,
        evictions=given.evictions or EVICTIONS,
        by_meaning=given.by_meaning,
        limit=given.limit,
        as_json=given.json,
        plot=given.plot,
    )


def _several(one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    def several(text: str) -> tuple[T, ...]:
        return tuple(one(part.strip()) for part in text.split(","))

    return several


def _ttl(text: str) -> float | None:
    return None if text == "none" else duration(text)
