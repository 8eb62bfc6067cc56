"""An event as plain names and numbers, for logs, files and spans. No question, no answer, no text of an error. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmcache_plugins.recorded import (
    ErrorEvent,
    Event,
    EvictionsEvent,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    MoveEvent,
    PressureEvent,
    ReportEvent,
    ResolutionEvent,
    ServerPressureEvent,
    ShadowEvent,
    StoreEvent,
    UpdateEvent,
    ValidationEvent,
)
from llmcache_plugins.types import Hit, JsonValue, Miss

__all__ = ["NAMES", "fields_of", "name_of"]

_MOST_OF_A_KEY = 12  # characters: enough to find an entry again
_MOST_OF_A_REASON = 200


NAMES = (
    "lookup",
    "update",
    "error",
    "validation",
    "judge",
    "resolution",
    "shadow",
    "report",
    "invalidation",
    "move",
    "pressure",
    "server_pressure",
    "evictions",
    "store",
)
"""What an event is called: every value of `event`."""


def name_of(event: Event) -> str:
    """One of `NAMES`."""
    return _NAME_OF[type(event)]


def fields_of(event: Event) -> dict[str, JsonValue]:
    """The event in JSON's types, `event` (one of `NAMES`) first; seconds, bytes, and tokens as in `Usage`."""
    return _FIELDS[type(event)](event)


def _lookup(event: LookupEvent) -> dict[str, JsonValue]:
    outcome = event.outcome
    if isinstance(outcome, Hit):
        entry = outcome.entry
        found: dict[str, JsonValue] = {
            "event": "lookup",
            "outcome": "hit",
            "kind": outcome.kind,
            "tier": outcome.tier,
            "similarity": float(outcome.similarity),
            "confidence": float(outcome.confidence),
            "age": outcome.age,
            "latency": outcome.latency,
            "latency_saved": outcome.latency_saved,
            "key": entry.key[:_MOST_OF_A_KEY],
            "stale": outcome.is_stale,
        }
    elif isinstance(outcome, Miss):
        found = {
            "event": "lookup",
            "outcome": "miss",
            "reason": outcome.reason.value,
            "latency": outcome.latency,
        }
        if outcome.near_misses:
            nearest = outcome.near_misses[0]
            found["nearest_similarity"] = float(nearest.similarity)
            found["nearest_vetoed_by"] = list(nearest.vetoed_by)
    else:
        found = {"event": "lookup", "outcome": "bypass", "reason": outcome.reason, "latency": outcome.latency}
    found["query_type"] = event.query_type
    found["model"] = event.model
    found["namespace"] = list(event.namespace)
    return found


def _update(event: UpdateEvent) -> dict[str, JsonValue]:
    return {
        "event": "update",
        "stored": event.outcome.stored,
        "reason": event.outcome.reason,
        "seconds": event.seconds,
        "input_tokens": event.usage.input_tokens,
        "output_tokens": event.usage.output_tokens,
        "cache_creation_input_tokens": event.usage.cache_creation_input_tokens,
        "cache_read_input_tokens": event.usage.cache_read_input_tokens,
        "model": event.model,
        "namespace": list(event.namespace),
    }


def _validation(event: ValidationEvent) -> dict[str, JsonValue]:
    return {
        "event": "validation",
        "ok": event.validation.ok,
        "failed": event.has_failed,
        "namespace": list(event.namespace),
    }


def _judge(event: JudgeEvent) -> dict[str, JsonValue]:
    return {
        "event": "judge",
        "outcome": event.outcome,
        "cost": event.cost,
        "seconds": event.seconds,
        "namespace": list(event.namespace),
    }


def _resolution(event: ResolutionEvent) -> dict[str, JsonValue]:
    return {
        "event": "resolution",
        "outcome": event.outcome,
        "seconds": event.seconds,
        "namespace": list(event.namespace),
    }


def _shadow(event: ShadowEvent) -> dict[str, JsonValue]:
    return {"event": "shadow", "outcome": event.outcome, "drawn": event.is_drawn, "namespace": list(event.namespace)}


def _report(event: ReportEvent) -> dict[str, JsonValue]:
    reported = event.reported
    return {
        "event": "report",
        "removed": reported.removed,
        "remembered": reported.is_remembered,
        "failed": reported.has_failed,
    }


def _invalidation(event: InvalidationEvent) -> dict[str, JsonValue]:
    return {
        "event": "invalidation",
        "count": event.count,
        "mode": event.mode,
        "reason": event.reason[:_MOST_OF_A_REASON],
        "failed": event.has_failed,
    }


def _server_pressure(event: ServerPressureEvent) -> dict[str, JsonValue]:
    return {
        "event": "server_pressure",
        "store": event.store,
        "level": event.level,
        "used_bytes": event.load.used_bytes,
        "max_bytes": event.load.max_bytes,
    }


def _plain(name: str, *attributes: str) -> Callable[[Any], dict[str, JsonValue]]:
    return lambda event: {"event": name, **{attribute: getattr(event, attribute) for attribute in attributes}}


_FIELDS: dict[type, Callable[[Any], dict[str, JsonValue]]] = {
    LookupEvent: _lookup,
    UpdateEvent: _update,
    ErrorEvent: _plain("error", "component", "error"),
    ValidationEvent: _validation,
    JudgeEvent: _judge,
    ResolutionEvent: _resolution,
    ShadowEvent: _shadow,
    ReportEvent: _report,
    InvalidationEvent: _invalidation,
    MoveEvent: _plain("move", "source", "target", "count", "reason"),
    PressureEvent: _plain("pressure", "tier", "level", "utilisation"),
    ServerPressureEvent: _server_pressure,
    EvictionsEvent: _plain("evictions", "store", "by", "count", "seconds"),
    StoreEvent: _plain("store", "store", "evictions", "expirations", "damaged"),
}
_NAME_OF = dict(zip(_FIELDS, NAMES, strict=True))
