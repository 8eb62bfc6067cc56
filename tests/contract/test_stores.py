"""Every exported store against the contract."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import stores
from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.protocols import AsyncStore, Clock, Store
from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.stores import (
    AsyncEncryptedStore,
    AsyncRedisStore,
    AsyncStoreAdapter,
    DiskStore,
    EncryptedStore,
    MemoryStore,
    NullStore,
    RedisStore,
)
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import (
    AsyncStoreContract,
    StoreContract,
    StoreFacade,
    make_entry,
    make_vector,
)

_PREFIXES = itertools.count()


class TestMemoryStore(StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return MemoryStore(**settings)


class _OnDisk:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        self.files = 0

    def path(self) -> Path:
        self.files += 1
        return self.folder / f"{self.files}.db"


class TestDiskStore(_OnDisk, StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return DiskStore(self.path(), **settings)


class TestFaultyStore(StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return FaultyStore(MemoryStore(**settings))


class TestAsyncStoreAdapterOverMemory(AsyncStoreContract):
    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        return AsyncStoreAdapter(MemoryStore(**settings))


class TestAsyncStoreAdapterOverDisk(_OnDisk, AsyncStoreContract):
    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        return AsyncStoreAdapter(DiskStore(self.path(), **settings))


class _OnServer:
    """The servers are shared by all tests: each store has a prefix of its own."""

    precision = 1e-3  # vectors in half precision

    @pytest.fixture(autouse=True, params=["search", "vectorset", "plain", "valkey"])
    def _server(self, request: pytest.FixtureRequest, redis_server: Callable[[str], RedisServer]) -> None:
        self.url = redis_server(request.param).url

    def settings(self) -> dict[str, Any]:
        return {"prefix": f"contract-{next(_PREFIXES)}", "timeout": 10.0}  # a busy machine is no fault of a store


class TestRedisStore(_OnServer, StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return RedisStore(self.url, **self.settings(), **settings)


class TestRedisStoreWithoutGraph(StoreContract):
    """An index of the server that compares with every candidate, and whole vectors."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: Callable[[str], RedisServer]) -> None:
        self.url = redis_server("search").url

    def make_store(self, clock: Clock, **settings: Any) -> Store:
        prefix = f"contract-{next(_PREFIXES)}"
        return RedisStore(self.url, index="flat", vectors="float32", prefix=prefix, timeout=10.0, **settings)


class TestAsyncRedisStore(_OnServer, AsyncStoreContract):
    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        return AsyncRedisStore(self.url, **self.settings(), **settings)


def test_null_store_keeps_nothing() -> None:
    store = NullStore()
    entry = make_entry(vector=make_vector())
    store.put(entry)
    assert store.get(entry.scope, entry.key) is None
    assert store.search(entry.scope, "fake/8/unit", make_vector(), limit=5, now=0.0) == []
    assert store.vectors("fake/8/unit", [(entry.scope, entry.key)]) == {}
    assert store.delete(entry.scope, [entry.key]) == 0
    store.note("name", "value")
    assert store.tally({"name": "text"}, expected={})
    assert store.tallies() == {}
    store.invalidate(Selector(), 1.0, is_lazy=False, limit=5)
    assert store.select(Selector(), limit=5) == Page()
    assert store.place([(entry.scope, entry.key)], "hot", 1.0, is_demotion=False) == 0
    assert (store.lowest("hot", limit=5), store.notes(), store.sequence(), store.invalidations(since=0.0)) == (
        [],
        {},
        0,
        [],
    )
    leases = [store.acquire("name", holder, 0.0, 9.0) for holder in ("me", "you")]
    assert all(leases)  # nobody waits for what is never kept
    assert store.stats() == StoreStats()


def test_every_store_takes_what_the_protocol_says() -> None:
    """By name and in the same order: an engine calls any of them alike."""
    verbs = [name for name in vars(Store) if not name.startswith("_") and name != "capabilities"]
    ours = (MemoryStore, DiskStore, NullStore, FaultyStore, RedisStore, AsyncRedisStore, EncryptedStore)
    for store in (*ours, AsyncEncryptedStore, StoreFacade):
        for verb in verbs:
            theirs = inspect.signature(getattr(store, verb)).parameters
            said = inspect.signature(getattr(Store, verb)).parameters
            assert {n: (p.kind, p.default) for n, p in theirs.items()} == {
                n: (p.kind, p.default) for n, p in said.items()
            }, f"{store.__name__}.{verb}"


def test_a_fault_can_be_told_of_every_verb() -> None:
    store = FaultyStore(MemoryStore())
    verbs = {name for name in vars(Store) if not name.startswith("_") and name != "capabilities"}
    store.fail(verbs)
    with pytest.raises(StoreUnavailable):
        store.invalidate(Selector(), 1.0, is_lazy=False, limit=5)
    assert store.calls["invalidate"] == 1


ELSEWHERE = {"AsyncEncryptedStore", "EncryptedStore"}  # test_stores_sealed.py, with a test of the same name
KEEPS_NOTHING = {"NullStore"}  # the contract is about what is kept; it has its own test above


def test_every_exported_store_has_a_contract_class() -> None:
    exported = {name for name in stores.__all__ if inspect.isclass(getattr(stores, name))}
    tested = "\n".join(
        inspect.getsource(value)
        for value in globals().values()
        if inspect.isclass(value) and issubclass(value, StoreContract)
    )
    assert {name for name in exported - KEEPS_NOTHING - ELSEWHERE if f"{name}(" not in tested} == set()
