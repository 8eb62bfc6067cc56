"""`llmcache top --store URL`: what all processes that use a cache are doing now, refreshed until it is stopped."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from llmcache_plugins.cli.lasting import check_lasting, named_or_variable
from llmcache_plugins.cli.rates import Rates, rates_between
from llmcache_plugins.cli.showing import is_terminal, one_line, show
from llmcache_plugins.cli.stats import stats_as_json
from llmcache_plugins.counters import CacheStats, LookupCounts, SharedStats
from llmcache_plugins.errors import ConfigError, MissingExtraError, StoreUnavailable
from llmcache_plugins.factory import open_cache
from llmcache_plugins.report import Section

__all__ = ["TopOptions", "run_top"]

_MOST_ROWS = 8  # of a table: all of them fit on one screen


@dataclass(frozen=True, slots=True, kw_only=True)
class TopOptions:
    """What was asked for on the command line.

    Args:
        store: the cache; None for LLMCACHE_URL.
        interval: seconds between two looks, 0.1 to 3,600.
        once: look once, and end; there are no rates then.
        as_json: print one JSON object and nothing else; looks once.

    Raises:
        ConfigError: `interval` is out of range.
    """

    store: str | None = field(default=None, repr=False)  # it may hold a password
    interval: float = 2.0
    once: bool = False
    as_json: bool = False

    def __post_init__(self) -> None:
        if not 0.1 <= self.interval <= 3600.0:
            raise ConfigError(f"--interval must be from 0.1 to 3600 seconds, not {self.interval:g}")


def run_top(
    options: TopOptions,
    say: Callable[[str], None] = print,
    *,
    wait: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> int:
    """Show it until Ctrl-C, which is the way to end it: 0.

    Args:
        wait: between two looks, so many seconds.
        now: monotonic seconds.

    Raises:
        ConfigError: there is no URL, or it is of no cache in a file that is there or on a server.
        StoreError: the store cannot be read.
    """
    url = named_or_variable(options.store, "--store")
    check_lasting(url, "only a cache in a file or on a server has counts of several processes")
    try:
        with open_cache(url, embedder=None, fail_open=False, maintenance="manual") as cache:
            if options.once or options.as_json:
                shared = _looked(cache.shared_stats())
                if options.as_json:
                    say(json.dumps({"since": shared.since, "nodes": len(shared.nodes), **stats_as_json(shared.total)}))
                else:
                    show(list(_sections(shared, None)), say)
                return 0
            with _screen(say) as draw:
                before, began = _looked(cache.shared_stats()), now()
                draw(list(_sections(before, None)))
                while True:
                    wait(options.interval)
                    shared, at = _looked(cache.shared_stats()), now()
                    draw(list(_sections(shared, rates_between(before.total, shared.total, max(at - began, 0.001)))))
                    before, began = shared, at
    except KeyboardInterrupt:
        return 0


def _looked(shared: SharedStats) -> SharedStats:
    if not shared.is_complete:
        raise StoreUnavailable("the counts of the other processes cannot be read")
    return shared


@contextmanager
def _screen(say: Callable[[str], None]) -> Iterator[Callable[[Sequence[Section]], None]]:
    """One picture in place of the other on a terminal with rich; else one under the other."""
    if say is print and is_terminal(sys.stdout):
        try:
            from llmcache_plugins.cli.top_screen import live
        except MissingExtraError:
            pass
        else:
            with live() as draw:
                yield draw
            return
    yield lambda sections: show(sections, say)


# ---------------------------------------------------------------- what is shown
def _sections(shared: SharedStats, rates: Rates | None) -> Iterator[Section]:
    total = shared.total
    processes = "1 process" if len(shared.nodes) == 1 else f"{len(shared.nodes):,} processes"
    yield Section(f"Now, by {processes} of the last hour", _now(rates))
    yield Section("In all", list(_in_all(total)))
    namespaces = {one_line("/".join(name)) or "-": counts for name, counts in total.namespaces.items()}
    for title, rows in (("namespace", namespaces), ("query type", total.query_types)):
        if rows:
            yield _busiest(title, rows)


def _now(rates: Rates | None) -> list[tuple[str, str]]:
    if rates is None:
        return [("rates", "from the second look on")]
    hit_rate = "-" if rates.hit_rate is None else f"{rates.hit_rate:.1%}"
    slowest = rates.hit_latency
    latency = "-" if slowest is None else "over 100 s" if slowest == math.inf else f"{1000 * slowest:g} ms at most"
    return [
        ("lookups", f"{rates.lookups:,.1f} / s"),
        ("hits", f"{rates.hits:,.1f} / s"),
        ("misses", f"{rates.misses:,.1f} / s"),
        ("hit rate", hit_rate),
        ("hit latency, p95", latency),
        ("updates", f"{rates.updates:,.1f} / s"),
        ("errors", f"{rates.errors:,.1f} / s"),
    ]


def _in_all(total: CacheStats) -> Iterator[tuple[str, str]]:
    yield "lookups", f"{total.lookups:,}, hit rate {total.hit_rate:.1%}"
    yield "hits", _counts(total.hits)
    yield "misses", _counts(total.misses)
    if total.errors:
        yield "errors", _counts(total.errors)
    for store, size in total.stores.items():
        yield store, f"{size.entries:,} entries, {size.size_bytes / 2**20:,.1f} MiB, {size.evictions:,} evictions"


def _counts(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda one: -one[1])[:_MOST_ROWS]
    return ", ".join(f"{name} {count:,}" for name, count in most) or "none"


def _busiest(title: str, rows: Mapping[str, LookupCounts]) -> Section:
    chosen = sorted(rows.items(), key=lambda row: -(row[1].hits + row[1].misses))
    return Section(
        f"By {title}",
        [(name, f"{one.hits:,}", f"{one.misses:,}") for name, one in chosen[:_MOST_ROWS]],
        head=(title, "hits", "misses"),
        notes=[f"and {len(chosen) - _MOST_ROWS:,} more"] if len(chosen) > _MOST_ROWS else (),
    )
