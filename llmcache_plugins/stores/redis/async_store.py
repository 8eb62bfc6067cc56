"""The store on a Redis or Valkey server, for event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TypeVar

from llmcache_plugins.counters import ServerLoad, StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.policies.eviction import Lru
from llmcache_plugins.protocols import Capabilities, EvictionPolicy
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.stores.codec import VectorType
from llmcache_plugins.stores.forking import follow_forks
from llmcache_plugins.stores.redis.commands import Flow
from llmcache_plugins.stores.redis.connection import AsyncConnection
from llmcache_plugins.stores.redis.finding import IndexChoice
from llmcache_plugins.stores.redis.shared import CAPABILITIES, Shared
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Looked, Namespace, Stored

__all__ = ["AsyncRedisStore"]

_LRU = Lru()

T = TypeVar("T")


class AsyncRedisStore:
    """`RedisStore` for event loops: nothing in it blocks. Takes what that takes."""

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        prefix: str = "llmcache",
        max_entries: int = 100_000,
        max_bytes: int = 1024 * 1024 * 1024,
        eviction: EvictionPolicy = _LRU,
        eviction_by_tier: Mapping[str, EvictionPolicy] = MappingProxyType({}),
        last_tier: str = "",
        index: IndexChoice = "auto",
        vectors: VectorType = "float16",
        compress_above: int | None = 1024,
        timeout: float = 1.0,
        max_connections: int = 32,
        staleness: float = 1.5,
        buckets: int = 16,
        maxmemory: int | None = None,
        maxmemory_policy: str | None = None,
    ) -> None:
        shared = Shared(
            url,
            prefix=prefix,
            max_entries=max_entries,
            max_bytes=max_bytes,
            eviction=eviction,
            eviction_by_tier=eviction_by_tier,
            last_tier=last_tier,
            index=index,
            vectors=vectors,
            compress_above=compress_above,
            timeout=timeout,
            max_connections=max_connections,
            staleness=staleness,
            buckets=buckets,
            maxmemory=maxmemory,
            maxmemory_policy=maxmemory_policy,
        )
        self._take(shared, owns=True)
        follow_forks(self)

    @classmethod
    def over(cls, shared: Shared) -> AsyncRedisStore:
        """The twin of a `RedisStore`."""
        store = cls.__new__(cls)
        store._take(shared, owns=False)
        return store

    def _take(self, shared: Shared, *, owns: bool) -> None:
        self._shared = shared
        self._flows = shared.flows
        self._owns = owns
        self._connection = AsyncConnection(shared.server)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def __repr__(self) -> str:
        return f"AsyncRedisStore({self._shared.server.where})"

    def before_fork(self) -> None:
        """Nothing is to be brought to rest: the child gets everything anew."""

    def after_fork(self) -> None:
        if self._owns and self._shared.after_fork():
            self._connection = AsyncConnection(self._shared.server)

    async def load(self) -> ServerLoad:
        """How full the server is. Raises `StoreError`."""
        return await self._run(self._flows.load())

    async def _run(self, flow: Flow[T]) -> T:
        self._shared.check_open()
        if self._shared.is_limit_owed and self._shared.take_limit():
            try:
                await self._connection.run(self._flows.limit_memory(self._shared.memory_limit))
            except StoreError as error:
                self._shared.limit_failed(error)
        return await self._connection.run(flow)

    async def version(self) -> Hashable:
        """Answered in the process while the server is heard; otherwise the server is asked."""
        self._shared.check_open()
        known = self._shared.heard_version()
        return await self._run(self._flows.version()) if known is None else known

    async def close(self) -> None:
        """Write the access counts that are still in memory, and let go of this event loop's connections."""
        if not self._shared.is_closed:
            with suppress(StoreError):
                await self._run(self._flows.flush())
        if self._owns:
            await asyncio.to_thread(self._shared.close)  # it waits for a thread to end
        await self._connection.close()

    async def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return await self._run(self._flows.get(scope, key))

    async def look(
        self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int
    ) -> Looked:
        return await self._run(self._flows.look(scope, key, normalised, embedder_id, limit=limit))

    async def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return await self._run(self._flows.get_normalised(scope, normalised_key, limit=limit))

    async def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return await self._run(self._flows.census(scope, embedder_id, limit=limit))

    async def search(
        self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> list[Candidate]:
        return await self._run(self._flows.search(scope, embedder_id, vector, limit=limit, now=now))

    async def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        return await self._run(self._flows.put(entry, tier=tier, seen=seen, fence=fence))

    async def put_alias(self, alias: Alias) -> None:
        await self._run(self._flows.put_alias(alias))

    async def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        await self._run(self._flows.set_vectors(scope, embedder_id, vectors))

    async def vectors(
        self, embedder_id: str, addresses: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], FloatArray]:
        return await self._run(self._flows.vectors(embedder_id, addresses))

    async def touch(self, scope: str, key: str, now: float) -> None:
        await self._run(self._flows.touch(scope, key, now))

    async def delete(self, scope: str, keys: Sequence[str]) -> int:
        return await self._run(self._flows.delete(scope, keys))

    async def sweep(self, now: float, *, limit: int) -> int:
        return await self._run(self._flows.sweep(now, limit=limit))

    async def clear(self, namespace: Namespace | None = None) -> int:
        return await self._run(self._flows.clear(namespace))

    async def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        return await self._run(self._flows.select(selector, limit=limit, after=after))

    async def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        return await self._run(self._flows.place(addresses, tier, now, is_demotion=is_demotion))

    async def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        return await self._run(self._flows.lowest(tier, limit=limit))

    async def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        return await self._run(
            self._flows.invalidate(selector, now, is_lazy=is_lazy, reason=reason, mode=mode, limit=limit)
        )

    async def invalidations(self, *, since: float) -> list[Invalidation]:
        return await self._run(self._flows.invalidations(since=since))

    async def forget_invalidations(self, *, before: float) -> int:
        return await self._run(self._flows.forget_invalidations(before=before))

    async def sequence(self) -> int:
        return await self._run(self._flows.sequence())

    async def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        return await self._run(self._flows.acquire(name, holder, now, until))

    async def release(self, lease: Lease) -> None:
        await self._run(self._flows.release(lease))

    async def note(self, name: str, value: str | None) -> None:
        await self._run(self._flows.note(name, value))

    async def notes(self, prefix: str = "") -> dict[str, str]:
        return await self._run(self._flows.notes(prefix))

    async def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return await self._run(self._flows.tally(changes, expected=expected))

    async def tallies(self) -> dict[str, str]:
        return await self._run(self._flows.tallies())

    async def stats(self) -> StoreStats:
        return await self._run(self._flows.stats())
