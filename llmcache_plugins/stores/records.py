"""What a store in memory keeps of an entry, and by what it finds the entries of a selector."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from llmcache_plugins.selection import Selector
from llmcache_plugins.stores.eviction_queues import Seat
from llmcache_plugins.stores.matrix import as_vector
from llmcache_plugins.types import Alias, Candidate, Entry, Pending, Stored

__all__ = ["Group", "Lists", "Record", "embedder_of", "own_copy"]


class Record:
    """An entry and what changes about it. A replaced entry gets a new record."""

    __slots__ = (
        "access_count",
        "aliases",
        "entry",
        "last_access",
        "order",
        "placed_at",
        "reads_before",
        "seat",
        "size",
        "tier",
    )

    seat: Seat[Record]

    def __init__(self, entry: Entry, order: int, size: int, aliases: dict[str, None], tier: str) -> None:
        self.entry = entry
        self.order = order
        self.size = size
        self.aliases = aliases
        self.tier = tier
        self.placed_at = entry.created_at if tier else None
        self.access_count = 0
        self.reads_before = 0  # of `access_count`, those before the last demotion
        self.last_access: float | None = None

    @property
    def address(self) -> tuple[str, str]:
        return self.entry.scope, self.entry.key

    def stored(self, alias: Alias | None = None) -> Stored:
        before = self.reads_before  # read first: without a lock it may only be too old
        count = self.access_count
        return Stored(self.entry, count, self.last_access, alias, self.tier, self.placed_at, count - before)

    def stored_bare(self) -> Stored:
        """Without the vector."""
        stored = self.stored()
        return stored if self.entry.vector is None else replace(stored, entry=replace(stored.entry, vector=None))

    def candidate(self, similarity: float) -> Candidate:
        before = self.reads_before
        count = self.access_count
        return Candidate(self.entry, similarity, count, self.tier, count - before)


class Group:
    """The entries of one scope: candidates by the embedder of their vector (None: no vector yet), and the others; each
    oldest first, but for vectors that came later."""

    __slots__ = ("by_embedder", "exact_only")

    def __init__(self) -> None:
        self.by_embedder: dict[str | None, dict[str, Record]] = {}
        self.exact_only: dict[str, Record] | None = None

    def add(self, record: Record) -> None:
        entry = record.entry
        if entry.is_candidate:
            self.by_embedder.setdefault(embedder_of(entry), {})[entry.key] = record
        elif self.exact_only is None:
            self.exact_only = {entry.key: record}
        else:
            self.exact_only[entry.key] = record

    def discard(self, record: Record) -> None:
        entry = record.entry
        embedder_id = embedder_of(entry)
        records = self.by_embedder.get(embedder_id) if entry.is_candidate else self.exact_only
        if records is None or records.pop(entry.key, None) is None or records:
            return
        if entry.is_candidate:
            del self.by_embedder[embedder_id]
        else:
            self.exact_only = None

    @property
    def is_empty(self) -> bool:
        return not self.by_embedder and not self.exact_only

    @property
    def candidates(self) -> int:
        return sum(map(len, self.by_embedder.values()))

    def __iter__(self) -> Iterator[Record]:
        for records in self.by_embedder.values():
            yield from records.values()
        if self.exact_only:
            yield from self.exact_only.values()

    def pending(self, embedder_id: str, limit: int) -> tuple[Pending, ...]:
        newest: list[Record] = []
        for other, records in self.by_embedder.items():
            if other is None:  # filled in the order of arrival: the newest are at the end
                newest.extend(itertools.islice(reversed(records.values()), limit))
            elif other != embedder_id:
                newest.extend(heapq.nlargest(limit, records.values(), key=_order))
        newest.sort(key=_order, reverse=True)
        return tuple(
            Pending(record.entry.key, record.entry.text, embedder_of(record.entry)) for record in newest[:limit]
        )


class Lists:
    """Records by scope, key and tag: a selector that names one of these costs what it finds. Not thread-safe."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self._by_key: dict[str, tuple[Record, ...]] = {}  # nearly always one: a key is a digest of its scope, too
        self._by_tag: dict[str, dict[Record, None]] = {}

    def add(self, record: Record) -> None:
        entry = record.entry
        group = self.groups.get(entry.scope)
        if group is None:
            group = self.groups[entry.scope] = Group()
        group.add(record)
        others = self._by_key.get(entry.key)
        self._by_key[entry.key] = (record,) if others is None else (*others, record)
        for tag in entry.profile.tags:
            self._by_tag.setdefault(tag, {})[record] = None

    def discard(self, record: Record) -> None:
        entry = record.entry
        group = self.groups[entry.scope]
        group.discard(record)
        if group.is_empty:
            del self.groups[entry.scope]
        same = self._by_key.pop(entry.key)
        if len(same) > 1:
            self._by_key[entry.key] = tuple(other for other in same if other is not record)
        for tag in set(entry.profile.tags):
            tagged = self._by_tag[tag]
            del tagged[record]
            if not tagged:
                del self._by_tag[tag]

    def narrowed(self, selector: Selector) -> list[Record] | None:
        """The fewest records among which all are that the selector finds; None when nothing narrows them down."""
        found: list[Iterable[Record]] = []
        sizes: list[int] = []
        if selector.keys:
            by_key = [record for key in set(selector.keys) for record in self._by_key.get(key, ())]
            found.append(by_key)
            sizes.append(len(by_key))
        for tag in selector.tags:
            tagged = self._by_tag.get(tag, {})
            found.append(tagged)
            sizes.append(len(tagged))
        if selector.scope is not None:
            group = self.groups.get(selector.scope) or Group()
            found.append(group)
            sizes.append(group.candidates + len(group.exact_only or ()))
        if not found:
            return None
        return list(found[sizes.index(min(sizes))])


def _order(record: Record) -> int:
    return record.order


def embedder_of(entry: Entry) -> str | None:
    return None if entry.vector is None else entry.embedder_id


def own_copy(entry: Entry) -> Entry:
    """The entry with a vector nobody can change: it lies over bytes, which not even `setflags` makes writable."""
    if entry.vector is None:
        return entry
    return replace(entry, vector=np.frombuffer(as_vector(entry.vector).tobytes(), np.float32))
