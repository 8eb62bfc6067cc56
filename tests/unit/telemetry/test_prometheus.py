"""What Prometheus scrapes of a cache."""

from __future__ import annotations

import gc
import logging

import pytest

pytest.importorskip("prometheus_client")
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from llmcache_plugins import ConfigError, Request, open_cache
from llmcache_plugins.counters import LATENCY_BOUNDS, CacheStats, SharedStats
from llmcache_plugins.recorded import Event
from llmcache_plugins.telemetry import PrometheusCollector

Numbers = dict[tuple[str, tuple[str, ...]], float]


def scraped(registry: CollectorRegistry) -> Numbers:
    """Name and label values (in the order of their names) -> number, as the text of both formats has them."""
    text = openmetrics(registry).decode()
    found = {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parsed(text)
        for sample in family.samples
    }
    assert len(found) == sum(not line.startswith("#") for line in text.splitlines())
    plain = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert len(plain) == len(found)
    return found


def registry_of(*collectors: PrometheusCollector) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=True)
    for collector in collectors:
        registry.register(collector)
    return registry


def test_a_known_day_comes_out_as_it_was(day: list[Event]) -> None:
    with open_cache("memory://", embedder=None) as cache:
        for event in day:
            cache._emit(event)
        numbers = scraped(registry_of(PrometheusCollector(cache)))
    assert numbers["llmcache_lookups_total", ("hit", "exact")] == 130
    assert numbers["llmcache_lookups_total", ("miss", "no_candidates")] == 60
    assert numbers["llmcache_lookups_total", ("hit", "semantic")] == 0
    by_type = {
        query_type: (
            numbers["llmcache_query_type_lookups_total", ("hit", query_type)],
            numbers["llmcache_query_type_lookups_total", ("miss", query_type)],
        )
        for query_type in ("bgp", "device", "troubleshooting", "config")
    }
    assert by_type == {"bgp": (50, 10), "device": (30, 20), "troubleshooting": (10, 25), "config": (40, 5)}
    assert numbers["llmcache_time_saved_seconds_total", ()] == pytest.approx(386.7)
    assert numbers["llmcache_model_tokens_saved_total", ("small", "input")] == 1300
    assert numbers["llmcache_lookup_seconds_count", ("hit",)] == 130
    assert numbers["llmcache_lookup_seconds_sum", ("hit",)] == pytest.approx(3.3)
    assert numbers["llmcache_lookup_seconds_sum", ("miss",)] == pytest.approx(193.0)
    assert numbers["llmcache_lookup_seconds_bucket", ("0.02", "hit")] == 40
    assert numbers["llmcache_lookup_seconds_bucket", ("0.05", "hit")] == 130
    assert numbers["llmcache_lookup_seconds_bucket", ("+Inf", "miss")] == 60


def test_bounds_are_those_of_the_counts(day: list[Event]) -> None:
    with open_cache("memory://", embedder=None) as cache:
        found = scraped(registry_of(PrometheusCollector(cache)))
    bounds = [
        float(labels[0]) for name, labels in found if name == "llmcache_lookup_seconds_bucket" and "hit" in labels
    ]
    assert bounds == pytest.approx([*LATENCY_BOUNDS, float("inf")])


def test_all_processes_together_on_request(day: list[Event]) -> None:
    with open_cache("memory://", embedder=None) as cache:
        for event in day:
            cache._emit(event)
        cache.maintain()
        numbers = scraped(registry_of(PrometheusCollector(cache, shared=True)))
    assert numbers["llmcache_lookups_total", ("hit", "exact")] == 130
    assert numbers["llmcache_store_evictions_total", ("memory",)] == 8


def test_sizes_are_read_at_the_scrape_and_in_bytes() -> None:
    with open_cache("memory://", embedder=None) as cache:
        registry = registry_of(PrometheusCollector(cache))
        cache.update("What is BGP?", "A protocol.")
        numbers = scraped(registry)
        assert numbers["llmcache_store_entries", ("memory",)] == 1
        assert numbers["llmcache_store_size_bytes", ("memory",)] == cache.stats().stores["memory"].size_bytes
        cache.clear()
        assert scraped(registry)["llmcache_store_entries", ("memory",)] == 0


def test_namespaces_only_on_request(day: list[Event]) -> None:
    with open_cache("memory://", embedder=None) as cache:
        for event in day:
            cache._emit(event)
        assert not any("acme" in labels for _, labels in scraped(registry_of(PrometheusCollector(cache))))
        numbers = scraped(registry_of(PrometheusCollector(cache, namespaces=True)))
    assert numbers["llmcache_namespace_lookups_total", ("acme", "hit")] == 130


def test_no_text_of_a_question_or_an_answer(day: list[Event]) -> None:
    with open_cache("memory://", embedder=None) as cache:
        for event in day:
            cache._emit(event)
        assert b"secret" not in generate_latest(registry_of(PrometheusCollector(cache, namespaces=True)))


def test_several_caches_are_told_apart_by_name_in_one_collector() -> None:
    with open_cache("memory://", embedder=None) as one, open_cache("memory://", embedder=None) as two:
        one.lookup("a")
        numbers = scraped(registry_of(PrometheusCollector({"answers": one, "tools": two}, prefix="app")))
        assert numbers["app_lookups_total", ("answers", "miss", "no_embedder")] == 1
        assert numbers["app_lookups_total", ("tools", "miss", "no_embedder")] == 0
        registry = registry_of(PrometheusCollector(one))
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            registry.register(PrometheusCollector(two))


def test_half_a_character_in_the_name_of_a_model_ends_no_scrape() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.update(Request("a", model="m\ud800"), "b")
        assert scraped(registry_of(PrometheusCollector(cache)))["llmcache_model_calls_total", ("m\\ud800",)] == 1


def test_cache_that_nobody_has_any_more_says_nothing() -> None:
    cache = open_cache("memory://", embedder=None)
    registry = registry_of(PrometheusCollector(cache))
    assert scraped(registry)
    cache.close()
    del cache
    gc.collect()
    assert scraped(registry) == {}


def test_cache_that_cannot_be_read_spares_the_others_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def stats(self) -> CacheStats:
            raise OSError("redis://user:password@host")

        def shared_stats(self) -> SharedStats:
            raise OSError

    broken = Broken()
    with open_cache("memory://", embedder=None) as cache, caplog.at_level(logging.WARNING):
        registry = registry_of(PrometheusCollector({"broken": broken, "good": cache}))
        assert {labels[0] for name, labels in scraped(registry) if name == "llmcache_lookups_total"} == {"good"}
        scraped(registry)
    assert [record.getMessage() for record in caplog.records] == ["the counts of a cache cannot be read (OSError)"]


@pytest.mark.parametrize(
    ("cache", "settings", "said"),
    [
        ("memory://", {}, "cache must be a SemanticCache, not str"),
        ({}, {}, "empty mapping"),
        (None, {"prefix": "my-cache"}, "prefix must be letters"),
    ],
)
def test_wrong_arguments_are_refused_at_once(cache: object, settings: dict[str, str], said: str) -> None:
    with open_cache("memory://", embedder=None) as real, pytest.raises(ConfigError, match=said):
        PrometheusCollector(real if cache is None else cache, **settings)  # type: ignore[arg-type]
