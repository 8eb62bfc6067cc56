"""Any store for callers on an event loop: what may wait runs in a worker thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Capabilities, Store
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Stored

__all__ = ["AsyncStoreAdapter"]

_SCANNED_INLINE = 4000
"""Candidates a search may read on the event loop: about 0.3 ms of 384 numbers each (benchmarks/scan.py)."""
_SELECTED_INLINE = 500
"""Entries a selector may be compared with on the event loop: 2 to 3 microseconds each."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class AsyncStoreAdapter:
    """The coroutines of `AsyncStore` over a `Store`.

    Verbs of a store that `is_blocking` run in the executor. Those of a store in memory run on the loop, which is
    quicker than to change threads, except a search among several thousand candidates and what looks at every entry.

    Args:
        store: asked by every verb; closed by `close`.
        executor: gives the executor to use; None for the event loop's own, which is wrong where its threads may wait
            for what this store is to do.
    """

    def __init__(self, store: Store, executor: Callable[[], Executor] | None = None) -> None:
        self._store = store
        self._executor = executor
        self._is_blocking = store.capabilities.is_blocking

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    async def get(self, scope: str, key: str) -> Stored | Damaged | None:
        if self._is_blocking:
            return await self._in_thread(self._store.get, scope, key)
        return self._store.get(scope, key)

    async def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return await self._run(self._store.get_normalised, scope, normalised_key, limit=limit)

    async def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return await self._run(self._store.census, scope, embedder_id, limit=limit)

    async def search(
        self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> list[Candidate]:
        search = self._store.search
        if self._is_blocking or self._store.census(scope, embedder_id, limit=0).candidates > _SCANNED_INLINE:
            return await self._in_thread(search, scope, embedder_id, vector, limit=limit, now=now)
        return search(scope, embedder_id, vector, limit=limit, now=now)

    async def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        return await self._run(self._store.put, entry, tier=tier, seen=seen, fence=fence)

    async def put_alias(self, alias: Alias) -> None:
        await self._run(self._store.put_alias, alias)

    async def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        await self._run(self._store.set_vectors, scope, embedder_id, vectors)

    async def vectors(
        self, embedder_id: str, addresses: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], FloatArray]:
        return await self._run(self._store.vectors, embedder_id, addresses)

    async def touch(self, scope: str, key: str, now: float) -> None:
        await self._run(self._store.touch, scope, key, now)

    async def delete(self, scope: str, keys: Sequence[str]) -> int:
        return await self._run(self._store.delete, scope, keys)

    async def sweep(self, now: float, *, limit: int) -> int:
        return await self._run(self._store.sweep, now, limit=limit)

    async def clear(self, namespace: Namespace | None = None) -> int:
        return await self._run(self._store.clear, namespace)

    async def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        return await self._scan(self._store.select, selector, limit=limit, after=after)

    async def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        return await self._run(self._store.place, addresses, tier, now, is_demotion=is_demotion)

    async def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        return await self._run(self._store.lowest, tier, limit=limit)

    async def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        verb = self._store.invalidate
        return await self._scan(verb, selector, now, is_lazy=is_lazy, reason=reason, mode=mode, limit=limit)

    async def invalidations(self, *, since: float) -> list[Invalidation]:
        return await self._run(self._store.invalidations, since=since)

    async def forget_invalidations(self, *, before: float) -> int:
        return await self._run(self._store.forget_invalidations, before=before)

    async def sequence(self) -> int:
        return await self._run(self._store.sequence)

    async def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        if not self._is_blocking:
            return self._store.acquire(name, holder, now, until)
        call = asyncio.ensure_future(self._in_thread(self._store.acquire, name, holder, now, until))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            call.add_done_callback(self._give_back)  # a thread goes on: its lease would keep others waiting
            raise

    async def release(self, lease: Lease) -> None:
        await self._run(self._store.release, lease)

    async def note(self, name: str, value: str | None) -> None:
        await self._run(self._store.note, name, value)

    async def notes(self, prefix: str = "") -> dict[str, str]:
        return await self._run(self._store.notes, prefix)

    async def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return await self._run(self._store.tally, changes, expected=expected)

    async def tallies(self) -> dict[str, str]:
        return await self._run(self._store.tallies)

    async def version(self) -> Hashable:
        return await self._run(self._store.version)

    async def stats(self) -> StoreStats:
        return await self._run(self._store.stats)

    async def close(self) -> None:
        await self._run(self._store.close)

    def _give_back(self, call: asyncio.Future[Lease | None]) -> None:
        """Release a lease that nobody is left to hear of."""
        if call.cancelled() or call.exception() is not None:
            return
        lease = call.result()
        if lease is not None:
            executor = None if self._executor is None else self._executor()
            with contextlib.suppress(RuntimeError):  # the process is ending: the lease ends by itself
                asyncio.get_running_loop().run_in_executor(executor, self._release_quietly, lease)

    def _release_quietly(self, lease: Lease) -> None:
        with contextlib.suppress(StoreError):  # it ends by itself
            self._store.release(lease)

    async def _run(self, verb: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if self._is_blocking:
            return await self._in_thread(verb, *args, **kwargs)
        return verb(*args, **kwargs)

    async def _scan(self, verb: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """A verb that may look at every entry."""
        if self._is_blocking or self._store.stats().entries > _SELECTED_INLINE:
            return await self._in_thread(verb, *args, **kwargs)
        return verb(*args, **kwargs)

    async def _in_thread(self, verb: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        executor = None if self._executor is None else self._executor()
        return await loop.run_in_executor(executor, lambda: verb(*args, **kwargs))
