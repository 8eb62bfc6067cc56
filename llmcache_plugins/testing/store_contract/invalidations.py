"""Contract: what is not right any more, and answers that come too late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from llmcache_plugins.protocols import Store
from llmcache_plugins.selection import Invalidated, Invalidation, Selector
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
from llmcache_plugins.types import Entry, Profile

__all__ = ["InvalidationContract"]

_BORN = 1_700_000_000.0
_NOW = _BORN + 100
_TAGGED = Selector(tags=("t",))


def _tagged(text: str, **fields: Any) -> Entry:
    return make_entry(text, profile=Profile(tags=("t",)), **fields)


def _invalidate(store: Store, selector: Selector = _TAGGED, *, now: float = _NOW, limit: int = 100) -> Invalidated:
    return store.invalidate(selector, now, is_lazy=False, reason="why", limit=limit)


class InvalidationContract(ContractBase):
    """`invalidate`, its log, and `put` with `seen`."""

    def test_what_is_selected_is_gone_with_its_aliases(self, store: Store) -> None:
        store.put(_tagged("a", vector=make_vector()))
        store.put_alias(make_alias("other", make_entry("a")))
        store.put(make_entry("b"))
        done = _invalidate(store)
        assert done.addresses == (("scope", "key of a"),)
        assert texts_in(store, ["a", "other", "b"]) == ["b"]
        assert (search_in(store), store.stats().entries, store.stats().aliases) == ([], 1, 0)
        assert (store.stats().evictions, store.stats().expirations) == (0, 0)

    def test_lazily_marks_once_and_removes_nothing(self, store: Store) -> None:
        for text in "ab":
            store.put(_tagged(text, vector=make_vector()), tier="warm")
        store.touch("scope", "key of a", _BORN + 1)
        assert len(store.invalidate(_TAGGED, _NOW, is_lazy=True, limit=1).addresses) == 1
        done = store.invalidate(_TAGGED, _NOW + 5, is_lazy=True, limit=9)
        assert done.addresses == (("scope", "key of b"),)
        stored = stored_of(store.get("scope", "key of a"))
        assert (stored.entry.stale_at, stored.access_count, stored.tier) == (_NOW, 1, "warm")
        assert [candidate.entry.stale_at for candidate in search_in(store)] == [_NOW, _NOW + 5]
        assert [noted.count for noted in store.invalidations(since=0.0)] == [2, 1]
        store.put(_tagged("a"))
        assert stored_of(store.get("scope", "key of a")).entry.stale_at is None

    def test_the_limit_leaves_the_newest_to_a_select(self, store: Store) -> None:
        for text in "abcde":
            store.put(_tagged(text))
        done = _invalidate(store, limit=2)
        assert done.addresses == (("scope", "key of a"), ("scope", "key of b"))
        assert [stored.entry.text for stored in store.select(_TAGGED, limit=9).rows] == ["c", "d", "e"]
        assert _invalidate(store, limit=0).addresses == ()
        assert [noted.count for noted in store.invalidations(since=0.0)] == [5, 3]  # how many there were

    def test_the_log_says_what_when_and_why(self, store: Store) -> None:
        assert (store.sequence(), store.invalidations(since=0.0)) == (0, [])
        selector = Selector(tags=("t",), tag_patterns=("a*",), namespace=("acme", "x"), stored_before=5.0)
        first = store.invalidate(selector, _NOW, is_lazy=False, reason="\u00fc", mode="gradual", limit=5)
        second = _invalidate(store, now=_NOW + 1)
        assert (first.number, second.number, store.sequence()) == (1, 2, 2)
        assert store.invalidations(since=0.0) == [
            Invalidation(1, _NOW, selector, "\u00fc", "gradual", 0),
            Invalidation(2, _NOW + 1, _TAGGED, "why", "now", 0),
        ]
        assert [noted.number for noted in store.invalidations(since=_NOW + 1)] == [2]
        assert store.invalidations(since=_NOW + 2) == []

    def test_a_reason_that_is_no_text_is_no_reason_to_fail(self, store: Store) -> None:
        store.invalidate(_TAGGED, _NOW, is_lazy=False, reason="\ud800", limit=5)
        assert [noted.selector for noted in store.invalidations(since=0.0)] == [_TAGGED]

    def test_a_forgotten_log_does_not_start_again(self, store: Store) -> None:
        for second in range(3):
            _invalidate(store, now=_NOW + second)
        assert store.forget_invalidations(before=_NOW + 2) == 2
        assert store.forget_invalidations(before=_NOW + 2) == 0
        assert ([noted.number for noted in store.invalidations(since=0.0)], store.sequence()) == ([3], 3)
        assert store.forget_invalidations(before=_NOW + 9) == 1
        assert (store.invalidations(since=0.0), store.sequence()) == ([], 3)
        assert _invalidate(store).number == 4

    def test_clear_leaves_the_log_alone(self, store: Store) -> None:
        seen = store.sequence()
        _invalidate(store)
        store.clear()
        assert store.sequence() == 1
        assert not store.put(_tagged("a"), seen=seen)

    # -- answers that come too late

    def test_an_answer_from_before_is_not_kept(self, store: Store) -> None:
        seen = store.sequence()
        _invalidate(store)
        assert not store.put(_tagged("a"), seen=seen)
        assert store.put(make_entry("b"), seen=seen)  # it is about something else
        assert store.put(_tagged("c"), seen=store.sequence())
        assert store.put(_tagged("d"))  # nobody says when it was asked for
        assert texts_in(store, "abcd") == ["b", "c", "d"]

    def test_a_refused_answer_leaves_what_is_there(self, store: Store) -> None:
        seen = store.sequence()
        _invalidate(store)
        store.put(_tagged("a", answer_json='"new"'), seen=store.sequence())
        store.put_alias(make_alias("b", make_entry("a")))
        store.touch("scope", "key of a", _NOW)
        for text in "ab":
            assert not store.put(_tagged(text, answer_json='"late"'), seen=seen)
        stored = stored_of(store.get("scope", "key of a"))
        assert (stored.entry.answer, stored.access_count) == ("new", 1)
        assert stored_of(store.get("scope", "key of b")).entry.answer == "new"

    def test_every_later_invalidation_counts(self, store: Store) -> None:
        numbers = [store.sequence()]
        for selector in (_TAGGED, Selector(models=("m",)), Selector(keys=("unknown",))):
            numbers.append(_invalidate(store, selector).number)
        assert [store.put(_tagged(f"{seen}"), seen=seen) for seen in numbers] == [False, True, True, True]
        assert [store.put(make_entry(f"{seen}", model="m"), seen=seen) for seen in numbers] == [
            False,
            False,
            True,
            True,
        ]

    def test_a_lazy_or_empty_one_counts_as_well(self, store: Store) -> None:
        seen = store.sequence()
        store.invalidate(_TAGGED, _NOW, is_lazy=True, limit=0)
        assert not store.put(_tagged("a"), seen=seen)

    def test_an_answer_is_as_old_as_its_question(self, store: Store) -> None:
        """What was stored before the event goes; an answer in flight at that moment is not newer for being late."""
        seen = store.sequence()
        _invalidate(store, Selector(tags=("t",), stored_before=_NOW))
        assert not store.put(_tagged("a", created_at=_NOW + 5), seen=seen)
        seen = store.sequence()
        _invalidate(store, Selector(tags=("t",), stored_before=_BORN - 5))  # by age: long before it was asked
        assert store.put(_tagged("a", created_at=_NOW + 5), seen=seen)

    def test_an_invalidation_of_a_tier_is_about_what_is_put_there(self, store: Store) -> None:
        seen = store.sequence()
        _invalidate(store, Selector(tier="hot"))
        assert [store.put(make_entry(tier), tier=tier, seen=seen) for tier in ("hot", "warm")] == [False, True]

    def test_an_invalidation_of_stale_ones_refuses_no_fresh_one(self, store: Store) -> None:
        seen = store.sequence()
        _invalidate(store, Selector(is_stale=True, tags=("t",)))
        assert store.put(_tagged("a"), seen=seen)

    def test_what_cannot_be_told_any_more_is_refused(self, store: Store) -> None:
        numbers = [0, *(_invalidate(store, Selector(models=(f"m{i}",)), now=_NOW + i).number for i in range(3))]
        store.forget_invalidations(before=_NOW + 2)
        assert [store.put(make_entry(f"{seen}"), seen=seen) for seen in numbers] == [False, False, True, True]

    def test_notes_are_never_refused(self, store: Store) -> None:
        _invalidate(store, Selector())
        store.forget_invalidations(before=_NOW + 1)
        assert store.put(make_entry(is_note=True), seen=0)

    @pytest.mark.parametrize("is_lazy", [False, True])
    def test_a_race_leaves_no_answer_from_before(self, clock: FakeClock, is_lazy: bool) -> None:
        """Writers and invalidations at the same moment, over and over: what is there at the end as fresh was asked for
        after the last invalidation."""
        with self.open_store(clock) as store, ThreadPoolExecutor(6) as threads:
            for turn in range(15):
                start = Barrier(6)

                def write(text: str, start: Barrier = start) -> None:
                    seen = store.sequence()
                    start.wait(30)
                    store.put(_tagged(text, answer_json=str(seen)), seen=seen)

                def invalidate(start: Barrier = start, now: float = _NOW + turn) -> None:
                    start.wait(30)
                    store.invalidate(_TAGGED, now, is_lazy=is_lazy, limit=100)

                work = [threads.submit(write, text) for text in "abcde"] + [threads.submit(invalidate)]
                for done in work:
                    done.result()
                fresh = store.select(Selector(tags=("t",), is_stale=False), limit=100).rows
                assert [stored.entry.text for stored in fresh if stored.entry.answer < store.sequence()] == []
