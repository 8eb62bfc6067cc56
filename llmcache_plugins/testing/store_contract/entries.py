"""Contract: entries by their keys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmcache_plugins.protocols import Store
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import (
    EMBEDDER,
    keys_of,
    make_alias,
    make_entry,
    make_vector,
    search_in,
    stored_of,
)
from llmcache_plugins.types import Census, Stored, Usage

__all__ = ["EntryContract"]


class EntryContract(ContractBase):
    """Exact and normalised look-ups, and aliases."""

    def test_unknown_key_is_none(self, store: Store) -> None:
        assert store.get("scope", "nothing") is None

    def test_entry_comes_back_whole(self, store: Store) -> None:
        entry = make_entry(
            'quotes " and \u00fc, \u4e2d, \U0001f600, \x00, \ud800',
            key="0f" * 20,
            normalised_key="f0" * 20,
            namespace=("acme", "app"),
            expires_at=1_700_000_100.5,
            model="some-model",
            usage=Usage(1, 2, 3, 4),
            generation_seconds=0.25,
            node_id="node",
            vector=make_vector(0.5),
            answer_json='[null, 1.5, "\\u00e9 \u00e9", {"a": []}]',
        )
        store.put(entry)
        stored = stored_of(store.get("scope", entry.key))
        assert stored.entry == entry
        assert (stored.access_count, stored.last_access, stored.alias) == (0, None, None)

    def test_vector_may_be_left_out_but_is_never_another(self, store: Store) -> None:
        """Who asks for an entry by key, or is told its similarity, has no use for it; `embedder_id` says that it is
        there."""
        store.put(make_entry(vector=make_vector(0.5)))
        (candidate,) = search_in(store)
        by_key = stored_of(store.get("scope", "key of hello")).entry
        (normalised,) = store.get_normalised("scope", "normalised hello", limit=1)
        for entry in (candidate.entry, by_key, normalised.entry):
            assert entry.embedder_id == EMBEDDER
            if entry.vector is not None:
                np.testing.assert_array_equal(entry.vector, make_vector(0.5))

    def test_entry_without_vector_comes_back_without(self, store: Store) -> None:
        store.put(make_entry())
        entry = stored_of(store.get("scope", "key of hello")).entry
        assert (entry.vector, entry.embedder_id) == (None, None)

    def test_expired_entry_is_still_found_exactly(self, store: Store, clock: FakeClock) -> None:
        store.put(make_entry(expires_at=clock.now() - 1))
        assert stored_of(store.get("scope", "key of hello")).entry.is_expired(clock.now())

    def test_put_replaces(self, store: Store) -> None:
        store.put(make_entry(answer_json='"old"'))
        store.touch("scope", "key of hello", 5.0)
        store.put(make_entry(answer_json='"new"'))
        stored = stored_of(store.get("scope", "key of hello"))
        assert stored.entry.answer == "new"
        assert (stored.access_count, stored.last_access) == (0, None)
        assert store.stats().entries == 1

    def test_replaced_entry_leaves_its_normalised_key_and_vector(self, store: Store) -> None:
        store.put(make_entry(normalised_key="old", vector=make_vector(0.0)))
        store.put(make_entry(normalised_key="new"))
        assert store.get_normalised("scope", "old", limit=5) == []
        assert keys_of(store.get_normalised("scope", "new", limit=5)) == ["key of hello"]
        assert search_in(store) == []

    def test_scopes_never_leak(self, store: Store, clock: FakeClock) -> None:
        entry = make_entry(scope="a", vector=make_vector(0.0))
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert store.get("b", entry.key) is None
        assert store.get("b", "key of other") is None
        assert store.get_normalised("b", entry.normalised_key, limit=5) == []
        assert store.census("b", EMBEDDER, limit=5) == Census(0)
        assert store.search("b", EMBEDDER, make_vector(0.0), limit=5, now=clock.now()) == []
        assert store.delete("b", [entry.key, "key of other"]) == 0
        store.touch("b", entry.key, clock.now())
        assert stored_of(store.get("a", entry.key)).access_count == 0

    def test_same_key_in_two_scopes_is_two_entries(self, store: Store) -> None:
        store.put(make_entry(scope="a", answer_json='"a"'))
        store.put(make_entry(scope="b", answer_json='"b"'))
        assert stored_of(store.get("a", "key of hello")).entry.answer == "a"
        assert stored_of(store.get("b", "key of hello")).entry.answer == "b"

    def test_normalised_is_newest_first_within_limit(self, store: Store) -> None:
        for text in ("first", "second", "third"):
            store.put(make_entry(text, normalised_key="same"))
        store.put(make_entry("first", normalised_key="same"))  # put again: now the newest
        assert keys_of(store.get_normalised("scope", "same", limit=2)) == ["key of first", "key of third"]
        assert keys_of(store.get_normalised("scope", "same", limit=9)) == [
            "key of first",
            "key of third",
            "key of second",
        ]
        assert store.get_normalised("scope", "same", limit=0) == []

    def test_alias_has_no_normalised_key(self, store: Store) -> None:
        entry = make_entry()
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert keys_of(store.get_normalised("scope", entry.normalised_key, limit=5)) == [entry.key]

    def test_alias_leads_to_its_entry(self, store: Store) -> None:
        entry = make_entry()
        alias = make_alias("other", entry)
        store.put(entry)
        store.put_alias(alias)
        store.touch("scope", entry.key, 7.0)
        stored = stored_of(store.get("scope", alias.key))
        assert (stored.entry, stored.alias) == (entry, alias)
        assert (stored.access_count, stored.last_access) == (1, 7.0)

    def test_alias_is_never_a_candidate(self, store: Store) -> None:
        entry = make_entry(vector=make_vector(0.0))
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert [candidate.entry.key for candidate in search_in(store)] == [entry.key]
        assert store.census("scope", EMBEDDER, limit=5).candidates == 1
        assert (store.stats().entries, store.stats().aliases) == (1, 1)

    def test_alias_dies_with_its_entry(self, store: Store) -> None:
        entry = make_entry()
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert store.delete("scope", [entry.key]) == 1
        store.put(entry)
        assert store.get("scope", "key of other") is None
        assert store.stats().aliases == 0

    def test_alias_lives_on_when_its_entry_is_replaced(self, store: Store) -> None:
        entry = make_entry()
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        store.put(replace(entry, answer_json='"new"'))
        assert stored_of(store.get("scope", "key of other")).entry.answer == "new"

    def test_entry_replaces_the_alias_under_its_key(self, store: Store) -> None:
        first, second = make_entry("first"), make_entry("second")
        store.put(first)
        store.put_alias(make_alias("second", first))
        store.put(second)
        assert stored_of(store.get("scope", second.key)).entry == second
        assert store.delete("scope", [second.key]) == 1
        assert store.get("scope", second.key) is None

    def test_alias_never_hides_an_entry(self, store: Store) -> None:
        first, second = make_entry("first"), make_entry("second")
        store.put(first)
        store.put(second)
        store.put_alias(make_alias("second", first))
        assert stored_of(store.get("scope", second.key)) == Stored(second)
        assert store.stats().aliases == 0

    def test_alias_without_target_is_ignored(self, store: Store) -> None:
        store.put_alias(make_alias("other", make_entry("gone")))
        store.put(make_entry("gone"))
        assert store.get("scope", "key of other") is None

    def test_alias_of_an_alias_is_ignored(self, store: Store) -> None:
        entry = make_entry()
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        store.put_alias(make_alias("third", make_entry("other")))
        assert store.get("scope", "key of third") is None

    def test_alias_can_be_pointed_elsewhere(self, store: Store) -> None:
        first, second = make_entry("first"), make_entry("second")
        store.put(first)
        store.put(second)
        store.put_alias(make_alias("other", first))
        store.put_alias(make_alias("other", second, policy_id="later"))
        store.delete("scope", [first.key])
        stored = stored_of(store.get("scope", "key of other"))
        assert stored.entry == second
        assert stored.alias is not None
        assert stored.alias.policy_id == "later"
        assert store.stats().aliases == 1
