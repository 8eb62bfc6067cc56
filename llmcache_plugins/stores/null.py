"""A store that keeps nothing: a cache can be switched off without touching the code around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.protocols import Capabilities
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Stored

__all__ = ["NullStore"]


class NullStore:
    """Accepts everything and finds nothing. A lease is granted to whoever asks: nobody waits for an answer that will
    never be there."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(is_blocking=False, is_persistent=False, is_shared=False)

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        return None

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        return []

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        return Census(0)

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        return []

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        return False

    def put_alias(self, alias: Alias) -> None:
        return None

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        return None

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        return {}

    def touch(self, scope: str, key: str, now: float) -> None:
        return None

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        return 0

    def sweep(self, now: float, *, limit: int) -> int:
        return 0

    def clear(self, namespace: Namespace | None = None) -> int:
        return 0

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        return Page()

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        return 0

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        return []

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        return Invalidated(0)

    def invalidations(self, *, since: float) -> list[Invalidation]:
        return []

    def forget_invalidations(self, *, before: float) -> int:
        return 0

    def sequence(self) -> int:
        return 0

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        return Lease(name, holder, 0, until)

    def release(self, lease: Lease) -> None:
        return None

    def note(self, name: str, value: str | None) -> None:
        return None

    def notes(self, prefix: str = "") -> dict[str, str]:
        return {}

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        return True

    def tallies(self) -> dict[str, str]:
        return {}

    def version(self) -> int:
        return 0

    def stats(self) -> StoreStats:
        return StoreStats()

    def close(self) -> None:
        return None
