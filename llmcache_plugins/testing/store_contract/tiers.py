"""Contract: the tier an entry is placed in, and who leaves first."""

from __future__ import annotations

import pytest

from llmcache_plugins.counters import Share
from llmcache_plugins.policies.eviction import CostAware, Fifo, Lfu, Lru, RandomOrder
from llmcache_plugins.protocols import EvictionPolicy, Store
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
from llmcache_plugins.types import Stored, Usage

__all__ = ["TierContract"]

_BORN = 1_700_000_000.0


def _place(store: Store, text: str, tier: str, *, now: float = _BORN + 1, is_demotion: bool = False) -> int:
    return store.place([("scope", f"key of {text}")], tier, now, is_demotion=is_demotion)


def _named(found: list[Stored]) -> list[str]:
    return [stored.entry.text for stored in found]


class TierContract(ContractBase):
    """Tiers are an attribute; eviction goes by policy, the last tier first."""

    def test_an_entry_is_where_it_was_put(self, store: Store) -> None:
        store.put(make_entry(vector=make_vector()), tier="warm")
        stored = stored_of(store.get("scope", "key of hello"))
        assert (stored.tier, stored.placed_at, stored.reads) == ("warm", _BORN, 0)
        assert search_in(store)[0].tier == "warm"
        (normalised,) = store.get_normalised("scope", "normalised hello", limit=1)
        assert normalised.tier == "warm"

    def test_an_entry_put_nowhere_in_particular(self, store: Store) -> None:
        store.put(make_entry(), tier="warm")
        store.put(make_entry())
        stored = stored_of(store.get("scope", "key of hello"))
        assert (stored.tier, stored.placed_at, stored.reads) == ("", None, 0)

    def test_place_moves_entries_and_changes_nothing_else(self, store: Store) -> None:
        entry = make_entry("a", vector=make_vector(), expires_at=_BORN + 50)
        store.put(entry, tier="warm")
        store.put_alias(make_alias("other", entry))
        store.put(make_entry("b"), tier="warm")
        addresses = [("scope", "key of a"), ("scope", "gone"), ("scope", "key of other")]
        assert store.place(addresses, "hot", _BORN + 7, is_demotion=False) == 1
        stored = stored_of(store.get("scope", "key of a"))
        assert (stored.entry, stored.tier, stored.placed_at) == (entry, "hot", _BORN + 7)
        assert stored_of(store.get("scope", "key of other")).tier == "hot"
        assert stored_of(store.get("scope", "key of b")).tier == "warm"
        assert [(c.entry.text, c.tier) for c in search_in(store)] == [("a", "hot")]
        assert store.place([], "hot", _BORN, is_demotion=False) == 0

    def test_reads_count_from_the_last_demotion(self, store: Store) -> None:
        store.put(make_entry(vector=make_vector()), tier="cold")
        for second in range(3):
            store.touch("scope", "key of hello", _BORN + second)
        _place(store, "hello", "warm")
        assert stored_of(store.get("scope", "key of hello")).reads == 3
        _place(store, "hello", "cold", is_demotion=True)
        store.touch("scope", "key of hello", _BORN + 9)
        stored = stored_of(store.get("scope", "key of hello"))
        assert (stored.reads, stored.access_count, stored.last_access) == (1, 4, _BORN + 9)
        assert (search_in(store)[0].reads, search_in(store)[0].access_count) == (1, 4)
        store.put(make_entry(vector=make_vector()), tier="cold")
        assert stored_of(store.get("scope", "key of hello")).reads == 0

    def test_shares_follow_every_change(self, store: Store) -> None:
        for text, tier in (("a", "hot"), ("b", "warm"), ("c", "warm"), ("d", "")):
            store.put(make_entry(text), tier=tier)
        one = store.stats().size_bytes // 4
        assert store.stats().shares == {"hot": Share(1, one), "warm": Share(2, 2 * one), "": Share(1, one)}
        _place(store, "b", "hot")
        _place(store, "b", "hot")  # is there already
        assert store.stats().shares == {"hot": Share(2, 2 * one), "warm": Share(1, one), "": Share(1, one)}
        store.delete("scope", ["key of a"])
        store.set_vectors("scope", "fake/8/unit", {"key of b": make_vector()})
        store.put(make_entry("c", answer_json='"1234567890"'), tier="")
        shares = store.stats().shares
        assert set(shares) == {"hot", ""}
        assert shares["hot"] == Share(1, one + 32)
        assert sum(share.size_bytes for share in shares.values()) == store.stats().size_bytes
        store.clear()
        assert store.stats().shares == {}

    def test_lowest_is_the_order_of_eviction_in_one_tier(self, store: Store) -> None:
        for text in "abcd":
            store.put(make_entry(text, vector=make_vector()), tier="warm")
        store.put(make_entry("elsewhere"), tier="hot")
        store.touch("scope", "key of a", _BORN + 5)
        assert _named(store.lowest("warm", limit=9)) == ["b", "c", "d", "a"]
        assert _named(store.lowest("warm", limit=2)) == ["b", "c"]
        assert _named(store.lowest("warm", limit=9)) == ["b", "c", "d", "a"]  # asking changes nothing
        assert (store.lowest("warm", limit=0), store.lowest("nowhere", limit=5)) == ([], [])
        assert all(stored.tier == "warm" for stored in store.lowest("warm", limit=9))

    def test_placing_makes_an_entry_the_latest_of_its_tier(self, store: Store) -> None:
        for text in "abc":
            store.put(make_entry(text), tier="warm")
        _place(store, "a", "hot", now=_BORN + 1)
        _place(store, "b", "warm", now=_BORN + 2)
        _place(store, "a", "warm", now=_BORN + 3)
        assert _named(store.lowest("warm", limit=9)) == ["c", "b", "a"]
        assert store.lowest("hot", limit=9) == []

    def test_the_last_tier_leaves_first(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_entries=4, last_tier="cold") as store:
            for text, tier in (("w", "warm"), ("c", "cold"), ("n", ""), ("h", "hot"), ("new", "hot")):
                store.put(make_entry(text), tier=tier)
            assert texts_in(store, ["w", "c", "n", "h", "new"]) == ["w", "n", "h", "new"]
            store.put(make_entry("newer"), tier="hot")
            assert texts_in(store, ["w", "n", "h", "new", "newer"]) == ["w", "h", "new", "newer"]
            store.put(make_entry("newest"), tier="cold")  # the lowest tier, but never itself at once
            assert texts_in(store, ["w", "h", "new", "newer", "newest"]) == ["h", "new", "newer", "newest"]
            store.put(make_entry("last"), tier="warm")
            assert texts_in(store, ["h", "new", "newer", "newest", "last"]) == ["h", "new", "newer", "last"]
            assert (store.stats().entries, store.stats().evictions) == (4, 4)

    def test_each_tier_has_its_policy(self, clock: FakeClock) -> None:
        by_tier = {"warm": Fifo()}
        with self.open_store(clock, eviction=Lru(), eviction_by_tier=by_tier) as store:
            for tier in ("warm", "hot"):
                for text in "abc":
                    store.put(make_entry(text, scope=tier), tier=tier)
                store.touch(tier, "key of a", _BORN + 5)
            assert _named(store.lowest("warm", limit=9)) == ["a", "b", "c"]
            assert _named(store.lowest("hot", limit=9)) == ["b", "c", "a"]
            store.place([("hot", "key of b")], "warm", _BORN + 6, is_demotion=True)
            store.touch("hot", "key of b", _BORN + 7)
            store.touch("warm", "key of a", _BORN + 8)
            assert _named(store.lowest("warm", limit=9)) == ["a", "b", "c", "b"]

    @pytest.mark.parametrize(
        ("policy", "gone"),
        [(Lru(), "b"), (Lfu(), "c"), (Fifo(), "a"), (CostAware(), "d")],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_who_leaves_is_the_policy_s_choice(self, clock: FakeClock, policy: EvictionPolicy, gone: str) -> None:
        """`a` was stored first, `b` is read most, but before all others, `c` is the least read, `d` costs least."""
        with self.open_store(clock, max_entries=4, eviction=policy) as store:
            for text in "abcd":
                store.put(make_entry(text, usage=Usage(100, 10 if text == "d" else 90_000)))
            for second, text in enumerate("bbcad"):
                store.touch("scope", f"key of {text}", _BORN + second)
            assert store.lowest("", limit=1)[0].entry.text == gone
            store.put(make_entry("new", created_at=_BORN + 9, usage=Usage(100, 10)))
            assert texts_in(store, "abcd") == [text for text in "abcd" if text != gone]

    def test_random_eviction_is_no_order_of_writing(self, clock: FakeClock) -> None:
        texts = [f"{number}" for number in range(60)]
        with self.open_store(clock, max_entries=20, eviction=RandomOrder()) as store:
            for text in texts:
                store.put(make_entry(text))
            left = texts_in(store, texts)
            assert len(left) == 20
            assert left[-1] == "59"
            assert left not in (texts[-20:], texts[:20])
            assert store.stats().evictions == 40

    def test_a_policy_that_gives_no_number_blocks_nothing(self, clock: FakeClock) -> None:
        with self.open_store(clock, max_entries=2, eviction=_Nonsense()) as store:
            for text in "abc":
                store.put(make_entry(text))
                store.touch("scope", f"key of {text}", _BORN)
            assert len(texts_in(store, "abc")) == 2
            assert len(store.lowest("", limit=9)) == 2


class _Nonsense:
    name = "nonsense"

    def weight(self, entry: object, size: int) -> float:
        return float("nan")

    def on_put(self, weight: float, now: float, order: int) -> float:
        return float("nan")

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        return float("inf")
