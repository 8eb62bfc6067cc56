"""What every store promises, as tests: subclass `StoreContract` or `AsyncStoreContract` and say how to make a store.

class TestMyStore(StoreContract):
    def make_store(self, clock, *, max_entries=10_000, max_bytes=2**28):
        return MyStore(max_entries=max_entries, max_bytes=max_bytes)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.protocols import AsyncStore, Capabilities, Clock, Store
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.types import (
    Alias,
    Candidate,
    Census,
    Damaged,
    Entry,
    FloatArray,
    Namespace,
    Pending,
    Stored,
    Usage,
)

__all__ = ["AsyncStoreContract", "StoreContract", "StoreFacade", "make_alias", "make_entry", "make_vector"]

_EMBEDDER = "fake/8/unit"
_DIMENSION = 8
_T = TypeVar("_T")


def make_vector(angle: float = 0.0, axis: int = 1, dimension: int = _DIMENSION) -> FloatArray:
    """A unit vector `angle` radians from the first axis, towards `axis`: two of one axis meet at cos(difference)."""
    vector = np.zeros(dimension, np.float32)
    vector[0], vector[axis] = np.cos(angle), np.sin(angle)
    return vector


def make_entry(text: str = "hello", *, scope: str = "scope", **fields: Any) -> Entry:
    """An entry with everything filled in; `vector` without `embedder_id` belongs to the contract's own embedder."""
    if fields.get("vector") is not None:
        fields.setdefault("embedder_id", _EMBEDDER)
    defaults: dict[str, Any] = {
        "key": f"key of {text}",
        "normalised_key": f"normalised {text.casefold()}",
        "namespace": ("acme",),
        "answer_json": '{"text": "answer"}',
        "created_at": 1_700_000_000.0,
        "expires_at": None,
    }
    return Entry(scope=scope, text=text, **{**defaults, **fields})


def make_alias(text: str, target: Entry, **fields: Any) -> Alias:
    """An alias of `target` in its scope."""
    defaults: dict[str, Any] = {
        "key": f"key of {text}",
        "similarity": 0.97,
        "confidence": 0.9,
        "policy_id": "policy",
        "created_at": 1_700_000_001.0,
    }
    return Alias(scope=target.scope, target_key=target.key, text=text, **{**defaults, **fields})


