"""What the store on disk makes of tiers, selectors and eviction policies, beyond what every store does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llmcache_plugins.policies.eviction import CostAware, Fifo, Lfu, Lru, RandomOrder
from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.stores.selecting import selection_of
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Profile, Stored, Usage

HOUR = 3600.0


def put(store: DiskStore, texts: str, tier: str = "") -> None:
    for text in texts:
        store.put(make_entry(text), tier=tier)


def kept(store: DiskStore, selector: Selector | None = None) -> str:
    rows = store.select(selector or Selector(), limit=100).rows
    return "".join(sorted(stored.entry.text for stored in rows))


def order(store: DiskStore, tier: str) -> str:
    return "".join(stored.entry.text for stored in store.lowest(tier, limit=100))


# -- eviction


def test_the_last_tier_leaves_before_the_others_whatever_is_read(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "cache.db", max_entries=6, last_tier="cold")) as store:
        put(store, "ab", "hot")
        put(store, "cd", "cold")
        put(store, "ef")
        for text in "cdef":
            store.touch("scope", f"key of {text}", 1.0)
        put(store, "gh", "hot")
        assert kept(store) == "abefgh"
        put(store, "ij", "hot")
        assert kept(store) == "abghij"
        put(store, "k", "hot")  # nothing is left there: then anybody
        assert kept(store) == "bghijk"
        assert store.stats().evictions == 5
        assert {tier: share.entries for tier, share in store.stats().shares.items()} == {"hot": 6}


def test_each_tier_has_its_own_order(tmp_path: Path) -> None:
    policies: dict[str, EvictionPolicy] = {"fifo": Fifo(), "lfu": Lfu()}
    with closing(DiskStore(tmp_path / "cache.db", eviction_by_tier=policies)) as store:
        put(store, "abc", "lru")
        put(store, "def", "fifo")
        put(store, "ghi", "lfu")
        for text in "adg" * 2 + "beh":
            store.touch("scope", f"key of {text}", 1_700_000_000.0)
        assert (order(store, "lru"), order(store, "fifo"), order(store, "lfu")) == ("cab", "def", "ihg")
        store.place([("scope", "key of d")], "lru", 1_700_000_001.0, is_demotion=False)
        assert (order(store, "lru"), order(store, "fifo")) == ("cabd", "ef")


def test_what_costs_least_to_have_again_leaves_first_once_it_is_placed_where_that_counts(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "cache.db", eviction_by_tier={"cold": CostAware()})) as store:
        for text, tokens in (("a", 9000), ("b", 10), ("c", 500)):
            store.put(make_entry(text, usage=Usage(0, tokens)), tier="warm")
        assert order(store, "warm") == "abc"
        addresses = [("scope", f"key of {text}") for text in "abc"]
        assert store.place(addresses, "cold", 1_700_000_000.0, is_demotion=True) == 3
        assert order(store, "cold") == "bca"


def test_an_order_is_kept_in_the_file(tmp_path: Path) -> None:
    for number, policy in enumerate((Lru(), Lfu(), Fifo(), RandomOrder(), CostAware())):
        path = tmp_path / f"{number}.db"
        with closing(DiskStore(path, eviction=policy)) as store:
            put(store, "abcdef")
            for text in "cacb":
                store.touch("scope", f"key of {text}", 1_700_000_000.0)
            before = order(store, "")
        with closing(DiskStore(path, eviction=policy)) as store:
            assert order(store, "") == before


def test_another_policy_orders_anew_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        put(store, "abcd")
        for text in "aaab":
            store.touch("scope", f"key of {text}", 1_700_000_000.0)
        assert order(store, "") == "cdab"
    with closing(DiskStore(path, eviction=Lfu())) as store:
        assert order(store, "") == "cdba"
        store.put(make_entry("e"))
        assert order(store, "") == "cdeba"  # the numbers of both are of one kind
    with closing(DiskStore(path, eviction=Lfu(half_life=60.0))) as store:
        assert order(store, "") == "cdeba"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("f"))
        assert order(store, "") == "cdebaf"


def test_a_policy_that_gives_no_number_stops_nothing(tmp_path: Path) -> None:
    class Broken:
        name = "broken"

        def weight(self, entry: object, size: int) -> float:
            return float("nan")

        def on_put(self, weight: float, now: float, order: int) -> float:
            return float("inf")

        def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
            return float("nan")

    with closing(DiskStore(tmp_path / "cache.db", max_entries=2, eviction=Broken())) as store:
        put(store, "ab")
        store.touch("scope", "key of a", 1.0)
        put(store, "c")
        assert kept(store) == "bc"


# -- placing and selecting


def test_reads_since_the_last_demotion_count_those_that_wait_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        put(store, "a", "cold")
        for now in (1.0, 2.0, 3.0):
            store.touch("scope", "key of a", now)
        found = store.get("scope", "key of a")
        assert isinstance(found, Stored)
        assert (found.reads, found.access_count) == (3, 3)
        store.place([("scope", "key of a")], "warm", 4.0, is_demotion=False)
        store.touch("scope", "key of a", 5.0)
        store.place([("scope", "key of a")], "cold", 6.0, is_demotion=True)
        store.touch("scope", "key of a", 7.0)
    with closing(DiskStore(path)) as store:
        found = store.get("scope", "key of a")
        assert isinstance(found, Stored)
        assert (found.tier, found.placed_at, found.reads, found.access_count) == ("cold", 6.0, 1, 5)


def test_an_entry_that_was_just_read_is_not_idle(tmp_path: Path) -> None:
    created = make_entry().created_at
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        put(store, "ab")
        store.touch("scope", "key of a", created + HOUR)
        assert kept(store, Selector(idle_since=created + 1)) == "b"
        assert store.invalidate(Selector(idle_since=created + 1), created + HOUR, is_lazy=False, limit=9).addresses == (
            ("scope", "key of b"),
        )


def test_pages_go_on_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, closing(DiskStore(path)) as other:
        put(store, "abcdef")
        first = store.select(Selector(), limit=2)
        other.delete("scope", ["key of b", "key of c"])
        other.put(make_entry("a"))  # stored anew: it comes last now
        assert first.after is not None
        second = store.select(Selector(), limit=2, after=first.after)
        assert second.after is not None
        third = store.select(Selector(), limit=2, after=second.after)
        assert third.after is None
        pages = [[stored.entry.text for stored in page.rows] for page in (first, second, third)]
        assert pages == [["a", "b"], ["d", "e"], ["f", "a"]]


def test_a_damaged_entry_is_selected_no_more_but_invalidated(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        for text in "abc":
            store.put(make_entry(text, profile=Profile("status", "", ("t",))))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE entries SET body = x'00' WHERE key = 'key of b'")
        page = store.select(Selector(query_types=("status",)), limit=2)
        assert [stored.entry.text for stored in page.rows] == ["a"]
        assert page.after is not None
        assert [row.entry.text for row in store.select(Selector(), limit=2, after=page.after).rows] == ["c"]
        assert len(store.invalidate(Selector(query_types=("status",)), 1.0, is_lazy=False, limit=9).addresses) == 3
        assert store.stats().entries == 0


def test_texts_of_broken_clients_are_found_again(tmp_path: Path) -> None:
    odd = "tag \ud800 \x00 \u00fc"
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        store.put(make_entry("a", model=odd, label=f"v1:{odd}:x", profile=Profile(odd, "", (odd,))))
        put(store, "b")
        for selector in (
            Selector(tags=(odd,)),
            Selector(tag_patterns=("tag \ud800*",)),
            Selector(models=(odd,), query_types=(odd,)),
            Selector(levels=(odd,)),
        ):
            assert kept(store, selector) == "a", selector
            (row,) = store.select(selector, limit=9).rows
            assert row.entry.profile.tags == (odd,)


NARROW = {
    "a tag": Selector(tags=("t",)),
    "a tag and a pattern": Selector(tags=("t",), tag_patterns=("u*",)),
    "a pattern": Selector(tag_patterns=("device:rtr-001:*",), models=("m",)),
    "a scope": Selector(scope="s", query_types=("status",)),
    "a key in a scope": Selector(scope="s", keys=("a", "b")),
    "a key": Selector(keys=("a", "b"), is_stale=False),
}


@pytest.mark.parametrize("name", sorted(NARROW))
def test_what_names_tags_keys_or_a_scope_reads_no_other_entry(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cache.db"
    DiskStore(path).close()
    query, values = selection_of(NARROW[name]).ordered("e.body", "{order} > ?", [0])
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("tag_fits", 2, lambda *_: True)
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert not [step for step in plan if step == "SCAN e" or step.startswith("SCAN e USING INDEX")], plan
    assert [step for step in plan if step.startswith("SEARCH e ")], plan
    tags = [step for step in plan if "entry_tags" in step]
    assert not [step for step in tags if step.startswith("SCAN entry_tags")], plan


def test_all_entries_are_read_in_the_order_of_an_index(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    DiskStore(path).close()
    query, values = selection_of(Selector(models=("m",))).ordered("e.body", "{order} > ?", [0])
    with closing(sqlite3.connect(path)) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values))
    assert "entries_inserted" in plan
    assert "TEMP B-TREE" not in plan


def test_a_file_of_another_policy_that_comes_in_its_place_is_ordered_anew(tmp_path: Path) -> None:
    path, replacement = tmp_path / "cache.db", tmp_path / "other.db"
    with closing(DiskStore(replacement)) as other:
        put(other, "abc")
        for text in "bbba":
            other.touch("scope", f"key of {text}", 1_700_000_000.0)
    with closing(DiskStore(path, eviction=Lfu())) as store:
        put(store, "x")
        replacement.replace(path)
        assert kept(store) == "abc"
        put(store, "d")
        assert order(store, "") == "cdab"
