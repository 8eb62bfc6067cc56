"""What alert rules can measure: pure functions of what a cache has counted between two moments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmcache_plugins.analysis import wilson
from llmcache_plugins.telemetry.alerts.counted import Counted, Sight

__all__ = ["MEASURES", "Measure", "Measured"]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """
    Args:
        value: in the unit of the measure.
        sample: how many it rests on; 0 where the measure does not rest on a number.
        part: the tier or store it is about, or several with commas; empty for the whole cache.
    """

    value: float
    sample: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """
    Args:
        help: what it is, in one line.
        unit: of its values: `"ratio"`, `"seconds"`, `"per hour"` or `""` for a number.
        read: its value; None where nothing is known.
        sample: what its sample counts; empty where it rests on none.
    """

    help: str
    unit: str
    read: Callable[[Sight], Measured | None]
    sample: str = ""


def _hit_rate(sight: Sight) -> Measured | None:
    hits, lookups = _lookups(sight.now)
    return Measured(hits / lookups, lookups) if lookups else None


def _hit_rate_fall(sight: Sight) -> Measured | None:
    return _difference(_lookups(sight.before), _lookups(sight.now))


def _false_hit_rate(sight: Sight) -> Measured | None:
    rejected, validated = _validated(sight.now)
    return Measured(wilson(rejected, validated)[1], validated) if validated else None


def _false_hit_rise(sight: Sight) -> Measured | None:
    return _difference(_validated(sight.now), _validated(sight.before))


def _hit_latency_p95(sight: Sight) -> Measured | None:
    latency = sight.now.hit_latency
    return Measured(latency.quantile(0.95), latency.count) if latency.count else None


def _evictions_per_hour(sight: Sight) -> Measured | None:
    # Of a window that has only begun the whole length counts: four evictions in the first minute are no 240 an hour.
    return Measured(sight.now.numbers["evictions"] * _HOUR / max(sight.seconds, sight.window))


def _memory(sight: Sight) -> Measured | None:
    return None if sight.utilisation is None else Measured(sight.utilisation)


def _server_warnings(sight: Sight) -> Measured | None:
    kinds = sight.now.warnings
    return Measured(kinds["memory"] + kinds["server_evictions"])


def _store_down(sight: Sight) -> Measured | None:
    return Measured(len(sight.stores_down), part=", ".join(sight.stores_down))


def _circuit_open(sight: Sight) -> Measured | None:
    left_alone = sight.now.left_alone
    return Measured(left_alone.total(), part=", ".join(sorted(left_alone)))


def _lookups(now: Counted) -> tuple[int, int]:
    hits = now.numbers["hits"]
    return hits, hits + now.numbers["misses"]


def _validated(now: Counted) -> tuple[int, int]:
    validated = now.numbers["validated"]
    return min(now.numbers["rejected"], validated), validated


def _difference(one: tuple[int, int], other: tuple[int, int]) -> Measured | None:
    """By how much the first share is above the other, at least, with 95 % confidence; the smaller sample.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10 (two Wilson intervals).
    """
    if not one[1] or not other[1]:
        return None
    first, second = one[0] / one[1], other[0] / other[1]
    low, high = wilson(*one)[0], wilson(*other)[1]
    return Measured(first - second - math.hypot(first - low, high - second), min(one[1], other[1]))


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "hit_rate": Measure("hits over lookups", "ratio", _hit_rate, "lookups"),
        "hit_rate_fall": Measure(
            "by how much the hit rate is below that of the window before, at least (95 %)",
            "ratio",
            _hit_rate_fall,
            "lookups",
        ),
        "false_hit_rate": Measure(
            "share of matches that validators refuse, at most (95 %)", "ratio", _false_hit_rate, "validations"
        ),
        "false_hit_rise": Measure(
            "by how much that share is above that of the window before, at least (95 %)",
            "ratio",
            _false_hit_rise,
            "validations",
        ),
        "hit_latency_p95": Measure("95 of 100 hits took no longer", "seconds", _hit_latency_p95, "hits"),
        "evictions_per_hour": Measure("entries that left for want of room", "per hour", _evictions_per_hour),
        "memory": Measure("how much of its capacity the store has taken", "ratio", _memory),
        "server_warnings": Measure("warnings that the server of the store is full, or evicts", "", _server_warnings),
        "store_down": Measure("stores that cannot be asked", "", _store_down),
        "circuit_open": Measure("calls of a part that were not made, for it failed just before", "", _circuit_open),
    }
)
"""By name."""
