"""The tables of a cache file, and how a file of an earlier version gets them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from llmcache_plugins.stores.codec import decode_entry
from llmcache_plugins.stores.rows import selected_columns
from llmcache_plugins.types import Entry

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "create", "migrate"]

SCHEMA_VERSION = 3
APPLICATION_ID = 0x4C4D4350  # "LMCP", in the file's header: whose file this is

# A rowid table with a unique key: WITHOUT ROWID splits pages badly with rows of this size (4.1 against 5.4 KB each).
# `inserted` is a stamp of one counter, not a time: the order stays right when a clock jumps. Of an entry's reads,
# `base_reads` came before its last demotion. What selectors ask for has columns, before the body, which may be long and
# is then not read.
_ENTRIES = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL, key TEXT NOT NULL, normalised_key TEXT NOT NULL, namespace TEXT NOT NULL,
    is_candidate INTEGER NOT NULL, is_note INTEGER NOT NULL DEFAULT 0, expires_at REAL, size INTEGER NOT NULL,
    inserted INTEGER NOT NULL, access_count INTEGER NOT NULL DEFAULT 0, last_access REAL,
    tier TEXT NOT NULL DEFAULT '', placed_at REAL, base_reads INTEGER NOT NULL DEFAULT 0,
    priority REAL NOT NULL DEFAULT 0, weight REAL NOT NULL DEFAULT 0, stale_at REAL,
    created_at REAL NOT NULL DEFAULT 0, query_type TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '',
    level TEXT NOT NULL DEFAULT '', embedder_id TEXT, body BLOB NOT NULL, vector BLOB,
    UNIQUE (scope, key)
);
"""
_ENTRY_INDEXES = """
CREATE INDEX entries_normalised ON entries (scope, normalised_key, inserted);
CREATE INDEX entries_candidates ON entries (scope, embedder_id, inserted) WHERE is_candidate;
CREATE INDEX entries_expires ON entries (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX entries_priority ON entries (tier, priority, inserted);
CREATE INDEX entries_inserted ON entries (inserted);
"""
_ALIASES = """
CREATE TABLE aliases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL, key TEXT NOT NULL, target_key TEXT NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (scope, key)
);
CREATE INDEX aliases_target ON aliases (scope, target_key);
"""
# Its last row is never removed, so that the numbers rise without AUTOINCREMENT, which would write one more page.
_CHANGES = "CREATE TABLE changes (number INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL);\n"
_STATE = """
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    stamp INTEGER NOT NULL, entries INTEGER NOT NULL, aliases INTEGER NOT NULL, bytes INTEGER NOT NULL,
    edits INTEGER NOT NULL DEFAULT 0, policies TEXT NOT NULL DEFAULT ''
);
"""
# `edits` counts what makes a copy of an entry or a note wrong: replaced, marked stale or removed, but not added or
# read. A lease's number is its token; when the name is leased again, a row with a larger one replaces this.
_MORE_TABLES = """
CREATE TABLE shares (tier TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entry_tags (tag TEXT NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (tag, entry)) WITHOUT ROWID;
CREATE INDEX entry_tags_entry ON entry_tags (entry);
CREATE TABLE invalidations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, selector TEXT NOT NULL, reason TEXT NOT NULL,
    mode TEXT NOT NULL, count INTEGER NOT NULL
);
CREATE TABLE leases (
    token INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, holder TEXT NOT NULL, until REAL NOT NULL
);
CREATE TABLE notes (name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
# Since version 3. Unlike notes they are no edits.
_TALLIES = "CREATE TABLE tallies (name BLOB PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;\n"
# The triggers keep the totals and the log right whatever statement changes a row.
_ENTRY_TRIGGERS = """
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
    UPDATE state SET entries = entries + 1, bytes = bytes + new.size;
    INSERT INTO shares VALUES (new.tier, 1, new.size)
        ON CONFLICT (tier) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
    UPDATE state SET entries = entries - 1, bytes = bytes - old.size, edits = edits + 1;
    UPDATE shares SET entries = entries - 1, bytes = bytes - old.size WHERE tier = old.tier;
    DELETE FROM aliases WHERE scope = old.scope AND target_key = old.key;
    DELETE FROM entry_tags WHERE entry = old.id;
END;
CREATE TRIGGER entry_resized AFTER UPDATE OF size ON entries WHEN new.size IS NOT old.size BEGIN
    UPDATE state SET bytes = bytes + new.size - old.size;
END;
CREATE TRIGGER entry_moved AFTER UPDATE OF tier, size ON entries
WHEN new.size IS NOT old.size OR new.tier IS NOT old.tier BEGIN
    UPDATE shares SET entries = entries - 1, bytes = bytes - old.size WHERE tier = old.tier;
    INSERT INTO shares VALUES (new.tier, 1, new.size)
        ON CONFLICT (tier) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER entry_replaced AFTER UPDATE OF body ON entries BEGIN
    UPDATE state SET edits = edits + 1;
    DELETE FROM entry_tags WHERE entry = old.id;
