"""The disk store when processes are killed, files are damaged and locks are held."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.errors import StoreCorrupt, StoreError, StoreUnavailable
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Damaged, Stored

EMBEDDER = "fake/8/unit"

WRITER = """
import sys
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector

store = DiskStore(sys.argv[1], max_entries=1_000_000)
number = 0
while True:
    entry = make_entry(f"{sys.argv[2]} {number}", vector=make_vector(number * 1e-4), answer_json='"' + "x" * 2000 + '"')
    store.put(entry)
    store.put_alias(make_alias(f"alias {entry.text}", entry))
    print(number, flush=True)  # only what is reported was promised
    number += 1
"""

PARTNER = """
import sys
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_entry, make_vector

store = DiskStore(sys.argv[1])
verbs = {
    "put": lambda text: store.put(make_entry(text, vector=make_vector(0.1))),
    "delete": lambda text: store.delete("scope", [f"key of {text}"]),
    "vector": lambda text: store.set_vectors("scope", "fake/8/unit", {f"key of {text}": make_vector(0.2)}),
    "clear": lambda text: store.clear(),
}
print("ready", flush=True)
for line in sys.stdin:
    verb, text = line.split()
    verbs[verb](text)
    print("done", flush=True)
store.close()
"""


def searched(store: DiskStore, limit: int = 9) -> list[str]:
    return [c.entry.text for c in store.search("scope", EMBEDDER, make_vector(0.0), limit=limit, now=0.0)]


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


# -- processes


@pytest.mark.slow
def test_killed_writers_lose_nothing_they_promised(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    promised: dict[str, int] = {}
    for round_ in range(3):
        names = [f"{round_}a", f"{round_}b"]
        with running(WRITER, str(path), names[0]) as first, running(WRITER, str(path), names[1]) as second:
            writers = [first, second]
            for writer in writers:
                assert writer.stdout is not None
                for _ in range(20 + round_):  # so many are acknowledged before the kill; it comes in the middle of more
                    assert writer.stdout.readline()
            for writer in writers:
                os.kill(writer.pid, signal.SIGKILL)
            for name, writer in zip(names, writers, strict=True):
                assert writer.stdout is not None
                lines = writer.stdout.read().split()
                promised[name] = max([19 + round_, *map(int, lines)])
    with closing(DiskStore(path, max_entries=1_000_000)) as store:
        with closing(sqlite3.connect(path)) as connection:
            vectors = dict(connection.execute("SELECT key, vector FROM entries"))
        for name, last in promised.items():
            for number in range(last + 1):
                found = store.get("scope", f"key of alias {name} {number}")
                assert isinstance(found, Stored), (name, number, last)
                assert vectors[f"key of {name} {number}"] == make_vector(number * 1e-4).tobytes()
        total = sum(last + 1 for last in promised.values())
        assert store.stats().damaged == 0
        assert store.stats().entries >= total
        assert store.census("scope", EMBEDDER, limit=1).candidates == store.stats().entries
    assert integrity(path) == "ok"


def test_what_another_process_writes_is_found_at_the_next_look_up(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, running(PARTNER, str(path)) as partner:

        def tell(line: str) -> None:
            assert partner.stdin is not None
            assert partner.stdout is not None
            if line:
                partner.stdin.write(line + "\n")
                partner.stdin.flush()
            assert partner.stdout.readline().strip() in ("ready", "done")

        tell("")
        store.put(make_entry("mine"))
        assert searched(store) == []
        tell("put theirs")
        assert searched(store) == ["theirs"]
        tell("vector mine")
        assert searched(store) == ["theirs", "mine"]
        assert store.census("scope", EMBEDDER, limit=5).pending == ()
        tell("delete theirs")
        assert searched(store) == ["mine"]
        tell("put more")
        tell("clear everything")
        assert searched(store) == []
        assert store.stats().entries == 0


def test_a_reader_behind_the_log_reads_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmcache_plugins.stores.disk_core._CHANGES_KEPT", 5)
    monkeypatch.setattr("llmcache_plugins.stores.disk_core._TRIM_EVERY", 1)
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as reader, closing(DiskStore(path)) as writer:
        writer.put(make_entry("old", vector=make_vector(0.0)))
        assert searched(reader) == ["old"]
        writer.delete("scope", ["key of old"])
        for number in range(30):
            writer.put(make_entry(f"{number}", vector=make_vector(number * 0.01)))
        with closing(sqlite3.connect(path)) as connection:
            (kept,) = connection.execute("SELECT count(*) FROM changes").fetchone()
        assert kept < 10
        assert searched(reader, limit=40) == [f"{number}" for number in range(30)]


def test_a_forked_child_and_its_parent_both_go_on(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    script = """
import os, sys
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_entry, make_vector

