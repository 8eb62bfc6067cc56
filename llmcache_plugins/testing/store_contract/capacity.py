"""Contract: what leaves a store, when it is full, expired or told to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.protocols import Store
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import (
    make_alias,
    make_entry,
    make_vector,
    search_in,
    stored_of,
    texts_in,
)
from llmcache_plugins.types import Namespace

__all__ = ["CapacityContract"]


class CapacityContract(ContractBase):
    """Limits and removals."""

    def test_least_recently_used_leaves_first(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_entries=3) as store:
            for text in ("a", "b", "c"):
                store.put(make_entry(text, vector=make_vector(0.0)))
            store.touch("scope", "key of a", clock.now())
            store.get("scope", "key of b")  # a read that was not served does not count
            store.put(make_entry("d"))
            assert store.get("scope", "key of b") is None
            store.put(make_entry("c"))  # put again: used
            store.put(make_entry("e"))
            assert texts_in(store, "abcde") == ["c", "d", "e"]
            assert [candidate.entry.text for candidate in search_in(store)] == []
            assert (store.stats().entries, store.stats().evictions) == (3, 2)

    def test_evicted_entry_takes_its_aliases(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_entries=1) as store:
            store.put(make_entry("a"))
            store.put_alias(make_alias("other", make_entry("a")))
            store.put(make_entry("b"))
            assert (store.get("scope", "key of other"), store.stats().aliases) == (None, 0)

    def test_byte_limit_holds(self, clock: FakeClock) -> None:
        entry = make_entry("a", answer_json='"' + "x" * 10_000 + '"')
        with self.open_store(clock) as store:
            store.put(entry)
            size = store.stats().size_bytes
        assert size >= 10_000
        with self.open_store(clock, max_bytes=2 * size) as store:
            for text in ("a", "b", "c"):
                store.put(replace(entry, text=text, key=f"key of {text}"))
            assert texts_in(store, "abc") == ["b", "c"]
            assert store.stats().size_bytes == 2 * size
            store.put(replace(entry, text="b", key="key of b", answer_json='"' + "x" * 12_000 + '"'))
            assert texts_in(store, "abc") == ["b"]

    def test_entry_over_the_whole_limit_is_not_kept(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_bytes=20_000) as store:
            assert store.put(make_entry("small"))
            assert store.put(make_entry("big"))
            assert not store.put(make_entry("big", answer_json='"' + "x" * 30_000 + '"'))
            assert texts_in(store, ["small", "big"]) == ["small"]  # and the outdated answer is gone
            assert store.stats().evictions == 0

    def test_oldest_alias_leaves_first(self, clock: FakeClock) -> None:
        entry = make_entry()
        with self.open_store(clock, max_entries=2) as store:
            store.put(entry)
            for text in ("a", "b", "c"):
                store.put_alias(make_alias(text, entry))
            assert store.get("scope", "key of a") is None
            assert stored_of(store.get("scope", "key of c")).entry == entry
            assert (store.stats().entries, store.stats().aliases) == (1, 2)

    def test_aliases_count_bytes_and_never_evict_entries(self, clock: FakeClock) -> None:
        # Room for two as they are, and for two that a store has made a third larger.
        with self.open_store(clock, max_bytes=32_000) as store:
            entry = make_entry()
            store.put(entry)
            before = store.stats().size_bytes
            for number in range(5):
                store.put_alias(make_alias(f"{number} " + "x" * 10_000, entry))
            stats = store.stats()
            assert before + 10_000 < stats.size_bytes <= 32_000
            assert (stats.entries, stats.aliases) == (1, 2)

    def test_size_returns_to_nothing(self, store: Store) -> None:
        for text in ("a", "b"):
            store.put(make_entry(text, vector=make_vector(0.0)))
            store.put_alias(make_alias(f"other {text}", make_entry(text)))
        store.put(make_entry("a", answer_json='"longer than it was before"'))
        store.delete("scope", ["key of other a", "key of a"])
        store.clear()
        assert store.stats() == StoreStats()

    def test_delete_counts_what_was_there(self, store: Store) -> None:
        entry = make_entry("a", vector=make_vector(0.0))
        store.put(entry)
        store.put(make_entry("b"))
        store.put_alias(make_alias("other", entry))
        assert store.delete("scope", ["key of a", "key of other", "gone", "key of a"]) == 2
        assert store.delete("scope", ["key of a"]) == 0
        assert store.delete("scope", []) == 0
        assert texts_in(store, ["a", "b", "other"]) == ["b"]
        assert (search_in(store), store.get_normalised("scope", entry.normalised_key, limit=5)) == ([], [])

    def test_deleted_alias_leaves_its_entry(self, store: Store) -> None:
        store.put(make_entry("a"))
        store.put_alias(make_alias("other", make_entry("a")))
        assert store.delete("scope", ["key of other"]) == 1
        assert texts_in(store, ["a", "other"]) == ["a"]

    def test_touch_counts_reads_and_extends_nothing(self, store: Store) -> None:
        store.put(make_entry(expires_at=50.0))
        store.touch("scope", "key of hello", 5.0)
        store.touch("scope", "key of hello", 6.0)
        store.touch("scope", "unknown", 7.0)
        stored = stored_of(store.get("scope", "key of hello"))
        assert (stored.access_count, stored.last_access, stored.entry.expires_at) == (2, 6.0, 50.0)

    def test_sweep_removes_expired_within_limit(self, store: Store, clock: FakeClock) -> None:
        for number in range(5):
            store.put(make_entry(f"{number}", expires_at=clock.now() + 1, vector=make_vector(0.0)))
        store.put(make_entry("replaced", expires_at=clock.now() + 1))
        store.put(make_entry("replaced", expires_at=clock.now() + 9))
        store.put(make_entry("for ever"))
        assert store.sweep(clock.now(), limit=10) == 0
        clock.advance(1)
        assert store.sweep(clock.now(), limit=2) == 2
        assert store.sweep(clock.now(), limit=10) == 3
        assert store.sweep(clock.now(), limit=10) == 0
        assert texts_in(store, ["0", "1", "2", "3", "4", "replaced", "for ever"]) == ["replaced", "for ever"]
        assert (store.stats().expirations, store.stats().evictions, store.stats().entries) == (5, 0, 2)

    @pytest.mark.parametrize(
        ("namespace", "left"),
        [
            (None, []),
            ((), []),
            (("acme",), ["acmes", "x", "quoted", "none"]),
            (("acme", "x"), ["acme", "acmes", "x", "quoted", "none"]),
            (("acme", "x", "y"), ["acme", "acme/x", "acmes", "x", "quoted", "none"]),
            (("acm",), ["acme", "acme/x", "acmes", "x", "quoted", "none"]),
        ],
    )
    def test_clear_takes_a_namespace_and_those_below(
        self, store: Store, namespace: Namespace | None, left: list[str]
    ) -> None:
        named: dict[str, Namespace] = {
            "acme": ("acme",),
            "acme/x": ("acme", "x"),
            "acmes": ("acmes",),
            "x": ("x", "acme"),
            "quoted": ('acme","x',),
            "none": (),
        }
        for text, own in named.items():
            store.put(make_entry(text, namespace=own, vector=make_vector(0.0)))
            store.put_alias(make_alias(f"other {text}", make_entry(text)))
        assert store.clear(namespace) == len(named) - len(left)
        assert texts_in(store, list(named)) == left
        assert [candidate.entry.text for candidate in search_in(store, limit=9)] == left
        assert store.stats().aliases == len(left)

    def test_store_is_usable_after_clear(self, store: Store) -> None:
        store.put(make_entry(vector=make_vector(0.0)))
        store.clear()
        store.put(make_entry("again", vector=make_vector(0.0)))
        assert [candidate.entry.text for candidate in search_in(store)] == ["again"]
        assert store.stats().entries == 1

    def test_close_twice(self, clock: FakeClock) -> None:
        store = self.make_store(clock)
        store.put(make_entry())
        store.close()
        store.close()
