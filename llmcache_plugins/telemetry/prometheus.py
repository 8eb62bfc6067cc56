"""The numbers of a cache for Prometheus, read when they are scraped: a lookup pays nothing for them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from llmcache_plugins.counters import LATENCY_BOUNDS, CacheStats, Latency
from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.telemetry.readings import Reading, readings
from llmcache_plugins.telemetry.watching import CountedCache, Watched

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise MissingExtraError("PrometheusCollector", "prometheus") from error

__all__ = ["PrometheusCollector"]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class PrometheusCollector(Collector):
    """`registry.register(PrometheusCollector(cache))`: counters, gauges and latencies of a cache, in base units.

    It does not keep a cache alive, and says nothing of one that is gone. One that cannot be read is left out of that
    scrape and logged once.

    Args:
        cache: a cache, or several by name, which becomes the label `cache`.
        prefix: what all names begin with.
        shared: what all processes that use the store have counted, in place of this one alone. Every process tells the
            same numbers then: have one of them scraped. Reading them asks the store.
        namespaces: also lookups by namespace: up to 257 label values, and names of tenants in your metrics.

    Raises:
        ConfigError: something else than a cache, a name without a cache, or a prefix that Prometheus does not allow.
    """

    def __init__(
        self,
        cache: CountedCache | Mapping[str, CountedCache],
        *,
        prefix: str = "llmcache",
        shared: bool = False,
        namespaces: bool = False,
    ) -> None:
        self._watched = Watched(cache, shared=shared)
        if not isinstance(prefix, str) or not _NAME.fullmatch(prefix):
            raise ConfigError(f"prefix must be letters, digits and underscores and begin with no digit, not {prefix!r}")
        self._label = ("cache",) if self._watched.is_named else ()
        self._prefix = prefix
        self._namespaces = namespaces

    def describe(self) -> Iterator[Metric]:
        """All names, without asking a cache: so a registry finds a second collector of the same names at once."""
        yield from self._families({"": CacheStats()})

    def collect(self) -> Iterator[Metric]:
        """The numbers of this moment; never raises."""
        yield from self._families(self._watched.read())

    def _families(self, caches: Mapping[str, CacheStats]) -> Iterator[Metric]:
        tables = {name: readings(stats, namespaces=self._namespaces) for name, stats in caches.items()}
        for column in zip(*tables.values(), strict=True):  # the same metric of each cache
            yield self._family(dict(zip(tables, column, strict=True)))
        if tables:
            yield from self._histograms(caches)

    def _family(self, column: Mapping[str, Reading]) -> Metric:
        one = next(iter(column.values()))
        words = [self._prefix, *one.name.split("."), *([one.unit] if one.unit else [])]
        kind = CounterMetricFamily if one.is_counter else GaugeMetricFamily
        family = kind("_".join(words), one.help, labels=[*self._label, *one.labels])
        for name, reading in column.items():
            for labels, number in reading.rows:
                family.add_metric([*self._of(name), *labels], number)
        return family

    def _histograms(self, caches: Mapping[str, CacheStats]) -> Iterator[Metric]:
        lookup = HistogramMetricFamily(
            f"{self._prefix}_lookup_seconds", "How long lookups took.", labels=[*self._label, "outcome"]
        )
        call = HistogramMetricFamily(
            f"{self._prefix}_model_call_seconds", "How long calls of models took.", labels=list(self._label)
        )
        for name, stats in caches.items():
            for kind in ("hit", "miss"):
                latency = stats.latency.get(kind, Latency())
                lookup.add_metric([*self._of(name), kind], _buckets(latency), latency.seconds)
            latency = stats.latency.get("model", Latency())
            call.add_metric(self._of(name), _buckets(latency), latency.seconds)
        yield from (lookup, call)

    def _of(self, name: str) -> list[str]:
        return [name] if self._label else []


_BOUNDS = (*(str(float(f"{bound:g}")) for bound in LATENCY_BOUNDS), "+Inf")


def _buckets(latency: Latency) -> list[tuple[str, float]]:
    """Up to each bound, all faster ones included: so Prometheus has them."""
    return list(zip(_BOUNDS, itertools.accumulate(latency.buckets), strict=True))