class StoreContract:
    """The rules of `protocols.Store`, one test for each. Not to be overridden, only `xfail`ed with a reason."""

    def make_store(self, clock: Clock, *, max_entries: int = 10_000, max_bytes: int = 2**28) -> Store:
        """An empty store with these limits."""
        raise NotImplementedError

    @contextmanager
    def open_store(self, clock: Clock, *, max_entries: int = 10_000, max_bytes: int = 2**28) -> Iterator[Store]:
        """What the tests use: a store that is closed when they are done."""
        store = self.make_store(clock, max_entries=max_entries, max_bytes=max_bytes)
        try:
            yield store
        finally:
            store.close()

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> Iterator[Store]:
        with self.open_store(clock) as store:
            yield store

    # -- exact

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
        stored = _stored(store.get("scope", entry.key))
        assert stored.entry == entry
        assert (stored.access_count, stored.last_access, stored.alias) == (0, None, None)

    def test_vector_may_be_left_out_but_is_never_another(self, store: Store) -> None:
        """A candidate has its vector. Who asks for an entry by key has no use for one, and `embedder_id` says that it
        is there."""
        store.put(make_entry(vector=make_vector(0.5)))
        (candidate,) = _search(store)
        assert candidate.entry.vector is not None
        assert candidate.entry.vector.dtype == np.float32
        by_key = _stored(store.get("scope", "key of hello")).entry
        (normalised,) = store.get_normalised("scope", "normalised hello", limit=1)
        for entry in (candidate.entry, by_key, normalised.entry):
            assert entry.embedder_id == _EMBEDDER
            if entry.vector is not None:
                np.testing.assert_array_equal(entry.vector, make_vector(0.5))

    def test_entry_without_vector_comes_back_without(self, store: Store) -> None:
        store.put(make_entry())
        entry = _stored(store.get("scope", "key of hello")).entry
        assert (entry.vector, entry.embedder_id) == (None, None)

    def test_expired_entry_is_still_found_exactly(self, store: Store, clock: FakeClock) -> None:
        store.put(make_entry(expires_at=clock.now() - 1))
        assert _stored(store.get("scope", "key of hello")).entry.is_expired(clock.now())

    def test_put_replaces(self, store: Store) -> None:
        store.put(make_entry(answer_json='"old"'))
        store.touch("scope", "key of hello", 5.0)
        store.put(make_entry(answer_json='"new"'))
        stored = _stored(store.get("scope", "key of hello"))
        assert stored.entry.answer == "new"
        assert (stored.access_count, stored.last_access) == (0, None)
        assert store.stats().entries == 1

    def test_replaced_entry_leaves_its_normalised_key_and_vector(self, store: Store) -> None:
        store.put(make_entry(normalised_key="old", vector=make_vector(0.0)))
        store.put(make_entry(normalised_key="new"))
        assert store.get_normalised("scope", "old", limit=5) == []
        assert _keys(store.get_normalised("scope", "new", limit=5)) == ["key of hello"]
        assert _search(store) == []

    def test_scopes_never_leak(self, store: Store, clock: FakeClock) -> None:
        entry = make_entry(scope="a", vector=make_vector(0.0))
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert store.get("b", entry.key) is None
        assert store.get("b", "key of other") is None
        assert store.get_normalised("b", entry.normalised_key, limit=5) == []
        assert store.census("b", _EMBEDDER, limit=5) == Census(0)
        assert store.search("b", _EMBEDDER, make_vector(0.0), limit=5, now=clock.now()) == []
        assert store.delete("b", [entry.key, "key of other"]) == 0
        store.touch("b", entry.key, clock.now())
        assert _stored(store.get("a", entry.key)).access_count == 0

    def test_same_key_in_two_scopes_is_two_entries(self, store: Store) -> None:
        store.put(make_entry(scope="a", answer_json='"a"'))
        store.put(make_entry(scope="b", answer_json='"b"'))
        assert _stored(store.get("a", "key of hello")).entry.answer == "a"
        assert _stored(store.get("b", "key of hello")).entry.answer == "b"

    # -- normalised

    def test_normalised_is_newest_first_within_limit(self, store: Store) -> None:
        for text in ("first", "second", "third"):
            store.put(make_entry(text, normalised_key="same"))
        store.put(make_entry("first", normalised_key="same"))  # put again: now the newest
        assert _keys(store.get_normalised("scope", "same", limit=2)) == ["key of first", "key of third"]
        assert _keys(store.get_normalised("scope", "same", limit=9)) == [
            "key of first",
            "key of third",
            "key of second",
        ]
        assert store.get_normalised("scope", "same", limit=0) == []

    def test_alias_has_no_normalised_key(self, store: Store) -> None:
        entry = make_entry()
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert _keys(store.get_normalised("scope", entry.normalised_key, limit=5)) == [entry.key]

    # -- aliases

    def test_alias_leads_to_its_entry(self, store: Store) -> None:
        entry = make_entry()
        alias = make_alias("other", entry)
        store.put(entry)
        store.put_alias(alias)
        store.touch("scope", entry.key, 7.0)
        stored = _stored(store.get("scope", alias.key))
        assert (stored.entry, stored.alias) == (entry, alias)
        assert (stored.access_count, stored.last_access) == (1, 7.0)

    def test_alias_is_never_a_candidate(self, store: Store) -> None:
        entry = make_entry(vector=make_vector(0.0))
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        assert [candidate.entry.key for candidate in _search(store)] == [entry.key]
        assert store.census("scope", _EMBEDDER, limit=5).candidates == 1
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
        assert _stored(store.get("scope", "key of other")).entry.answer == "new"

    def test_entry_replaces_the_alias_under_its_key(self, store: Store) -> None:
        first, second = make_entry("first"), make_entry("second")
        store.put(first)
        store.put_alias(make_alias("second", first))
        store.put(second)
        assert _stored(store.get("scope", second.key)).entry == second
        assert store.delete("scope", [second.key]) == 1
        assert store.get("scope", second.key) is None

    def test_alias_never_hides_an_entry(self, store: Store) -> None:
        first, second = make_entry("first"), make_entry("second")
        store.put(first)
        store.put(second)
        store.put_alias(make_alias("second", first))
        assert _stored(store.get("scope", second.key)) == Stored(second)
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
        stored = _stored(store.get("scope", "key of other"))
        assert stored.entry == second
        assert stored.alias is not None
        assert stored.alias.policy_id == "later"
        assert store.stats().aliases == 1

    # -- candidates

    def test_search_is_best_first_within_limit(self, store: Store) -> None:
        for text, angle in (("far", 1.0), ("near", 0.1), ("middle", 0.5)):
            store.put(make_entry(text, vector=make_vector(angle)))
        found = _search(store, limit=2)
        assert [candidate.entry.text for candidate in found] == ["near", "middle"]
        assert [candidate.similarity for candidate in found] == pytest.approx([np.cos(0.1), np.cos(0.5)], abs=1e-5)
        assert [candidate.entry.text for candidate in _search(store, limit=9)] == ["near", "middle", "far"]
        assert _search(store, limit=0) == []

    def test_ties_are_in_insertion_order(self, store: Store) -> None:
        for number in range(40):
            store.put(make_entry(f"text {number}", vector=make_vector(0.3)))
        store.delete("scope", ["key of text 3"])
        assert [candidate.entry.text for candidate in _search(store, limit=4)] == [
            "text 0",
            "text 1",
            "text 2",
            "text 4",
        ]

    def test_vectors_given_later_keep_the_insertion_order(self, store: Store) -> None:
        for text in ("first", "second"):
            store.put(make_entry(text))
        for text in ("second", "first"):
            store.set_vectors("scope", _EMBEDDER, {f"key of {text}": make_vector(0.0)})
        assert [candidate.entry.text for candidate in _search(store)] == ["first", "second"]

    def test_similarity_is_within_one(self, store: Store) -> None:
        vector = np.full(_DIMENSION, _DIMENSION**-0.5, np.float32) * np.float32(1 + 1e-6)
        store.put(make_entry(vector=vector))
        store.put(make_entry("opposite", vector=-vector))
        near, far = _search(store, vector=vector)
        assert near.similarity == pytest.approx(1.0, abs=1e-5)
        assert -1.0 <= far.similarity <= near.similarity <= 1.0

    def test_candidate_carries_its_entry_and_access_count(self, store: Store) -> None:
        entry = make_entry(vector=make_vector(0.0))
        store.put(entry)
        store.touch("scope", entry.key, 5.0)
        (candidate,) = _search(store)
        assert (candidate.entry, candidate.access_count) == (entry, 1)
        np.testing.assert_array_equal(candidate.entry.vector, entry.vector)

    def test_expired_entries_do_not_use_up_the_limit(self, store: Store, clock: FakeClock) -> None:
        for number in range(20):
            store.put(make_entry(f"old {number}", vector=make_vector(0.0), expires_at=clock.now() + 1))
        store.put(make_entry("live", vector=make_vector(0.7), expires_at=clock.now() + 9))
        assert len(_search(store, now=clock.now(), limit=1)) == 1
        assert _search(store, now=clock.now(), limit=1)[0].entry.text == "old 0"
        assert [c.entry.text for c in _search(store, now=clock.now() + 1, limit=1)] == ["live"]
        assert _search(store, now=clock.now() + 9, limit=5) == []

    def test_foreign_embedder_is_not_seen_at_all(self, store: Store) -> None:
        for number in range(20):
            store.put(make_entry(f"foreign {number}", vector=make_vector(0.0), embedder_id="other"))
        store.put(make_entry("own", vector=make_vector(0.7)))
        assert [candidate.entry.text for candidate in _search(store, limit=1)] == ["own"]
        assert store.search("scope", "unknown", make_vector(0.0), limit=5, now=0.0) == []

    def test_embedders_may_differ_in_dimension(self, store: Store) -> None:
        store.put(make_entry("wide", vector=make_vector(0.0, dimension=32), embedder_id="wide"))
        store.put(make_entry("own", vector=make_vector(0.0)))
        assert [candidate.entry.text for candidate in _search(store)] == ["own"]

    def test_exact_only_entry_is_no_candidate(self, store: Store) -> None:
        store.put(make_entry(is_candidate=False))
        store.set_vectors("scope", _EMBEDDER, {"key of hello": make_vector(0.0)})
        assert store.census("scope", _EMBEDDER, limit=5) == Census(0)
        assert _search(store) == []
        assert _stored(store.get("scope", "key of hello")).entry.vector is None

    def test_census_names_the_newest_without_a_vector(self, store: Store, clock: FakeClock) -> None:
        store.put(make_entry("embedded", vector=make_vector(0.0)))
        store.put(make_entry("old", expires_at=clock.now() - 1))
        store.put(make_entry("foreign", vector=make_vector(0.0), embedder_id="other"))
        store.put(make_entry("new"))
        new, foreign = Pending("key of new", "new"), Pending("key of foreign", "foreign")
        assert store.census("scope", _EMBEDDER, limit=2) == Census(4, (new, foreign))
        assert store.census("scope", _EMBEDDER, limit=0) == Census(4)
        assert len(store.census("scope", _EMBEDDER, limit=9).pending) == 3
        assert store.census("nowhere", _EMBEDDER, limit=9) == Census(0)

    def test_set_vectors_makes_candidates(self, store: Store) -> None:
        store.put(make_entry("a", expires_at=50.0))
        store.put(make_entry("b", vector=make_vector(0.0), embedder_id="other"))
        store.set_vectors(
            "scope", _EMBEDDER, {"key of a": make_vector(0.0), "key of b": make_vector(0.4), "gone": make_vector(0.0)}
        )
        assert [candidate.entry.text for candidate in _search(store, now=49.0)] == ["a", "b"]
        assert [candidate.entry.text for candidate in _search(store, now=50.0)] == ["b"]
        assert store.census("scope", _EMBEDDER, limit=5) == Census(2)
        assert store.search("scope", "other", make_vector(0.0), limit=5, now=0.0) == []
        assert _stored(store.get("scope", "key of a")).entry.embedder_id == _EMBEDDER
        assert store.get("scope", "gone") is None

    def test_set_vectors_keeps_access_count_and_counts_bytes(self, store: Store) -> None:
        store.put(make_entry())
        store.touch("scope", "key of hello", 5.0)
        before = store.stats().size_bytes
        store.set_vectors("scope", _EMBEDDER, {"key of hello": make_vector(0.0)})
        assert store.stats().size_bytes == before + 4 * _DIMENSION
        assert _stored(store.get("scope", "key of hello")).access_count == 1

    def test_what_is_handed_out_cannot_change_what_is_stored(self, store: Store) -> None:
        mine = make_vector(0.0)
        store.put(make_entry(vector=mine))
        later = make_vector(0.3)
        store.put(make_entry("later"))
        store.set_vectors("scope", _EMBEDDER, {"key of later": later})
        mine[:] = later[:] = 0.0
        for candidate in _search(store):
            vector = candidate.entry.vector
            assert vector is not None
            with pytest.raises(ValueError, match="read-only"):
                vector[0] = 0.0
            with pytest.raises(ValueError, match="WRITEABLE"):
                vector.setflags(write=True)
        _stored(store.get("scope", "key of hello")).entry.answer["text"] = "changed"
        assert _stored(store.get("scope", "key of hello")).entry.answer == {"text": "answer"}
        assert [c.similarity for c in _search(store)] == pytest.approx([1.0, np.cos(0.3)], abs=1e-5)

    # -- capacity

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
            assert _texts(store, "abcde") == ["c", "d", "e"]
            assert [candidate.entry.text for candidate in _search(store)] == []
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
            assert _texts(store, "abc") == ["b", "c"]
            assert store.stats().size_bytes == 2 * size
            store.put(replace(entry, text="b", key="key of b", answer_json='"' + "x" * 12_000 + '"'))
            assert _texts(store, "abc") == ["b"]

    def test_entry_over_the_whole_limit_is_not_kept(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_bytes=20_000) as store:
            assert store.put(make_entry("small"))
            assert store.put(make_entry("big"))
            assert not store.put(make_entry("big", answer_json='"' + "x" * 30_000 + '"'))
            assert _texts(store, ["small", "big"]) == ["small"]  # and the outdated answer is gone
            assert store.stats().evictions == 0

    def test_oldest_alias_leaves_first(self, clock: FakeClock) -> None:
        entry = make_entry()
        with self.open_store(clock, max_entries=2) as store:
            store.put(entry)
            for text in ("a", "b", "c"):
                store.put_alias(make_alias(text, entry))
            assert store.get("scope", "key of a") is None
            assert _stored(store.get("scope", "key of c")).entry == entry
            assert (store.stats().entries, store.stats().aliases) == (1, 2)

    def test_aliases_count_bytes_and_never_evict_entries(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_bytes=30_000) as store:
            entry = make_entry()
            store.put(entry)
            before = store.stats().size_bytes
            for number in range(5):
                store.put_alias(make_alias(f"{number} " + "x" * 10_000, entry))
            stats = store.stats()
            assert before + 10_000 < stats.size_bytes <= 30_000
            assert (stats.entries, stats.aliases) == (1, 2)

    def test_size_returns_to_nothing(self, store: Store) -> None:
        for text in ("a", "b"):
            store.put(make_entry(text, vector=make_vector(0.0)))
            store.put_alias(make_alias(f"other {text}", make_entry(text)))
        store.put(make_entry("a", answer_json='"longer than it was before"'))
        store.delete("scope", ["key of other a", "key of a"])
        store.clear()
        assert store.stats() == StoreStats()

    # -- removing

    def test_delete_counts_what_was_there(self, store: Store) -> None:
        entry = make_entry("a", vector=make_vector(0.0))
        store.put(entry)
        store.put(make_entry("b"))
        store.put_alias(make_alias("other", entry))
        assert store.delete("scope", ["key of a", "key of other", "gone", "key of a"]) == 2
        assert store.delete("scope", ["key of a"]) == 0
        assert store.delete("scope", []) == 0
        assert _texts(store, ["a", "b", "other"]) == ["b"]
        assert (_search(store), store.get_normalised("scope", entry.normalised_key, limit=5)) == ([], [])

    def test_deleted_alias_leaves_its_entry(self, store: Store) -> None:
        store.put(make_entry("a"))
        store.put_alias(make_alias("other", make_entry("a")))
        assert store.delete("scope", ["key of other"]) == 1
        assert _texts(store, ["a", "other"]) == ["a"]

    def test_touch_counts_reads_and_extends_nothing(self, store: Store) -> None:
        store.put(make_entry(expires_at=50.0))
        store.touch("scope", "key of hello", 5.0)
        store.touch("scope", "key of hello", 6.0)
        store.touch("scope", "unknown", 7.0)
        stored = _stored(store.get("scope", "key of hello"))
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
        assert _texts(store, ["0", "1", "2", "3", "4", "replaced", "for ever"]) == ["replaced", "for ever"]
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
        assert _texts(store, list(named)) == left
        assert [candidate.entry.text for candidate in _search(store, limit=9)] == left
        assert store.stats().aliases == len(left)

    def test_store_is_usable_after_clear(self, store: Store) -> None:
        store.put(make_entry(vector=make_vector(0.0)))
        store.clear()
        store.put(make_entry("again", vector=make_vector(0.0)))
        assert [candidate.entry.text for candidate in _search(store)] == ["again"]
        assert store.stats().entries == 1

    def test_close_twice(self, clock: FakeClock) -> None:
        store = self.make_store(clock)
        store.put(make_entry())
        store.close()
        store.close()

    # -- threads

    def test_threads_see_whole_entries(self, clock: FakeClock) -> None:
        """Eight threads write, read, search and delete: what is found always belongs together."""
        angles = {f"{number}": number * 0.01 for number in range(16)}

        def entry_of(text: str, scope: str) -> Entry:
            return make_entry(
                text, scope=scope, answer_json=f'"{scope}/{text}"', vector=make_vector(angles[text], 1 + int(scope))
            )

        def work(seed: int) -> None:
            order = np.random.default_rng(seed)
            for step in range(40):
                text, scope = str(order.integers(16)), str(order.integers(3))
                if step % 8 == 7:
                    store.delete(scope, [f"key of {text}"])
                elif step % 2:
                    store.put(entry_of(text, scope))
                stored = store.get(scope, f"key of {text}")
                if stored is not None:
                    assert _stored(stored).entry.answer == f"{scope}/{text}"
                query = make_vector(angles[text], 1 + int(scope))
                found = store.search(scope, _EMBEDDER, query, limit=4, now=clock.now())
                for candidate in found:
                    assert candidate.entry.answer == f"{scope}/{candidate.entry.text}"
                    distance = angles[candidate.entry.text] - angles[text]
                    assert candidate.similarity == pytest.approx(np.cos(distance), abs=1e-5)

        with self.open_store(clock, max_entries=30) as store, ThreadPoolExecutor(8) as threads:
            for result in [threads.submit(work, seed) for seed in range(8)]:
                result.result()
            assert store.stats().entries <= 30

    def test_threads_lose_no_touch(self, store: Store) -> None:
        store.put(make_entry())
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: store.touch("scope", "key of hello", 5.0), range(400)))
        assert _stored(store.get("scope", "key of hello")).access_count == 400


