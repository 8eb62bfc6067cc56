"""An entry as the fields of a line, and back. What most entries lack is left out where it is lacking."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmcache_plugins.transfer import fields as checked
from llmcache_plugins.transfer.fields import Unreadable
from llmcache_plugins.transfer.records import Record
from llmcache_plugins.types import Entry, FloatArray, JsonValue, Profile, Usage

__all__ = ["as_fields", "record_of"]

_NO_PROFILE, _NO_USAGE = Profile(), Usage()
_USAGE = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_UNIT_TOLERANCE = 0.01  # of a length: vectors in half precision are off by a twentieth of it


def as_fields(record: Record) -> dict[str, JsonValue]:
    """What a line says of the record, beside its kind."""
    entry, profile = record.entry, record.entry.profile
    told: dict[str, JsonValue] = {
        "scope": entry.scope,
        "key": entry.key,
        "normalised_key": entry.normalised_key,
        "namespace": list(entry.namespace),
        "text": entry.text,
        "answer_json": entry.answer_json,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
    }
    usage = {name: getattr(entry.usage, name) for name in _USAGE if getattr(entry.usage, name)}
    given: dict[str, tuple[JsonValue, JsonValue]] = {  # by name, the value and what it is when it is left out
        "is_candidate": (entry.is_candidate, True),
        "model": (entry.model, ""),
        "usage": (usage, {}),
        "generation_seconds": (entry.generation_seconds, None),
        "node_id": (entry.node_id, ""),
        "query_type": (profile.query_type, _NO_PROFILE.query_type),
        "volatility": (profile.volatility, ""),
        "tags": (list(profile.tags), []),
        "label": (entry.label, ""),
        "stale_at": (entry.stale_at, None),
        "tolerant": (dict(entry.tolerant), {}),
        "finish_reason": (entry.finish_reason, None),
        "tier": (record.tier, ""),
        "reads": (record.reads, 0),
        "last_read": (record.last_read, None),
    }
    told.update({name: value for name, (value, usual) in given.items() if value != usual})
    if entry.vector is not None and entry.embedder_id is not None and _is_unit(entry.vector):
        packed = base64.b64encode(np.asarray(entry.vector, "<f4").tobytes()).decode("ascii")
        told["vector"] = {"embedder_id": entry.embedder_id, "float32": packed}
    return told


def record_of(fields: Mapping[str, Any]) -> Record:
    """The record in these fields. Unknown ones are passed over.

    Raises:
        Unreadable: one is missing, or not what it has to be.
    """
    embedder_id, vector = _vector_of(fields)
    entry = Entry(
        scope=checked.text(fields, "scope", is_empty_allowed=False),
        key=checked.text(fields, "key", is_empty_allowed=False),
        normalised_key=checked.text(fields, "normalised_key"),
        namespace=checked.namespace(fields),
        text=checked.text(fields, "text"),
        answer_json=_json(fields, "answer_json"),
        created_at=checked.instant(fields, "created_at"),
        expires_at=checked.instant_or_none(fields, "expires_at"),
        is_candidate=checked.flag(fields, "is_candidate", default=True),
        embedder_id=embedder_id,
        vector=vector,
        model=checked.text(fields, "model", ""),
        usage=_usage_of(fields),
        generation_seconds=checked.instant_or_none(fields, "generation_seconds"),
        node_id=checked.text(fields, "node_id", ""),
        profile=Profile(
            query_type=checked.text(fields, "query_type", _NO_PROFILE.query_type),
            volatility=checked.text(fields, "volatility", ""),
            tags=checked.texts(fields, "tags"),
        ),
        label=checked.text(fields, "label", ""),
        stale_at=checked.instant_or_none(fields, "stale_at"),
        tolerant=checked.mapping(fields, "tolerant"),
        finish_reason=checked.text_or_none(fields, "finish_reason"),
    )
    return Record(
        entry,
        tier=checked.text(fields, "tier", ""),
        reads=checked.integer(fields, "reads", 0),
        last_read=checked.instant_or_none(fields, "last_read"),
    )


def _json(fields: Mapping[str, Any], name: str) -> str:
    """A text that is JSON itself: who asks for the answer later must not be surprised."""
    value = checked.text(fields, name)
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        raise Unreadable(f"{name} is no JSON") from None
    return value


def _usage_of(fields: Mapping[str, Any]) -> Usage:
    given = checked.mapping(fields, "usage")
    return Usage(*(checked.integer(given, name, 0) for name in _USAGE)) if given else _NO_USAGE


def _vector_of(fields: Mapping[str, Any]) -> tuple[str | None, FloatArray | None]:
    """Embedder and vector; None for both where the line has none."""
    given = checked.mapping(fields, "vector")
    if not given:
        return None, None
    embedder_id = checked.text(given, "embedder_id", is_empty_allowed=False)
    try:
        packed = base64.b64decode(checked.text(given, "float32"), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("the vector is no base64") from None
    if not packed or len(packed) % 4:
        raise Unreadable("the vector is not made of float32")
    vector = np.frombuffer(packed, "<f4").astype(np.float32, copy=False)
    if not _is_unit(vector):  # a product with it would pass any threshold
        raise Unreadable("the vector is not of unit length")
    return embedder_id, vector


def _is_unit(vector: FloatArray) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):  # numbers that are not finite have no length either
        return abs(float(vector @ vector) - 1.0) <= 2 * _UNIT_TOLERANCE
