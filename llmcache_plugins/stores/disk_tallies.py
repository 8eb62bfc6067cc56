"""Small texts under names in a cache file that change all or none: what processes have counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress

from llmcache_plugins.stores.disk_core import DiskCore

__all__ = ["DiskTallies"]

_FIND = "SELECT text FROM tallies WHERE name = ?"
_KEEP = "INSERT INTO tallies VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text"


class DiskTallies(DiskCore):
    """The verbs about them."""

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        with self._writing() as connection:
            if any(_text(connection, name) != text for name, text in expected.items()):
                return False
            for name, text in changes.items():
                if text is None:
                    connection.execute("DELETE FROM tallies WHERE name = ?", (_bytes(name),))
                else:
                    connection.execute(_KEEP, (_bytes(name), _bytes(text)))
        return True

    def tallies(self) -> dict[str, str]:
        with self._file.reading() as connection:
            rows = connection.execute("SELECT name, text FROM tallies ORDER BY name").fetchall()
        found: dict[str, str] = {}
        for name, text in rows:
            if isinstance(name, bytes) and isinstance(text, bytes):
                with suppress(UnicodeDecodeError):  # damaged
                    found[name.decode("utf-8", "surrogatepass")] = text.decode("utf-8", "surrogatepass")
        return found


def _text(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute(_FIND, (_bytes(name),)).fetchone()
    if row is None:
        return None
    return row[0].decode("utf-8", "surrogatepass") if isinstance(row[0], bytes) else ""


def _bytes(text: str) -> bytes:
    """As bytes, because text of SQLite cannot hold lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
