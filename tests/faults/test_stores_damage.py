"""A damaged file whose tables can still be read: nothing hangs, nothing but `StoreError` is raised, limits hold."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from llmcache_plugins.errors import StoreError
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Profile

EMBEDDER = "fake/8/unit"
VALUES = [math.inf, -math.inf, 1e300, 2**63 - 1, -(2**63), 0, -1, "text", b"\xff\x00", ""]
COLUMNS = {
    "state": ["stamp", "entries", "aliases", "bytes", "edits", "policies"],
    "entries": [
        *("scope", "key", "normalised_key", "namespace", "is_candidate", "expires_at", "size", "inserted"),
        *("access_count", "last_access", "embedder_id", "body", "vector", "is_note", "tier", "placed_at", "base_reads"),
        *("priority", "weight", "stale_at", "created_at", "query_type", "model", "level"),
    ],
    "aliases": ["scope", "key", "target_key", "size", "body"],
    "changes": ["scope", "key"],
    "shares": ["entries", "bytes"],
    "entry_tags": ["tag", "entry"],
    "invalidations": ["at", "selector", "reason", "mode", "count"],
    "leases": ["name", "holder", "until"],
    "notes": ["name", "value"],
}


def damage(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement, values)


def within(seconds: float, work: Callable[[], None]) -> None:
    """Fail rather than hang: what is tested here once was an endless loop."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"still at work after {seconds} s"
    if failures:
        raise failures[0]


def filled(path: Path, **limits: int) -> DiskStore:
    store = DiskStore(path, **limits)
    for number in range(5):
        store.put(make_entry(f"{number}", vector=make_vector(0.1 * number), expires_at=100.0))
    store.put_alias(make_alias("alias", make_entry("0")))
    return store


def furnished(path: Path) -> DiskStore:
    """With something in every table."""
    store = filled(path, max_entries=8)
    store.put(make_entry("tagged", profile=Profile("status", "", ("t", "u:1"))), tier="warm")
    store.acquire("lease", "somebody", 1.0, 5.0)
    store.note("name", "value")
    store.invalidate(Selector(tags=("t",)), 1.0, is_lazy=True, limit=9)
    return store


def searched(store: DiskStore) -> list[str]:
    return [c.entry.text for c in store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)]


def kept(store: DiskStore) -> list[int]:
    return [number for number in range(9) if store.get("scope", f"key of {number}") is not None]


SELECTORS = [
    Selector(),
    Selector(tags=("t",)),
    Selector(tag_patterns=("u:*",)),
    Selector(keys=("key of 1",)),
    Selector(idle_since=9.0, stored_before=9.0, tier="warm", is_stale=True),
    Selector(models=("m",), query_types=("status",), levels=("site",), namespace=("acme",)),
]
WRONG_TOTALS = [
    "entries = 1000000000, aliases = 5",
    "bytes = 9000000000000, aliases = 5",
    "entries = 1000000000, aliases = 0",
    "bytes = 9000000000000, aliases = 0",
    "bytes = -9e12",
    "bytes = 9e999",
    "entries = -7",
    "entries = 'many', aliases = 'more', bytes = 'most'",
    "stamp = 9223372036854775807",
    "stamp = -5",
]


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("wrong", WRONG_TOTALS)
def test_wrong_totals_are_counted_anew(tmp_path: Path, wrong: str, is_open: bool) -> None:
    path = tmp_path / "cache.db"
    store = filled(path, max_entries=6)
    right = store.stats()
    if not is_open:
        store.close()
    damage(path, f"UPDATE state SET {wrong}")
    if not is_open:
        store = DiskStore(path, max_entries=6)
        assert store.stats() == right

    def work() -> None:
        store.put(make_entry("0", vector=make_vector(0.0), expires_at=100.0))
        store.put_alias(make_alias("alias", make_entry("0")))

    with closing(store):
        within(20, work)
        assert kept(store) == [0, 1, 2, 3, 4]
        assert store.stats() == right
        assert store.put(make_entry("5"))
        assert store.put(make_entry("6"))  # and the limit holds
        assert kept(store) == [0, 2, 3, 4, 5, 6]