class AsyncStoreContract(StoreContract):
    """The same rules for an `AsyncStore`: every test runs its coroutines on an event loop of its own thread."""

    def make_async_store(self, clock: Clock, *, max_entries: int = 10_000, max_bytes: int = 2**28) -> AsyncStore:
        """An empty store with these limits."""
        raise NotImplementedError

    def make_store(self, clock: Clock, *, max_entries: int = 10_000, max_bytes: int = 2**28) -> Store:
        return StoreFacade(lambda: self.make_async_store(clock, max_entries=max_entries, max_bytes=max_bytes))


class StoreFacade:
    """A `Store` whose verbs are an async store's, each run to its end on an event loop in a thread."""

    def __init__(self, make: Callable[[], AsyncStore]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-facade")
        self._running = self._thread.submit(self._loop.run_forever)
        self._store = make()

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    def _run(self, verb: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(verb, self._loop).result(timeout=60)

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return self._run(self._store.get(scope, key))

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return self._run(self._store.get_normalised(scope, normalised_key, limit=limit))

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return self._run(self._store.census(scope, embedder_id, limit=limit))

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        return self._run(self._store.search(scope, embedder_id, vector, limit=limit, now=now))

    def put(self, entry: Entry) -> bool:
        return self._run(self._store.put(entry))

    def put_alias(self, alias: Alias) -> None:
        self._run(self._store.put_alias(alias))

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        self._run(self._store.set_vectors(scope, embedder_id, vectors))

    def touch(self, scope: str, key: str, now: float) -> None:
        self._run(self._store.touch(scope, key, now))

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        return self._run(self._store.delete(scope, keys))

    def sweep(self, now: float, *, limit: int) -> int:
        return self._run(self._store.sweep(now, limit=limit))

    def clear(self, namespace: Namespace | None = None) -> int:
        return self._run(self._store.clear(namespace))

    def stats(self) -> StoreStats:
        return self._run(self._store.stats())

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._store.close())
        self._run(self._store.close())
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._running.result(timeout=60)
        self._thread.shutdown()
        self._loop.close()


def _stored(found: Stored | Damaged | None) -> Stored:
    assert isinstance(found, Stored), found
    return found


def _keys(found: Sequence[Stored]) -> list[str]:
    return [stored.entry.key for stored in found]


def _texts(store: Store, texts: Sequence[str]) -> list[str]:
    """Which of these texts the store has, as entries or aliases."""
    return [text for text in texts if store.get("scope", f"key of {text}") is not None]


def _search(
    store: Store, *, vector: FloatArray | None = None, limit: int = 5, now: float = 1_700_000_000.0
) -> list[Candidate]:
    query = make_vector(0.0) if vector is None else vector
    return store.search("scope", _EMBEDDER, query, limit=limit, now=now)
