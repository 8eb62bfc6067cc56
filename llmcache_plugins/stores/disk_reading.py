"""Reading entries from a cache file: exact, normalised, and by meaning with the vectors in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

import numpy as np

from llmcache_plugins.stores.codec import decode_alias, decode_entry, decode_vector
from llmcache_plugins.stores.disk_core import DiskCore
from llmcache_plugins.stores.matrix import Match, as_vector
from llmcache_plugins.stores.rows import ENTRY, ENTRY_WITH_VECTOR
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Pending, Stored

__all__ = ["DiskReads"]

_SEARCH_ATTEMPTS = 3
_MORE = 2  # candidates that are read besides: the vectors in memory are rounded, and a cosine is off by 0.001 or so
_FOUND_AT_ONCE = 500  # SQLite takes 999 values in one statement, or more

_GET = f"""
SELECT {ENTRY}, NULL FROM entries e WHERE e.scope = :scope AND e.key = :key
UNION ALL
SELECT {ENTRY}, a.body FROM aliases a JOIN entries e ON e.scope = a.scope AND e.key = a.target_key
WHERE a.scope = :scope AND a.key = :key
LIMIT 1
"""
_GET_NORMALISED = f"""
SELECT {ENTRY}, e.key FROM entries e WHERE scope = ? AND normalised_key = ? ORDER BY inserted DESC
"""
_FIND = f"SELECT {ENTRY_WITH_VECTOR}, e.key, e.inserted FROM entries e WHERE scope = ? AND key IN "
_VECTOR = "SELECT vector FROM entries WHERE scope = ? AND key = ? AND embedder_id = ? AND is_candidate"
# Candidates without a vector of this embedder. Three ranges of the index, because one "is not" would read all of it.
_PENDING = " UNION ALL ".join(
    "SELECT inserted, key, body, embedder_id FROM entries "
    f"WHERE scope = :scope AND is_candidate AND embedder_id {is_other}"
    for is_other in ("IS NULL", "< :id", "> :id")
)
_PENDING_COUNT = f"SELECT count(*) FROM ({_PENDING.replace('inserted, key, body, embedder_id', '1')})"
_PENDING_NEWEST = f"SELECT body, key, embedder_id FROM ({_PENDING}) ORDER BY inserted DESC LIMIT :limit"


class DiskReads(DiskCore):
    """The verbs that look entries up."""

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        """As the protocol says. The entry comes without its vector, of which an exact hit has no use."""
        with self._file.reading() as connection:
            row = connection.execute(_GET, {"scope": scope, "key": key}).fetchone()
            if row is None:
                return None
            if row[-1] is None:
                return self._rows.stored(row, scope, key)
            alias = decode_alias(row[-1])
            if isinstance(alias, Alias) and (alias.scope, alias.key) == (scope, key):
                return self._rows.stored(row, scope, alias.target_key, alias)
            self._rows.damaged += 1
            return alias if isinstance(alias, Damaged) else Damaged("bad_bytes")

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        """As the protocol says, without vectors."""
        found: list[Stored] = []
        if limit < 1:
            return found
        with self._file.reading() as connection, closing(connection.cursor()) as rows:
            for row in rows.execute(_GET_NORMALISED, (scope, normalised_key)):
                stored = self._rows.stored(row, scope, row[-1])
                if isinstance(stored, Stored):
                    found.append(stored)
                if len(found) == limit:
                    break
        return found

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        wanted = {"scope": scope, "id": embedder_id, "limit": max(limit, 0)}
        with self._file.snapshot() as connection:
            index = self._replica.index(connection, embedder_id)
            (pending,) = connection.execute(_PENDING_COUNT, wanted).fetchone()
            rows = []
            if pending and limit > 0:
                rows = connection.execute(_PENDING_NEWEST, wanted).fetchall()
            with_vector = 0 if index is None else index.count(scope)
        found = [(decode_entry(body), key, other) for body, key, other in rows]
        return Census(
            pending + with_vector,
            tuple(Pending(key, entry.text, other) for entry, key, other in found if isinstance(entry, Entry)),
        )

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        found = {}
        with self._file.reading() as connection:
            for scope, key in addresses:
                row = connection.execute(_VECTOR, (scope, key, embedder_id)).fetchone()
                vector = None if row is None else decode_vector(row[0])
                if vector is not None:
                    found[scope, key] = vector
        return found

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        for _ in range(_SEARCH_ATTEMPTS - 1):
            with self._file.reading() as connection:
                index = self._replica.index(connection, embedder_id)
            if index is None:
                return []
            matches = index.search(scope, vector, limit=limit + _MORE, now=now)  # holds no lock
            if limit < 1 or not matches:
                return []
            with self._file.reading() as connection:
                found = self._found(connection, scope, embedder_id, matches)
            if len(found) == len(matches):
                return _nearest(found, vector, limit)
        with self._file.snapshot() as connection:
            index = self._replica.index(connection, embedder_id)
            if index is None:
                return []
            matches = index.search(scope, vector, limit=limit + _MORE, now=now)
            return _nearest(self._found(connection, scope, embedder_id, matches), vector, limit)

    def _found(
        self, connection: sqlite3.Connection, scope: str, embedder_id: str, matches: Sequence[Match]
    ) -> list[Stored]:
        """Matches whose entry is still the one that was found; damaged ones are found no more."""
        rows = {}
        for start in range(0, len(matches), _FOUND_AT_ONCE):
            keys = [match.key for match in matches[start : start + _FOUND_AT_ONCE]]
            for row in connection.execute(f"{_FIND}({','.join('?' * len(keys))})", (scope, *keys)):
                rows[row[-2]] = row
        found = []
        for key, order, _ in matches:
            row = rows.get(key)
            if row is None or row[-1] != order or row[7] != embedder_id:
                continue
            stored = self._rows.stored(row, scope, key)
            if isinstance(stored, Stored) and stored.entry.vector is not None:
                found.append(stored)
            else:
                self._replica.leave_out(scope, key)
        return found


def _nearest(found: Sequence[Stored], vector: FloatArray, limit: int) -> list[Candidate]:
    """The best, by the vectors that the file holds; of equally similar ones those that came first stay in front."""
    vectors = [stored.entry.vector for stored in found if stored.entry.vector is not None]
    if not vectors:
        return []
    # Added up row by row in one fixed order, so that equal vectors have equal similarities.
    similarities = np.add.reduce(np.stack(vectors) * as_vector(vector), axis=1)
    ranked = sorted(zip(np.clip(similarities, -1.0, 1.0).tolist(), found, strict=True), key=_similarity, reverse=True)
    return [
        Candidate(stored.entry, similarity, stored.access_count, stored.tier, stored.reads)
        for similarity, stored in ranked[:limit]
    ]


def _similarity(ranked: tuple[float, Stored]) -> float:
    return ranked[0]
