"""`llmcache stats`: what all processes that use a cache have counted, added up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting, named_or_variable
from llmcache_plugins.counters import CacheStats, Latency, SharedStats
from llmcache_plugins.errors import ConfigError, StoreUnavailable
from llmcache_plugins.factory import open_cache

__all__ = ["StatsOptions", "run_stats", "stats_as_json"]

_MOST_ROWS = 20
_COUNTED = ("hits", "misses", "refusals", "errors", "warnings", "judged", "resolved")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions:
    """What was asked for on the command line.

    Args:
        url: the cache; None for LLMCACHE_URL.
        as_json: print one JSON object and nothing else.
        reset: let all counts begin at 0.
        dry_run: with `reset`, print what would be forgotten, and keep it.

    Raises:
        ConfigError: `dry_run` without `reset`.
    """

    url: str | None = field(default=None, repr=False)  # it may hold a password
    as_json: bool = False
    reset: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.dry_run and not self.reset:
            raise ConfigError("--dry-run goes with --reset: nothing else is changed")


def run_stats(options: StatsOptions, say: Callable[[str], None] = print) -> int:
    """Run it.

    Raises:
        ConfigError: there is no URL, or it is of no cache in a file that is there or on a server.
        StoreError: the store cannot be read, or for `--reset` written.
    """
    url = named_or_variable(options.url)
    check_lasting(url, "only a cache in a file or on a server has counts of several processes")
    with open_cache(url, embedder=None, fail_open=False, maintenance="manual") as cache:
        if options.reset and not options.dry_run:
            cache.reset_shared_stats()
        shared = cache.shared_stats()
    if not shared.is_complete:
        raise StoreUnavailable("the counts of the other processes cannot be read")
    if options.as_json:
        say(json.dumps(_as_json(shared)))
    else:
        said = ["these counts would be forgotten:"] if options.dry_run else []
        say("\n".join([*said, *_lines(shared)]))
    return 0


def _as_json(shared: SharedStats) -> dict[str, Any]:
    return {
        "since": shared.since,
        "total": stats_as_json(shared.total),
        "nodes": {node: stats_as_json(stats) for node, stats in shared.nodes.items()},
    }


def stats_as_json(stats: CacheStats) -> dict[str, Any]:
    return {
        "lookups": stats.lookups,
        "hit_rate": stats.hit_rate,
        **{name: dict(getattr(stats, name)) for name in _COUNTED},
        "bypasses": stats.bypasses,
        "updates": stats.updates,
        "validated": stats.validated,
        "rejected": stats.rejected,
        "reported": stats.reported,
        "invalidated": stats.invalidated,
        "judge_cost": stats.judge_cost,
        "seconds_saved": stats.seconds_saved,
        "tokens_saved": asdict(stats.tokens_saved),
        "latency": {kind: _latency_as_json(latency) for kind, latency in stats.latency.items()},
        "query_types": {name: asdict(counts) for name, counts in stats.query_types.items()},
        "models": {name: asdict(use) for name, use in stats.models.items()},
        "namespaces": {"/".join(name): asdict(counts) for name, counts in stats.namespaces.items()},
        "groups": {
            name: {**asdict(group), "answers": _latency_as_json(group.answers)} for name, group in stats.groups.items()
        },
        "stages": dict(stats.stages),
        "arms": {name: asdict(arm) for name, arm in stats.arms.items()},
        "tiers": {name: asdict(tier) for name, tier in stats.tiers.items()},
        "stores": {name: asdict(store) for name, store in stats.stores.items()},
    }


def _latency_as_json(latency: Latency) -> dict[str, Any]:
    return {"count": latency.count, "seconds": latency.seconds, "buckets": list(latency.buckets)}


def _lines(shared: SharedStats) -> Iterable[str]:
    total = shared.total
    began = "nothing was counted yet"
    if shared.since is not None:
        began = f"since {datetime.fromtimestamp(shared.since, UTC):%Y-%m-%d %H:%M:%SZ}"
    yield f"{began}, by {len(shared.nodes)} {'process' if len(shared.nodes) == 1 else 'processes'} of the last hour"
    yield f"{'lookups':16}{total.lookups:>12,}   hit rate {total.hit_rate:.1%}"
    yield from _table("hits", total.hits)
    yield from _table("misses", total.misses)
    yield f"{'bypasses':16}{total.bypasses:>12,}"
    yield f"{'updates':16}{total.updates:>12,}"
    for name in ("refusals", "errors", "warnings"):
        yield from _table(name, getattr(total, name))
    for store, size in total.stores.items():
        yield f"{store:16}{size.entries:>12,}   entries, {size.size_bytes / 2**20:.1f} MiB"
        yield f"{'':16}{size.evictions:>12,}   evictions"
        yield f"{'':16}{size.expirations:>12,}   expirations"
    yield f"{'invalidated':16}{total.invalidated:>12,}"
    yield f"{'tokens saved':16}{total.tokens_saved.total_tokens:>12,}"
    yield f"{'seconds saved':16}{total.seconds_saved:>12,.0f}"
    for kind, latency in total.latency.items():
        yield f"{kind + ' latency':16}{1000 * latency.quantile(0.95):>12g}   ms at most, for 95 % of {latency.count:,}"
    yield from _rows(
        "by namespace", {"/".join(name) or "-": (n.hits, n.misses) for name, n in total.namespaces.items()}
    )
    yield from _rows("by query type", {name: (n.hits, n.misses) for name, n in total.query_types.items()})
    yield from _rows("by process", {node: (one.hit_count, one.miss_count) for node, one in shared.nodes.items()})


def _table(name: str, counts: Any) -> Iterable[str]:
    yield f"{name:16}{sum(counts.values()):>12,}   " + ", ".join(f"{what} {n:,}" for what, n in sorted(counts.items()))


def _rows(title: str, rows: dict[str, tuple[int, int]]) -> Iterable[str]:
    """The busiest first."""
    if not rows:
        return
    yield f"\n{title:40}{'hits':>12}{'misses':>12}"
    chosen = sorted(rows.items(), key=lambda row: -sum(row[1]))
    for name, (hits, misses) in chosen[:_MOST_ROWS]:
        yield f"{name:40}{hits:>12,}{misses:>12,}"
    if len(chosen) > _MOST_ROWS:
        yield f"and {len(chosen) - _MOST_ROWS} more"
