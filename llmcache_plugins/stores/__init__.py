"""Where entries, aliases and vectors are kept: one protocol, one contract suite, several places."""

from llmcache_plugins.stores.asynchronous import AsyncStoreAdapter
from llmcache_plugins.stores.disk import DiskStore
from llmcache_plugins.stores.memory import MemoryStore
from llmcache_plugins.stores.null import NullStore

__all__ = ["AsyncStoreAdapter", "DiskStore", "MemoryStore", "NullStore"]
