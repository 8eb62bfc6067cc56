"""The store on a server: Redis or Valkey, for many processes and machines.

`layout` names the keys, `store.lua` holds what must be atomic, the verbs are generators of commands, and two drivers,
one that calls and one that awaits, carry them out.
"""

from llmcache_plugins.stores.redis.async_store import AsyncRedisStore
from llmcache_plugins.stores.redis.sizing import SizeEstimate, size_estimate
from llmcache_plugins.stores.redis.store import RedisStore
from llmcache_plugins.stores.redis.urls import redis_settings

__all__ = ["AsyncRedisStore", "RedisStore", "SizeEstimate", "redis_settings", "size_estimate"]
