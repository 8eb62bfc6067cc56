"""The encrypted store over other stores against the contract: sealing changes nothing of what a store promises."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.protocols import AsyncStore, Clock, HasAsyncTwin, HasServer, LooksAhead, Store, TracksChanges
from llmcache_plugins.stores import (
    AsyncEncryptedStore,
    AsyncRedisStore,
    AsyncStoreAdapter,
    DiskStore,
    EncryptedStore,
    MemoryStore,
    RedisStore,
)
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import AsyncStoreContract, StoreContract

pytest.importorskip("cryptography")

# Limits are tried with answers that compressing would make small: compress_above=None.
KEY = bytes(range(32))
_PREFIXES = itertools.count()


class TestEncryptedMemoryStore(StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return EncryptedStore(MemoryStore(**settings), KEY, compress_above=None)


class TestAsyncEncryptedMemoryStore(AsyncStoreContract):
    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        return AsyncEncryptedStore(AsyncStoreAdapter(MemoryStore(**settings)), KEY, compress_above=None)


class _OnDisk:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.paths = (tmp_path / f"{number}.db" for number in itertools.count())


class TestEncryptedDiskStore(_OnDisk, StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return EncryptedStore(DiskStore(next(self.paths), **settings), KEY, compress_above=None)


class TestAsyncAdapterOverEncryptedDiskStore(_OnDisk, AsyncStoreContract):
    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        return AsyncStoreAdapter(EncryptedStore(DiskStore(next(self.paths), **settings), KEY, compress_above=None))


class _OnServer:
    precision = 1e-3  # vectors in half precision

    """The server is shared by all tests: each store has a prefix of its own."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: Callable[[str], RedisServer]) -> None:
        self.url = redis_server("search").url

    def settings(self) -> dict[str, Any]:
        return {"prefix": f"sealed-contract-{next(_PREFIXES)}", "timeout": 10.0}  # a busy machine is no fault


class TestEncryptedRedisStore(_OnServer, StoreContract):
    def make_store(self, clock: Clock, **settings: Any) -> Store:
        store = EncryptedStore(RedisStore(self.url, **self.settings(), **settings), KEY, compress_above=None)
        assert isinstance(store, LooksAhead)
        assert isinstance(store, TracksChanges)
        assert isinstance(store, HasServer)
        return store


class TestAsyncEncryptedRedisStore(_OnServer, AsyncStoreContract):
    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        return AsyncEncryptedStore(AsyncRedisStore(self.url, **self.settings(), **settings), KEY, compress_above=None)


class TestTwinOfAnEncryptedRedisStore(_OnServer, AsyncStoreContract):
    """What a cache on an event loop uses. Closing the twin leaves the store itself open."""

    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        store = EncryptedStore(RedisStore(self.url, **self.settings(), **settings), KEY, compress_above=None)
        assert isinstance(store, HasAsyncTwin)
        return store.asynchronous()


def test_both_kinds_of_encrypted_store_have_a_contract_class() -> None:
    tested = {value for value in globals().values() if isinstance(value, type) and issubclass(value, StoreContract)}
    sources = "\n".join(inspect.getsource(value) for value in tested)
    assert {name for name in ("EncryptedStore", "AsyncEncryptedStore") if f" {name}(" not in sources} == set()
