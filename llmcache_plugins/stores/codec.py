"""The stored form: a versioned JSON envelope, compressed (zlib) where a store wants that, and the vector beside it as
raw little-endian numbers.

What is read was perhaps written by somebody else: every field is checked, nothing is executed or instantiated by name,
and whatever the bytes are, reading gives an entry or `Damaged` and raises nothing. Unknown fields are ignored and
absent optional ones get their defaults, so that fields may be added without a new version. The last field is a sum of
the others.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from llmcache_plugins.errors import CodecError
from llmcache_plugins.types import Alias, Damaged, Entry, FloatArray, JsonValue, Profile, Usage

__all__ = [
    "FORMAT_VERSION",
    "VectorType",
    "decode_alias",
    "decode_entry",
    "decode_vector",
    "encode_alias",
    "encode_entry",
    "encode_vector",
]

FORMAT_VERSION = 1

VectorType: TypeAlias = Literal["float16", "float32"]
"""How the numbers of a vector are stored, little-endian. Of vectors of unit length, half precision changes a cosine by
less than 0.001, mostly by less than 0.0001."""

_NUMBERS: dict[VectorType, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}
_MOST = 64 * 1024 * 1024  # bytes that compressed ones may become
_PACKED = b"x"  # how zlib begins, and JSON does not
# How the field with the CRC-32 of all others begins. A disk that turns one bit of an answer around is noticed by it; it
# is no protection from anybody who means it, which `encryption_key=` is.
_SUM = b',"sum":"'
_SUM_BYTES = len(_SUM) + len('00000000"}')

_NO_PROFILE = Profile()
_BAD_BYTES = Damaged("bad_bytes")
_UNKNOWN_VERSION = Damaged("unknown_version")
_T = TypeVar("_T")
# ASCII only, so that lone surrogates of broken clients survive; NaN is no JSON and would not be readable elsewhere.
_encode: Callable[[JsonValue], str] = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
).encode


class _Unreadable(Exception):
    """A field is absent or has the wrong type."""


class _OtherVersion(Exception):
    """Written by a later version."""


def encode_entry(entry: Entry, *, compress_above: int | None = None) -> bytes:
    """Everything of the entry but its vector and `embedder_id`, which belong together and are stored beside it.

    Args:
        compress_above: bytes from which on it is compressed, where that saves a tenth; None for never.

    Raises:
        CodecError: a number is not finite, or a field is of a type JSON does not know.
    """
    usage = entry.usage
    fields: dict[str, JsonValue] = {
        "v": FORMAT_VERSION,
        "scope": entry.scope,
        "key": entry.key,
        "normalised_key": entry.normalised_key,
        "namespace": list(entry.namespace),
        "text": entry.text,
        "answer": entry.answer_json,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "is_candidate": entry.is_candidate,
        "model": entry.model,
        "usage": [
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_creation_input_tokens,
            usage.cache_read_input_tokens,
        ],
        "generation_seconds": entry.generation_seconds,
        "node_id": entry.node_id,
    }
    fields.update(_given(entry))
    plain = _to_bytes(fields)
    if compress_above is None or not compress_above < len(plain) <= _MOST:
        return plain
    packed = zlib.compress(plain, 1)  # level 6 takes longer and saves 3 % more of an answer of 2 KB
    return packed if len(packed) < 0.9 * len(plain) else plain


def _given(entry: Entry) -> dict[str, JsonValue]:
    """What most entries lack, as far as this one has it: absent fields cost no bytes."""
    given: dict[str, JsonValue] = {}
    profile = entry.profile
    if profile != _NO_PROFILE:
        given["profile"] = {"type": profile.query_type, "volatility": profile.volatility, "tags": list(profile.tags)}
    if entry.label:
        given["label"] = entry.label
    if entry.stale_at is not None:
        given["stale_at"] = entry.stale_at
    if entry.tolerant:
        given["tolerant"] = dict(entry.tolerant)
    if entry.finish_reason is not None:
        given["finish_reason"] = entry.finish_reason
    if entry.is_note:
        given["is_note"] = True
    return given


def decode_entry(envelope: object, vector: object = None, embedder_id: object = None) -> Entry | Damaged:
    """The entry in these bytes. Never raises.

    Args:
        envelope: what `encode_entry` made.
        vector: what `encode_vector` made, or None for an entry without a vector.
        embedder_id: of the vector, also when that is left out; None for an entry without a vector.
    """

    def read() -> Entry:
        fields = _from_bytes(envelope)
        has_embedder = vector is not None or embedder_id is not None
        return Entry(
            scope=_text(fields, "scope"),
            key=_text(fields, "key"),
            normalised_key=_text(fields, "normalised_key"),
            namespace=_texts(fields, "namespace"),
            text=_text(fields, "text"),
            answer_json=_json(fields, "answer"),
            created_at=_number(fields, "created_at"),
            expires_at=_number_or_none(fields, "expires_at"),
            is_candidate=_flag(fields, "is_candidate", default=True),
            embedder_id=_text({"embedder_id": embedder_id}, "embedder_id") if has_embedder else None,
            vector=None if vector is None else _checked_vector(vector),
            model=_text(fields, "model", default=""),
            usage=_usage(fields),
            generation_seconds=_number_or_none(fields, "generation_seconds"),
            node_id=_text(fields, "node_id", default=""),
            profile=_profile(fields),
            label=_text(fields, "label", default=""),
            stale_at=_number_or_none(fields, "stale_at"),
            tolerant=_mapping(fields, "tolerant"),
            finish_reason=None if fields.get("finish_reason") is None else _text(fields, "finish_reason"),
            is_note=_flag(fields, "is_note", default=False),
        )

    return _guarded(read)


def encode_alias(alias: Alias) -> bytes:
    """
    Raises:
        CodecError: a number is not finite, or a field is of a type JSON does not know.
    """
    return _to_bytes(
        {
            "v": FORMAT_VERSION,
            "scope": alias.scope,
            "key": alias.key,
            "target_key": alias.target_key,
            "text": alias.text,
            "similarity": alias.similarity,
            "confidence": alias.confidence,
            "policy_id": alias.policy_id,
            "created_at": alias.created_at,
        }
    )


def decode_alias(envelope: object) -> Alias | Damaged:
    """The alias in these bytes. Never raises."""

    def read() -> Alias:
        fields = _from_bytes(envelope)
        return Alias(
            scope=_text(fields, "scope"),
            key=_text(fields, "key"),
            target_key=_text(fields, "target_key"),
            text=_text(fields, "text"),
            similarity=_number(fields, "similarity"),
            confidence=_number(fields, "confidence"),
            policy_id=_text(fields, "policy_id"),
            created_at=_number(fields, "created_at"),
        )

    return _guarded(read)


def encode_vector(vector: FloatArray, kind: VectorType = "float32") -> bytes:
    """Shape (dim,) as 4 * dim bytes, or 2 * dim of `float16`."""
    return np.ascontiguousarray(vector, dtype=_NUMBERS[kind]).tobytes()


def decode_vector(stored: object, kind: VectorType = "float32") -> FloatArray | None:
    """The vector in these bytes, read-only float32; None when they are no finite numbers. Never raises."""
    numbers = _NUMBERS[kind]
    if not isinstance(stored, bytes) or not stored or len(stored) % numbers.itemsize:
        return None
    vector = np.frombuffer(stored, numbers).astype(np.float32, copy=False)
    vector.setflags(write=False)  # of half precision it is a copy
    return vector if bool(np.isfinite(vector).all()) else None


def _guarded(read: Callable[[], _T]) -> _T | Damaged:
    try:
        return read()
    except _OtherVersion:
        return _UNKNOWN_VERSION
    # ValueError: no UTF-8, no JSON, numbers with too many digits. RecursionError: nested too deeply.
    except (_Unreadable, ValueError, RecursionError):
        return _BAD_BYTES


def _to_bytes(fields: Mapping[str, JsonValue]) -> bytes:
    try:
        plain = _encode(fields).encode("ascii")
    except (TypeError, ValueError) as error:
        raise CodecError(f"this cannot be stored as JSON: {type(error).__name__}") from error
    # A last field, so that whoever does not know it reads on as before.
    return b'%b%b%08x"}' % (plain[:-1], _SUM, zlib.crc32(plain))


def _is_whole(plain: bytes) -> bool:
    """Whether the bytes are those that were written; what was written before there were sums is believed."""
    if plain[-_SUM_BYTES : -_SUM_BYTES + len(_SUM)] != _SUM:
        return True
    return b"%08x" % zlib.crc32(b"}", zlib.crc32(memoryview(plain)[:-_SUM_BYTES])) == plain[-10:-2]


def _from_bytes(envelope: object) -> dict[str, JsonValue]:
    if not isinstance(envelope, bytes):
        raise _Unreadable
    plain = envelope if envelope[:1] != _PACKED else _unpacked(envelope)
    fields = json.loads(plain.decode("ascii"))
    if not isinstance(fields, dict) or not _is_whole(plain):
        raise _Unreadable
    version = fields.get("v")
    if not isinstance(version, int) or isinstance(version, bool):
        raise _Unreadable
    if version != FORMAT_VERSION:
        raise _OtherVersion
    return fields


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        plain = unpacking.decompress(packed, _MOST)
    except zlib.error:
        raise _Unreadable from None
    if not unpacking.eof:  # cut off, or a bomb
        raise _Unreadable
    return plain


def _text(fields: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise _Unreadable
    return value


def _json(fields: Mapping[str, Any], name: str) -> str:
    """A text that is JSON itself: who asks for the answer later must not be surprised."""
    value = _text(fields, name)
    json.loads(value)
    return value


def _number(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Unreadable
    if isinstance(value, int) and abs(value) > 2**63:  # no instant or duration, and float() may raise OverflowError
        raise _Unreadable
    if not math.isfinite(value):
        raise _Unreadable
    return float(value)


def _number_or_none(fields: Mapping[str, Any], name: str) -> float | None:
    return None if fields.get(name) is None else _number(fields, name)


def _flag(fields: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise _Unreadable
    return value


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    parts = fields.get(name, [])
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _Unreadable
    return tuple(parts)


def _mapping(fields: Mapping[str, Any], name: str) -> dict[str, JsonValue]:
    value = fields.get(name, {})
    if not isinstance(value, dict):
        raise _Unreadable
    return value


def _profile(fields: Mapping[str, Any]) -> Profile:
    if "profile" not in fields:
        return _NO_PROFILE
    profile = _mapping(fields, "profile")
    return Profile(
        query_type=_text(profile, "type", default=_NO_PROFILE.query_type),
        volatility=_text(profile, "volatility", default=""),
        tags=_texts(profile, "tags"),
    )


def _usage(fields: Mapping[str, Any]) -> Usage:
    """Four counts; a later version may append further ones."""
    counts = fields.get("usage", [])
    if not isinstance(counts, list):
        raise _Unreadable
    known = counts[:4]
    if any(not isinstance(count, int) or isinstance(count, bool) or abs(count) >= 2**63 for count in known):
        raise _Unreadable
    return Usage(*known)


def _checked_vector(stored: object) -> FloatArray:
    vector = decode_vector(stored)
    if vector is None:
        raise _Unreadable
    return vector
