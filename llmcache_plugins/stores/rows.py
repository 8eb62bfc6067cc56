"""Rows of a cache file as entries, and back.

A row is decoded and checked once, and known again by its bytes: comparing two kilobytes costs a thousandth of decoding
them, and proves as much, whoever may have changed the file since. (A checksum beside the row would find damage, but not
an edit by somebody who can compute it.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from llmcache_plugins.errors import CodecError, StoreError
from llmcache_plugins.stores.capacity import entry_bytes
from llmcache_plugins.stores.codec import decode_entry, encode_entry, encode_vector
from llmcache_plugins.stores.matrix import as_vector
from llmcache_plugins.stores.touches import TouchBuffer
from llmcache_plugins.types import Alias, Damaged, Entry, Namespace, Stored

__all__ = [
    "ENTRY",
    "ENTRY_WITH_VECTOR",
    "RowReader",
    "namespace_path",
    "row_of",
    "selected_columns",
    "storable",
]

ENTRY = "e.access_count, e.last_access, e.base_reads, e.tier, e.placed_at, e.stale_at, e.body, e.embedder_id, NULL"
"""What `RowReader.stored` wants at the start of a row, of a table called `e`; the entry has no vector then."""
ENTRY_WITH_VECTOR = ENTRY.replace("NULL", "e.vector")

_Columns: TypeAlias = tuple[Any, Any, Any]  # body, embedder_id and vector: whatever the file holds
_Address: TypeAlias = tuple[str, str, bool]  # with and without the vector an entry is kept twice

_COLUMNS = 9
_KNOWN_BYTES = 4 * 1024 * 1024
_OVERHEAD = 1024


class RowReader:
    """Reads rows. Used by one thread at a time.

    Args:
        touches: reads that are not written yet; they count.
        known_bytes: of rows that are known again, the latest first to be known; what was made of them takes about as
            much memory again.
    """

    def __init__(self, touches: TouchBuffer, *, known_bytes: int = _KNOWN_BYTES) -> None:
        self.damaged = 0
        self.touches = touches
        self._known: dict[_Address, tuple[_Columns, Entry]] = {}
        self._left = self._known_bytes = known_bytes

    def stored(self, row: Sequence[Any], scope: str, key: str, alias: Alias | None = None) -> Stored | Damaged:
        """The entry in this row, which was found under this scope and key."""
        access_count, last_access, base_reads, tier, placed_at, stale_at, body, embedder_id, vector = row[:_COLUMNS]
        if isinstance(access_count, int) and (last_access is None or isinstance(last_access, float)):
            known = self._known.get((scope, key, vector is not None))
            columns = (body, embedder_id, vector)
            entry = known[1] if known is not None and known[0] == columns else self._read(columns, scope, key)
        else:
            entry = Damaged("bad_bytes")
        if isinstance(entry, Damaged):
            self.damaged += 1
            return entry
        touched = self.touches.get(scope, key)
        if touched is not None:
            access_count, last_access = access_count + touched[0], touched[1]
        if stale_at is not None:  # any damaged value, too: what may be stale is not served as fresh
            entry = replace(entry, stale_at=stale_at if isinstance(stale_at, float) else 0.0)
        return Stored(
            entry,
            access_count,
            last_access,
            alias,
            tier if isinstance(tier, str) else "",
            placed_at if isinstance(placed_at, float) else None,
            max(access_count - base_reads, 0) if isinstance(base_reads, int) else access_count,
        )

    def _read(self, columns: _Columns, scope: str, key: str) -> Entry | Damaged:
        body, embedder_id, vector = columns
        entry = decode_entry(body, vector, embedder_id)
        if isinstance(entry, Entry) and (entry.scope, entry.key) != (scope, key):
            entry = Damaged("bad_bytes")
        if isinstance(entry, Entry):
            self._keep((scope, key, vector is not None), columns, entry)
        return entry

    def _keep(self, address: _Address, columns: _Columns, entry: Entry) -> None:
        self._forget(address)
        size = _size(columns)
        if size * 16 > self._known_bytes:  # it would displace too many others
            return
        self._known[address] = (columns, entry)
        self._left -= size
        while self._left < 0:
            self._forget(next(iter(self._known)))

    def _forget(self, address: _Address) -> None:
        known = self._known.pop(address, None)
        if known is not None:
            self._left += _size(known[0])


def row_of(entry: Entry) -> dict[str, object]:
    """The columns of an entry, by name; all but the stamps, and with a `size` that counts towards the limit.

    Raises:
        StoreError: it is not made of what can be stored.
    """
    try:
        # Staleness has a column of its own, so that marking an entry does not write its body anew.
        body = encode_entry(entry if entry.stale_at is None else replace(entry, stale_at=None))
    except CodecError as error:
        raise StoreError(f"entry {entry.key[:12]} cannot be stored: {error}") from error
    has_vector = entry.vector is not None and entry.embedder_id is not None
    return selected_columns(entry) | {
        "scope": entry.scope,
        "key": entry.key,
        "normalised_key": entry.normalised_key,
        "namespace": namespace_path(entry.namespace),
        "is_candidate": entry.is_candidate,
        "is_note": entry.is_note,
        "stale_at": entry.stale_at,
        "expires_at": entry.expires_at,
        "size": entry_bytes(entry),
        "embedder_id": entry.embedder_id if has_vector else None,
        "body": body,
        "vector": encode_vector(as_vector(entry.vector)) if has_vector and entry.vector is not None else None,
    }


def selected_columns(entry: Entry) -> dict[str, object]:
    """What selectors ask for and the body alone would tell otherwise."""
    return {
        "created_at": entry.created_at,
        "query_type": storable(entry.profile.query_type),
        "model": storable(entry.model),
        "level": storable(_level_of(entry.label)),
    }


def storable(text: str) -> str:
    """The text as SQLite takes it: lone surrogates of broken clients are spelt out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _level_of(label: str) -> str:
    """`v1:device:...` -> `device`; see `Selector.levels`."""
    parts = label.split(":", 2)
    return parts[1] if len(parts) > 2 else ""


def namespace_path(namespace: Namespace) -> str:
    """The namespace as text that starts with the text of every namespace above it, and of no other.

    >>> namespace_path(("acme", "x"))
    '"acme","x",'
    """
    return "".join(json.dumps(part) + "," for part in namespace)


def _size(columns: _Columns) -> int:
    body, _, vector = columns
    return len(body) + (len(vector) if isinstance(vector, bytes) else 0) + _OVERHEAD
