"""Writing to a cache file: each verb is one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmcache_plugins.errors import CodecError, StoreError, StoreUnavailable
from llmcache_plugins.selection import Lease
from llmcache_plugins.stores.capacity import alias_bytes, entry_bytes
from llmcache_plugins.stores.codec import decode_entry, encode_alias, encode_vector
from llmcache_plugins.stores.disk_core import DiskCore
from llmcache_plugins.stores.disk_invalidations import admits
from llmcache_plugins.stores.disk_leases import is_late
from llmcache_plugins.stores.matrix import as_vector
from llmcache_plugins.stores.rows import namespace_path, row_of, storable
from llmcache_plugins.types import Alias, Entry, FloatArray, Namespace

__all__ = ["DiskWrites"]

_log = logging.getLogger(__name__)

_PUT = """
INSERT INTO entries (scope, key, normalised_key, namespace, is_candidate, is_note, expires_at, size, inserted,
                     tier, placed_at, priority, weight, stale_at, created_at, query_type, model, level,
                     embedder_id, body, vector)
VALUES (:scope, :key, :normalised_key, :namespace, :is_candidate, :is_note, :expires_at, :size, :stamp,
        :tier, :placed_at, :priority, :weight, :stale_at, :created_at, :query_type, :model, :level,
        :embedder_id, :body, :vector)
ON CONFLICT (scope, key) DO UPDATE SET
    normalised_key = :normalised_key, namespace = :namespace, is_candidate = :is_candidate, is_note = :is_note,
    expires_at = :expires_at, size = :size, inserted = :stamp, access_count = 0, last_access = NULL,
    tier = :tier, placed_at = :placed_at, base_reads = 0, priority = :priority, weight = :weight,
    stale_at = :stale_at, created_at = :created_at, query_type = :query_type, model = :model, level = :level,
    embedder_id = :embedder_id, body = :body, vector = :vector
"""
_TAG = "INSERT OR IGNORE INTO entry_tags SELECT :tag, id FROM entries WHERE scope = :scope AND key = :key"


class DiskWrites(DiskCore):
    """The verbs that store, count and remove."""

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        row, size = row_of(entry), entry_bytes(entry)
        weight = self._priorities.weight(tier, entry, size)
        with self._writing() as connection:
            if fence is not None and is_late(connection, fence):
                return False
            if seen is not None and not admits(connection, entry, tier, seen):
                return False
            connection.execute("DELETE FROM aliases WHERE scope = ? AND key = ?", (entry.scope, entry.key))
            if size > self._max_bytes:  # what it was to replace is out of date
                connection.execute("DELETE FROM entries WHERE scope = ? AND key = ?", (entry.scope, entry.key))
                return False
            stamp = self._accounts.stamps(connection, 1)
            row["stamp"], row["tier"], row["weight"] = stamp, tier, weight
            row["placed_at"] = entry.created_at if tier else None
            row["priority"] = self._priorities.on_put(tier, weight, entry.created_at, stamp)
            connection.execute(_PUT, row)
            for tag in entry.profile.tags:
                connection.execute(_TAG, {"tag": storable(tag), "scope": entry.scope, "key": entry.key})
            self._make_room(connection, kept=stamp, added=size)
        return True

    def put_alias(self, alias: Alias) -> None:
        try:
            body = encode_alias(alias)
        except CodecError as error:
            raise StoreError(f"an alias cannot be stored: {error}") from error
        there = "SELECT (SELECT 1 FROM entries WHERE scope = :s AND key = :target), "
        there += "(SELECT 1 FROM entries WHERE scope = :s AND key = :key)"
        with self._writing() as connection:
            named = {"s": alias.scope, "target": alias.target_key, "key": alias.key}
            has_target, is_entry = connection.execute(there, named).fetchone()
            if not has_target or is_entry:
                return
            connection.execute("DELETE FROM aliases WHERE scope = ? AND key = ?", (alias.scope, alias.key))
            connection.execute(
                "INSERT INTO aliases (scope, key, target_key, size, body) VALUES (?, ?, ?, ?, ?)",
                (alias.scope, alias.key, alias.target_key, alias_bytes(alias), body),
            )
            self._accounts.trim_aliases(connection, added=alias_bytes(alias))

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        find = "SELECT id, body FROM entries WHERE scope = ? AND key = ? AND is_candidate"
        give = "UPDATE entries SET vector = ?, embedder_id = ?, size = ? WHERE id = ?"
        added = 0
        with self._writing() as connection:
            for key, vector in vectors.items():
                array = as_vector(vector)
                row = connection.execute(find, (scope, key)).fetchone()
                entry = None if row is None else decode_entry(row[1])
                if not isinstance(entry, Entry):
                    continue
                size = entry_bytes(replace(entry, vector=array))
                connection.execute(give, (encode_vector(array), embedder_id, size, row[0]))
                added += array.nbytes
            self._make_room(connection, kept=-1, added=added)

    def touch(self, scope: str, key: str, now: float) -> None:
        if self._file.is_closed:
            raise StoreUnavailable(f"the store of {self._file.path} is closed")
        if self._touches.add(scope, key, now):
            self._flush()

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        removed = 0
        with self._writing() as connection:
            for table in ("aliases", "entries"):  # aliases first: they leave with their entry, and would not be counted
                for key in set(keys):
                    found = connection.execute(f"DELETE FROM {table} WHERE scope = ? AND key = ?", (scope, key))
                    removed += found.rowcount
        return removed

    def sweep(self, now: float, *, limit: int) -> int:
        if limit < 1:
            return 0
        expired = "SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        with self._writing() as connection:
            removed = connection.execute(f"DELETE FROM entries WHERE id IN ({expired})", (now, limit)).rowcount
        self._counts["expirations"] += removed
        return removed

    def clear(self, namespace: Namespace | None = None) -> int:
        path = namespace_path(namespace or ())
        with self._writing() as connection:
            if path:
                below = "DELETE FROM entries WHERE substr(namespace, 1, ?) = ?"
                removed = connection.execute(below, (len(path), path)).rowcount
            else:  # whatever it is, also what is damaged
                removed = connection.execute("DELETE FROM entries").rowcount
                connection.execute("DELETE FROM aliases")
                connection.execute("DELETE FROM entry_tags")
        _log.info("cleared %d entries of %s", removed, self._file.path)
        return removed
