"""What OpenTelemetry's SDK gets of a cache."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llmcache_plugins import ConfigError, Request, open_cache
from llmcache_plugins.counters import LATENCY_BOUNDS
from llmcache_plugins.recorded import Event, LookupEvent, UpdateEvent
from llmcache_plugins.telemetry import OpenTelemetryRecorder, observe_cache
from llmcache_plugins.types import Miss, MissReason, UpdateOutcome

Numbers = dict[tuple[str, tuple[object, ...]], float]


class Metrics:
    """An SDK whose exports are looked at."""

    def __init__(self) -> None:
        self.reader, self.other = InMemoryMetricReader(), InMemoryMetricReader()
        self.provider = MeterProvider([self.reader, self.other])
        self.meter = self.provider.get_meter("test")

    def points(self, reader: InMemoryMetricReader | None = None) -> dict[tuple[str, tuple[object, ...]], object]:
        found = (reader or self.reader).get_metrics_data()
        return {
            (metric.name, tuple(value for _, value in sorted(point.attributes.items()))): point
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }

    def numbers(self, reader: InMemoryMetricReader | None = None) -> Numbers:
        return {name: point.value for name, point in self.points(reader).items() if hasattr(point, "value")}


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics()
    yield metrics
    metrics.provider.shutdown()


@pytest.fixture
def traced() -> Iterator[tuple[TracerProvider, Callable[[], tuple[ReadableSpan, ...]]]]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter.get_finished_spans
    provider.shutdown()


def test_a_known_day_comes_out_as_it_was(day: list[Event], metrics: Metrics) -> None:
    recorder = OpenTelemetryRecorder(meter=metrics.meter)
    with open_cache("memory://", embedder=None, recorders=[recorder]) as cache:
        observe_cache(cache, meter=metrics.meter)
        for event in day:
            cache._emit(event)
        recorder.close()
        points, numbers = metrics.points(), metrics.numbers(metrics.other)
    assert numbers["llmcache.lookups", ("hit", "exact")] == 130
    assert numbers["llmcache.lookups", ("miss", "no_candidates")] == 60
    by_type = {
        query_type: (
            numbers["llmcache.query_type.lookups", ("hit", query_type)],
            numbers["llmcache.query_type.lookups", ("miss", query_type)],
        )
        for query_type in ("bgp", "device", "troubleshooting", "config")
    }
    assert by_type == {"bgp": (50, 10), "device": (30, 20), "troubleshooting": (10, 25), "config": (40, 5)}
    assert numbers["llmcache.time_saved", ()] == pytest.approx(386.7)
    assert numbers["llmcache.model.tokens_saved", ("small", "output")] == 650
    hits, misses = (points["llmcache.lookup.duration", (outcome,)] for outcome in ("hit", "miss"))
    assert (hits.count, hits.sum) == (130, pytest.approx(3.3))
    assert (misses.count, misses.sum) == (60, pytest.approx(193.0))
    assert tuple(hits.explicit_bounds) == LATENCY_BOUNDS
    assert dict(zip(LATENCY_BOUNDS, hits.bucket_counts, strict=False))[0.02] == 40


def test_names_of_the_conventions_and_base_units(day: list[Event], metrics: Metrics) -> None:
    with open_cache("memory://", embedder=None) as cache:
        for event in day:
            cache._emit(event)
        observe_cache(cache, meter=metrics.meter)
        (resource,) = metrics.reader.get_metrics_data().resource_metrics
    found = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    (point, *_) = found["llmcache.model.tokens_saved"].data.data_points
    assert set(point.attributes) == {"gen_ai.request.model", "gen_ai.token.type"}
    assert (found["llmcache.store.size"].unit, found["llmcache.time_saved"].unit) == ("By", "s")


def test_each_export_of_each_reader_has_the_numbers_of_its_time(metrics: Metrics) -> None:
    with open_cache("memory://", embedder=None) as cache:
        observe_cache(cache, meter=metrics.meter)
        missed = "llmcache.lookups", ("miss", "no_embedder")
        for expected in (1, 2):
            cache.lookup("a")
            assert metrics.numbers()[missed] == expected
        cache.lookup("a")
        assert metrics.numbers(metrics.other)[missed] == 3
        assert metrics.numbers(metrics.reader)[missed] == 3


def test_several_caches_are_told_apart_by_name(metrics: Metrics) -> None:
    with open_cache("memory://", embedder=None) as one, open_cache("memory://", embedder=None) as two:
        observe_cache({"answers": one, "tools": two}, meter=metrics.meter, shared=True)
        one.lookup("a")
        one.maintain()
        numbers = metrics.numbers()
    assert numbers["llmcache.lookups", ("answers", "miss", "no_embedder")] == 1
    assert numbers["llmcache.lookups", ("tools", "miss", "no_embedder")] == 0


def test_cache_that_nobody_has_any_more_says_nothing(metrics: Metrics) -> None:
    cache = open_cache("memory://", embedder=None)
    observe_cache(cache, meter=metrics.meter)
    assert metrics.numbers()
    cache.close()
    del cache
    gc.collect()
    assert metrics.numbers() == {}


def test_a_lookup_has_a_span_below_the_one_it_was_asked_in(traced) -> None:
    provider, finished = traced
    tracer = provider.get_tracer("test")
    recorder = OpenTelemetryRecorder(tracer=tracer)
    with open_cache("memory://", embedder=None, recorders=[recorder], namespace=("acme",)) as cache:
        question = Request("secret question", model="small", query_type="bgp", namespace=("shop",))
        cache.update(question, "secret answer")
        with tracer.start_as_current_span("chat") as chat:
            hit = cache.lookup(question)
        cache.lookup("other secret")
    recorder.close()
    served, missed = (span for span in finished() if span.name == "llmcache.lookup")
    assert served.parent is not None
    assert (served.parent.span_id, missed.parent) == (chat.get_span_context().span_id, None)
    assert served.end_time - served.start_time == pytest.approx(hit.latency * 1e9, abs=2)
    assert chat.start_time < served.start_time < served.end_time < chat.end_time
    attributes = dict(served.attributes)
    assert attributes["gen_ai.request.model"] == "small"
    assert (attributes["llmcache.outcome"], attributes["llmcache.kind"]) == ("hit", "exact")
    assert (attributes["llmcache.query_type"], attributes["llmcache.namespace"]) == ("bgp", ("shop",))
    assert (missed.attributes["llmcache.outcome"], missed.attributes["llmcache.reason"]) == ("miss", "no_embedder")
    assert "secret" not in "".join(json.dumps(dict(span.attributes)) for span in (served, missed))
    assert not any(name.startswith("gen_ai.operation") for name in attributes)


def test_lookup_that_a_broken_store_failed_says_so(traced) -> None:
    provider, finished = traced
    recorder = OpenTelemetryRecorder(tracer=provider.get_tracer("test"))
    recorder(LookupEvent(Miss(MissReason.STORE_ERROR), ()))
    recorder(LookupEvent(Miss(MissReason.NO_CANDIDATES), ()))
    recorder.close()
    assert [span.attributes.get("error.type") for span in finished()] == ["store_error", None]


def test_calls_of_models_are_timed(metrics: Metrics) -> None:
    recorder = OpenTelemetryRecorder(meter=metrics.meter)
    recorder(UpdateEvent(UpdateOutcome(True), (), seconds=2.0))
    recorder(UpdateEvent(UpdateOutcome(True), ()))
    recorder.close()
    point = metrics.points()["llmcache.model.duration", ()]
    assert (point.count, point.sum) == (1, 2.0)


def test_what_does_not_fit_is_counted(day: list[Event], metrics: Metrics) -> None:
    recorder = OpenTelemetryRecorder(meter=metrics.meter, limit=100, interval=3600)
    recorder.close()
    recorder(day[1])
    assert recorder.dropped == 1


def test_something_else_than_a_cache_is_refused(metrics: Metrics) -> None:
    with pytest.raises(ConfigError, match="cache must be a SemanticCache, not dict_keys"):
        observe_cache({}.keys(), meter=metrics.meter)  # type: ignore[arg-type]


def test_half_a_character_in_a_name_ends_no_export(traced) -> None:
    provider, finished = traced
    recorder = OpenTelemetryRecorder(tracer=provider.get_tracer("test"))
    recorder(LookupEvent(Miss(MissReason.NO_CANDIDATES), ("a\udfff",), "", "m\ud800"))
    recorder.close()
    (span,) = finished()
    assert span.attributes["gen_ai.request.model"] == "m\\ud800"
    assert span.attributes["llmcache.namespace"] == ("a\\udfff",)
