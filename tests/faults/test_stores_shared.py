"""Several processes on one file: killed while they move or invalidate entries, racing, late."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Profile, Stored

COUNT = 40
IMPORTS = """
import sys
from pathlib import Path
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Profile

store = DiskStore(sys.argv[1], last_tier="cold", busy_timeout=60.0)
"""
MOVER = """
addresses = [("scope", f"key of {number}") for number in range(int(sys.argv[2]))]
while True:
    for tier in ("warm", "hot", "cold"):
        store.touch("scope", "key of 0", 1.0)
        store.place(addresses, tier, 5.0, is_demotion=tier == "cold")
        print(tier, flush=True)
"""
KILLED = """
import os, signal
when, verb = sys.argv[2:]
connection = store._file._writer.connection
connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
connection.execute(f"CREATE TEMP TRIGGER killer AFTER {when} BEGIN SELECT die(); END")
exec(verb)
"""
ANSWERER = """
world = Path(sys.argv[2])
print("begins", flush=True)
while True:
    seen = store.sequence()
    answer = world.read_text()
    store.select(Selector(), limit=10)  # a model takes its time
    store.put(make_entry("a", answer_json=answer, profile=Profile("status", "", ("device:1",))), seen=seen)
"""
HOLDER = """
lease = store.acquire("flight", sys.argv[2], 0.0, 30.0)
print("" if lease is None else lease.token, flush=True)
for line in sys.stdin:
    print(store.put(make_entry("a", answer_json=line), fence=lease), flush=True)
"""


@contextmanager
def running(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", IMPORTS + script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process has ended"
    return line.strip()


def said(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return heard(process)


def killed(process: subprocess.Popen[str]) -> list[str]:
    """What it had still said."""
    os.kill(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    return process.stdout.read().splitlines()


def check(path: Path) -> None:
    """The file is whole, and its totals are those of its tables."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counted = connection.execute("SELECT tier, count(*), sum(size) FROM entries GROUP BY tier ORDER BY tier")
        shares = connection.execute("SELECT * FROM shares WHERE entries != 0 ORDER BY tier")
        assert shares.fetchall() == counted.fetchall()
        assert (
            connection.execute(
                "SELECT entries, bytes FROM state WHERE (SELECT count(*) FROM aliases) = aliases"
            ).fetchone()
            == connection.execute(
                "SELECT count(*), total(size) + (SELECT total(size) FROM aliases) FROM entries"
            ).fetchone()
        )
        assert connection.execute(
            "SELECT count(*) FROM entry_tags WHERE entry NOT IN (SELECT id FROM entries)"
        ).fetchone() == (0,)


@pytest.mark.slow
def test_a_process_killed_while_it_moves_entries_loses_none_and_splits_no_move(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path, last_tier="cold")) as store:
        for number in range(COUNT):
            entry = make_entry(f"{number}", vector=make_vector(number * 1e-3), profile=Profile(tags=("t",)))
            store.put(entry, tier="cold")
        store.put_alias(make_alias("alias", make_entry("0")))
    for round_ in range(4):
        with running(MOVER, path, COUNT) as mover:
            promised = [heard(mover) for _ in range(4 + round_)]  # the kill comes in the middle of a later one
            promised += killed(mover)
        check(path)
        with closing(DiskStore(path, last_tier="cold")) as store:
            rows = store.select(Selector(tags=("t",)), limit=COUNT + 1).rows
            assert sorted(int(stored.entry.text) for stored in rows) == list(range(COUNT))
            (tier,) = {stored.tier for stored in rows}
            order = ["warm", "hot", "cold"]
            assert tier in (promised[-1], order[(order.index(promised[-1]) + 1) % 3])  # done, if not said
            assert isinstance(store.get("scope", "key of alias"), Stored)
            assert store.stats().damaged == 0