store = DiskStore(sys.argv[1])
store.put(make_entry("before", vector=make_vector(0.0)))
store.touch("scope", "key of before", 5.0)
child = os.fork()
store.put(make_entry("child" if child == 0 else "parent", vector=make_vector(0.1)))
found = store.search("scope", "fake/8/unit", make_vector(0.0), limit=1, now=0.0)
assert [c.entry.text for c in found] == ["before"]
if child == 0:
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
store.close()
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)
    with closing(DiskStore(path)) as store:
        assert sorted(searched(store)) == ["before", "child", "parent"]
        found = store.get("scope", "key of before")
        assert isinstance(found, Stored)
        assert found.access_count == 1
    assert integrity(path) == "ok"


def test_many_may_make_the_file_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "cache.db"
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: DiskStore(path), range(8)))
    for number, store in enumerate(stores):
        store.put(make_entry(f"{number}"))
    assert {store.stats().entries for store in stores} == {8}
    for store in stores:
        store.close()


def test_the_limit_holds_for_what_another_process_wrote(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path, max_entries=3)) as first, closing(DiskStore(path, max_entries=3)) as second:
        for text in ("a", "b"):
            first.put(make_entry(text))
        second.put(make_entry("c"))
        second.put(make_entry("d"))
        assert [text for text in "abcd" if first.get("scope", f"key of {text}")] == ["b", "c", "d"]
    with closing(DiskStore(path, max_entries=2)) as smaller:
        smaller.put(make_entry("e"))
        assert [text for text in "abcde" if smaller.get("scope", f"key of {text}")] == ["d", "e"]


# -- damage


def damage(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("body", b"\x00garbage", "bad_bytes"),
        ("body", b"{}", "bad_bytes"),
        ("body", "text", "bad_bytes"),
        ("body", b'{"v":99}', "unknown_version"),
        ("access_count", "many", "bad_bytes"),
        ("last_access", "never", "bad_bytes"),
        ("embedder_id", b"\xff\xfe", "bad_bytes"),
    ],
)
def test_a_damaged_row_is_damaged_and_counted(tmp_path: Path, column: str, value: object, reason: str) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("bad", vector=make_vector(0.0)))
        store.put(make_entry("good", vector=make_vector(0.1)))
        assert searched(store) == ["bad", "good"]
        damage(path, f"UPDATE entries SET {column} = ? WHERE key = 'key of bad'", value)
        assert store.get("scope", "key of bad") == Damaged(reason)
        assert store.stats().damaged >= 1
        assert searched(store, limit=1) == ["good"]  # it does not use up the limit
        assert [s.entry.text for s in store.get_normalised("scope", "normalised bad", limit=5)] == []
        store.set_vectors("scope", EMBEDDER, {"key of bad": make_vector(0.0)})
    with closing(DiskStore(path)) as again:
        assert searched(again, limit=1) in (["good"], ["bad"])
        again.put(make_entry("bad", vector=make_vector(0.0)))
        assert searched(again) == ["bad", "good"]


