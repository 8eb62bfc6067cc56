"""Invalidations in a cache file: each is noted in a log and carried out in one transaction."""

from __future__ import annotations

import json
import sqlite3

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.selection import Invalidated, Invalidation, Selector
from llmcache_plugins.stores.disk_core import DiskCore
from llmcache_plugins.stores.rows import storable
from llmcache_plugins.stores.selecting import selection_of
from llmcache_plugins.types import Entry

__all__ = ["DiskInvalidations", "admits"]

_KEPT = 10_000
_SEQUENCE = "SELECT seq FROM sqlite_sequence WHERE name = 'invalidations'"
_NOTE = "INSERT INTO invalidations (at, selector, reason, mode, count) VALUES (?, ?, ?, ?, ?)"
_COLUMNS = "number, at, selector, reason, mode, count"


class DiskInvalidations(DiskCore):
    """The verbs about what is not right any more."""

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        selection = selection_of(selector)
        if is_lazy:
            selection.add("e.stale_at IS NULL")
        find, values = selection.ordered("e.id, e.scope, e.key")
        noted = json.dumps(selector.to_json()), storable(reason), storable(mode)
        with self._writing() as connection:
            rows = connection.execute(find, values).fetchall()
            number = connection.execute(_NOTE, (now, *noted, len(rows))).lastrowid or 0
            connection.execute("DELETE FROM invalidations WHERE number <= ?", (number - _KEPT,))
            rows = rows[: max(limit, 0)]
            if is_lazy:
                connection.executemany("UPDATE entries SET stale_at = ? WHERE id = ?", [(now, row[0]) for row in rows])
            else:
                connection.executemany("DELETE FROM entries WHERE id = ?", [row[:1] for row in rows])
        return Invalidated(number, tuple((scope, key) for _, scope, key in rows))

    def invalidations(self, *, since: float) -> list[Invalidation]:
        found = f"SELECT {_COLUMNS} FROM invalidations WHERE at >= ? ORDER BY number"
        with self._file.reading() as connection:
            rows = connection.execute(found, (since,)).fetchall()
        return [noted for noted in map(_invalidation, rows) if noted is not None]

    def forget_invalidations(self, *, before: float) -> int:
        with self._writing() as connection:
            return connection.execute("DELETE FROM invalidations WHERE at < ?", (before,)).rowcount

    def sequence(self) -> int:
        with self._file.reading() as connection:
            return _sequence(connection)


def admits(connection: sqlite3.Connection, entry: Entry, tier: str, seen: int) -> bool:
    """False when an invalidation after number `seen` is about the entry, or when that cannot be told any more."""
    last = _sequence(connection)
    if seen >= last or entry.is_note:
        return True
    rows = connection.execute(f"SELECT {_COLUMNS} FROM invalidations WHERE number > ?", (seen,)).fetchall()
    if len(rows) < last - seen:  # some are forgotten
        return False
    return all(noted is not None and not noted.undoes(entry, tier) for noted in map(_invalidation, rows))


def _sequence(connection: sqlite3.Connection) -> int:
    row = connection.execute(_SEQUENCE).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0


def _invalidation(row: tuple[object, ...]) -> Invalidation | None:
    """None when it cannot be read."""
    number, at, selector, reason, mode, count = row
    if not isinstance(number, int) or not isinstance(at, float) or not isinstance(count, int):
        return None
    try:
        content = json.loads(selector) if isinstance(selector, str) else None
        if not isinstance(content, dict):
            return None
        return Invalidation(number, at, Selector.from_json(content), str(reason), str(mode), count)
    except (ValueError, RecursionError, ConfigError):
        return None
