"""What the processes of a cache file tell each other: leases, notes, and whether anything has changed."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Hashable
from contextlib import closing, suppress

from llmcache_plugins.selection import Lease
from llmcache_plugins.stores.disk_core import DiskCore

__all__ = ["DiskLeases", "is_late"]

_KEPT = 10_000
_TRIM_EVERY = 64
_FIND = "SELECT token, holder, until FROM leases WHERE name = ?"
_TRIM = """
DELETE FROM leases WHERE until <= ? AND token < (SELECT token FROM leases ORDER BY token DESC LIMIT 1 OFFSET ?)
"""


class DiskLeases(DiskCore):
    """The verbs for several processes."""

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        with self._file.reading() as connection:  # who waits for a lease asks often, and must not keep others waiting
            if _is_held(connection.execute(_FIND, (name,)).fetchone(), holder, now):
                return None
        with self._writing() as connection:
            row = connection.execute(_FIND, (name,)).fetchone()
            if _is_held(row, holder, now):
                return None
            if row is not None and row[1] == holder and _ends(row) > now:
                connection.execute("UPDATE leases SET until = ? WHERE token = ?", (until, row[0]))
                return Lease(name, holder, row[0], until)
            give = "INSERT OR REPLACE INTO leases (name, holder, until) VALUES (?, ?, ?)"
            token = connection.execute(give, (name, holder, until)).lastrowid or 0
            if token % _TRIM_EVERY == 0:
                connection.execute(_TRIM, (now, _KEPT - 1))
            return Lease(name, holder, token, until)

    def release(self, lease: Lease) -> None:
        # It is remembered, so that what was computed under an earlier lease is known to be late.
        ended = "UPDATE leases SET until = ? WHERE name = ? AND token = ? AND holder = ?"
        with self._writing() as connection:
            connection.execute(ended, (-math.inf, lease.name, lease.token, lease.holder))

    def note(self, name: str, value: str | None) -> None:
        with self._writing() as connection:
            if value is None:
                connection.execute("DELETE FROM notes WHERE name = ?", (_bytes(name),))
            else:
                keep = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
                connection.execute(keep, (_bytes(name), _bytes(value)))

    def notes(self, prefix: str = "") -> dict[str, str]:
        found: dict[str, str] = {}
        first = _bytes(prefix)
        with self._file.reading() as connection, closing(connection.cursor()) as rows:
            for name, value in rows.execute("SELECT name, value FROM notes WHERE name >= ? ORDER BY name", (first,)):
                if not isinstance(name, bytes) or not name.startswith(first):
                    break
                if isinstance(value, bytes):
                    with suppress(UnicodeDecodeError):  # damaged
                        found[_text(name)] = _text(value)
        return found

    def version(self) -> Hashable:
        """Which file it is and how many entries and notes were replaced, marked or removed in it. What is only added or
        read changes no copy, and there is much of it."""
        with self._file.reading() as connection:  # as cheap as PRAGMA data_version, which changes with every touch
            row = connection.execute("SELECT edits FROM state").fetchone()
            version = self._files_seen, None if row is None else row[0]
            if version != self._version_seen:
                self._file.check_version(connection)  # bringing a file up to date counts as an edit
                self._version_seen = version
            return version


def is_late(connection: sqlite3.Connection, fence: Lease) -> bool:
    """Was a later lease of this name given, or can that not be told any more?"""
    row = connection.execute("SELECT token FROM leases WHERE name = ?", (fence.name,)).fetchone()
    if row is None:  # forgotten, or never given in this file
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'leases'").fetchone()
        return row is not None and not (isinstance(row[0], int) and fence.token > row[0])
    return bool(row[0] > fence.token)


def _is_held(row: tuple[object, ...] | None, holder: str, now: float) -> bool:
    """By somebody else."""
    return row is not None and row[1] != holder and _ends(row) > now


def _ends(row: tuple[object, ...]) -> float:
    until = row[2]
    return until if isinstance(until, float) else -math.inf


def _bytes(text: str) -> bytes:
    """As bytes, because text of SQLite cannot hold the lone surrogates of broken clients."""
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")
