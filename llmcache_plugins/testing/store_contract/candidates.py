"""Contract: entries by the meaning of their question."""

from __future__ import annotations

import numpy as np
import pytest

from llmcache_plugins.protocols import Store
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import (
    DIMENSION,
    EMBEDDER,
    make_entry,
    make_vector,
    search_in,
    stored_of,
)
from llmcache_plugins.types import Census, Pending

__all__ = ["CandidateContract"]


class CandidateContract(ContractBase):
    """Vectors, searches and the census."""

    def test_search_is_best_first_within_limit(self, store: Store) -> None:
        for text, angle in (("far", 1.0), ("near", 0.1), ("middle", 0.5)):
            store.put(make_entry(text, vector=make_vector(angle)))
        found = search_in(store, limit=2)
        assert [candidate.entry.text for candidate in found] == ["near", "middle"]
        assert [candidate.similarity for candidate in found] == pytest.approx(
            [np.cos(0.1), np.cos(0.5)], abs=self.precision
        )
        assert [candidate.entry.text for candidate in search_in(store, limit=9)] == ["near", "middle", "far"]
        assert search_in(store, limit=0) == []

    def test_ties_are_in_insertion_order(self, store: Store) -> None:
        for number in range(40):
            store.put(make_entry(f"text {number}", vector=make_vector(0.3)))
        store.delete("scope", ["key of text 3"])
        assert [candidate.entry.text for candidate in search_in(store, limit=4)] == [
            "text 0",
            "text 1",
            "text 2",
            "text 4",
        ]

    def test_vectors_given_later_keep_the_insertion_order(self, store: Store) -> None:
        for text in ("first", "second"):
            store.put(make_entry(text))
        for text in ("second", "first"):
            store.set_vectors("scope", EMBEDDER, {f"key of {text}": make_vector(0.0)})
        assert [candidate.entry.text for candidate in search_in(store)] == ["first", "second"]

    def test_similarity_is_within_one(self, store: Store) -> None:
        vector = np.full(DIMENSION, DIMENSION**-0.5, np.float32) * np.float32(1 + 1e-6)
        store.put(make_entry(vector=vector))
        store.put(make_entry("opposite", vector=-vector))
        near, far = search_in(store, vector=vector)
        assert near.similarity == pytest.approx(1.0, abs=self.precision)
        assert -1.0 <= far.similarity <= near.similarity <= 1.0

    def test_candidate_carries_its_entry_and_access_count(self, store: Store) -> None:
        entry = make_entry(vector=make_vector(0.0))
        store.put(entry)
        store.touch("scope", entry.key, 5.0)
        (candidate,) = search_in(store)
        assert (candidate.entry, candidate.access_count) == (entry, 1)
        assert candidate.entry.embedder_id == EMBEDDER

    def test_expired_entries_do_not_use_up_the_limit(self, store: Store, clock: FakeClock) -> None:
        for number in range(20):
            store.put(make_entry(f"old {number}", vector=make_vector(0.0), expires_at=clock.now() + 1))
        store.put(make_entry("live", vector=make_vector(0.7), expires_at=clock.now() + 9))
        assert len(search_in(store, now=clock.now(), limit=1)) == 1
        assert search_in(store, now=clock.now(), limit=1)[0].entry.text == "old 0"
        assert [c.entry.text for c in search_in(store, now=clock.now() + 1, limit=1)] == ["live"]
        assert search_in(store, now=clock.now() + 9, limit=5) == []

    def test_foreign_embedder_is_not_seen_at_all(self, store: Store) -> None:
        for number in range(20):
            store.put(make_entry(f"foreign {number}", vector=make_vector(0.0), embedder_id="other"))
        store.put(make_entry("own", vector=make_vector(0.7)))
        assert [candidate.entry.text for candidate in search_in(store, limit=1)] == ["own"]
        assert store.search("scope", "unknown", make_vector(0.0), limit=5, now=0.0) == []

    def test_embedders_may_differ_in_dimension(self, store: Store) -> None:
        store.put(make_entry("wide", vector=make_vector(0.0, dimension=32), embedder_id="wide"))
        store.put(make_entry("own", vector=make_vector(0.0)))
        assert [candidate.entry.text for candidate in search_in(store)] == ["own"]

    def test_exact_only_entry_is_no_candidate(self, store: Store) -> None:
        store.put(make_entry(is_candidate=False))
        store.set_vectors("scope", EMBEDDER, {"key of hello": make_vector(0.0)})
        assert store.census("scope", EMBEDDER, limit=5) == Census(0)
        assert search_in(store) == []
        assert stored_of(store.get("scope", "key of hello")).entry.vector is None

    def test_census_names_the_newest_without_a_vector(self, store: Store, clock: FakeClock) -> None:
        store.put(make_entry("embedded", vector=make_vector(0.0)))
        store.put(make_entry("old", expires_at=clock.now() - 1))
        store.put(make_entry("foreign", vector=make_vector(0.0), embedder_id="other"))
        store.put(make_entry("new"))
        new, foreign = Pending("key of new", "new"), Pending("key of foreign", "foreign", "other")
        assert store.census("scope", EMBEDDER, limit=2) == Census(4, (new, foreign))
        assert store.census("scope", EMBEDDER, limit=0) == Census(4)
        assert len(store.census("scope", EMBEDDER, limit=9).pending) == 3
        assert store.census("nowhere", EMBEDDER, limit=9) == Census(0)

    def test_set_vectors_makes_candidates(self, store: Store) -> None:
        store.put(make_entry("a", expires_at=50.0))
        store.put(make_entry("b", vector=make_vector(0.0), embedder_id="other"))
        store.set_vectors(
            "scope", EMBEDDER, {"key of a": make_vector(0.0), "key of b": make_vector(0.4), "gone": make_vector(0.0)}
        )
        assert [candidate.entry.text for candidate in search_in(store, now=49.0)] == ["a", "b"]
        assert [candidate.entry.text for candidate in search_in(store, now=50.0)] == ["b"]
        assert store.census("scope", EMBEDDER, limit=5) == Census(2)
        assert store.search("scope", "other", make_vector(0.0), limit=5, now=0.0) == []
        assert stored_of(store.get("scope", "key of a")).entry.embedder_id == EMBEDDER
        assert store.get("scope", "gone") is None

    def test_vectors_are_read_by_address_and_embedder(self, store: Store) -> None:
        store.put(make_entry("own", vector=make_vector(0.1)))
        store.put(make_entry("own", scope="elsewhere", vector=make_vector(0.2)))
        store.put(make_entry("foreign", vector=make_vector(0.3), embedder_id="other"))
        store.put(make_entry("late"))
        store.put(make_entry("never"))
        store.put(make_entry("exact", is_candidate=False))
        store.set_vectors("scope", EMBEDDER, {"key of late": make_vector(0.4), "key of exact": make_vector(0.5)})
        keys = ("own", "foreign", "late", "never", "exact", "gone")
        addresses = [("scope", f"key of {text}") for text in keys] + [("elsewhere", "key of own")]
        found = store.vectors(EMBEDDER, addresses)
        angles = {("scope", "key of own"): 0.1, ("scope", "key of late"): 0.4, ("elsewhere", "key of own"): 0.2}
        assert set(found) == set(angles)
        for address, angle in angles.items():
            assert found[address].dtype == np.float32
            assert found[address] == pytest.approx(make_vector(angle), abs=1e-3)
        (foreign,) = store.vectors("other", addresses).values()
        assert foreign == pytest.approx(make_vector(0.3), abs=1e-3)
        assert store.vectors("unknown", addresses) == {}
        assert store.vectors(EMBEDDER, []) == {}

    def test_vectors_follow_what_is_stored(self, store: Store) -> None:
        address = ("scope", "key of hello")
        store.put(make_entry(vector=make_vector(0.1)))
        store.set_vectors("scope", "other", {"key of hello": make_vector(0.2)})
        assert store.vectors(EMBEDDER, [address]) == {}
        assert store.vectors("other", [address])[address] == pytest.approx(make_vector(0.2), abs=1e-3)
        with pytest.raises(ValueError, match="read-only"):
            store.vectors("other", [address])[address][0] = 0.0
        store.put(make_entry())
        assert store.vectors("other", [address]) == {}
        store.put(make_entry(vector=make_vector(0.3)))
        store.delete("scope", ["key of hello"])
        assert store.vectors(EMBEDDER, [address]) == {}

    def test_many_vectors_are_read_in_one_go(self, store: Store) -> None:
        texts = [f"text {number}" for number in range(450)]
        for number, text in enumerate(texts):
            store.put(make_entry(text, scope=f"scope {number % 7}", vector=make_vector(number / 1000)))
        addresses = [(f"scope {number % 7}", f"key of {text}") for number, text in enumerate(texts)]
        found = store.vectors(EMBEDDER, addresses)
        assert set(found) == set(addresses)
        assert all(
            found[address][1] == pytest.approx(np.sin(n / 1000), abs=1e-3) for n, address in enumerate(addresses)
        )

    def test_set_vectors_keeps_access_count_and_counts_bytes(self, store: Store) -> None:
        store.put(make_entry())
        store.touch("scope", "key of hello", 5.0)
        before = store.stats().size_bytes
        store.set_vectors("scope", EMBEDDER, {"key of hello": make_vector(0.0)})
        assert store.stats().size_bytes == before + 4 * DIMENSION
        assert stored_of(store.get("scope", "key of hello")).access_count == 1

    def test_what_is_handed_out_cannot_change_what_is_stored(self, store: Store) -> None:
        mine = make_vector(0.0)
        store.put(make_entry(vector=mine))
        later = make_vector(0.3)
        store.put(make_entry("later"))
        store.set_vectors("scope", EMBEDDER, {"key of later": later})
        mine[:] = later[:] = 0.0
        for candidate in search_in(store):
            vector = candidate.entry.vector
            if vector is None:
                continue
            with pytest.raises(ValueError, match="read-only"):
                vector[0] = 0.0
            with pytest.raises(ValueError, match="WRITEABLE"):
                vector.setflags(write=True)
        stored_of(store.get("scope", "key of hello")).entry.answer["text"] = "changed"
        assert stored_of(store.get("scope", "key of hello")).entry.answer == {"text": "answer"}
        assert [c.similarity for c in search_in(store)] == pytest.approx([1.0, np.cos(0.3)], abs=self.precision)
