from __future__ import annotations

import gc
import os
import signal
import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.policies.eviction import CostAware, Lfu
from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.stores.capacity import ALIAS_OVERHEAD, ENTRY_OVERHEAD
from llmcache_plugins.stores.invalidation_log import LOGGED_INVALIDATIONS
from llmcache_plugins.stores.leases import LeaseTable
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Profile, Stored


def test_bytes_are_text_answer_vector_and_overhead() -> None:
    store = MemoryStore()
    entry = make_entry("\u00fc" * 10, answer_json='"' + "x" * 98 + '"', vector=make_vector())
    store.put(entry)
    assert store.stats().size_bytes == 20 + 100 + 32 + ENTRY_OVERHEAD
    store.put_alias(make_alias("other", entry))
    assert store.stats().size_bytes == 20 + 100 + 32 + ENTRY_OVERHEAD + 5 + ALIAS_OVERHEAD


@pytest.mark.parametrize("limits", [{"max_entries": 0}, {"max_bytes": 0}, {"max_entries": True}, {"max_bytes": 1.5}])
def test_limits_are_positive_integers(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be an integer of at least 1"):
        MemoryStore(**limits)


def test_another_dimension_changes_nothing() -> None:
    store = MemoryStore()
    store.put(make_entry("a", vector=make_vector()))
    before = store.stats()
    with pytest.raises(StoreError, match="have 8 numbers, not 16"):
        store.put(make_entry("a", answer_json='"new"', vector=make_vector(dimension=16)))
    with pytest.raises(StoreError, match="vector"):
        store.search("scope", "fake/8/unit", make_vector(dimension=16), limit=1, now=0.0)
    found = store.get("scope", "key of a")
    assert isinstance(found, Stored)
    assert found.entry.answer == {"text": "answer"}
    assert store.stats() == before


def test_entries_that_are_replaced_for_ever_leave_no_trace() -> None:
    store = MemoryStore(max_entries=4)
    for number in range(2000):
        store.put(make_entry(f"{number % 6}", expires_at=float(number), normalised_key=f"{number}"))
    assert len(store._expiries) <= 2 * 4 + 64
    assert len(store._normalised) == 4
    assert store.sweep(1e9, limit=100) == 4
    assert (store._lists.groups, store._normalised, len(store._expiries)) == ({}, {}, 0)


class _Answer(str):
    """Can be referred to weakly."""


def test_eviction_leaves_no_trace() -> None:
    """Nor does moving and reading: the queues hold no entry that has left."""
    store = MemoryStore(max_entries=4, eviction=CostAware(), eviction_by_tier={"warm": Lfu()}, last_tier="warm")
    for number in range(1000):
        answer = _Answer('"x"')
        seen = weakref.ref(answer)
        entry = make_entry(f"{number}", answer_json=answer, profile=Profile(tags=(f"t{number}", "all")))
        store.put(entry, tier="warm" if number % 2 else "hot")
        store.touch("scope", entry.key, float(number))
        store.place([("scope", entry.key)], "hot" if number % 3 else "warm", float(number), is_demotion=False)
    assert [len(store._lists._by_key), len(store._lists._by_tag)] == [4, 5]
    assert all(len(store._queues.of(tier)._heap) <= 2 * 4 + 64 for tier in ("hot", "warm"))
    del entry, answer
    gc.collect()
    assert seen() is not None  # the newest is there
    store.delete("scope", ["key of 999"])
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize(
    ("selector", "looked_at"),
    [
        (Selector(tags=("device:7",)), 1),
        (Selector(tags=("all", "device:7")), 1),
        (Selector(keys=("key of 7", "key of 8", "gone")), 2),
        (Selector(scope="scope 3"), 10),
        (Selector(scope="scope 3", tags=("all",), keys=("key of 3",)), 1),
        (Selector(tags=("unknown",)), 0),
        (Selector(models=("m",)), 100),
    ],
)
def test_a_selector_looks_only_where_its_tag_key_or_scope_is(
    selector: Selector, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    for number in range(100):
        profile = Profile(tags=("all", f"device:{number}"))
        store.put(make_entry(f"{number}", scope=f"scope {number % 10}", profile=profile, model="m"))
    seen: list[Stored] = []
    matches = Selector.matches_stored

    def look_at(selector: Selector, stored: Stored) -> bool:
        seen.append(stored)
        return matches(selector, stored)

    monkeypatch.setattr(Selector, "matches_stored", look_at)
    store.select(selector, limit=100)
    assert len(seen) == looked_at
    store.invalidate(selector, 5.0, is_lazy=True, limit=5)
    assert len(seen) == 2 * looked_at
    seen.clear()
    store.select(selector, limit=2)
    assert len(seen) == min(looked_at, 3), "a page that is full looks no further, but for whether there is a next one"


def test_of_very_many_invalidations_the_oldest_are_forgotten() -> None:
    store = MemoryStore()
    for second in range(LOGGED_INVALIDATIONS + 5):
        store.invalidate(Selector(keys=("nothing",)), float(second), is_lazy=False, limit=1)
    log = store.invalidations(since=0.0)
    assert (len(log), log[0].number, store.sequence()) == (LOGGED_INVALIDATIONS, 6, LOGGED_INVALIDATIONS + 5)
    assert [store.put(make_entry(), seen=seen) for seen in (4, 5)] == [False, True]


def test_of_very_many_leases_the_oldest_ended_ones_are_forgotten() -> None:
    leases = LeaseTable(remembered=3)
    held = leases.acquire("held", "me", 0.0, 1000.0)
    early = leases.acquire("early", "me", 0.0, 5.0)
    assert held is not None
    assert early is not None
    for number in range(10):
        leases.acquire(f"{number}", "you", 10.0 + number, 10.5 + number)
    assert not leases.is_late(held)  # is not over, and so not forgotten
    assert leases.acquire("held", "you", 30.0, 40.0) is None
    leases.release(held)
    for number in range(10):
        leases.acquire(f"{number} again", "you", 50.0 + number, 50.5 + number)
    assert len(leases._leases) <= 3
    assert leases.is_late(early)  # nobody knows any more


def test_a_closed_store_has_given_back_everything() -> None:
    store = MemoryStore()
    store.put(make_entry(), tier="warm")
    store.note("a", "b")
    store.invalidate(Selector(), 1.0, is_lazy=True, limit=5)
    store.close()
    assert (store.notes(), store.invalidations(since=0.0), store.select(Selector(), limit=5)) == ({}, [], Page())
    assert store.stats() == StoreStats()


@pytest.mark.parametrize("change", ["replace", "delete", "mark", "clear"])
def test_what_is_read_while_it_changes_is_of_an_earlier_version(change: str) -> None:
    """`get` takes no lock: whoever keeps what it gave beside the version asked for before must find out."""
    read: list[tuple[Hashable, object]] = []

    class Watched(MemoryStore):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "_version" and value:
                read.append((self.version(), self.get("scope", "key of a")))

    store = Watched()
    store.put(make_entry("a", answer_json='"old"'))
    before = store.get("scope", "key of a")
    changes: dict[str, Callable[[], object]] = {
        "replace": lambda: store.put(make_entry("a", answer_json='"new"')),
        "delete": lambda: store.delete("scope", ["key of a"]),
        "mark": lambda: store.invalidate(Selector(), 1.0, is_lazy=True, limit=5),
        "clear": store.clear,
    }
    changes[change]()
    assert store.get("scope", "key of a") != before
    assert read
    assert store.version() not in [version for version, found in read if found == before]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # that is what is tested
def test_a_fork_while_another_thread_writes_leaves_no_lock_behind() -> None:
    store = MemoryStore()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.put(make_entry("a", vector=make_vector()))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # a lock that is never released ends the child
                store.put(make_entry("b"))
                os._exit(0 if store.get("scope", "key of b") else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        writer.join()
