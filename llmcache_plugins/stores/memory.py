"""The store in process memory: exact look-ups in a dict, searches in one matrix for each embedder."""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from threading import RLock

import numpy as np

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Capabilities
from llmcache_plugins.stores.capacity import alias_bytes, check_limits, entry_bytes
from llmcache_plugins.stores.forking import follow_forks
from llmcache_plugins.stores.matrix import Match, VectorIndex, as_vector
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Pending, Stored

__all__ = ["MemoryStore"]

_CAPABILITIES = Capabilities(is_blocking=False, is_persistent=False, is_shared=False)
_SEARCH_ATTEMPTS = 3


class _Record:
    """An entry and what changes about it. A replaced entry gets a new record."""

    __slots__ = ("access_count", "aliases", "entry", "last_access", "order", "size")

    def __init__(self, entry: Entry, order: int, size: int, aliases: dict[str, None]) -> None:
        self.entry = entry
        self.order = order
        self.size = size
        self.aliases = aliases
        self.access_count = 0
        self.last_access: float | None = None

    def stored(self, alias: Alias | None = None) -> Stored:
        return Stored(self.entry, self.access_count, self.last_access, alias)


class _Group:
    """The candidates of one scope by the embedder of their vector (None: no vector yet), each oldest first."""

    __slots__ = ("by_embedder",)

    def __init__(self) -> None:
        self.by_embedder: dict[str | None, dict[str, _Record]] = {}

    def add(self, embedder_id: str | None, record: _Record) -> None:
        self.by_embedder.setdefault(embedder_id, {})[record.entry.key] = record

    def discard(self, embedder_id: str | None, key: str) -> None:
        records = self.by_embedder.get(embedder_id)
        if records is not None and records.pop(key, None) is not None and not records:
            del self.by_embedder[embedder_id]

    def pending(self, embedder_id: str, limit: int) -> tuple[Pending, ...]:
        newest: list[_Record] = []
        for other, records in self.by_embedder.items():
            if other is None:  # filled in the order of arrival: the newest are at the end
                newest.extend(itertools.islice(reversed(records.values()), limit))
            elif other != embedder_id:
                newest.extend(heapq.nlargest(limit, records.values(), key=_order))
        newest.sort(key=_order, reverse=True)
        return tuple(Pending(record.entry.key, record.entry.text) for record in newest[:limit])


