"""The lines of a file: what each says, as bytes and back. Pure; docs/transfer.md is the same for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.selection import Invalidation, Selector
from llmcache_plugins.transfer import fields as checked
from llmcache_plugins.transfer.entries import as_fields, record_of
from llmcache_plugins.transfer.fields import Unreadable
from llmcache_plugins.transfer.records import Header, Record
from llmcache_plugins.types import JsonValue

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "End",
    "Line",
    "Unreadable",
    "decode_header",
    "decode_line",
    "encode_end",
    "encode_header",
    "encode_invalidation",
    "encode_record",
]

FORMAT = "llmcache-export"
FORMAT_VERSION = 1

# ASCII alone, so that lone surrogates of broken clients survive; NaN is no JSON and not readable elsewhere.
_encode: Callable[[JsonValue], str] = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
).encode


@dataclass(frozen=True, slots=True)
class End:
    """The last line: how many entries came before it, and a digest of all bytes before it, None where nobody made
    one."""

    entries: int
    digest: str | None = None
    embedders: Mapping[str, int] = field(default_factory=dict)


Line: TypeAlias = Record | Invalidation | End


def encode_header(header: Header) -> bytes:
    return _line(
        "header",
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "key_version": header.key_version,
            "product": header.product,
            "exported_at": header.exported_at,
            "namespace": list(header.namespace),
            "embedder_id": header.embedder_id,
            "epochs": [{"namespace": list(name), "epoch": epoch} for name, epoch in header.epochs.items()],
            "about": header.about,
        },
    )


def decode_header(line: bytes, where: str) -> Header:
    """
    Args:
        where: the file, for errors.

    Raises:
        ConfigError: it is no header, or of a version that is not known here.
    """
    try:
        fields = _fields(line)
        if fields.get("kind") != "header" or fields.get("format") != FORMAT:
            raise Unreadable("it is another format")
        version = checked.integer(fields, "version")
        if version < 1:
            raise Unreadable("its version is no version")
        if version > FORMAT_VERSION:
            raise ConfigError(
                f"{where} is of version {version} of the format, and this llmcache-plugins reads up to version "
                f"{FORMAT_VERSION}: install a later one"
            )
        return Header(
            key_version=checked.integer(fields, "key_version"),
            product=checked.text(fields, "product", ""),
            exported_at=checked.instant(fields, "exported_at"),
            namespace=checked.namespace(fields),
            embedder_id=checked.text_or_none(fields, "embedder_id"),
            epochs={checked.namespace(row): checked.text(row, "epoch") for row in checked.rows(fields, "epochs")},
            about=None if fields.get("about") is None else checked.integer(fields, "about"),
        )
    except Unreadable as error:
        raise ConfigError(f"{where} does not begin with the header of an export: {error}") from None


def encode_record(record: Record) -> bytes:
    """
    Raises:
        ValueError: it has numbers that JSON does not know.
        TypeError: it has values that JSON does not know.
    """
    return _line("entry", as_fields(record))


def encode_invalidation(invalidation: Invalidation) -> bytes:
    return _line(
        "invalidation",
        {
            "at": invalidation.at,
            "mode": invalidation.mode,
            "reason": invalidation.reason,
            "selector": invalidation.selector.to_json(),
        },
    )


def encode_end(end: End) -> bytes:
    return _line("end", {"entries": end.entries, "digest": end.digest, "embedders": dict(end.embedders)})


def decode_line(line: bytes) -> Line:
    """What a line behind the header says.

    Raises:
        Unreadable: it is not what the format says.
    """
    fields = _fields(line)
    kind = fields.get("kind")
    if kind == "entry":
        return record_of(fields)
    if kind == "invalidation":
        return _invalidation_of(fields)
    if kind == "end":
        embedders = checked.mapping(fields, "embedders")
        counts = {name: checked.integer(embedders, name) for name in embedders}
        return End(checked.integer(fields, "entries"), checked.text_or_none(fields, "digest"), counts)
    raise Unreadable("its kind is neither entry nor invalidation nor end")


def _invalidation_of(fields: Mapping[str, JsonValue]) -> Invalidation:
    try:
        selector = Selector.from_json(checked.mapping(fields, "selector"))
    except (ConfigError, TypeError):
        raise Unreadable("selector is not what a selector of this version is") from None
    return Invalidation(
        0,
        checked.instant(fields, "at"),
        selector,
        checked.text(fields, "reason", ""),
        checked.text(fields, "mode", "now"),
    )


def _line(kind: str, fields: Mapping[str, JsonValue]) -> bytes:
    return _encode({"kind": kind, **fields}).encode("ascii") + b"\n"


def _fields(line: bytes) -> dict[str, JsonValue]:
    try:
        fields = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # no UTF-8, no JSON, nested too deeply
        raise Unreadable("it is no JSON") from None
    if not isinstance(fields, dict):
        raise Unreadable("it is no JSON object")
    return fields


def _no_constant(name: str) -> JsonValue:
    """Python reads NaN and Infinity, which are no JSON: no store would take them."""
    raise ValueError(name)