def test_the_byte_limit_holds_on_after_damage(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    big = '"' + "x" * 10_000 + '"'
    with closing(DiskStore(path, max_bytes=30_000)) as store:
        damage(path, "UPDATE state SET bytes = -9e12")
        for number in range(5):
            store.put(make_entry(f"{number}", answer_json=big))
        assert kept(store) == [3, 4]


def test_a_lost_state_row_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(filled(path)) as store:
        right = store.stats()
        damage(path, "DELETE FROM state")
        assert store.stats() == right
        store.put(make_entry("5"))
        assert store.stats().entries == 6
        damage(path, "DELETE FROM state")
    with closing(DiskStore(path, max_entries=2)) as store:
        assert store.stats().entries == 6
        store.put(make_entry("6"))
        assert kept(store) == [5, 6]


@pytest.mark.parametrize("size", ["9e999", "-9e999", "'large'", "9000000000000", "-1", "0"])
def test_a_damaged_size_stops_nothing(tmp_path: Path, size: str) -> None:
    path = tmp_path / "cache.db"
    with closing(filled(path, max_entries=6)) as store:
        damage(path, f"UPDATE entries SET size = {size} WHERE key = 'key of 2'")
        damage(path, f"UPDATE aliases SET size = {size}")
        store.put(make_entry("2", vector=make_vector(0.2)))
        store.put(make_entry("5"))
        assert kept(store) == [0, 1, 2, 3, 4, 5]
        damage(path, f"UPDATE entries SET size = {size} WHERE key = 'key of 2'")
        assert store.clear() == 6
        store.put(make_entry("6"))
        assert store.stats().entries == 1
        assert 1000 < store.stats().size_bytes < 5000


def test_damaged_sizes_that_the_totals_do_not_show_are_mended_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    filled(path).close()
    damage(
        path,
        "DROP TRIGGER entry_resized",  # as bits flip: nobody keeps count
        "DROP TRIGGER entry_moved",
        "UPDATE entries SET size = 9e999 WHERE key IN ('key of 1', 'key of 2')",
        "UPDATE entries SET size = -9e999 WHERE key = 'key of 3'",
    )
    with closing(DiskStore(path)) as store:
        assert 5000 < store.stats().size_bytes < 20_000
        assert store.clear() == 5
        assert store.stats().size_bytes == 0


@pytest.mark.parametrize(
    "wrong",
    ["entries = 1000000000", "bytes = -9e12", "bytes = 9e999", "entries = 'many'", "entries = 2, bytes = 'most'"],
)
def test_wrong_totals_of_a_tier_are_counted_anew(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "cache.db"
    with closing(furnished(path)) as store:
        right = store.stats().shares
        assert (right[""].entries, right["warm"].entries) == (5, 1)
        damage(path, f"UPDATE shares SET {wrong} WHERE tier = 'warm'")
        assert store.stats().shares == right
    with closing(DiskStore(path)) as store:
        assert store.stats().shares == right
        store.place([("scope", "key of 1")], "warm", 5.0, is_demotion=False)
        assert [store.stats().shares[tier].entries for tier in ("", "warm")] == [4, 2]


@pytest.mark.parametrize("value", ["9e999", "-9e999", "'high'", "x'00'"])
def test_an_impossible_priority_neither_stays_for_ever_nor_hides_others(tmp_path: Path, value: str) -> None:
    path = tmp_path / "cache.db"
    filled(path).close()
    damage(path, f"UPDATE entries SET priority = {value} WHERE key = 'key of 3'")
    with closing(DiskStore(path, max_entries=5)) as store:
        store.put(make_entry("5"))
        assert kept(store) == [0, 1, 2, 4, 5]


def test_entries_whose_stamp_was_lost_are_still_selected_page_by_page(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    filled(path).close()
    damage(path, "UPDATE entries SET inserted = 'first' WHERE key IN ('key of 1', 'key of 2')")
    with closing(DiskStore(path)) as store:
        found: list[str] = []
        after: int | None = 0
        while after is not None:
            page = store.select(Selector(), limit=1, after=after)
            found, after = [*found, *(stored.entry.text for stored in page.rows)], page.after
    assert sorted(found) == list("01234")


def test_an_invalidation_that_cannot_be_read_counts_for_every_answer(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(filled(path)) as store:
        store.invalidate(Selector(tags=("t",)), 1.0, is_lazy=False, limit=9)
        assert store.put(make_entry("0"), seen=0)
        damage(path, "UPDATE invalidations SET selector = '{'")
        assert not store.put(make_entry("0"), seen=0)
        assert store.put(make_entry("0"), seen=1)
        assert store.invalidations(since=0.0) == []


def test_a_log_without_its_past_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(filled(path)) as store, closing(DiskStore(path)) as other:
        assert searched(store) == list("01234")
        damage(path, "DELETE FROM changes", "DELETE FROM sqlite_sequence")
        other.put(make_entry("5", vector=make_vector(0.0)))
        assert sorted(searched(store)) == list("012345")


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in COLUMNS for column in COLUMNS[table]])
def test_whatever_a_column_holds_only_store_errors_are_raised(tmp_path: Path, table: str, column: str) -> None:
    path = tmp_path / "cache.db"
    verbs: list[Callable[[DiskStore], object]] = [
        lambda store: store.get("scope", "key of 1"),
        lambda store: store.get("scope", "key of alias"),
        lambda store: store.get_normalised("scope", "normalised 1", limit=3),
        lambda store: store.census("scope", EMBEDDER, limit=3),
        searched,
        lambda store: store.touch("scope", "key of 1", 5.0),
        lambda store: store.set_vectors("scope", EMBEDDER, {"key of 1": make_vector(0.3)}),
        lambda store: store.vectors("fake/8/unit", [("scope", "key of 1"), ("scope", "key of tagged")]),
        lambda store: store.put_alias(make_alias("alias 2", make_entry("1"))),
        lambda store: store.put(make_entry("1", vector=make_vector(0.1))),
        lambda store: store.put(make_entry("new")),
        lambda store: store.delete("scope", ["key of 2", "key of alias"]),
        lambda store: store.sweep(200.0, limit=2),
        lambda store: store.stats(),
        lambda store: [store.select(selector, limit=3) for selector in SELECTORS],
        lambda store: store.lowest("warm", limit=3),
        lambda store: store.place([("scope", "key of 1"), ("scope", "key of tagged")], "hot", 9.0, is_demotion=True),
        lambda store: store.put(make_entry("1"), seen=0),
        lambda store: store.invalidate(Selector(tags=("t",)), 2.0, is_lazy=True, limit=3),
        lambda store: store.invalidate(Selector(tag_patterns=("u:*",)), 2.0, is_lazy=False, limit=3),
        lambda store: (store.sequence(), store.invalidations(since=0.0), store.forget_invalidations(before=2.0)),
        lambda store: store.acquire("lease", "another", 2.0, 9.0),
        lambda store: store.put(make_entry("1"), fence=Lease("lease", "somebody", 1, 5.0)),
        lambda store: store.release(Lease("lease", "somebody", 1, 5.0)),
        lambda store: (store.notes("n"), store.note("name", "other"), store.version()),
        lambda store: store.clear(),
    ]

    def work(store: DiskStore) -> None:
        for verb in verbs:
            with suppress(StoreError):
                verb(store)
        store.clear()  # and in the end it is usable
        store.put(make_entry("last", vector=make_vector(0.0)))
        assert store.stats().entries == 1
        assert searched(store) == ["last"]

    for number, value in enumerate(VALUES):
        for is_open in (True, False):
            path = tmp_path / f"{number} {is_open}.db"
            store = furnished(path)
            if not is_open:
                store.close()
            with suppress(sqlite3.IntegrityError):  # two rows may not have one key: then one of them is damaged
                damage(path, f"UPDATE OR IGNORE {table} SET {column} = ?", values=(value,))
            with closing(store if is_open else DiskStore(path, max_entries=8)) as store:
                within(20, partial(work, store))