class MemoryStore:
    """Keeps everything in this process. Least recently used entries leave first.

    `get` takes no lock; the other verbs hold one for microseconds, and never during a scan.

    Args:
        max_entries: capacity in entries; as many aliases are kept besides, the oldest leave first.
        max_bytes: capacity in bytes (see `stores.capacity`). In memory a vector is there twice, so that the entry can
            hand it out; it counts once, as in every store.

    Raises:
        ConfigError: a limit is below 1.
    """

    def __init__(self, *, max_entries: int = 10_000, max_bytes: int = 256 * 1024 * 1024) -> None:
        check_limits(max_entries, max_bytes)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._lock = RLock()
        self._orders = itertools.count(1)
        self._evictions = 0
        self._expirations = 0
        self._reset()
        follow_forks(self)

    def _reset(self) -> None:
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()  # least recently used first
        self._aliases: OrderedDict[tuple[str, str], Alias] = OrderedDict()  # oldest first
        self._normalised: dict[tuple[str, str], dict[str, None]] = {}
        self._groups: dict[str, _Group] = {}
        self._indexes: dict[str, VectorIndex] = {}
        self._expiries: list[tuple[float, int, str, str]] = []
        self._bytes = 0

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        record = self._records.get((scope, key))  # no lock: one look-up is atomic, and a record is never reused
        if record is not None:
            return Stored(record.entry, record.access_count, record.last_access)
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
            group = self._groups.get(scope)
            if group is None:
                return Census(0)
            return Census(sum(map(len, group.by_embedder.values())), group.pending(embedder_id, max(limit, 0)))

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
                candidates.append(Candidate(record.entry, similarity, record.access_count))
        return candidates

    def put(self, entry: Entry) -> bool:
        entry = _own_copy(entry)
        size = entry_bytes(entry)
        address = (entry.scope, entry.key)
        with self._lock:
            vector, index = entry.vector, self._index(entry)
            self._remove_alias(address)
            if size > self._max_bytes:
                self._remove(address)  # what it was to replace is out of date
                return False
            old = self._records.get(address)
            record = _Record(entry, next(self._orders), size, {} if old is None else old.aliases)
            if old is not None:
                self._forget(old)
            self._records[address] = record
            self._records.move_to_end(address)
            self._bytes += size
            self._normalised.setdefault((entry.scope, entry.normalised_key), {})[entry.key] = None
            if entry.is_candidate:
                self._groups.setdefault(entry.scope, _Group()).add(_embedder_of(entry), record)
                if index is not None and vector is not None:
                    index.put(entry.scope, entry.key, vector, expires_at=entry.expires_at, order=record.order)
            self._note_expiry(record)
            self._make_room(address)
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
                entry = _own_copy(replace(record.entry, embedder_id=embedder_id, vector=vector))
                index = self._index(entry)
                self._leave_index(record)
                record.entry = entry
                self._bytes -= record.size
                record.size = entry_bytes(entry)
                self._bytes += record.size
                self._groups[scope].add(embedder_id, record)
                if index is not None and entry.vector is not None:
                    index.put(scope, key, entry.vector, expires_at=entry.expires_at, order=record.order)
            self._make_room(None)

    def touch(self, scope: str, key: str, now: float) -> None:
        address = (scope, key)
        with self._lock:
            record = self._records.get(address)
            if record is not None:
                record.access_count += 1
                record.last_access = now
                self._records.move_to_end(address)

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
            while removed < limit and self._expiries and self._expiries[0][0] <= now:
                _, order, scope, key = heapq.heappop(self._expiries)
                record = self._records.get((scope, key))
                if record is not None and record.order == order:
                    self._remove((scope, key))
                    removed += 1
            self._expirations += removed
        return removed

    def clear(self, namespace: Namespace | None = None) -> int:
        with self._lock:
            if not namespace:
                removed = len(self._records)
                self._reset()
                return removed
            depth = len(namespace)
            below = [
                address for address, record in self._records.items() if record.entry.namespace[:depth] == namespace
            ]
            for address in below:
                self._remove(address)
            return len(below)

    def stats(self) -> StoreStats:
        with self._lock:
            return StoreStats(
                entries=len(self._records),
                aliases=len(self._aliases),
                size_bytes=self._bytes,
                evictions=self._evictions,
                expirations=self._expirations,
            )

    def close(self) -> None:
        """Give the memory back."""
        self.clear()

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork(self) -> None:
        self._lock.release()

    def _index(self, entry: Entry) -> VectorIndex | None:
        """The index this entry's vector belongs to; raises before anything is changed when it does not fit."""
        embedder_id = _embedder_of(entry)
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

    def _make_room(self, kept: tuple[str, str] | None) -> None:
        while len(self._records) > self._max_entries or self._bytes > self._max_bytes:
            oldest = next(iter(self._records), None)
            if oldest is not None and oldest != kept:
                self._remove(oldest)
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

    def _forget(self, record: _Record) -> None:
        """Take the record out of everything but the records themselves."""
        entry = record.entry
        self._bytes -= record.size
        same = self._normalised[entry.scope, entry.normalised_key]
        del same[entry.key]
        if not same:
            del self._normalised[entry.scope, entry.normalised_key]
        if entry.is_candidate:
            self._leave_index(record)
            if not self._groups[entry.scope].by_embedder:
                del self._groups[entry.scope]

    def _leave_index(self, record: _Record) -> None:
        entry = record.entry
        embedder_id = _embedder_of(entry)
        self._groups[entry.scope].discard(embedder_id, entry.key)
        if embedder_id is not None:
            self._indexes[embedder_id].remove(entry.scope, entry.key)

    def _note_expiry(self, record: _Record) -> None:
        entry = record.entry
        if entry.expires_at is None:
            return
        heapq.heappush(self._expiries, (entry.expires_at, record.order, entry.scope, entry.key))
        if len(self._expiries) > 2 * len(self._records) + 64:  # mostly of entries that are gone
            self._expiries = [
                expiry for expiry in self._expiries if (r := self._records.get(expiry[2:])) and r.order == expiry[1]
            ]
            heapq.heapify(self._expiries)


def _order(record: _Record) -> int:
    return record.order


def _embedder_of(entry: Entry) -> str | None:
    return None if entry.vector is None else entry.embedder_id


def _own_copy(entry: Entry) -> Entry:
    """The entry with a vector nobody can change: it lies over bytes, which not even `setflags` makes writable."""
    if entry.vector is None:
        return entry
    return replace(entry, vector=np.frombuffer(as_vector(entry.vector).tobytes(), np.float32))
