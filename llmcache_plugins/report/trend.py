"""What has changed since an earlier report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.report.values import VERSION, Change, Report, Trend

__all__ = ["trend_of"]

_FOLLOWED = {  # name of the number: where it is in the JSON
    "lookups": ("lookups",),
    "hits": ("hit_count",),
    "misses": ("miss_count",),
    "hit_rate": ("hit_rate",),
    "hit_seconds_mean": ("timings", "hit", "mean"),
    "hit_seconds_p95": ("timings", "hit", "p95"),
    "uncached_seconds": ("uncached_seconds",),
    "false_hit_rate": ("false_hits", "rate"),
    "net_saved": ("money", "net"),
    "entries": ("entries",),
    "size_bytes": ("size_bytes",),
    "evictions": ("evictions",),
}


def trend_of(report: Report, earlier: Mapping[str, Any]) -> Report:
    """The report with what has changed since `earlier`, the JSON of another.

    Raises:
        ConfigError: it is no report of this version.
    """
    at = _number(earlier, ("at",)) if isinstance(earlier, Mapping) else None
    if at is None or earlier.get("version") != VERSION:
        raise ConfigError(f"what is compared with must be the JSON of a report, version {VERSION}")
    now = report.as_json()
    changes = {name: Change(_number(earlier, path), _number(now, path)) for name, path in _FOLLOWED.items()}
    lookups, hits = _between(changes["lookups"]), _between(changes["hits"])
    # With another beginning, or with less than then, these are not the same counts gone on.
    if lookups is None or hits is None or _number(earlier, ("since",)) != report.since:
        return replace(report, trend=Trend(at, changes))
    return replace(report, trend=Trend(at, changes, lookups, hits / lookups if lookups else None))


def _between(change: Change) -> int | None:
    return None if change.by is None or change.by < 0 else int(change.by)


def _number(content: Any, path: tuple[str, ...]) -> float | None:
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    if isinstance(content, bool) or not isinstance(content, int | float) or not math.isfinite(content):
        return None
    return content
