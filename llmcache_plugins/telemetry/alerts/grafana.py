"""A dashboard of Grafana over the metrics of `PrometheusCollector`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcache_plugins.telemetry.alerts.prometheus_rules import SOURCE
from llmcache_plugins.telemetry.alerts.queries import checked_prefix
from llmcache_plugins.types import JsonValue

__all__ = ["grafana_dashboard"]

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDE, _HEIGHT = 24, 8  # of Grafana's grid
_CHOSEN = 'job=~"$job", cache=~"$cache"'
_OF = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class _Panel:
    """
    Args:
        queries: by what the legend calls them; `{{label}}` there is the value of a label.
        unit: by Grafana's name.
        width: of 24.
    """

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 8


def grafana_dashboard(*, prefix: str = "llmcache") -> dict[str, JsonValue]:
    """The dashboard as Grafana imports it: JSON, version 10 or later. It asks for the data source, the jobs and the
    caches to show. `write_files` makes a file of it.

    Args:
        prefix: that of the collector.

    Raises:
        ConfigError: a prefix that Prometheus does not allow.
    """
    prefix = checked_prefix(prefix)
    return {
        "uid": prefix.replace("_", "-")[:40],
        "title": "LLM cache",
        "tags": ["llmcache"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables(prefix))},
        "panels": list(_placed(prefix)),
    }


def _variables(prefix: str) -> Iterator[JsonValue]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    for name in ("job", "cache"):
        yield {
            "name": name,
            "label": name.title(),
            "type": "query",
            "datasource": dict(_SOURCE),
            "query": f"label_values({prefix}_lookups_total, {name})",
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",  # also where there is no such label: a cache without a name
            "current": {"text": "All", "value": "$__all"},
        }


def _placed(prefix: str) -> Iterator[JsonValue]:
    x = y = 0
    for number, panel in enumerate(_panels(prefix), start=1):
        if x + panel.width > _WIDE:
            x, y = 0, y + _HEIGHT
        is_table = panel.kind == "table"
        yield {
            "id": number,
            "type": panel.kind,
            "title": panel.title,
            "datasource": dict(_SOURCE),
            "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {
                    "refId": chr(ord("A") + place),
                    "datasource": dict(_SOURCE),
                    "expr": query,
                    "legendFormat": legend,
                    "instant": is_table,
                    "range": not is_table,
                    "format": "table" if is_table else "time_series",
                }
                for place, (legend, query) in enumerate(panel.queries.items())
            ],
        }
        x += panel.width


def _panels(prefix: str) -> Iterator[_Panel]:
    def rate(metric: str, by: str = "", *only: str, over: str = _OF) -> str:
        labels = ", ".join((*only, _CHOSEN))
        return f"sum by ({by}) (rate({prefix}_{metric}{{{labels}}}[{over}]))"

    def share(metric: str, of: str, wanted: str, by: str = "") -> str:
        return f"{rate(metric, by, wanted)} / {rate(metric, by, of)}"

    def now(metric: str, by: str, how: str = "sum") -> str:
        return f"{how} by ({by}) ({prefix}_{metric}{{{_CHOSEN}}})"

    def quantile(share: float, metric: str, *only: str) -> str:
        return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le', *only)})"

    hit, ended = 'outcome="hit"', 'outcome=~"hit|miss"'
    yield from _alerts()
    yield _Panel("Hit rate", {"hit rate": share("lookups_total", ended, hit)}, "percentunit")
    yield _Panel("Lookups", {"{{outcome}}": rate("lookups_total", "outcome")}, "reqps")
    yield _Panel("Hits by kind", {"{{reason}}": rate("lookups_total", "reason", hit)}, "reqps")
    yield _Panel("Hit rate by tier", {"{{tier}}": share("tier_lookups_total", ended, hit, "tier")}, "percentunit")
    yield _Panel(
        "Hit rate by query type",
        {"{{query_type}}": share("query_type_lookups_total", ended, hit, "query_type")},
        "percentunit",
    )
    yield _Panel("Misses by reason", {"{{reason}}": rate("lookups_total", "reason", 'outcome="miss"')}, "reqps")
    for title, metric, only in (
        ("Latency of hits", "lookup_seconds", (hit,)),
        ("Latency of misses (lookup)", "lookup_seconds", ('outcome="miss"',)),
        ("Latency of model calls", "model_call_seconds", ()),
    ):
        yield _Panel(title, {f"p{100 * one:g}": quantile(one, metric, *only) for one in (0.5, 0.95, 0.99)}, "s")
    yield _Panel(
        "Left the cache per hour",
        {
            "evicted": f"3600 * {rate('evictions_total')}",
            "expired": f"3600 * {rate('store_expirations_total')}",
            "invalidated": f"3600 * {rate('invalidations_total')}",
        },
    )
    yield _Panel(
        "Capacity taken",
        {"all": now("utilisation_ratio", "", "max"), "{{tier}}": now("tier_utilisation_ratio", "tier", "max")},
        "percentunit",
    )
    yield _Panel("Size", {"{{store}}": now("store_size_bytes", "store", "max")}, "bytes")
    yield _Panel(
        "Errors",
        {
            "{{component}}": rate("errors_total", "component"),
            "{{component}}, not asked": rate("left_alone_total", "component"),
        },
        "cps",
    )
    yield _Panel("Stores that can be asked", {"{{store}}": now("store_up", "store", "min")}, "bool_on_off")
    yield _Panel(
        "Matches that validators refuse",
        {"refused": share("validations_total", 'outcome=~"accepted|rejected"', 'outcome="rejected"')},
        "percentunit",
    )
    yield _Panel("Tokens saved", {"{{type}}": rate("model_tokens_saved_total", "type")}, "cps")
    yield _Panel(
        "Model calls",
        {"made": rate("model_calls_total"), "spared": rate("model_calls_saved_total")},
        "reqps",
    )
    yield _Panel("Time saved, seconds each second", {"saved": rate("time_saved_seconds_total")}, "s")


def _alerts() -> Iterator[_Panel]:
    # Alerts that were sent without labels of a job are not among those of a chosen one: all that come from a cache are.
    fires = f'ALERTS{{source="{SOURCE}", alertstate="firing"}}'
    yield _Panel(
        "Alerts", {"{{alertname}}": f"max by (alertname, severity, job, cache) ({fires})"}, "short", "table", _WIDE
    )
