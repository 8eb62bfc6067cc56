"""The store in process memory: exact look-ups in a dict, searches in one matrix for each embedder."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.policies.eviction import Lru
from llmcache_plugins.protocols import Capabilities, EvictionPolicy
from llmcache_plugins.selection import Invalidated, Lease, Page, Selector
from llmcache_plugins.stores.capacity import alias_bytes, check_limits, entry_bytes
from llmcache_plugins.stores.eviction_queues import EvictionQueues
from llmcache_plugins.stores.expiries import Expiries
from llmcache_plugins.stores.forking import follow_forks
from llmcache_plugins.stores.matrix import Match, VectorIndex
from llmcache_plugins.stores.notebook import Notebook
from llmcache_plugins.stores.records import Lists, Record, embedder_of, own_copy
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Stored

__all__ = ["MemoryStore"]

_LRU = Lru()
_CAPABILITIES = Capabilities(is_blocking=False, is_persistent=False, is_shared=False)
_SEARCH_ATTEMPTS = 3


class MemoryStore(Notebook):
    """Keeps everything in this process.

    `get` takes no lock; the other verbs hold one for microseconds, and never during a scan.

    Args:
        max_entries: capacity in entries; as many aliases are kept besides, the oldest leave first.
        max_bytes: capacity in bytes (see `stores.capacity`). In memory a vector is there twice, so that the entry can
            hand it out; it counts once, as in every store.
        eviction: who leaves first when the store is full; by default the least recently used.
        eviction_by_tier: other policies for entries placed in these tiers.
        last_tier: what is placed there, or in no tier, leaves before everything else.

    Raises:
        ConfigError: a limit is below 1.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        eviction: EvictionPolicy = _LRU,
        eviction_by_tier: Mapping[str, EvictionPolicy] = MappingProxyType({}),
        last_tier: str = "",
    ) -> None:
        super().__init__()
        check_limits(max_entries, max_bytes)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._queues: EvictionQueues[Record] = EvictionQueues(eviction, eviction_by_tier, last_tier)
        self._orders = itertools.count(1)
        self._evictions = 0
        self._expirations = 0
        self._reset()
        follow_forks(self)

    def _reset(self) -> None:
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()  # in the order they were stored
        self._aliases: OrderedDict[tuple[str, str], Alias] = OrderedDict()  # oldest first
        self._normalised: dict[tuple[str, str], dict[str, None]] = {}
        self._lists = Lists()
        self._indexes: dict[str, VectorIndex] = {}
        self._expiries = Expiries()
        self._queues.clear()
        self._bytes = 0

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        record = self._records.get((scope, key))  # no lock: one look-up is atomic, and a record is never reused
        if record is not None:
            return record.stored()
        alias = self._aliases.get((scope, key))
        if alias is None:
            return None
        record = self._records.get((scope, alias.target_key))
        return None if record is None else record.stored(alias)

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        with self._lock:
            keys = self._normalised.get((scope, normalised_key), {})
            return [self._records[scope, key].stored() for key in itertools.islice(reversed(keys), max(limit, 0))]

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        with self._lock:
            group = self._lists.groups.get(scope)
            if group is None:
                return Census(0)
            return Census(group.candidates, group.pending(embedder_id, max(limit, 0)))

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        index = self._indexes.get(embedder_id)
        if index is None:
            return []
        for _ in range(_SEARCH_ATTEMPTS - 1):
            matches = index.search(scope, vector, limit=limit, now=now)
            with self._lock:
                candidates = self._candidates(scope, embedder_id, matches)
            if len(candidates) == len(matches):
                return candidates
        with self._lock:
            return self._candidates(scope, embedder_id, index.search(scope, vector, limit=limit, now=now))

    def _candidates(self, scope: str, embedder_id: str, matches: Iterable[Match]) -> list[Candidate]:
        """Matches whose entry is still the one that was found."""
        candidates = []
        for key, order, similarity in matches:
            record = self._records.get((scope, key))
            if record is not None and record.order == order and record.entry.embedder_id == embedder_id:
                candidates.append(record.candidate(similarity))
        return candidates

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        entry = own_copy(entry)
        size = entry_bytes(entry)
        address = (entry.scope, entry.key)
        with self._lock:
            if not self._admits(entry, tier, seen, fence):
                return False
            index = self._index(entry)
            self._remove_alias(address)
            if size > self._max_bytes:
                self._remove(address)  # what it was to replace is out of date
                return False
            old = self._records.get(address)
            record = Record(entry, next(self._orders), size, {} if old is None else old.aliases, tier)
            if old is not None:
                self._forget(old)
            self._records[address] = record
            self._records.move_to_end(address)
            self._version += old is not None  # after the change: `get` takes no lock, and may have met the old one
            self._remember(record, index)
            self._make_room(record)
        return True

    def put_alias(self, alias: Alias) -> None:
        address = (alias.scope, alias.key)
        with self._lock:
            target = self._records.get((alias.scope, alias.target_key))
            if target is None or address in self._records:
                return
            self._remove_alias(address)
            self._aliases[address] = alias
            target.aliases[alias.key] = None
            self._bytes += alias_bytes(alias)
            while len(self._aliases) > self._max_entries or (self._bytes > self._max_bytes and self._aliases):
                self._remove_alias(next(iter(self._aliases)))

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        with self._lock:
            for key, vector in vectors.items():
                record = self._records.get((scope, key))
                if record is None or not record.entry.is_candidate:
                    continue
                entry = own_copy(replace(record.entry, embedder_id=embedder_id, vector=vector))
                index = self._index(entry)
                group = self._lists.groups[scope]
                group.discard(record)
                self._leave_index(record)
                grown = entry_bytes(entry) - record.size
                record.entry = entry
                record.size += grown
                self._queues.of(record.tier).size_bytes += grown
                self._bytes += grown
                group.add(record)
                self._join_index(record, index)
            self._make_room(None)

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        with self._lock:
            there = [record.entry for address in addresses if (record := self._records.get(address)) is not None]
        return {
            (entry.scope, entry.key): entry.vector
            for entry in there
            if entry.vector is not None and entry.is_candidate and entry.embedder_id == embedder_id
        }

    def touch(self, scope: str, key: str, now: float) -> None:
        with self._lock:
            record = self._records.get((scope, key))
            if record is not None:
                record.access_count += 1
                record.last_access = now
                record.seat.read(now, next(self._orders))

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        with self._lock:
            there = {(scope, key) for key in keys if (scope, key) in self._records or (scope, key) in self._aliases}
            for address in there:
                if not self._remove(address):
                    self._remove_alias(address)
            return len(there)

    def sweep(self, now: float, *, limit: int) -> int:
        removed = 0
        with self._lock:
            while removed < limit and (expired := self._expiries.next(now)) is not None:
                address, order = expired
                record = self._records.get(address)
                if record is not None and record.order == order:
                    self._remove(address)
                    removed += 1
            self._expirations += removed
        return removed

    def clear(self, namespace: Namespace | None = None) -> int:
        with self._lock:
            if not namespace:
                removed = len(self._records)
                self._reset()
                self._version += 1  # after the change: `get` takes no lock
                return removed
            depth = len(namespace)
            below = [
                address for address, record in self._records.items() if record.entry.namespace[:depth] == namespace
            ]
            for address in below:
                self._remove(address)
            return len(below)

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        matching = (
            record
            for record in sorted(self._scanned(selector, after), key=_order)
            if selector.matches_stored(record.stored())
        )
        found = list(itertools.islice(matching, max(limit, 0) + 1))  # one more tells that there is a next page
        rows = tuple(record.stored_bare() for record in found[: max(limit, 0)])
        return Page(rows, found[len(rows) - 1].order if rows and len(found) > len(rows) else None)

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        with self._lock:
            there = [record for address in addresses if (record := self._records.get(address)) is not None]
            for record in there:
                self._queues.of(record.tier).leave(record.seat)
                record.tier = tier
                record.placed_at = now
                if is_demotion:
                    record.reads_before = record.access_count
                record.seat = self._queues.of(tier).join(record, now, next(self._orders))
            return len(there)

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        with self._lock:
            return [record.stored_bare() for record in self._queues.of(tier).lowest(limit)]

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        with self._lock:
            number = self._log.note(selector, now, reason, mode)
            records = self._scanned(selector)
        # Without the lock: what is stored from now on has seen this invalidation, or is refused.
        found = [record for record in records if selector.matches_stored(record.stored())]
        found.sort(key=_order)
        with self._lock:
            there = [r for r in found if self._is_there(r) and not (is_lazy and r.entry.stale_at is not None)]
            self._log.count(number, len(there))
            chosen = there[: max(limit, 0)]
            for record in chosen:
                if is_lazy:
                    record.entry = replace(record.entry, stale_at=now)
                    self._version += 1
                else:
                    self._remove(record.address)
        return Invalidated(number, tuple(record.address for record in chosen))

    def stats(self) -> StoreStats:
        with self._lock:
            return StoreStats(
                entries=len(self._records),
                aliases=len(self._aliases),
                size_bytes=self._bytes,
                evictions=self._evictions,
                expirations=self._expirations,
                shares=self._queues.shares(),
            )

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self.clear()
            self._open_notebook()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork(self) -> None:
        self._lock.release()

    def _scanned(self, selector: Selector, after: int = 0) -> list[Record]:
        """Records among which all are that the selector finds, those with a number up to `after` left out."""
        with self._lock:
            narrowed = self._lists.narrowed(selector)
            records = list(self._records.values()) if narrowed is None else narrowed
        return [record for record in records if record.order > after] if after else records

    def _is_there(self, record: Record) -> bool:
        return self._records.get(record.address) is record

    def _index(self, entry: Entry) -> VectorIndex | None:
        """The index this entry's vector belongs to; raises before anything is changed when it does not fit."""
        embedder_id = embedder_of(entry)
        if embedder_id is None or entry.vector is None or not entry.is_candidate:
            return None
        index = self._indexes.get(embedder_id)
        if index is None:
            index = self._indexes[embedder_id] = VectorIndex(entry.vector.size, lock=self._lock)
        elif entry.vector.size != index.dimension:
            raise StoreError(
                f"vectors of embedder {embedder_id!r} have {index.dimension} numbers, not {entry.vector.size}"
            )
        return index

    def _make_room(self, kept: Record | None) -> None:
        while len(self._records) > self._max_entries or self._bytes > self._max_bytes:
            leaving = self._queues.first(kept)
            if leaving is not None:
                self._remove(leaving.address)
                self._evictions += 1
            elif self._aliases:  # only the newest entry is left, and its own wordings are too many
                self._remove_alias(next(iter(self._aliases)))
            else:
                return

    def _remove(self, address: tuple[str, str]) -> bool:
        record = self._records.pop(address, None)
        if record is None:
            return False
        for key in list(record.aliases):
            self._remove_alias((address[0], key))
        self._forget(record)
        return True

    def _remove_alias(self, address: tuple[str, str]) -> None:
        alias = self._aliases.pop(address, None)
        if alias is None:
            return
        self._bytes -= alias_bytes(alias)
        target = self._records.get((alias.scope, alias.target_key))
        if target is not None:
            target.aliases.pop(alias.key, None)

    def _remember(self, record: Record, index: VectorIndex | None) -> None:
        """Note the record everywhere but in the records themselves."""
        entry = record.entry
        self._bytes += record.size
        self._normalised.setdefault((entry.scope, entry.normalised_key), {})[entry.key] = None
        self._lists.add(record)
        self._join_index(record, index)
        self._expiries.add(record, self._records)
        record.seat = self._queues.of(record.tier).join(record, entry.created_at, record.order)

    def _forget(self, record: Record) -> None:
        """Take the record out of everything but the records themselves."""
        entry = record.entry
        self._version += 1
        self._bytes -= record.size
        same = self._normalised[entry.scope, entry.normalised_key]
        del same[entry.key]
        if not same:
            del self._normalised[entry.scope, entry.normalised_key]
        self._lists.discard(record)
        self._leave_index(record)
        self._queues.of(record.tier).leave(record.seat)

    def _join_index(self, record: Record, index: VectorIndex | None) -> None:
        entry = record.entry
        if index is not None and entry.vector is not None:
            index.put(entry.scope, entry.key, entry.vector, expires_at=entry.expires_at, order=record.order)

    def _leave_index(self, record: Record) -> None:
        entry = record.entry
        embedder_id = embedder_of(entry)
        if embedder_id is not None and entry.is_candidate:
            self._indexes[embedder_id].remove(entry.scope, entry.key)


def _order(record: Record) -> int:
    return record.order
