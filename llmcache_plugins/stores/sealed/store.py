"""A store whose contents only those can read who have the key, over any other store; for both kinds of callers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

from llmcache_plugins.counters import ServerLoad, StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import (
    AsyncStore,
    Capabilities,
    HasAsyncTwin,
    HasServer,
    LooksAhead,
    Store,
    TracksChanges,
)
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.stores.sealed.flows import Call, Flow, Flows
from llmcache_plugins.stores.sealed.keys import GivenKey, GivenKeys
from llmcache_plugins.stores.sealed.translating import Translation, VectorChoice
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Looked, Namespace, Stored

__all__ = ["AsyncEncryptedStore", "EncryptedStore"]

T = TypeVar("T")


class EncryptedStore:
    """Seals questions, answers, tags and names before another store keeps them, and opens what that gives back.

    It can whatever the other store can, at as many round trips. What cannot be opened (another key, changed or moved
    bytes) is `Damaged` or left out, counted in `stats().damaged`, and said once in the log. See
    docs/security-at-rest.md for what stays readable.

    Args:
        store: keeps what is sealed; closed with this one. Whatever is in it unsealed is not found, and stays as it is.
        keys: 32 random bytes, or these in Base64; or several, of which the first seals and all open.
        address_key: a key for what entries are found by, so that they are still found when all of `keys` have been
            replaced; by default the last of `keys`.
        vectors: `masked` keeps vectors rotated by a secret, so that meaning is matched wherever the store searches;
            `none` keeps no vectors: only the same text hits.
        compress_above: bytes above which an entry is compressed before it is sealed, where that saves a tenth; None for
            never. Afterwards nothing can be compressed.

    Raises:
        ConfigError: a key is not 32 bytes, or a value is not one of these.
        MissingExtraError: without the extra `encryption`.
    """

    def __new__(cls, store: Store, *args: Any, **named: Any) -> Self:
        return cast("Self", super().__new__(_able_as(cls, store)))

    def __init__(
        self,
        store: Store,
        keys: GivenKeys,
        *,
        address_key: GivenKey | None = None,
        vectors: VectorChoice = "masked",
        compress_above: int | None = 1024,
    ) -> None:
        self._store = store
        self._to = Translation(keys, address_key, vectors, f"the {type(store).__name__}", compress_above)
        self._flows = Flows(self._to)

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    def __repr__(self) -> str:
        return f"EncryptedStore({self._store!r})"

    def _run(self, flow: Flow[T]) -> T:
        resume: Callable[[Any], Call] = flow.send
        value: Any = None
        while True:
            try:
                step = resume(value)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            try:
                resume, value = flow.send, getattr(self._store, step.verb)(*step.args, **step.named)
            except StoreError as error:
                resume, value = flow.throw, error

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return self._run(self._flows.get(scope, key))

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
        return self._store.sweep(now, limit=limit)

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
        return self._store.forget_invalidations(before=before)

    def sequence(self) -> int:
        return self._store.sequence()

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        return self._run(self._flows.acquire(name, holder, now, until))

    def release(self, lease: Lease) -> None:
        self._run(self._flows.release(lease))

    def note(self, name: str, value: str | None) -> None:
        self._run(self._flows.note(name, value))

    def notes(self, prefix: str = "") -> dict[str, str]:
        return self._run(self._flows.notes(prefix))

    def is_sealed_by_others(self) -> bool:
        """Has somebody sealed what is stored, and nobody with this key? Then nothing of it is found."""
        return self._run(self._flows.is_sealed_by_others())

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return self._run(self._flows.tally(changes, expected=expected))

    def tallies(self) -> dict[str, str]:
        return self._run(self._flows.tallies())

    def version(self) -> Hashable:
        return self._store.version()

    def stats(self) -> StoreStats:
        return self._run(self._flows.stats())

    def close(self) -> None:
        self._store.close()


class _Looking(EncryptedStore):
    """Over a store that answers several questions in one go."""

    def look(self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int) -> Looked:
        return self._run(self._flows.look(scope, key, normalised, embedder_id, limit=limit))


class _Tracking(EncryptedStore):
    """Over a store that hears of changes."""

    def unchanged(self, since: Hashable, scope: str, key: str) -> bool:
        return cast("TracksChanges", self._store).unchanged(since, self._to.scope(scope), self._to.key(key))

    def notes_version(self) -> Hashable | None:
        return cast("TracksChanges", self._store).notes_version()


class _Twinned(EncryptedStore):
    """Over a store with coroutines of its own."""

    def asynchronous(self) -> AsyncEncryptedStore:
        """The same store for event loops: closing the store itself closes it."""
        return AsyncEncryptedStore._over(cast("HasAsyncTwin", self._store).asynchronous(), self._flows)


class _Served(EncryptedStore):
    """Over a store on a server."""

    def load(self) -> ServerLoad:
        return cast("HasServer", self._store).load()


_CLASSES: dict[tuple[type[EncryptedStore], ...], type[EncryptedStore]] = {}


def _able_as(kind: type[EncryptedStore], store: Store) -> type[EncryptedStore]:
    """A class that can what the store can: what a store offers is asked by protocol."""
    able: list[type[EncryptedStore]] = []
    if isinstance(store, LooksAhead):
        able.append(_Looking)
    if isinstance(store, TracksChanges):
        able.append(_Tracking)
    if isinstance(store, HasAsyncTwin):
        able.append(_Twinned)
    if isinstance(store, HasServer):
        able.append(_Served)
    bases = tuple(able) if kind is EncryptedStore else (*(one for one in able if not issubclass(kind, one)), kind)
    if len(bases) < 2:
        return bases[0] if bases else kind
    if bases not in _CLASSES:
        _CLASSES[bases] = type(kind.__name__, bases, {"__module__": kind.__module__, "__doc__": kind.__doc__})
    return _CLASSES[bases]


class AsyncEncryptedStore:
    """`EncryptedStore` over an `AsyncStore`. Takes what that takes."""

    def __init__(
        self,
        store: AsyncStore,
        keys: GivenKeys,
        *,
        address_key: GivenKey | None = None,
        vectors: VectorChoice = "masked",
        compress_above: int | None = 1024,
    ) -> None:
        self._take(store, Flows(Translation(keys, address_key, vectors, f"the {type(store).__name__}", compress_above)))

    @classmethod
    def _over(cls, store: AsyncStore, flows: Flows) -> AsyncEncryptedStore:
        made = cls.__new__(cls)
        made._take(store, flows)
        return made

    def _take(self, store: AsyncStore, flows: Flows) -> None:
        self._store = store
        self._flows = flows

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    def __repr__(self) -> str:
        return f"AsyncEncryptedStore({self._store!r})"

    async def _run(self, flow: Flow[T]) -> T:
        resume: Callable[[Any], Call] = flow.send
        value: Any = None
        while True:
            try:
                step = resume(value)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            try:
                asked: Awaitable[Any] = getattr(self._store, step.verb)(*step.args, **step.named)
                resume, value = flow.send, await asked
            except StoreError as error:
                resume, value = flow.throw, error

    async def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return await self._run(self._flows.get(scope, key))

    async def look(
        self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int
    ) -> Looked:
        """Only over a store that `LooksAhead`."""
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
        return await self._store.sweep(now, limit=limit)

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
        verb = self._flows.invalidate
        return await self._run(verb(selector, now, is_lazy=is_lazy, reason=reason, mode=mode, limit=limit))

    async def invalidations(self, *, since: float) -> list[Invalidation]:
        return await self._run(self._flows.invalidations(since=since))

    async def forget_invalidations(self, *, before: float) -> int:
        return await self._store.forget_invalidations(before=before)

    async def sequence(self) -> int:
        return await self._store.sequence()

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

    async def version(self) -> Hashable:
        return await self._store.version()

    async def stats(self) -> StoreStats:
        return await self._run(self._flows.stats())

    async def close(self) -> None:
        await self._store.close()
