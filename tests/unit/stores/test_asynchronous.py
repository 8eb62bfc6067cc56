from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.protocols import Capabilities, Store
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores import AsyncStoreAdapter, DiskStore, MemoryStore, asynchronous
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.testing.store_contract import make_entry, make_vector


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, thread_name_prefix="worker") as threads:
        yield threads


class Threads:
    """A store that notes in which threads its verbs run."""

    def __init__(self, inner: Store) -> None:
        self.store = FaultyStore(inner)
        self.names: list[str] = []
        self.store.before(
            ["get", "put", "search", "select", "invalidate", "close"],
            lambda: self.names.append(threading.current_thread().name),
        )


async def test_a_blocking_store_runs_in_the_executor(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    threads = Threads(DiskStore(tmp_path / "cache.db"))
    store = AsyncStoreAdapter(threads.store, lambda: executor)
    await store.put(make_entry())
    await store.get("scope", "key of hello")
    await store.search("scope", "fake/8/unit", make_vector(), limit=1, now=0.0)
    await store.close()
    assert len(threads.names) == 4
    assert all(name.startswith("worker") for name in threads.names)


async def test_a_store_in_memory_runs_on_the_loop(executor: ThreadPoolExecutor) -> None:
    threads = Threads(MemoryStore())
    store = AsyncStoreAdapter(threads.store, lambda: executor)
    await store.put(make_entry(vector=make_vector()))
    await store.get("scope", "key of hello")
    assert len(await store.search("scope", "fake/8/unit", make_vector(), limit=1, now=0.0)) == 1
    assert set(threads.names) == {threading.current_thread().name}


async def test_a_search_in_a_large_scope_runs_in_the_executor(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "_SCANNED_INLINE", 3)
    threads = Threads(MemoryStore())
    store = AsyncStoreAdapter(threads.store, lambda: executor)
    for number in range(4):
        await store.put(make_entry(f"{number}", vector=make_vector()))
    threads.names.clear()
    assert len(await store.search("scope", "fake/8/unit", make_vector(), limit=9, now=0.0)) == 4
    assert threads.names[0].startswith("worker")


async def test_what_looks_at_very_many_entries_runs_in_the_executor(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "_SELECTED_INLINE", 3)
    threads = Threads(MemoryStore())
    store = AsyncStoreAdapter(threads.store, lambda: executor)
    for number in range(4):
        await store.put(make_entry(f"{number}"))
        if number == 2:
            assert len((await store.select(Selector(), limit=9)).rows) == 3
            assert set(threads.names) == {threading.current_thread().name}
    threads.names.clear()
    assert len((await store.select(Selector(), limit=9)).rows) == 4
    assert len((await store.invalidate(Selector(), 1.0, is_lazy=False, limit=9)).addresses) == 4
    assert [name.startswith("worker") for name in threads.names] == [True, True]


async def test_a_waiting_store_stalls_no_other_task(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    inner = FaultyStore(DiskStore(tmp_path / "cache.db"))
    store = AsyncStoreAdapter(inner, lambda: executor)
    release = threading.Event()
    inner.wait({"get"}, release)
    waiting = asyncio.create_task(store.get("scope", "key"))
    await store.put(make_entry())  # another verb gets through meanwhile
    assert not waiting.done()
    release.set()
    assert await waiting is None
    await store.close()


async def test_errors_come_through() -> None:
    inner = FaultyStore(MemoryStore())
    store = AsyncStoreAdapter(inner)
    inner.fail({"get"}, error=StoreUnavailable("down"))
    with pytest.raises(StoreUnavailable, match="down"):
        await store.get("scope", "key")
    inner.heal()
    assert await store.get("scope", "key") is None
    assert inner.calls["get"] == 2
    assert store.capabilities == Capabilities(is_blocking=False, is_persistent=False, is_shared=False)


def test_a_faulty_store_knows_the_verbs() -> None:
    with pytest.raises(ValueError, match="no verb 'fetch'"):
        FaultyStore(MemoryStore()).fail({"fetch"})


async def test_a_lease_that_comes_after_its_asker_has_gone_is_given_back(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    entered, goes_on, released = threading.Event(), threading.Event(), threading.Event()

    class Slow(DiskStore):
        def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
            if holder == "gone":
                entered.set()
                assert goes_on.wait(5.0)
            return super().acquire(name, holder, now, until)

        def release(self, lease: Lease) -> None:
            super().release(lease)
            released.set()

    store = AsyncStoreAdapter(Slow(tmp_path / "cache.db"), lambda: executor)
    asking = asyncio.create_task(store.acquire("flight", "gone", 0.0, 100.0))
    assert await asyncio.to_thread(entered.wait, 5.0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    goes_on.set()
    assert await asyncio.to_thread(released.wait, 5.0)
    assert await store.acquire("flight", "next", 1.0, 101.0) is not None
    await store.close()