HALF_WAY = {
    "place": (
        "UPDATE OF tier ON entries WHEN old.key = 'key of 20'",
        "store.place([('scope', f'key of {number}') for number in range(40)], 'hot', 5.0, is_demotion=False)",
    ),
    "invalidate": (
        "DELETE ON entries WHEN old.key = 'key of 20'",
        "store.invalidate(Selector(tags=('t',)), 5.0, is_lazy=False, limit=100)",
    ),
    "mark": (
        "UPDATE OF stale_at ON entries WHEN old.key = 'key of 20'",
        "store.invalidate(Selector(tags=('t',)), 5.0, is_lazy=True, limit=100)",
    ),
    "note an invalidation": (
        "INSERT ON invalidations",
        "store.invalidate(Selector(tags=('t',)), 5.0, is_lazy=False, limit=100)",
    ),
    "replace": (
        "INSERT ON entry_tags",
        "store.put(make_entry('20', answer_json='0', profile=Profile(tags=('new',))), tier='hot')",
    ),
    "add": ("INSERT ON entry_tags", "store.put(make_entry('new', profile=Profile(tags=('new',))), tier='hot')"),
    "touch": ("UPDATE OF access_count ON entries", "store.touch('scope', 'key of 20', 9.0), store.close()"),
    "lease": ("INSERT ON leases", "store.acquire('flight', 'me', 1.0, 9.0)"),
    "clear": ("DELETE ON entries WHEN old.key = 'key of 20'", "store.clear()"),
}


@pytest.mark.slow
@pytest.mark.parametrize("verb", sorted(HALF_WAY))
def test_of_what_a_process_was_killed_at_half_way_nothing_is_there(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path, last_tier="cold")) as store:
        for number in range(COUNT):
            entry = make_entry(f"{number}", vector=make_vector(number * 1e-3), profile=Profile(tags=("t", f"{number}")))
            store.put(entry, tier="cold")
        store.put_alias(make_alias("alias", make_entry("20")))
        rows, stats = store.select(Selector(), limit=COUNT + 1).rows, store.stats()
    with running(KILLED, path, *HALF_WAY[verb]) as process:
        assert process.wait(timeout=60) == -signal.SIGKILL
    check(path)
    with closing(DiskStore(path, last_tier="cold")) as store:
        assert store.select(Selector(), limit=COUNT + 1).rows == rows
        assert store.stats() == stats
        assert isinstance(store.get("scope", "key of alias"), Stored)
        assert [len(store.select(Selector(tags=tags), limit=99).rows) for tags in (("t", "20"), ("new",))] == [1, 0]
        assert (store.sequence(), store.invalidations(since=0.0)) == (0, [])
        assert store.acquire("flight", "me", 1.0, 9.0) == Lease("flight", "me", 1, 9.0)


@pytest.mark.slow
def test_no_answer_from_before_an_invalidation_is_found_after_it(tmp_path: Path) -> None:
    """The race rule: what is asked all the time in other processes never brings back what has changed meanwhile."""
    path, world = tmp_path / "cache.db", tmp_path / "world"
    world.write_text("0")
    selector = Selector(tags=("device:1",))
    found = 0
    with (
        closing(DiskStore(path, busy_timeout=60.0)) as store,
        running(ANSWERER, path, world) as first,
        running(ANSWERER, path, world) as second,
    ):
        assert heard(first) == heard(second) == "begins"
        for number in range(1, 301):
            changed = tmp_path / "changed"
            changed.write_text(str(number))
            changed.replace(world)
            store.invalidate(selector, float(number), is_lazy=False, limit=10)
            for _ in range(100):
                stored = store.get("scope", "key of a")
                if isinstance(stored, Stored):
                    found += 1
                    assert stored.entry.answer == number
                    break
        assert found > 30  # it was a race


@pytest.mark.slow
def test_the_lease_of_a_process_that_died_is_handed_over_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, running(HOLDER, path, "first") as holder:
        assert heard(holder) == "1"
        killed(holder)
        assert store.acquire("flight", "second", 29.9, 60.0) is None
        assert store.acquire("flight", "second", 30.0, 60.0) == Lease("flight", "second", 2, 60.0)
        with running(HOLDER, path, "third") as other:
            assert heard(other) == ""


@pytest.mark.slow
def test_who_comes_too_late_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, running(HOLDER, path, "first") as holder:
        assert heard(holder) == "1"
        assert said(holder, '"in time"') == "True"
        lease = store.acquire("flight", "second", 30.0, 60.0)
        assert lease is not None
        assert store.put(make_entry("a", answer_json='"right"'), fence=lease)
        store.release(lease)
        assert said(holder, '"late"') == "False"
        stored = store.get("scope", "key of a")
        assert isinstance(stored, Stored)
        assert stored.entry.answer == "right"