END;
CREATE TRIGGER entry_marked AFTER UPDATE OF stale_at ON entries WHEN new.stale_at IS NOT old.stale_at BEGIN
    UPDATE state SET edits = edits + 1;
END;
CREATE TRIGGER vector_added AFTER INSERT ON entries WHEN new.vector IS NOT NULL BEGIN
    INSERT INTO changes (scope, key) VALUES (new.scope, new.key);
END;
CREATE TRIGGER vector_removed AFTER DELETE ON entries WHEN old.vector IS NOT NULL BEGIN
    INSERT INTO changes (scope, key) VALUES (old.scope, old.key);
END;
CREATE TRIGGER vector_changed AFTER UPDATE OF vector, embedder_id, expires_at, inserted, is_candidate ON entries
WHEN old.vector IS NOT NULL OR new.vector IS NOT NULL BEGIN
    INSERT INTO changes (scope, key) VALUES (new.scope, new.key);
END;
"""
_ALIAS_TRIGGERS = """
CREATE TRIGGER alias_added AFTER INSERT ON aliases BEGIN
    UPDATE state SET aliases = aliases + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER alias_removed AFTER DELETE ON aliases BEGIN
    UPDATE state SET aliases = aliases - 1, bytes = bytes - old.size, edits = edits + 1;
END;
"""
_NOTE_TRIGGERS = """
CREATE TRIGGER note_added AFTER INSERT ON notes BEGIN UPDATE state SET edits = edits + 1; END;
CREATE TRIGGER note_changed AFTER UPDATE ON notes BEGIN UPDATE state SET edits = edits + 1; END;
CREATE TRIGGER note_removed AFTER DELETE ON notes BEGIN UPDATE state SET edits = edits + 1; END;
"""
_NEW = (
    f"{_ENTRIES}{_ENTRY_INDEXES}{_ALIASES}{_CHANGES}{_STATE}INSERT INTO state VALUES (1, 0, 0, 0, 0, 0, '');"
    f"\n{_MORE_TABLES}{_TALLIES}{_ENTRY_TRIGGERS}{_ALIAS_TRIGGERS}{_NOTE_TRIGGERS}"
)
# From version 1: the rows are copied into a new table, because nearly all of each would be written anew anyway. Least
# recently used was the only order then. What cannot be copied (a damaged index had let a key in twice) is left behind.
_FROM_1 = f"""
DROP TRIGGER IF EXISTS alias_removed;
ALTER TABLE entries RENAME TO entries_1;
DROP INDEX IF EXISTS entries_normalised;
DROP INDEX IF EXISTS entries_candidates;
DROP INDEX IF EXISTS entries_expires;
{_ENTRIES}
INSERT OR IGNORE INTO entries (
    id, scope, key, normalised_key, namespace, is_candidate, expires_at, size, inserted, access_count, last_access,
    priority, embedder_id, body, vector
)
SELECT id, scope, key, normalised_key, namespace, is_candidate, expires_at, size, inserted, access_count, last_access,
    used, embedder_id, body, vector FROM entries_1 ORDER BY id;
DROP TABLE entries_1;
{_ENTRY_INDEXES}
DROP TABLE changes;
{_CHANGES}
ALTER TABLE state ADD COLUMN edits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN policies TEXT NOT NULL DEFAULT '';
{_MORE_TABLES}
"""
_FILL = "UPDATE entries SET created_at = ?, query_type = ?, model = ? WHERE id = ?"
_AT_ONCE = 500


def create(connection: sqlite3.Connection) -> None:
    """Make everything, in the transaction that is open."""
    _execute(connection, _NEW)
    _sign(connection)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of this earlier version up to date, in the transaction that is open."""
    if version == 1:
        _execute(connection, _FROM_1)
        _fill_columns(connection)
        connection.execute("INSERT INTO shares SELECT tier, count(*), total(size) FROM entries GROUP BY tier")
        # Totals that are of no use are counted anew later, and so are those of rows that were left behind.
        connection.execute("UPDATE state SET entries = (SELECT count(*) FROM entries)")
        _execute(connection, f"{_ENTRY_TRIGGERS}DROP TRIGGER IF EXISTS alias_added;{_ALIAS_TRIGGERS}{_NOTE_TRIGGERS}")
    _execute(connection, _TALLIES)
    _sign(connection)


def _fill_columns(connection: sqlite3.Connection) -> None:
    """What version 1 had in the body alone."""
    last = -(2**63)
    while True:
        rows = connection.execute("SELECT id, body FROM entries WHERE id > ? ORDER BY id LIMIT ?", (last, _AT_ONCE))
        bodies = rows.fetchall()
        if not bodies:
            return
        last = bodies[-1][0]
        for row, body in bodies:
            entry = decode_entry(body)
            if isinstance(entry, Entry):
                columns = selected_columns(entry)
                connection.execute(_FILL, (columns["created_at"], columns["query_type"], columns["model"], row))


def _sign(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _execute(connection: sqlite3.Connection, script: str) -> None:
    """The statements one by one: `executescript` would commit the transaction they belong to."""
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
