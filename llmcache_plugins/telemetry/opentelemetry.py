"""The numbers and the lookups of a cache for OpenTelemetry. Only its API is used: the user's SDK does the rest.

Names are those of the GenAI conventions where there is one (`gen_ai.request.model`, `gen_ai.token.type`, `error.type`),
else `llmcache.*`. A lookup is no call of a model, so it has no `gen_ai.operation.name`: backends would count it as one.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llmcache_plugins.counters import LATENCY_BOUNDS, CacheStats
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.recorded import Event, LookupEvent, UpdateEvent
from llmcache_plugins.telemetry.backlog import Backlog
from llmcache_plugins.telemetry.feed import Behind, Noted
from llmcache_plugins.telemetry.fields import Light, fields_of, latency_of, printable
from llmcache_plugins.telemetry.readings import Reading, readings
from llmcache_plugins.telemetry.watching import CountedCache, Watched
from llmcache_plugins.types import JsonValue, Miss

try:
    from opentelemetry import context, metrics
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.trace import SpanKind, Tracer
except ImportError as error:
    raise MissingExtraError("OpenTelemetryRecorder", "otel") from error

__all__ = ["OpenTelemetryRecorder", "observe_cache"]

_SCOPE = "llmcache_plugins"
_UNITS = {"": "1", "seconds": "s", "bytes": "By", "ratio": "1"}
_BY_CONVENTION = {"model": "gen_ai.request.model", "type": "gen_ai.token.type"}
_FAILURES = frozenset(("store_error", "embedder_error", "internal_error", "damaged"))


def observe_cache(
    cache: CountedCache | Mapping[str, CountedCache],
    *,
    meter: Meter | None = None,
    shared: bool = False,
    namespaces: bool = False,
) -> None:
    """Make the counts and sizes of a cache observable: `llmcache.lookups`, `llmcache.store.size`, ...

    They are read when metrics are exported, so that a lookup pays nothing. Call it once for one meter. It does not keep
    a cache alive, and one that cannot be read is left out and logged once.

    Args:
        cache: a cache, or several by name, which becomes the attribute `llmcache.cache`.
        meter: of your `MeterProvider`; by default of the global one.
        shared: what all processes that use the store have counted; let one of them export it. Asks the store.
        namespaces: also lookups by namespace: up to 257 values, and names of tenants in your metrics.

    Raises:
        ConfigError: something else than a cache, or none.
    """
    snapshot = _Snapshot(Watched(cache, shared=shared), namespaces=namespaces)
    meter = metrics.get_meter(_SCOPE) if meter is None else meter
    for reading in snapshot.catalogue:
        make = meter.create_observable_counter if reading.is_counter else meter.create_observable_gauge
        make(
            f"llmcache.{reading.name}",
            callbacks=[_observing(snapshot, reading.name)],
            unit=_UNITS[reading.unit],
            description=reading.help,
        )


def _observing(snapshot: _Snapshot, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda options: snapshot.observations(name)


class _Snapshot:
    """All numbers of one moment. Each instrument is asked by itself: the second time that one is, a new moment has
    come, in whatever order a reader goes through them."""

    def __init__(self, watched: Watched, *, namespaces: bool) -> None:
        self._watched = watched
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._found: dict[str, list[Observation]] | None = None
        self.catalogue = readings(CacheStats(), namespaces=namespaces)

    def observations(self, name: str) -> list[Observation]:
        with self._lock:
            if self._found is None or name in self._told:
                self._found, self._told = self._read(), set()
            self._told.add(name)
            return self._found.get(name, [])

    def _read(self) -> dict[str, list[Observation]]:
        found: dict[str, list[Observation]] = {}
        for name, stats in self._watched.read().items():
            own = {"llmcache.cache": name} if self._watched.is_named else {}
            for reading in readings(stats, namespaces=self._namespaces):
                found.setdefault(reading.name, []).extend(_observed(reading, own))
        return found


def _observed(reading: Reading, own: Mapping[str, str]) -> list[Observation]:
    names = [_BY_CONVENTION.get(label, f"llmcache.{label}") for label in reading.labels]
    return [Observation(number, {**own, **dict(zip(names, labels, strict=True))}) for labels, number in reading.rows]


class OpenTelemetryRecorder(Behind):
    """A recorder of latencies (`llmcache.lookup.duration`, `llmcache.model.duration`, histograms in seconds) and, with
    a tracer, of a span `llmcache.lookup` for each lookup, below the span in which it was asked.

    A thread of its own records both: a lookup leaves its numbers and goes on. A span tells kind of hit or reason of
    miss, similarity, type of question, tier, namespace and what was saved; never a text. For counts see
    `observe_cache`. Close it before you shut the SDK down.

    Args:
        meter: of your `MeterProvider`; by default of the global one.
        tracer: of your `TracerProvider`; None for no spans.
        limit: how many lookups may wait; what does not fit is counted in `dropped`.
        interval: seconds between two visits of the thread.

    Raises:
        ConfigError: a number out of range.
    """

    def __init__(
        self,
        *,
        meter: Meter | None = None,
        tracer: Tracer | None = None,
        limit: int = 10_000,
        interval: float = 1.0,
    ) -> None:
        super().__init__()
        meter = metrics.get_meter(_SCOPE) if meter is None else meter
        self._lookups, self._calls = (
            meter.create_histogram(
                f"llmcache.{what}.duration",
                unit="s",
                description=description,
                explicit_bucket_boundaries_advisory=LATENCY_BOUNDS,
            )
            for what, description in (("lookup", "How long lookups took."), ("model", "How long calls of models took."))
        )
        self._tracer = tracer
        self._backlog: Backlog[Noted] = Backlog(self._tell, "llmcache opentelemetry", limit=limit, interval=interval)

    def take(self, noted: Noted) -> None:
        event = noted[2]
        if isinstance(event, tuple | LookupEvent) or (isinstance(event, UpdateEvent) and event.seconds is not None):
            self._backlog.put(noted)

    def surroundings(self) -> Context:
        return context.get_current()

    def _tell(self, values: list[Noted]) -> None:
        for at, around, event in values:
            if isinstance(event, UpdateEvent) and event.seconds is not None:
                self._calls.record(event.seconds, context=around)
            elif isinstance(event, tuple):
                self._lookup(at, around, event, "hit", latency_of(event))
            elif isinstance(event, LookupEvent):
                outcome = event.outcome
                self._lookup(at, around, event, "miss" if isinstance(outcome, Miss) else "bypass", outcome.latency)

    def _lookup(self, at: float, around: Context, event: Event | Light, outcome: str, seconds: float) -> None:
        self._lookups.record(seconds, _OF_OUTCOME[outcome], context=around)
        if self._tracer is not None:
            ended = int(at * 1e9)
            span = self._tracer.start_span(
                "llmcache.lookup",
                context=around,
                kind=SpanKind.INTERNAL,
                attributes=_attributes(fields_of(event)),
                start_time=ended - int(seconds * 1e9),
            )
            span.end(ended)


_OF_OUTCOME = {outcome: {"llmcache.outcome": outcome} for outcome in ("hit", "miss", "bypass")}


def _attributes(fields: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Names and numbers of an event as a span has them."""
    found: dict[str, Any] = {
        _BY_CONVENTION.get(name, f"llmcache.{name}"): _sendable(value)
        for name, value in fields.items()
        if name not in ("event", "latency") and value is not None and value != "" and value != []
    }
    if fields["outcome"] == "miss" and fields["reason"] in _FAILURES:
        found["error.type"] = fields["reason"]
    return found


def _sendable(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_sendable(one) for one in value]
    return printable(value) if isinstance(value, str) else value
