from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.errors import ConfigError, StoreCorrupt, StoreError, StoreUnavailable
from llmcache_plugins.stores import DiskStore, disk_reading
from llmcache_plugins.stores.sqlite_file import store_error
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Stored

PENDING = (disk_reading._PENDING_COUNT, disk_reading._PENDING_NEWEST)


@pytest.mark.parametrize("path", [":memory:", ""])
def test_path_must_name_a_file(path: str) -> None:
    with pytest.raises(ConfigError, match="path must name a file"):
        DiskStore(path)


@pytest.mark.parametrize(
    "options", [{"max_entries": 0}, {"max_bytes": -1}, {"busy_timeout": -1.0}, {"busy_timeout": float("nan")}]
)
def test_options_are_checked_before_a_file_is_made(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        DiskStore(tmp_path / "cache.db", **options)
    assert list(tmp_path.iterdir()) == []


def test_folder_and_file_belong_to_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry())
        modes = {item.name: stat.S_IMODE(item.stat().st_mode) for item in path.parent.iterdir()}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert modes
    assert set(modes.values()) == {0o600}


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    entry = make_entry("a", vector=make_vector(0.1))
    with closing(DiskStore(path)) as store:
        store.put(entry)
        store.put(make_entry("b"))
        store.put_alias(make_alias("other", entry))
        store.touch("scope", entry.key, 5.0)
        size = store.stats().size_bytes
    with closing(DiskStore(path)) as store:
        found = store.get("scope", "key of other")
        assert isinstance(found, Stored)
        assert (found.entry, found.access_count, found.last_access) == (entry, 1, 5.0)
        assert [c.entry for c in store.search("scope", "fake/8/unit", make_vector(), limit=5, now=0.0)] == [entry]
        assert [item.text for item in store.census("scope", "fake/8/unit", limit=5).pending] == ["b"]
        assert (store.stats().entries, store.stats().aliases, store.stats().size_bytes) == (2, 1, size)


def test_touches_are_written_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, closing(DiskStore(path)) as other:
        for number in range(64):
            store.put(make_entry(f"{number}"))

        def written() -> int:
            found = [other.get("scope", f"key of {number}") for number in range(64)]
            return sum(stored.access_count for stored in found if isinstance(stored, Stored))

        for number in range(63):
            store.touch("scope", f"key of {number}", 5.0)
        assert written() == 0
        store.touch("scope", "key of 63", 5.0)
        assert written() == 64


def test_eviction_knows_touches_of_an_earlier_process(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path, max_entries=2)) as store:
        store.put(make_entry("a"))
        store.put(make_entry("b"))
        store.touch("scope", "key of a", 5.0)
    with closing(DiskStore(path, max_entries=2)) as store:
        store.put(make_entry("c"))
        assert [text for text in "abc" if store.get("scope", f"key of {text}")] == ["a", "c"]


def test_the_planned_indexes_are_used(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    DiskStore(path).close()
    names = {"scope": "s", "key": "k", "id": "e", "limit": 1}
    with closing(sqlite3.connect(path)) as connection:
        for statement in (disk_reading._GET, f"{disk_reading._FIND}(:key, :id)".replace("?", ":scope"), *PENDING):
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", names))
            assert "SCAN entries" not in plan
            assert "SCAN e" not in plan
            assert "USING" in plan


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_BUSY, StoreUnavailable),
        (sqlite3.SQLITE_IOERR_SHORT_READ, StoreUnavailable),
        (sqlite3.SQLITE_FULL, StoreUnavailable),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreUnavailable),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreCorrupt),
        (sqlite3.SQLITE_NOTADB, StoreCorrupt),
        (sqlite3.SQLITE_ERROR, StoreError),
        (None, StoreError),
    ],
)
def test_driver_errors_have_one_meaning_each(code: int | None, expected: type[StoreError]) -> None:
    error = sqlite3.OperationalError("some text with a prompt in it")
    if code is not None:
        error.sqlite_errorcode = code
    mapped = store_error(error, Path("/folder/cache.db"))
    assert type(mapped) is expected
    assert "/folder/cache.db" in str(mapped)
    assert "prompt" not in str(mapped)


def test_similarities_are_those_of_the_vectors_in_the_file(tmp_path: Path) -> None:
    """Those in memory are rounded: what is served rests on none of them."""
    random = np.random.default_rng(3)
    vectors = random.standard_normal((60, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = (vectors[0] + 0.3 * vectors[1]) / np.linalg.norm(vectors[0] + 0.3 * vectors[1])
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        for number, vector in enumerate(vectors):
            store.put(make_entry(str(number), vector=vector))
        found = store.search("scope", "fake/8/unit", query, limit=5, now=0.0)
    exact = np.sort(vectors.astype(np.float64) @ query.astype(np.float64))[::-1][:5]
    assert [candidate.similarity for candidate in found] == pytest.approx(exact.tolist(), abs=1e-6)


@pytest.mark.parametrize("vector", [b"\0\0\xc0\x7f" * 8, b"\0" * 12, b"", "text", None])
def test_one_damaged_vector_hides_none_of_the_others(tmp_path: Path, vector: object) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        for number in range(20):
            store.put(make_entry(str(number), vector=make_vector(number * 0.05)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE entries SET vector = ? WHERE key = 'key of 7'", (vector,))
        connection.commit()
    with closing(DiskStore(path)) as store:
        found = store.search("scope", "fake/8/unit", make_vector(), limit=40, now=0.0)
    assert sorted(int(candidate.entry.text) for candidate in found) == [n for n in range(20) if n != 7]
