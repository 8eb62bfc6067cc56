"""The vectors of a database file in memory, kept in step by the file's log of changes."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from typing import Any, TypeAlias

import numpy as np

from llmcache_plugins.errors import StoreError
from llmcache_plugins.stores.codec import decode_vector
from llmcache_plugins.stores.matrix import VectorIndex

__all__ = ["VectorReplica"]

_Row: TypeAlias = tuple[Any, Any, Any, Any, Any]  # scope, key, vector, expires_at, inserted: whatever the file holds

_AT_ONCE = 4096
_FEW = 8  # rows of a scope that are as quick one by one
_SAMPLE = 99  # vectors that are asked for the dimension: a few damaged ones are outvoted


class VectorReplica:
    """One `VectorIndex` for each embedder that was asked for.

    The methods that take a connection are called one at a time, with the file's reading connection; the indexes they
    return may be searched by anybody.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self.forget()

    def forget(self) -> None:
        """Read everything again when it is asked for: it is of another file."""
        self._indexes: dict[str, VectorIndex | None] = {}  # None: this embedder has no vector yet
        self._seen = 0
        self._version: tuple[sqlite3.Connection, int] | None = None

    def index(self, connection: sqlite3.Connection, embedder_id: str) -> VectorIndex | None:
        """The vectors of this embedder as of now, or None when there are none."""
        if _version(connection) != self._version or embedder_id not in self._indexes:
            begins = not connection.in_transaction
            if begins:
                connection.execute("BEGIN")
            try:
                self._follow(connection)
                if embedder_id not in self._indexes:
                    self._load(connection, embedder_id)
            finally:
                if begins:
                    connection.rollback()
        index = self._indexes[embedder_id]
        return index if index is not None and len(index) else None

    def leave_out(self, scope: str, key: str) -> None:
        """Find this entry no more: it cannot be read."""
        for index in self._indexes.values():
            if index is not None:
                index.remove(scope, key)

    def _follow(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        first, last = connection.execute(
            "SELECT (SELECT min(number) FROM changes), (SELECT max(number) FROM changes)"
        ).fetchone()
        first, last = first or 0, last or 0
        if last != self._seen:
            if not self._seen < last or first > self._seen + 1:  # it was trimmed beyond what was seen, or began anew
                self._indexes = {}
            else:
                self._apply(connection)
            self._seen = last
        self._version = version

    def _apply(self, connection: sqlite3.Connection) -> None:
        if not self._indexes:
            return
        changed = connection.execute("SELECT DISTINCT scope, key FROM changes WHERE number > ?", (self._seen,))
        find = "SELECT embedder_id, vector, expires_at, inserted, is_candidate FROM entries WHERE scope = ? AND key = ?"
        for scope, key in changed.fetchall():
            row = connection.execute(find, (scope, key)).fetchone()
            owner, vector, expires_at, inserted, is_candidate = row or (None, None, None, 0, 0)
            for embedder_id, index in self._indexes.items():
                if index is not None and (embedder_id != owner or not is_candidate):
                    index.remove(scope, key)
            if is_candidate and owner in self._indexes:
                index = self._indexes[owner]
                if index is not None and not len(index):  # it may have the dimension of a damaged row that is gone
                    self._indexes[owner] = None
                self._put(owner, scope, key, vector, expires_at, inserted)

    def _load(self, connection: sqlite3.Connection, embedder_id: str) -> None:
        mine = "FROM entries WHERE embedder_id = ? AND is_candidate"
        sample = connection.execute(f"SELECT length(vector) {mine} LIMIT {_SAMPLE}", (embedder_id,)).fetchall()
        self._indexes[embedder_id] = None
        lengths = Counter(length for (length,) in sample if length and length % 4 == 0)
        if lengths:
            self._indexes[embedder_id] = _index(lengths.most_common(1)[0][0] // 4)
        rows = connection.execute(
            f"SELECT scope, key, vector, expires_at, inserted {mine} ORDER BY inserted", (embedder_id,)
        )
        while page := rows.fetchmany(_AT_ONCE):
            by_scope: dict[str, list[_Row]] = {}
            for row in page:
                by_scope.setdefault(row[0], []).append(row)
            for scope, of_scope in by_scope.items():
                if not self._load_together(embedder_id, scope, of_scope):
                    for _, key, vector, expires_at, inserted in of_scope:
                        self._put(embedder_id, scope, key, vector, expires_at, inserted)

    def _load_together(self, embedder_id: str, scope: str, rows: list[_Row]) -> bool:
        """False, and nothing is loaded, where they are few or one of them is damaged."""
        index = self._indexes[embedder_id]
        if index is None or len(rows) < _FEW:
            return False
        _, keys, stored, expires_at, orders = zip(*rows, strict=True)
        width = 4 * index.dimension
        if not all(isinstance(vector, bytes) and len(vector) == width for vector in stored):
            return False
        if not all(isinstance(key, str) for key in keys) or not all(isinstance(order, int) for order in orders):
            return False
        vectors = np.frombuffer(b"".join(stored), "<f4").reshape(len(rows), -1).astype(np.float32, copy=False)
        if not bool(np.isfinite(vectors).all()):
            return False
        expires = np.array([at if isinstance(at, float) else math.inf for at in expires_at])
        index.load(scope, keys, vectors, expires, orders)
        return True

    def _put(self, embedder_id: str, scope: str, key: str, stored: object, expires_at: object, order: object) -> None:
        index = self._indexes[embedder_id]
        vector = decode_vector(stored)
        expires = expires_at if isinstance(expires_at, float) else None
        if vector is not None and isinstance(order, int):
            if index is None:
                index = self._indexes[embedder_id] = _index(vector.size)
            try:
                index.put(scope, key, vector, expires_at=expires, order=order)
                return
            except StoreError:  # of another dimension: one damaged row must not hide the others
                pass
        if index is not None:
            index.remove(scope, key)
        self.damaged += 1


def _index(dimension: int) -> VectorIndex:
    """Of small numbers: it finds who comes into question, and what is served is compared with the file's own."""
    return VectorIndex(dimension, precision="int8")


def _version(connection: sqlite3.Connection) -> tuple[sqlite3.Connection, int]:
    """A number that changes when any other connection, here or in another process, commits; it costs microseconds."""
    (number,) = connection.execute("PRAGMA data_version").fetchone()
    return connection, number
