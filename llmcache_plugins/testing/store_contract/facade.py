"""An async store that the contract can use like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.protocols import AsyncStore, Capabilities
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Stored

__all__ = ["StoreFacade"]

_T = TypeVar("_T")


class StoreFacade:
    """A `Store` whose verbs are an async store's, each run to its end on an event loop in a thread."""

    def __init__(self, make: Callable[[], AsyncStore]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-facade")
        self._running = self._thread.submit(self._loop.run_forever)
        self._store = make()

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    def _run(self, verb: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(verb, self._loop).result(timeout=60)

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return self._run(self._store.get(scope, key))

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return self._run(self._store.get_normalised(scope, normalised_key, limit=limit))

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return self._run(self._store.census(scope, embedder_id, limit=limit))

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        return self._run(self._store.search(scope, embedder_id, vector, limit=limit, now=now))

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        return self._run(self._store.put(entry, tier=tier, seen=seen, fence=fence))

    def put_alias(self, alias: Alias) -> None:
        self._run(self._store.put_alias(alias))

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        self._run(self._store.set_vectors(scope, embedder_id, vectors))

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        return self._run(self._store.vectors(embedder_id, addresses))

    def touch(self, scope: str, key: str, now: float) -> None:
        self._run(self._store.touch(scope, key, now))

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        return self._run(self._store.delete(scope, keys))

    def sweep(self, now: float, *, limit: int) -> int:
        return self._run(self._store.sweep(now, limit=limit))

    def clear(self, namespace: Namespace | None = None) -> int:
        return self._run(self._store.clear(namespace))

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        return self._run(self._store.select(selector, limit=limit, after=after))

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        return self._run(self._store.place(addresses, tier, now, is_demotion=is_demotion))

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        return self._run(self._store.lowest(tier, limit=limit))

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        verb = self._store.invalidate
        return self._run(verb(selector, now, is_lazy=is_lazy, reason=reason, mode=mode, limit=limit))

    def invalidations(self, *, since: float) -> list[Invalidation]:
        return self._run(self._store.invalidations(since=since))

    def forget_invalidations(self, *, before: float) -> int:
        return self._run(self._store.forget_invalidations(before=before))

    def sequence(self) -> int:
        return self._run(self._store.sequence())

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        return self._run(self._store.acquire(name, holder, now, until))

    def release(self, lease: Lease) -> None:
        self._run(self._store.release(lease))

    def note(self, name: str, value: str | None) -> None:
        self._run(self._store.note(name, value))

    def notes(self, prefix: str = "") -> dict[str, str]:
        return self._run(self._store.notes(prefix))

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return self._run(self._store.tally(changes, expected=expected))

    def tallies(self) -> dict[str, str]:
        return self._run(self._store.tallies())

    def version(self) -> Hashable:
        return self._run(self._store.version())

    def stats(self) -> StoreStats:
        return self._run(self._store.stats())

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._store.close())
        self._run(self._store.close())
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._running.result(timeout=60)
        self._thread.shutdown()
        self._loop.close()