@pytest.mark.parametrize("vector", [b"123", np.array([np.nan] * 8, np.float32).tobytes(), "text", b""])
def test_a_damaged_vector_is_no_candidate_but_costs_no_answer(tmp_path: Path, vector: object) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("bad", vector=make_vector(0.0)))
        store.put(make_entry("good", vector=make_vector(0.1)))
        assert searched(store) == ["bad", "good"]
        damage(path, "UPDATE entries SET vector = ? WHERE key = 'key of bad'", vector)
        assert searched(store, limit=1) == ["good"]
        assert store.stats().damaged >= 1
        assert isinstance(store.get("scope", "key of bad"), Stored)
        store.set_vectors("scope", EMBEDDER, {"key of bad": make_vector(0.0)})
        assert searched(store) == ["bad", "good"]


def test_damage_is_found_in_what_was_read_before(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a", vector=make_vector(0.0)))
        for _ in range(2):
            assert isinstance(store.get("scope", "key of a"), Stored)
            assert searched(store) == ["a"]
        damage(path, "UPDATE entries SET body = replace(CAST(body AS TEXT), 'answer', 'ANSWER')")  # as text: no bytes
        assert store.get("scope", "key of a") == Damaged("bad_bytes")
        damage(path, "UPDATE entries SET body = CAST(replace(body, 'ANSWER', 'answer') AS BLOB)")
        assert isinstance(store.get("scope", "key of a"), Stored)
        damage(path, "UPDATE entries SET body = CAST(replace(body, ': ', ':') AS BLOB)")  # JSON still, and not its sum
        assert store.get("scope", "key of a") == Damaged("bad_bytes")
        damage(path, "UPDATE entries SET body = CAST(replace(body, 'text', '\\u') AS BLOB)")
        assert store.get("scope", "key of a") == Damaged("bad_bytes")
        assert searched(store) == []


def test_a_row_under_a_foreign_key_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a"))
        store.put(make_entry("b"))
        store.put_alias(make_alias("c", make_entry("b")))
        damage(path, "UPDATE entries SET body = (SELECT body FROM entries WHERE key = 'key of b')")
        damage(path, "UPDATE aliases SET body = x'7b7d'")
        assert store.get("scope", "key of a") == Damaged("bad_bytes")
        assert isinstance(store.get("scope", "key of b"), Stored)
        assert store.get("scope", "key of c") == Damaged("bad_bytes")
        assert store.stats().damaged == 2


def test_vectors_of_another_dimension_hide_nobody(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        for number in range(5):
            store.put(make_entry(f"{number}", vector=make_vector(0.1 * number)))
    damage(path, "UPDATE entries SET vector = substr(vector, 1, 16) WHERE key = 'key of 0'")
    with closing(DiskStore(path)) as store:
        assert searched(store) == ["1", "2", "3", "4"]
        assert store.stats().damaged == 1


def _no_database(path: Path) -> None:
    path.write_bytes(b"These are some notes and not a database.\n" * 100)


def _truncated(path: Path) -> None:
    with closing(DiskStore(path)) as store:
        for number in range(50):
            store.put(make_entry(f"{number}", answer_json='"' + "x" * 3000 + '"'))
    os.truncate(path, path.stat().st_size // 2)


def _overwritten(path: Path) -> None:
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a"))
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE accounts (name TEXT)")


def _of_a_later_version(path: Path) -> None:
    DiskStore(path).close()
    damage(path, "PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (_no_database, "damaged or no cache file"),
        (_truncated, "damaged or no cache file"),
        (_overwritten, "damaged or no cache file"),
        (_of_another_program, "of another program"),
        (_of_a_later_version, "later version"),
    ],
)
def test_an_unreadable_file_is_reported_and_left_alone(
    tmp_path: Path, prepare: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "cache.db"
    prepare(path)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=says) as caught:
        DiskStore(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path]


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    path.touch()
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a"))
        assert store.stats().entries == 1


# -- unavailable


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_locked_file_is_unavailable_for_writers_only(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path, busy_timeout=0.02)) as store:
        store.put(make_entry("a", vector=make_vector(0.0)))
        with locked(path):
            with pytest.raises(StoreUnavailable, match="locked by another process"):
                store.put(make_entry("b"))
            assert searched(store) == ["a"]
            for _ in range(100):  # so many that they are due to be written
                store.touch("scope", "key of a", 5.0)
        store.put(make_entry("b"))
        found = store.get("scope", "key of a")
        assert isinstance(found, Stored)
        assert found.access_count == 100


def test_closing_a_locked_file_raises_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    store = DiskStore(path, busy_timeout=0.02)
    store.put(make_entry("a"))
    store.touch("scope", "key of a", 5.0)
    with locked(path):
        store.close()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], None]], None]:
    """Lets a function prepare every new connection: the driver itself then says read-only or full."""

    def prepare_by(prepare: Callable[[Any], None]) -> None:
        connect = sqlite3.connect

        def connect_prepared(*arguments: Any, **options: Any) -> Any:
            connection = connect(*arguments, **options)
            prepare(connection)
            return connection

        monkeypatch.setattr(sqlite3, "connect", connect_prepared)

    return prepare_by


