"""Every exported store against the contract."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import stores
from llmcache_plugins.protocols import AsyncStore, Clock, Store
from llmcache_plugins.stores import AsyncStoreAdapter, DiskStore, MemoryStore, NullStore
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.testing.store_contract import AsyncStoreContract, StoreContract, make_entry, make_vector


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


def test_null_store_keeps_nothing() -> None:
    store = NullStore()
    entry = make_entry(vector=make_vector())
    store.put(entry)
    assert store.get(entry.scope, entry.key) is None
    assert store.search(entry.scope, "fake/8/unit", make_vector(), limit=5, now=0.0) == []
    assert store.delete(entry.scope, [entry.key]) == 0
    assert store.stats().entries == 0


KEEPS_NOTHING = {"NullStore"}  # the contract is about what is kept; it has its own test above


def test_every_exported_store_has_a_contract_class() -> None:
    exported = {name for name in stores.__all__ if inspect.isclass(getattr(stores, name))}
    tested = "\n".join(
        inspect.getsource(value)
        for value in globals().values()
        if inspect.isclass(value) and issubclass(value, StoreContract)
    )
    assert {name for name in exported - KEEPS_NOTHING if f"{name}(" not in tested} == set()
