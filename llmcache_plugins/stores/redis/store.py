"""The store on a Redis or Valkey server, for callers that block."""

from __future__ import annotations

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
from llmcache_plugins.stores.redis.async_store import AsyncRedisStore
from llmcache_plugins.stores.redis.commands import Flow
from llmcache_plugins.stores.redis.connection import Connection
from llmcache_plugins.stores.redis.finding import IndexChoice
from llmcache_plugins.stores.redis.inspecting import ServerFacts
from llmcache_plugins.stores.redis.shared import CAPABILITIES, Shared
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Looked, Namespace, Stored

__all__ = ["RedisStore"]

_LRU = Lru()

T = TypeVar("T")


class RedisStore:
    """Keeps everything on a server that many processes share: Redis from 6.2 on, or Valkey.

    With the search module of Redis the server finds the nearest candidates; without it each process keeps the vectors
    of the scopes it has searched, in step by a stream of changes, and searches them itself. Which of both it is, is
    found out at the first search.

    Args:
        url: see `Server`.
        prefix: of all keys; caches with different ones share a server without meeting.
        max_entries: capacity in entries; as many aliases are kept besides, the oldest leave first.
        max_bytes: capacity in bytes of texts, answers and vectors (see `stores.capacity`); what the server takes for
            them is more (docs/redis.md).
        eviction: who leaves first when the store is full; by default the least recently used.
        eviction_by_tier: other policies for entries placed in these tiers.
        last_tier: what is placed there, or in no tier, leaves before everything else.
        index: `hnsw` or `flat` for an index of that kind on the server, `sets` for its vector sets (Redis 8), `local`
            for neither; `auto` is an index where the server has the search module (`flat`, and `hnsw` when it has
            grown), else `sets` where it has them.
        vectors: how a new cache keeps the numbers of its vectors; one that has some goes on as it began.
        compress_above: bytes of question, answer and what else is kept with them, above which an entry is compressed
            where that saves a tenth; None for never.
        timeout: seconds that one round trip may take.
        max_connections: at most so many at the same time.
        staleness: seconds for which a process may go on with copies after it last heard the server.
        buckets: of a cluster, between which scopes are spread; the same for all processes, for good. Each holds its
            part of `max_entries` and `max_bytes`.
        maxmemory: bytes that the server is told to take at most (`CONFIG SET`), with the first verb; of a cluster all
            primaries together. None to leave its own limit alone. A server that forbids it is a warning in the log.
        maxmemory_policy: what it is told to do then, `noeviction` for example; None as above.

    Raises:
        ConfigError: a value is out of range.
    """

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
        self._shared = Shared(
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
        self._flows = self._shared.flows
        self._connection = Connection(self._shared.server)
        follow_forks(self)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def __repr__(self) -> str:
        return f"RedisStore({self._shared.server.where})"

    @property
    def finder(self) -> str:
        """Who finds the nearest candidates: `index` or `sets` of the server, `local` in this process, `unknown` before
        the first vector."""
        return self._shared.finders[0].name

    def inspect(self) -> ServerFacts:
        """What the server is and can do.

        Raises:
            StoreError: it does not answer, or refuses.
        """
        return self._run(self._flows.inspect(self._shared.server.where))

    def asynchronous(self) -> AsyncRedisStore:
        """The same store for event loops: it shares what this process knows, and is closed with this one."""
        return AsyncRedisStore.over(self._shared)

    def load(self) -> ServerLoad:
        """How full the server is. Raises `StoreError`."""
        return self._run(self._flows.load())

    def _run(self, flow: Flow[T]) -> T:
        self._shared.check_open()
        if self._shared.is_limit_owed and self._shared.take_limit():
            try:
                self._connection.run(self._flows.limit_memory(self._shared.memory_limit))
            except StoreError as error:
                self._shared.limit_failed(error)
        return self._connection.run(flow)

    def version(self) -> Hashable:
        """Answered in the process while the server is heard; otherwise the server is asked."""
        self._shared.check_open()
        known = self._shared.heard_version()
        return self._run(self._flows.version()) if known is None else known

    def unchanged(self, since: Hashable, scope: str, key: str) -> bool:
        """What `TracksChanges` says; never True while the server is not heard."""
        return self._shared.follower.is_sure and self._flows.unchanged(since, scope, key)

    def notes_version(self) -> Hashable | None:
        """What `TracksChanges` says."""
        return self._flows.notes_version() if self._shared.follower.is_sure else None

    def close(self) -> None:
        """Write the access counts that are still in memory, and let go of the connections."""
        if not self._shared.is_closed:
            with suppress(StoreError):
                self._run(self._flows.flush())
            self._shared.close()
            self._connection.close()

    def before_fork(self) -> None:
        """Nothing is to be brought to rest: the child gets everything anew."""

    def after_fork(self) -> None:
        if self._shared.after_fork():
            self._connection = Connection(self._shared.server)

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return self._run(self._flows.get(scope, key))

    def look(self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int) -> Looked:
        return self._run(self._flows.look(scope, key, normalised, embedder_id, limit=limit))

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return self._run(self._flows.get_normalised(scope, normalised_key, limit=limit))

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return self._run(self._flows.census(scope, embedder_id, limit=limit))

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        return self._run(self._flows.search(scope, embedder_id, vector, limit=limit, now=now))

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        return self._run(self._flows.put(entry, tier=tier, seen=seen, fence=fence))

    def put_alias(self, alias: Alias) -> None:
        self._run(self._flows.put_alias(alias))

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        self._run(self._flows.set_vectors(scope, embedder_id, vectors))

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        return self._run(self._flows.vectors(embedder_id, addresses))

    def touch(self, scope: str, key: str, now: float) -> None:
        self._run(self._flows.touch(scope, key, now))

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        return self._run(self._flows.delete(scope, keys))

    def sweep(self, now: float, *, limit: int) -> int:
        return self._run(self._flows.sweep(now, limit=limit))

    def clear(self, namespace: Namespace | None = None) -> int:
        return self._run(self._flows.clear(namespace))

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        return self._run(self._flows.select(selector, limit=limit, after=after))

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        return self._run(self._flows.place(addresses, tier, now, is_demotion=is_demotion))

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        return self._run(self._flows.lowest(tier, limit=limit))

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        return self._run(self._flows.invalidate(selector, now, is_lazy=is_lazy, reason=reason, mode=mode, limit=limit))

    def invalidations(self, *, since: float) -> list[Invalidation]:
        return self._run(self._flows.invalidations(since=since))

    def forget_invalidations(self, *, before: float) -> int:
        return self._run(self._flows.forget_invalidations(before=before))

    def sequence(self) -> int:
        return self._run(self._flows.sequence())

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        return self._run(self._flows.acquire(name, holder, now, until))

    def release(self, lease: Lease) -> None:
        self._run(self._flows.release(lease))

    def note(self, name: str, value: str | None) -> None:
        self._run(self._flows.note(name, value))

    def notes(self, prefix: str = "") -> dict[str, str]:
        return self._run(self._flows.notes(prefix))

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return self._run(self._flows.tally(changes, expected=expected))

    def tallies(self) -> dict[str, str]:
        return self._run(self._flows.tallies())

    def stats(self) -> StoreStats:
        return self._run(self._flows.stats())
