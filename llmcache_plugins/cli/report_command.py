"""`llmcache report`: what all processes that use a cache have done, and what that was worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting, named_or_variable
from llmcache_plugins.cli.showing import show
from llmcache_plugins.errors import ConfigError, StoreUnavailable, why
from llmcache_plugins.factory import open_cache
from llmcache_plugins.money import MoneySettings, load_prices
from llmcache_plugins.paths import as_path
from llmcache_plugins.report import sections_of

__all__ = ["ReportOptions", "run_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What is to be reported, and how.

    Args:
        url: the cache; None for LLMCACHE_URL.
        json: print one JSON object and nothing else.
        markdown: print Markdown.
        prices: file of prices; None for those that come with the package.
        compare: file with what `--json` printed earlier; None for no trend.
        call_cost: as in `MoneySettings`, as are those below.
    """

    url: str | None = field(default=None, repr=False)  # it may hold a password
    json: bool = False
    markdown: bool = False
    prices: Path | None = None
    compare: Path | None = None
    call_cost: float = MoneySettings().call_cost
    hit_cost: float = MoneySettings().hit_cost
    embedding_cost: float = 0.0
    monthly_cost: float = 0.0
    setup_cost: float = 0.0
    false_hit_cost: float = 0.0
    monthly_lookups: float | None = None

    def __post_init__(self) -> None:
        if self.json and self.markdown:
            raise ConfigError("give --json or --markdown, not both")


def run_report(options: ReportOptions, say: Callable[[str], None] = print) -> int:
    """Run it.

    Raises:
        ConfigError: there is no URL, or it is of no cache in a file that is there or on a server; a number is below 0;
            or a file is none of what it should be.
        StoreError: the store cannot be read.
    """
    url = named_or_variable(options.url)
    check_lasting(url, "only a cache in a file or on a server has counts of several processes")
    money = MoneySettings(
        prices=None if options.prices is None else load_prices(options.prices),
        call_cost=options.call_cost,
        hit_cost=options.hit_cost,
        embedding_cost=options.embedding_cost,
        monthly_cost=options.monthly_cost,
        setup_cost=options.setup_cost,
        false_hit_cost=options.false_hit_cost,
        monthly_lookups=options.monthly_lookups,
    )
    earlier = None if options.compare is None else _earlier(options.compare)
    with open_cache(url, embedder=None, fail_open=False, maintenance="manual") as cache:
        report = cache.report(money=money, shared=True, since=earlier)
    if not report.is_complete:
        raise StoreUnavailable("the counts of the other processes cannot be read")
    if options.json:
        say(json.dumps(report.as_json(), allow_nan=False))
    elif options.markdown:
        say(report.to_markdown().rstrip("\n"))
    else:
        show(sections_of(report), say)
    return 0


def _earlier(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(as_path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the earlier report cannot be read from {str(path)!r}: {why(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{str(path)!r} is no JSON: keep what `llmcache report --json` prints") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{str(path)!r} is no report: keep what `llmcache report --json` prints")
    return content
