"""Percentiles of latencies, from the histogram that every cache keeps."""

from __future__ import annotations

from dataclasses import dataclass

from llmcache_plugins.counters import Latency

__all__ = ["HISTOGRAM_ERROR", "Percentiles", "percentiles_of"]

HISTOGRAM_ERROR = 1.5
"""A bound may be 2.5 times what it stands for: from 2 to 5 milliseconds, say. See `LATENCY_BOUNDS`."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds that half, 95 % and 99 % of lookups or calls took at most; 0.0 of none.

    Args:
        count: of how many.
        relative_error: each is at most this share off the true one; 0.01 is 1 %.
    """

    count: int
    p50: float
    p95: float
    p99: float
    relative_error: float


def percentiles_of(latency: Latency) -> Percentiles:
    """Of `cache.stats().latency["hit"]`, or of all processes: `cache.shared_stats().total.latency["hit"]`.

    They are too high, never too low: each is the bound of the histogram above the true one, infinite beyond the last.
    A `LatencyRecorder` is closer.

    >>> percentiles_of(Latency()).p95
    0.0
    """
    return Percentiles(
        latency.count, latency.quantile(0.5), latency.quantile(0.95), latency.quantile(0.99), HISTOGRAM_ERROR
    )
