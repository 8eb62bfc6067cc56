"""An event as plain names and numbers, for logs, files and spans. No question, no answer, no text of an error. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from llmcache_plugins.recorded import (
    ComparisonEvent,
    ErrorEvent,
    Event,
    EvictionsEvent,
    GroupLookupEvent,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    MoveEvent,
    PressureEvent,
    ReportEvent,
    ResolutionEvent,
    ServerPressureEvent,
    ShadowEvent,
    StageEvent,
    StoreEvent,
    UpdateEvent,
    ValidationEvent,
)
from llmcache_plugins.types import Hit, JsonValue, Miss, Namespace

__all__ = ["NAMES", "Light", "fields_of", "latency_of", "light", "name_of", "printable"]

Light: TypeAlias = tuple[str, str, float, float, float, float, float | None, str, bool, str, str, Namespace]
"""What is told of a hit, in the order of `light`."""

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
    "comparison",
    "stage",
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


def printable(text: str) -> str:
    """A text that can be sent: half a character in a name of the user's would end a whole export.

    >>> printable("m\\ud800")
    'm\\\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def light(event: Event) -> Event | Light:
    """The event without the answer that a hit holds: for a queue, in which thousands may wait. Cheap, for it is done on
    the path of a lookup."""
    if isinstance(event, LookupEvent):
        hit = event.outcome
        if isinstance(hit, Hit):
            entry = hit.entry
            return (
                hit.kind,
                hit.tier,
                hit.similarity,
                hit.confidence,
                hit.age,
                hit.latency,
                entry.generation_seconds,
                entry.key,
                hit.is_stale,
                event.query_type,
                event.model,
                event.namespace,
            )
    return event


def latency_of(hit: Light) -> float:
    """Seconds."""
    return hit[5]


def fields_of(event: Event | Light) -> dict[str, JsonValue]:
    """The event in JSON's types, `event` (one of `NAMES`) first; seconds, bytes, and tokens as in `Usage`."""
    return _hit(event) if isinstance(event, tuple) else _FIELDS[type(event)](event)


def _hit(found: Light) -> dict[str, JsonValue]:
    kind, tier, similarity, confidence, age, latency, spent, key, is_stale, query_type, model, namespace = found
    return {
        "event": "lookup",
        "outcome": "hit",
        "kind": kind,
        "tier": tier,
        "similarity": float(similarity),
        "confidence": float(confidence),
        "age": age,
        "latency": latency,
        "latency_saved": None if spent is None else max(0.0, spent - latency),
        "key": key[:_MOST_OF_A_KEY],
        "stale": is_stale,
        "query_type": query_type,
        "model": model,
        "namespace": list(namespace),
    }


def _lookup(event: LookupEvent) -> dict[str, JsonValue]:
    outcome = event.outcome
    if isinstance(outcome, Hit):
        return fields_of(light(event))
    found: dict[str, JsonValue] = {
        "event": "lookup",
        "outcome": "miss" if isinstance(outcome, Miss) else "bypass",
        "reason": str(outcome.reason),
        "latency": outcome.latency,
    }
    if isinstance(outcome, Miss) and outcome.near_misses:
        nearest = outcome.near_misses[0]
        found["nearest_similarity"] = float(nearest.similarity)
        found["nearest_vetoed_by"] = list(nearest.vetoed_by)
    found["query_type"] = event.query_type
    found["model"] = event.model
    found["namespace"] = list(event.namespace)
    if isinstance(event, GroupLookupEvent):
        found |= _group(event) | _arm(event)
        if event.withheld is not None:
            found["withheld_kind"] = event.withheld.kind
            found["withheld_key"] = event.withheld.entry.key[:_MOST_OF_A_KEY]
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
        **_group(event),
    }


def _group(event: GroupLookupEvent | UpdateEvent) -> dict[str, JsonValue]:
    """Nothing without a roll-out: most caches have none. A hit is always one of the served group."""
    return {"group": event.group} if event.group else {}


def _arm(event: GroupLookupEvent | ComparisonEvent | ReportEvent) -> dict[str, JsonValue]:
    return {"arm": event.arm} if event.arm else {}


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


def _comparison(event: ComparisonEvent) -> dict[str, JsonValue]:
    return {
        "event": "comparison",
        "outcome": event.outcome,
        "kind": event.kind,
        "namespace": list(event.namespace),
        **_arm(event),
    }


def _report(event: ReportEvent) -> dict[str, JsonValue]:
    reported = event.reported
    return {
        "event": "report",
        "removed": reported.removed,
        "remembered": reported.is_remembered,
        "failed": reported.has_failed,
        **_arm(event),
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
    ComparisonEvent: _comparison,
    StageEvent: _plain("stage", "before", "after", "reason", "low", "high"),
    ReportEvent: _report,
    InvalidationEvent: _invalidation,
    MoveEvent: _plain("move", "source", "target", "count", "reason"),
    PressureEvent: _plain("pressure", "tier", "level", "utilisation"),
    ServerPressureEvent: _server_pressure,
    EvictionsEvent: _plain("evictions", "store", "by", "count", "seconds"),
    StoreEvent: _plain("store", "store", "evictions", "expirations", "damaged"),
}
_NAME_OF = dict(zip(_FIELDS, NAMES, strict=True))
_FIELDS[GroupLookupEvent], _NAME_OF[GroupLookupEvent] = _lookup, "lookup"