def test_a_read_only_file_is_unavailable(tmp_path: Path, connected: Any) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a"))
    connected(lambda connection: connection.execute("PRAGMA query_only = ON"))
    with closing(DiskStore(path)) as store:
        with pytest.raises(StoreUnavailable, match="read-only"):
            store.put(make_entry("b"))
        assert isinstance(store.get("scope", "key of a"), Stored)


def test_a_full_disk_is_unavailable_and_loses_nothing(tmp_path: Path, connected: Any) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a"))
    connected(lambda connection: connection.execute("PRAGMA max_page_count = 1"))  # as many as there are, it means
    with closing(DiskStore(path)) as store:
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            store.put(make_entry("b", answer_json='"' + "x" * 900_000 + '"'))
        assert isinstance(store.get("scope", "key of a"), Stored)
    assert integrity(path) == "ok"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        DiskStore(tmp_path)


def test_a_file_in_place_of_the_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        DiskStore(tmp_path / "folder" / "cache.db")


def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache.db")
    store.close()
    store.close()
    verbs: list[Callable[[], object]] = [
        lambda: store.get("scope", "key"),
        lambda: searched(store),
        lambda: store.put(make_entry("a")),
        lambda: store.stats(),
        lambda: store.sweep(0.0, limit=1),
        lambda: store.touch("scope", "key", 0.0),
    ]
    for verb in verbs:
        with pytest.raises(StoreUnavailable, match="closed"):
            verb()


def test_a_waiting_writer_stops_no_reader(tmp_path: Path) -> None:
    """While one thread waits for another process' lock, the others of this process read on."""
    path = tmp_path / "cache.db"
    with closing(DiskStore(path, busy_timeout=30)) as store, ThreadPoolExecutor(1) as threads:
        store.put(make_entry("a", vector=make_vector(0.0)))
        with locked(path):
            writing = threads.submit(store.put, make_entry("b"))
            start = time.monotonic()
            assert searched(store) == ["a"]
            assert time.monotonic() - start < 20
            assert not writing.done()
        writing.result(timeout=30)


def test_what_sqlite_cannot_take_is_a_store_error(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        with pytest.raises(StoreError):
            store.put(make_entry("a", key="\ud800"))
        with pytest.raises(StoreError):
            store.put(make_entry("a", created_at=float("nan")))
        with pytest.raises(StoreError):
            store.get("scope", "\ud800")
        assert store.stats().entries == 0


def test_a_list_of_tables_that_is_no_text_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a"))
    content = bytearray(path.read_bytes())
    place = content.index(b"tableentriesentries\x02CREATE TABLE") + len("table")
    content[place : place + 20] = b"\xcc" * 20  # SQLite names the table in its message
    path.write_bytes(content)
    with pytest.raises(StoreError), closing(DiskStore(path)) as store:
        store.get("scope", "key of a")
