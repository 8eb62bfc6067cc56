"""A cluster: entries are spread over buckets by their scope, each a store of its own whose keys share a slot.

What is about one scope asks one bucket. The first bucket also numbers invalidations and keeps the notes; leases are
kept where their name falls. What is about all entries asks every bucket, in one batch where that can be.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from llmcache_plugins.counters import ServerLoad, Share, StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.stores.redis.commands import Batch, Flow, Reply
from llmcache_plugins.stores.redis.inspecting import ServerFacts
from llmcache_plugins.stores.redis.layout import digest_of
from llmcache_plugins.stores.redis.memory_limit import MemoryLimit
from llmcache_plugins.stores.redis.verbs import Verbs
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Looked, Namespace, Stored

__all__ = ["Buckets"]

T = TypeVar("T")
_PLACES = 2**48  # orders of one bucket: the place of a page is bucket * _PLACES + order


class Buckets:
    """The verbs over several buckets. Atomic is what concerns one bucket; entries of different buckets have no common
    order, so that pages go from bucket to bucket."""

    def __init__(self, buckets: Sequence[Verbs]) -> None:
        self._buckets = tuple(buckets)
        self._unknown = itertools.count()

    @property
    def parts(self) -> tuple[Verbs, ...]:
        return self._buckets

    def after_fork(self) -> None:
        for bucket in self._buckets:
            bucket.after_fork()

    def _of(self, text: str) -> Verbs:
        return self._buckets[int(digest_of(text)[:8], 16) % len(self._buckets)]

    # ---------------------------------------------------------------- one scope

    def get(self, scope: str, key: str) -> Flow[Stored | Damaged | None]:
        return self._of(scope).get(scope, key)

    def look(
        self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int
    ) -> Flow[Looked]:
        return self._of(scope).look(scope, key, normalised, embedder_id, limit=limit)

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> Flow[list[Stored]]:
        return self._of(scope).get_normalised(scope, normalised_key, limit=limit)

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Flow[Census]:
        return self._of(scope).census(scope, embedder_id, limit=limit)

    def search(
        self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        return self._of(scope).search(scope, embedder_id, vector, limit=limit, now=now)

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> Flow[bool]:
        """A lease is in another bucket than the entry, so that it is asked for a moment before."""
        if fence is not None and (yield from self._of(fence.name).is_late(fence)):
            return False
        return (yield from self._of(entry.scope).put(entry, tier=tier, seen=seen))

    def put_alias(self, alias: Alias) -> Flow[None]:
        return self._of(alias.scope).put_alias(alias)

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> Flow[None]:
        return self._of(scope).set_vectors(scope, embedder_id, vectors)

    def touch(self, scope: str, key: str, now: float) -> Flow[None]:
        return self._of(scope).touch(scope, key, now)

    def delete(self, scope: str, keys: Sequence[str]) -> Flow[int]:
        return self._of(scope).delete(scope, keys)

    # ---------------------------------------------------------------- all entries

    def flush(self) -> Flow[None]:
        yield from _together([bucket.flush() for bucket in self._buckets])

    def sweep(self, now: float, *, limit: int) -> Flow[int]:
        removed = 0
        for bucket in self._buckets:
            if removed < limit:
                removed += yield from bucket.sweep(now, limit=limit - removed)
        return removed

    def clear(self, namespace: Namespace | None = None) -> Flow[int]:
        return sum((yield from _together([bucket.clear(namespace) for bucket in self._buckets])))

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Flow[Page]:
        rows: list[Stored] = []
        first, place = divmod(after, _PLACES)
        for number in range(first, len(self._buckets)):
            if selector.scope is not None and self._of(selector.scope) is not self._buckets[number]:
                continue
            page = yield from self._buckets[number].select(
                selector, limit=limit - len(rows) + 1, after=place if number == first else 0
            )
            rows += page.rows
            if len(rows) > limit:
                cut = yield from self._cut(number, selector, page, rows, limit, place if number == first else 0)
                return cut
        return Page(tuple(rows))

    def _cut(
        self, number: int, selector: Selector, page: Page, rows: list[Stored], limit: int, place: int
    ) -> Flow[Page]:
        """The first `limit` of these rows, whose last ones are a page of this bucket."""
        kept = limit - (len(rows) - len(page.rows))
        if kept == 0:  # the page ends where the bucket before ended
            return Page(tuple(rows[:limit]), number * _PLACES)
        last = yield from self._buckets[number].select(selector, limit=kept, after=place)
        return Page(tuple(rows[:limit]), None if last.after is None else number * _PLACES + last.after)

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> Flow[int]:
        by_bucket: dict[Verbs, list[tuple[str, str]]] = {}
        for address in addresses:
            by_bucket.setdefault(self._of(address[0]), []).append(address)
        flows = [bucket.place(given, tier, now, is_demotion=is_demotion) for bucket, given in by_bucket.items()]
        return sum((yield from _together(flows)))

    def vectors(
        self, embedder_id: str, addresses: Sequence[tuple[str, str]]
    ) -> Flow[dict[tuple[str, str], FloatArray]]:
        by_bucket: dict[Verbs, list[tuple[str, str]]] = {}
        for address in addresses:
            by_bucket.setdefault(self._of(address[0]), []).append(address)
        each = yield from _together([bucket.vectors(embedder_id, given) for bucket, given in by_bucket.items()])
        return {address: vector for found in each for address, vector in found.items()}

    def lowest(self, tier: str, *, limit: int) -> Flow[list[Stored]]:
        """In turn of each bucket, whose priorities may not be comparable."""
        each = yield from _together([bucket.lowest(tier, limit=limit) for bucket in self._buckets])
        turns = itertools.zip_longest(*each)
        return [stored for turn in turns for stored in turn if stored is not None][:limit]

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Flow[Invalidated]:
        """Numbered and noted in the first bucket, then noted and carried out in each: from then on none of them stores
        an answer from before."""
        yield from self.flush()
        first, *others = self._buckets
        said: dict[str, Any] = {"is_lazy": is_lazy, "reason": reason, "mode": mode}
        number, last = yield from first.note_invalidation(selector, now, **said)
        lasts = yield from _together(
            [bucket.note_invalidation(selector, now, **said, number=number) for bucket in others]
        )
        total = 0
        done: list[tuple[str, str]] = []
        for bucket, order in zip(self._buckets, [last, *(order for _, order in lasts)], strict=True):
            left = max(limit - len(done), 0)
            found, addresses = yield from bucket.carry_out(order, selector, now, is_lazy=is_lazy, limit=left)
            total += found
            done += addresses
        yield from _together([bucket.settle_invalidation(number, total) for bucket in self._buckets])
        return Invalidated(number, tuple(done))

    def invalidations(self, *, since: float) -> Flow[list[Invalidation]]:
        return self._buckets[0].invalidations(since=since)

    def forget_invalidations(self, *, before: float) -> Flow[int]:
        dropped = yield from _together([bucket.forget_invalidations(before=before) for bucket in self._buckets])
        return dropped[0]

    def sequence(self) -> Flow[int]:
        return self._buckets[0].sequence()

    # ---------------------------------------------------------------- what processes tell each other

    def acquire(self, name: str, holder: str, now: float, until: float) -> Flow[Lease | None]:
        return self._of(name).acquire(name, holder, now, until)

    def release(self, lease: Lease) -> Flow[None]:
        return self._of(lease.name).release(lease)

    def note(self, name: str, value: str | None) -> Flow[None]:
        return self._buckets[0].note(name, value)

    def notes(self, prefix: str = "") -> Flow[dict[str, str]]:
        return self._buckets[0].notes(prefix)

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> Flow[bool]:
        return self._buckets[0].tally(changes, expected=expected)

    def tallies(self) -> Flow[dict[str, str]]:
        return self._buckets[0].tallies()

    def version(self) -> Flow[Hashable]:
        """That of each bucket. One that does not answer has another each time: no copy of its entries is good then."""
        try:
            return tuple((yield from _together([bucket.version() for bucket in self._buckets])))
        except StoreError:
            pass
        found: list[Hashable] = [(yield from self._buckets[0].version())]
        for bucket in self._buckets[1:]:
            try:
                found.append((yield from bucket.version()))
            except StoreError:
                found.append(next(self._unknown))
        return tuple(found)

    def known_version(self) -> Hashable:
        return tuple(bucket.known_version() for bucket in self._buckets)

    def unchanged(self, since: Hashable, scope: str, key: str) -> bool:
        if not isinstance(since, tuple) or len(since) != len(self._buckets):
            return False
        bucket = self._of(scope)
        return bucket.unchanged(since[self._buckets.index(bucket)], scope, key)

    def notes_version(self) -> Hashable | None:
        return self._buckets[0].notes_version()

    def inspect(self, where: str) -> Flow[ServerFacts]:
        return self._buckets[0].inspect(where)

    def load(self) -> Flow[ServerLoad]:
        return self._buckets[0].load()

    def limit_memory(self, limit: MemoryLimit) -> Flow[None]:
        return self._buckets[0].limit_memory(limit)

    def stats(self) -> Flow[StoreStats]:
        each = yield from _together([bucket.stats() for bucket in self._buckets])
        shares: dict[str, Share] = {}
        for stats in each:
            for tier, share in stats.shares.items():
                so_far = shares.get(tier, Share())
                shares[tier] = Share(so_far.entries + share.entries, so_far.size_bytes + share.size_bytes)
        return StoreStats(
            entries=sum(stats.entries for stats in each),
            aliases=sum(stats.aliases for stats in each),
            size_bytes=sum(stats.size_bytes for stats in each),
            evictions=sum(stats.evictions for stats in each),
            expirations=sum(stats.expirations for stats in each),
            damaged=sum(stats.damaged for stats in each),
            shares=shares,
        )


def _together(flows: Sequence[Flow[T]]) -> Flow[list[T]]:
    """Carry several flows out side by side: what they ask for at the same time is one batch.

    When one of the batches fails, all of them hear of it, and the first error that comes out is raised.
    """
    results: dict[int, T] = {}
    waiting: dict[int, Batch] = {}
    for place, flow in enumerate(flows):
        _advance(place, flow, None, waiting, results)
    while waiting:
        places = list(waiting)
        batch = [one for place in places for one in waiting[place]]
        try:
            replies: list[Reply] = (yield batch) if batch else []
        except BaseException as error:
            for place in places:
                _throw(flows[place], error)
            raise
        for place in places:
            count = len(waiting.pop(place))
            own, replies = replies[:count], replies[count:]
            _advance(place, flows[place], own, waiting, results)
    return [results[place] for place in range(len(flows))]


def _advance(
    place: int, flow: Flow[T], replies: list[Reply] | None, waiting: dict[int, Batch], results: dict[int, T]
) -> None:
    try:
        waiting[place] = next(flow) if replies is None else flow.send(replies)
    except StopIteration as done:
        results[place] = done.value


def _throw(flow: Generator[Any, Any, Any], error: BaseException) -> None:
    try:
        flow.throw(error)
    except BaseException:  # noqa: BLE001  # it has had the chance to take back what it began
        return
    flow.close()
