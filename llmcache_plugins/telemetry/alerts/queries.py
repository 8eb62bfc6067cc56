"""The measures of alert rules as PromQL, over the metrics of `PrometheusCollector`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from llmcache_plugins.errors import ConfigError

__all__ = ["BY", "QUERIES", "Query", "checked_prefix", "duration"]

BY = "job, cache"
"""What one alert is about: a job's processes together. Without names of caches there is no label `cache`, which is as
good as an empty one."""

_PREFIX = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_Z = "1.959963984540054"  # as in llmcache_plugins.analysis: the 97.5 % point of the normal distribution
_Z2 = "3.8414588206941236"
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


@dataclass(frozen=True, slots=True)
class Query:
    """A measure in PromQL.

    Args:
        value: an expression over the records and metrics.
        samples: records of what the value rests on; each has to reach the minimum. Empty where it rests on no number.
        records: by the name under which Prometheus keeps it: the expressions that `value` refers to.
    """

    value: str
    samples: tuple[str, ...] = ()
    records: Mapping[str, str] = field(default_factory=dict)


Make: TypeAlias = Callable[[str, str], Query]
"""From the prefix of the metrics and the window, a duration of PromQL."""


def duration(seconds: float) -> str:
    """As PromQL has it, to the millisecond.

    >>> duration(900), duration(90), duration(0.5)
    ('15m', '90s', '500ms')
    """
    milliseconds = max(1, round(seconds * 1000))
    size, unit = next((size, unit) for size, unit in _UNITS if milliseconds % size == 0)
    return f"{milliseconds // size}{unit}"


def checked_prefix(prefix: str) -> str:
    """
    Raises:
        ConfigError: Prometheus does not allow it.
    """
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"prefix must be letters, digits and underscores and begin with no digit, not {prefix!r}")
    return prefix


# ---------------------------------------------------------------- counters within a window
_COUNTERS = {
    "hits": '_lookups_total{outcome="hit"}',
    "lookups": '_lookups_total{outcome=~"hit|miss"}',
    "rejected": '_validations_total{outcome="rejected"}',
    "validated": "_validations_total",
    "timed_hits": '_lookup_seconds_count{outcome="hit"}',
}


def _counted(prefix: str, window: str, *names: str) -> dict[str, str]:
    return {f"{prefix}:{name}:{window}": _increase(f"{prefix}{_COUNTERS[name]}", window) for name in names}


def _before(prefix: str, window: str, *names: str) -> dict[str, str]:
    return {
        f"{prefix}:{name}_before:{window}": _increase(f"{prefix}{_COUNTERS[name]}", window, f" offset {window}")
        for name in names
    }


def _increase(counter: str, window: str, offset: str = "") -> str:
    return f"sum by ({BY}) (increase({counter}[{window}]{offset}))"


# ---------------------------------------------------------------- shares and their intervals
def _hit_rate(prefix: str, window: str) -> Query:
    records = _counted(prefix, window, "hits", "lookups")
    hits, lookups = records
    return Query(f"{hits} / {lookups}", (lookups,), records)


def _hit_rate_fall(prefix: str, window: str) -> Query:
    now, before = (make(prefix, window, "hits", "lookups") for make in (_counted, _before))
    return _difference(before, now)


def _false_hit_rate(prefix: str, window: str) -> Query:
    records = _counted(prefix, window, "rejected", "validated")
    rejected, validated = records
    return Query(_wilson(rejected, validated, "+"), (validated,), records)


def _false_hit_rise(prefix: str, window: str) -> Query:
    now, before = (make(prefix, window, "rejected", "validated") for make in (_counted, _before))
    return _difference(now, before)


def _wilson(count: str, total: str, sign: str) -> str:
    """An end of Wilson's interval: `+` the upper one."""
    share = f"{count} / {total}"
    half = f"{_Z} * sqrt({share} * (1 - {share}) / {total} + {_Z2} / (4 * {total} ^ 2))"
    return f"({share} + {_Z2} / (2 * {total}) {sign} {half}) / (1 + {_Z2} / {total})"


def _difference(one: Mapping[str, str], other: Mapping[str, str]) -> Query:
    """By how much the share of `one` is above that of `other`, at least: as `measures` has it."""
    (first, of_first), (second, of_second) = one, other
    low, high = _wilson(first, of_first, "-"), _wilson(second, of_second, "+")
    rates = f"{first} / {of_first}", f"{second} / {of_second}"
    bound = f"sqrt(({rates[0]} - {low}) ^ 2 + ({high} - {rates[1]}) ^ 2)"
    return Query(f"{rates[0]} - {rates[1]} - {bound}", (of_first, of_second), {**one, **other})


# ---------------------------------------------------------------- everything else
def _hit_latency_p95(prefix: str, window: str) -> Query:
    buckets = f'{prefix}_lookup_seconds_bucket{{outcome="hit"}}'
    records = _counted(prefix, window, "timed_hits")
    return Query(f"histogram_quantile(0.95, sum by ({BY}, le) (rate({buckets}[{window}])))", tuple(records), records)


def _evictions_per_hour(prefix: str, window: str) -> Query:
    return Query(f"3600 * sum by ({BY}) (rate({prefix}_evictions_total[{window}]))")


def _memory(prefix: str, window: str) -> Query:
    return Query(f"max by ({BY}) ({prefix}_utilisation_ratio)")


def _server_warnings(prefix: str, window: str) -> Query:
    return Query(_increase(f'{prefix}_warnings_total{{kind=~"memory|server_evictions"}}', window))


def _store_down(prefix: str, window: str) -> Query:
    return Query(f"max by ({BY}) (count by ({BY}, instance) ({prefix}_store_up == 0))")  # as one process finds them


def _circuit_open(prefix: str, window: str) -> Query:
    return Query(_increase(f"{prefix}_left_alone_total", window))


QUERIES: Mapping[str, Make] = MappingProxyType(
    {
        "hit_rate": _hit_rate,
        "hit_rate_fall": _hit_rate_fall,
        "false_hit_rate": _false_hit_rate,
        "false_hit_rise": _false_hit_rise,
        "hit_latency_p95": _hit_latency_p95,
        "evictions_per_hour": _evictions_per_hour,
        "memory": _memory,
        "server_warnings": _server_warnings,
        "store_down": _store_down,
        "circuit_open": _circuit_open,
    }
)
"""By the name of the measure."""
