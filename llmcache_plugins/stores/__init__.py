"""Where entries, aliases and vectors are kept: one protocol, one contract suite, several places."""

from typing import TYPE_CHECKING, Any

from llmcache_plugins.stores.asynchronous import AsyncStoreAdapter
from llmcache_plugins.stores.disk import DiskStore
from llmcache_plugins.stores.memory import MemoryStore
from llmcache_plugins.stores.null import NullStore
from llmcache_plugins.stores.sealed import AsyncEncryptedStore, EncryptedStore

if TYPE_CHECKING:
    from llmcache_plugins.stores.redis import AsyncRedisStore, RedisStore

__all__ = [
    "AsyncEncryptedStore",
    "AsyncRedisStore",
    "AsyncStoreAdapter",
    "DiskStore",
    "EncryptedStore",
    "MemoryStore",
    "NullStore",
    "RedisStore",
]

_LAZY = {"AsyncRedisStore", "RedisStore"}  # they need the client of an extra


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llmcache_plugins.stores import redis

    return getattr(redis, name)
