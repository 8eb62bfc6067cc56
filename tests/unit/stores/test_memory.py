from __future__ import annotations

import os
import signal
import threading

import pytest

from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.stores.capacity import ALIAS_OVERHEAD, ENTRY_OVERHEAD
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Stored


def test_bytes_are_text_answer_vector_and_overhead() -> None:
    store = MemoryStore()
    entry = make_entry("\u00fc" * 10, answer_json='"' + "x" * 98 + '"', vector=make_vector())
    store.put(entry)
    assert store.stats().size_bytes == 20 + 100 + 32 + ENTRY_OVERHEAD
    store.put_alias(make_alias("other", entry))
    assert store.stats().size_bytes == 20 + 100 + 32 + ENTRY_OVERHEAD + 5 + ALIAS_OVERHEAD


@pytest.mark.parametrize("limits", [{"max_entries": 0}, {"max_bytes": 0}, {"max_entries": True}, {"max_bytes": 1.5}])
def test_limits_are_positive_integers(limits: dict[str, int]) -> None:
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
