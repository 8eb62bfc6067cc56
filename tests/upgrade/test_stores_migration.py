"""A file of version 1 is brought up to date when it is opened: whole or not at all."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from llmcache_plugins.errors import StoreError, StoreUnavailable
from llmcache_plugins.policies.eviction import Fifo
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.stores.codec import encode_alias, encode_entry, encode_vector
from llmcache_plugins.stores.schema import SCHEMA_VERSION
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Stored

EMBEDDER = "fake/8/unit"

# As version 1 made it.
SCHEMA_1 = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL, key TEXT NOT NULL, normalised_key TEXT NOT NULL, namespace TEXT NOT NULL,
    is_candidate INTEGER NOT NULL, expires_at REAL, size INTEGER NOT NULL,
    inserted INTEGER NOT NULL, used INTEGER NOT NULL, access_count INTEGER NOT NULL DEFAULT 0, last_access REAL,
    embedder_id TEXT, body BLOB NOT NULL, vector BLOB,
    UNIQUE (scope, key)
);
CREATE INDEX entries_normalised ON entries (scope, normalised_key, inserted);
CREATE INDEX entries_candidates ON entries (scope, embedder_id, inserted) WHERE is_candidate;
CREATE INDEX entries_expires ON entries (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX entries_used ON entries (used);
CREATE TABLE aliases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL, key TEXT NOT NULL, target_key TEXT NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (scope, key)
);
CREATE INDEX aliases_target ON aliases (scope, target_key);
CREATE TABLE changes (number INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, key TEXT NOT NULL);
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    stamp INTEGER NOT NULL, entries INTEGER NOT NULL, aliases INTEGER NOT NULL, bytes INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, 0, 0);
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
    UPDATE state SET entries = entries + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
    UPDATE state SET entries = entries - 1, bytes = bytes - old.size;
    DELETE FROM aliases WHERE scope = old.scope AND target_key = old.key;
END;
CREATE TRIGGER entry_resized AFTER UPDATE OF size ON entries BEGIN
    UPDATE state SET bytes = bytes + new.size - old.size;
END;
CREATE TRIGGER alias_added AFTER INSERT ON aliases BEGIN
    UPDATE state SET aliases = aliases + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER alias_removed AFTER DELETE ON aliases BEGIN
    UPDATE state SET aliases = aliases - 1, bytes = bytes - old.size;
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
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1280131920;
PRAGMA user_version = 1;
"""
PUT_1 = """
INSERT INTO entries (scope, key, normalised_key, namespace, is_candidate, expires_at, size, inserted, used,
                     access_count, last_access, embedder_id, body, vector)
VALUES ('scope', ?, ?, '"acme",', 1, NULL, ?, ?, ?, ?, ?, ?, ?, ?)
"""
OPEN = """
import sys
from llmcache_plugins.stores import DiskStore

print("begins", flush=True)
with_store = DiskStore(sys.argv[1], busy_timeout=60.0)
print(with_store.stats().entries, flush=True)
with_store.close()
"""


