"""A store that fails or waits when a test tells it to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from threading import Event

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreError, StoreUnavailable
from llmcache_plugins.protocols import Capabilities, Store
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Stored

__all__ = ["FaultyStore"]

_VERBS = frozenset(
    {
        "acquire",
        "census",
        "clear",
        "close",
        "delete",
        "forget_invalidations",
        "get",
        "get_normalised",
        "invalidate",
        "invalidations",
        "lowest",
        "note",
        "notes",
        "place",
        "put",
        "put_alias",
        "release",
        "search",
        "select",
        "sequence",
        "set_vectors",
        "stats",
        "sweep",
        "tallies",
        "tally",
        "touch",
        "vectors",
        "version",
    }
)
_WAIT_SECONDS = 30.0  # a forgotten event fails the test instead of hanging it


class FaultyStore:
    """Passes every verb on to `inner`, unless it was told otherwise.

    `calls` counts the calls of each verb, also of those that failed.

    >>> from llmcache_plugins.stores import MemoryStore
    >>> store = FaultyStore(MemoryStore())
    >>> store.fail({"get"})
    >>> store.get("scope", "key")
    Traceback (most recent call last):
    llmcache_plugins.errors.StoreUnavailable: the store was told to fail
    >>> store.heal()
    >>> store.get("scope", "key"), store.calls["get"]
    (None, 2)
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.calls: Counter[str] = Counter()
        self._before: dict[str, Callable[[], None]] = {}

    def fail(self, verbs: Iterable[str] = _VERBS, *, error: StoreError | None = None) -> None:
        """Let these verbs (all) raise `error` until `heal`."""

        def raise_error() -> None:
            raise error or StoreUnavailable("the store was told to fail")

        self.before(verbs, raise_error)

    def wait(self, verbs: Iterable[str], event: Event) -> None:
        """Let these verbs wait for `event` before they do their work."""

        def wait_for_event() -> None:
            if not event.wait(_WAIT_SECONDS):
                raise StoreUnavailable(f"waited {_WAIT_SECONDS:g} s for the test's event")

        self.before(verbs, wait_for_event)

    def before(self, verbs: Iterable[str], action: Callable[[], None]) -> None:
        """Let these verbs call `action` before they do their work."""
        for verb in verbs:
            if verb not in _VERBS:
                raise ValueError(f"a store has no verb {verb!r}; it has {', '.join(sorted(_VERBS))}")
            self._before[verb] = action

    def heal(self) -> None:
        """Pass everything on again."""
        self._before.clear()

    def _enter(self, verb: str) -> Store:
        self.calls[verb] += 1
        action = self._before.get(verb)
        if action is not None:
            action()
        return self.inner

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return self._enter("get").get(scope, key)

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return self._enter("get_normalised").get_normalised(scope, normalised_key, limit=limit)

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return self._enter("census").census(scope, embedder_id, limit=limit)

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        return self._enter("search").search(scope, embedder_id, vector, limit=limit, now=now)

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        return self._enter("put").put(entry, tier=tier, seen=seen, fence=fence)

    def put_alias(self, alias: Alias) -> None:
        self._enter("put_alias").put_alias(alias)

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        self._enter("set_vectors").set_vectors(scope, embedder_id, vectors)

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        return self._enter("vectors").vectors(embedder_id, addresses)

    def touch(self, scope: str, key: str, now: float) -> None:
        self._enter("touch").touch(scope, key, now)

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        return self._enter("delete").delete(scope, keys)

    def sweep(self, now: float, *, limit: int) -> int:
        return self._enter("sweep").sweep(now, limit=limit)

    def clear(self, namespace: Namespace | None = None) -> int:
        return self._enter("clear").clear(namespace)

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        return self._enter("select").select(selector, limit=limit, after=after)

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        return self._enter("place").place(addresses, tier, now, is_demotion=is_demotion)

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        return self._enter("lowest").lowest(tier, limit=limit)

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        inner = self._enter("invalidate")
        return inner.invalidate(selector, now, is_lazy=is_lazy, reason=reason, mode=mode, limit=limit)

    def invalidations(self, *, since: float) -> list[Invalidation]:
        return self._enter("invalidations").invalidations(since=since)

    def forget_invalidations(self, *, before: float) -> int:
        return self._enter("forget_invalidations").forget_invalidations(before=before)

    def sequence(self) -> int:
        return self._enter("sequence").sequence()

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        return self._enter("acquire").acquire(name, holder, now, until)

    def release(self, lease: Lease) -> None:
        self._enter("release").release(lease)

    def note(self, name: str, value: str | None) -> None:
        self._enter("note").note(name, value)

    def notes(self, prefix: str = "") -> dict[str, str]:
        return self._enter("notes").notes(prefix)

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return self._enter("tally").tally(changes, expected=expected)

    def tallies(self) -> dict[str, str]:
        return self._enter("tallies").tallies()

    def version(self) -> Hashable:
        return self._enter("version").version()

    def stats(self) -> StoreStats:
        return self._enter("stats").stats()

    def close(self) -> None:
        self._enter("close").close()