def make_file(path: Path, count: int) -> Path:
    """Entries 0, 1, ...; number 0 was used last, the others in the order of their numbers."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_1)
        with connection:
            for number in range(count):
                entry = make_entry(f"{number}", model="some-model")
                reads = (3, 50.0) if number == 0 else (0, None)
                vector = encode_vector(make_vector(number * 1e-3))
                stamps = number + 1, count + 1 if number == 0 else number + 1
                row = (entry.key, entry.normalised_key, 2000, *stamps, *reads, EMBEDDER, encode_entry(entry), vector)
                connection.execute(PUT_1, row)
            alias = make_alias("other", make_entry("0"))
            connection.execute(
                "INSERT INTO aliases (scope, key, target_key, size, body) VALUES ('scope', ?, ?, 600, ?)",
                (alias.key, alias.target_key, encode_alias(alias)),
            )
            connection.execute("UPDATE state SET stamp = ?", (count + 1,))
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def kept(store: DiskStore) -> list[str]:
    return [stored.entry.text for stored in store.select(Selector(), limit=10_000).rows]


def test_everything_is_there_afterwards(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 4)
    with closing(DiskStore(path)) as store:
        found = store.get("scope", "key of other")
        assert isinstance(found, Stored)
        assert found.entry == make_entry("0", model="some-model", vector=make_vector())
        assert (found.access_count, found.last_access, found.reads) == (3, 50.0, 3)
        assert (found.tier, found.placed_at, found.entry.stale_at) == ("", None, None)
        assert found.alias == make_alias("other", make_entry("0"))
        nearest = store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)
        assert [candidate.entry.text for candidate in nearest] == list("0123")
        np.testing.assert_array_equal(nearest[1].entry.vector, make_vector(1e-3))
        assert store.stats().shares[""].entries == store.stats().entries == 4
        assert (store.stats().size_bytes, store.stats().shares[""].size_bytes) == (8600, 8000)
        assert len(store.select(Selector(models=("some-model",), query_types=("general",)), limit=9).rows) == 4
        assert store.select(Selector(stored_before=make_entry().created_at), limit=9).rows == ()
        assert store.sequence() == 0
        assert store.delete("scope", ["key of 0"]) == 1
        assert store.get("scope", "key of other") is None
        assert store.stats().aliases == 0
    assert version_of(path) == SCHEMA_VERSION


def test_the_least_recently_used_still_leave_first(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 4)
    with closing(DiskStore(path, max_entries=4)) as store:
        store.put(make_entry("4"))
        store.put(make_entry("5"))
        assert sorted(kept(store)) == ["0", "3", "4", "5"]


def test_under_another_policy_its_own_order_holds(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 4)
    with closing(DiskStore(path, max_entries=4, eviction=Fifo())) as store:
        store.touch("scope", "key of 1", 60.0)
        store.put(make_entry("4"))
        assert "1" not in kept(store)


def test_damaged_rows_stop_nothing(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 5)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE entries SET body = x'00ff' WHERE key = 'key of 1'")
        connection.execute("UPDATE entries SET inserted = 'first', used = 9e999 WHERE key = 'key of 2'")
        connection.execute("UPDATE entries SET size = 9e999 WHERE key = 'key of 3'")
        connection.execute("DELETE FROM state")
    with closing(DiskStore(path)) as store:
        assert kept(store) == ["0", "3", "4", "2"]
        assert store.stats().entries == 5
        assert 5000 < store.stats().size_bytes < 20_000
        assert store.clear() == 5
        store.put(make_entry("new"))
        assert kept(store) == ["new"]


def test_what_fails_on_the_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 5)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (surprise TEXT)")
    with pytest.raises(StoreError):
        DiskStore(path)
    assert version_of(path) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*), max(used) FROM entries").fetchone() == (5, 6)
        connection.execute("DROP TABLE notes")
    with closing(DiskStore(path)) as store:
        assert kept(store) == list("01234")


def test_a_file_that_is_locked_is_unavailable_and_unchanged(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 2)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            DiskStore(path, busy_timeout=0.0)
        connection.rollback()
    assert version_of(path) == 1


@pytest.mark.slow
def test_a_process_killed_on_the_way_leaves_a_file_that_is_whole(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 1500)
    # The function that fills the new columns kills the process half-way: nothing of the transaction may be there.
    script = "import os, signal\nfrom llmcache_plugins.stores import schema\n"
    script += "schema._fill_columns = lambda connection: os.kill(os.getpid(), signal.SIGKILL)\n"
    script += "schema._sign = None\n"
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", script + OPEN, str(path)], capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert version_of(path) == 1
    with closing(DiskStore(path)) as store:
        assert len(kept(store)) == store.stats().entries == 1500
    assert version_of(path) == SCHEMA_VERSION


@pytest.mark.slow
def test_processes_killed_at_any_moment_lose_nothing(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 1500)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", OPEN, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            os.kill(process.pid, signal.SIGKILL)
        assert version_of(path) in (1, SCHEMA_VERSION)
    with closing(DiskStore(path)) as store:
        assert len(kept(store)) == store.stats().entries == 1500


@pytest.mark.slow
def test_several_processes_at_once_bring_it_up_to_date_once(tmp_path: Path) -> None:
    path = make_file(tmp_path / "cache.db", 1500)
    command = [sys.executable, "-c", OPEN, str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        with process:
            out, _ = process.communicate(timeout=120)
        assert (process.returncode, out.split()) == (0, ["begins", "1500"])
    assert version_of(path) == SCHEMA_VERSION
