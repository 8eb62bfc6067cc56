"""Every store against a plain model of it, by random steps."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmcache_plugins.protocols import Store
from llmcache_plugins.stores import DiskStore, EncryptedStore, MemoryStore
from llmcache_plugins.stores.matrix import VectorIndex
from llmcache_plugins.stores.segments import SEGMENT_ROWS
from llmcache_plugins.testing.store_contract import make_alias, make_entry
from llmcache_plugins.types import Alias, Census, Entry, FloatArray, Stored

MAX_ENTRIES = 5
SCOPES = st.sampled_from(["s1", "s2"])
TEXTS = st.sampled_from([f"t{number}" for number in range(6)])
EMBEDDERS = st.sampled_from(["e1", "e2"])
NAMESPACES = st.sampled_from([("a",), ("a", "b"), ("ab",)])
INSTANTS = st.integers(0, 20).map(float)
# Directions that are far apart, or equal: a brute-force order is then beyond doubt.
DIRECTIONS = np.linalg.qr(np.random.default_rng(7).standard_normal((8, 8)))[0].astype(np.float32)
VECTORS = st.integers(0, 7).map(lambda number: DIRECTIONS[number])
QUERY: FloatArray = (DIRECTIONS.T @ np.arange(8, 0, -1).astype(np.float32)) / np.float32(np.sqrt(204.0))


@dataclass
class Kept:
    entry: Entry
    order: int
    access_count: int = 0


class StoreModel(RuleBasedStateMachine):
    """The store under test beside lists and dicts that do the same, slowly."""

    def make_store(self) -> Store:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = self.make_store()
        self.kept: dict[tuple[str, str], Kept] = {}  # least recently used first
        self.aliases: dict[tuple[str, str], Alias] = {}  # oldest first
        self.orders = 0
        self.evictions = 0

    def remove(self, address: tuple[str, str]) -> None:
        del self.kept[address]
        for alias in list(self.aliases.values()):
            if (alias.scope, alias.target_key) == address:
                del self.aliases[alias.scope, alias.key]

    @rule(
        scope=SCOPES,
        text=TEXTS,
        vector=st.none() | VECTORS,
        embedder=EMBEDDERS,
        namespace=NAMESPACES,
        expires_at=st.none() | INSTANTS,
        is_candidate=st.sampled_from([True, True, True, False]),
    )
    def put(self, scope: str, text: str, vector: Any, embedder: str, is_candidate: bool, **fields: Any) -> None:
        if not is_candidate:
            vector = None
        has_vector = {} if vector is None else {"vector": vector, "embedder_id": embedder}
        entry = make_entry(text, scope=scope, normalised_key=text[0], is_candidate=is_candidate, **has_vector, **fields)
        address = (scope, entry.key)
        self.store.put(entry)
        self.orders += 1
        self.aliases.pop(address, None)
        self.kept.pop(address, None)
        self.kept[address] = Kept(entry, self.orders)
        if len(self.kept) > MAX_ENTRIES:
            self.remove(next(iter(self.kept)))
            self.evictions += 1

    @rule(scope=SCOPES, text=TEXTS, entry_text=TEXTS)
    def put_alias(self, scope: str, text: str, entry_text: str) -> None:
        alias = make_alias(text, make_entry(entry_text, scope=scope))
        self.store.put_alias(alias)
        if (scope, alias.target_key) in self.kept and (scope, alias.key) not in self.kept:
            self.aliases.pop((scope, alias.key), None)
            self.aliases[scope, alias.key] = alias
            if len(self.aliases) > MAX_ENTRIES:
                del self.aliases[next(iter(self.aliases))]

    @rule(scope=SCOPES, embedder=EMBEDDERS, vectors=st.dictionaries(TEXTS, VECTORS, max_size=3))
    def set_vectors(self, scope: str, embedder: str, vectors: dict[str, Any]) -> None:
        self.store.set_vectors(scope, embedder, {f"key of {text}": vector for text, vector in vectors.items()})
        for text, vector in vectors.items():
            kept = self.kept.get((scope, f"key of {text}"))
            if kept is not None and kept.entry.is_candidate:
                kept.entry = replace(kept.entry, vector=vector, embedder_id=embedder)

    @rule(scope=SCOPES, text=TEXTS)
    def touch(self, scope: str, text: str) -> None:
        address = (scope, f"key of {text}")
        self.store.touch(*address, 5.0)
        kept = self.kept.pop(address, None)
        if kept is not None:
            kept.access_count += 1
            self.kept[address] = kept

    @rule(scope=SCOPES, texts=st.lists(TEXTS, max_size=3))
    def delete(self, scope: str, texts: list[str]) -> None:
        there = {(scope, f"key of {text}") for text in texts} & (self.kept.keys() | self.aliases.keys())
        assert self.store.delete(scope, [f"key of {text}" for text in texts]) == len(there)
        for address in there:
            self.aliases.pop(address, None)
        for address in there & self.kept.keys():
            self.remove(address)

    @rule(now=INSTANTS)
    def sweep(self, now: float) -> None:
        expired = [address for address, kept in self.kept.items() if kept.entry.is_expired(now)]
        assert self.store.sweep(now, limit=100) == len(expired)
        for address in expired:
            self.remove(address)

    @rule(namespace=st.none() | NAMESPACES)
    def clear(self, namespace: tuple[str, ...] | None) -> None:
        prefix = namespace or ()
        gone = [a for a, kept in self.kept.items() if kept.entry.namespace[: len(prefix)] == prefix]
        assert self.store.clear(namespace) == len(gone)
        for address in gone:
            self.remove(address)

    @rule(scope=SCOPES, text=TEXTS)
    def get(self, scope: str, text: str) -> None:
        found = self.store.get(scope, f"key of {text}")
        alias = self.aliases.get((scope, f"key of {text}"))
        kept = self.kept.get((scope, alias.target_key if alias else f"key of {text}"))
        if kept is None:
            assert found is None
        else:
            assert isinstance(found, Stored)
            assert (found.entry, found.access_count, found.alias) == (kept.entry, kept.access_count, alias)

    @rule(scope=SCOPES)
    def get_normalised(self, scope: str) -> None:
        mine = [kept for kept in self.kept.values() if kept.entry.scope == scope]
        mine.sort(key=lambda kept: -kept.order)
        found = self.store.get_normalised(scope, "t", limit=3)
        assert [stored.entry.key for stored in found] == [kept.entry.key for kept in mine[:3]]

    @rule(scope=SCOPES, embedder=EMBEDDERS)
    def census(self, scope: str, embedder: str) -> None:
        mine = [kept for kept in self.kept.values() if kept.entry.scope == scope and kept.entry.is_candidate]
        pending = [kept for kept in mine if kept.entry.embedder_id != embedder]
        pending.sort(key=lambda kept: -kept.order)
        found = self.store.census(scope, embedder, limit=2)
        assert [item.key for item in found.pending] == [kept.entry.key for kept in pending[:2]]
        assert found == Census(len(mine), found.pending)

    @rule(scope=SCOPES, embedder=EMBEDDERS, now=INSTANTS, limit=st.integers(1, 6))
    def search(self, scope: str, embedder: str, now: float, limit: int) -> None:
        found = self.store.search(scope, embedder, QUERY, limit=limit, now=now)
        live = [
            kept
            for kept in self.kept.values()
            if (kept.entry.scope, kept.entry.embedder_id) == (scope, embedder) and not kept.entry.is_expired(now)
        ]
        live.sort(key=lambda kept: (-round(float(np.dot(kept.entry.vector, QUERY)), 4), kept.order))  # type: ignore[arg-type]  # has one
        assert [candidate.entry.key for candidate in found] == [kept.entry.key for kept in live[:limit]]
        assert [candidate.access_count for candidate in found] == [kept.access_count for kept in live[:limit]]

    @invariant()
    def the_sizes_agree(self) -> None:
        stats = self.store.stats()
        assert (stats.entries, stats.aliases) == (len(self.kept), len(self.aliases))
        assert (stats.evictions, stats.damaged) == (self.evictions, 0)
        if not self.kept:
            assert stats.size_bytes == 0

    def teardown(self) -> None:
        self.store.close()


class MemoryModel(StoreModel):
    def make_store(self) -> Store:
        return MemoryStore(max_entries=MAX_ENTRIES)


class SealedModel(StoreModel):
    def make_store(self) -> Store:
        pytest.importorskip("cryptography")
        return EncryptedStore(MemoryStore(max_entries=MAX_ENTRIES), bytes(32))


class DiskModel(StoreModel):
    def make_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "cache.db"
        self.other: Store = DiskStore(self.path, max_entries=MAX_ENTRIES)
        self.evictions_of_other = 0
        return DiskStore(self.path, max_entries=MAX_ENTRIES)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = DiskStore(self.path, max_entries=MAX_ENTRIES)
        self.evictions = 0  # counted since the store was opened

    @rule()
    def go_on_in_the_other(self) -> None:
        """Two stores on one file, as in two processes: each sees at once what the other wrote."""
        self.store.delete("s1", [])  # any write takes the access counts along
        self.store, self.other = self.other, self.store
        self.evictions, self.evictions_of_other = self.evictions_of_other, self.evictions

    def teardown(self) -> None:
        super().teardown()
        self.other.close()
        self.folder.cleanup()


class IndexModel(RuleBasedStateMachine):
    """`VectorIndex` alone: many scopes that grow and shrink, with and without sign bits."""

    def __init__(self) -> None:
        super().__init__()
        # The prefilter compares every row exactly as long as a scope has less than 200: so the results are equal.
        self.indexes = [VectorIndex(8), VectorIndex(8, prefilter_from=6)]
        self.rows: dict[str, dict[str, tuple[FloatArray, float | None, int]]] = {}
        self.orders = 0

    @rule(scope=st.integers(0, 30).map(str), key=st.integers(0, 5).map(str), vector=VECTORS, expires=INSTANTS)
    def put(self, scope: str, key: str, vector: FloatArray, expires: float) -> None:
        self.orders += 1
        for index in self.indexes:
            index.put(scope, key, vector, expires_at=expires, order=self.orders)
        self.rows.setdefault(scope, {})[key] = (vector, expires, self.orders)

    @rule(scope=st.integers(0, 3).map(str), count=st.integers(1, 40), vector=VECTORS)
    def put_many(self, scope: str, count: int, vector: FloatArray) -> None:
        for number in range(count):
            self.put(scope, f"many {number}", vector, 20.0)

    @rule(scope=st.integers(0, 30).map(str), data=st.data())
    def remove(self, scope: str, data: st.DataObject) -> None:
        there = sorted(self.rows.get(scope, {})) or ["nothing"]
        for key in data.draw(st.lists(st.sampled_from(there), max_size=len(there), unique=True)):
            was_there = self.rows.get(scope, {}).pop(key, None) is not None
            assert [index.remove(scope, key) for index in self.indexes] == [was_there] * 2

    @rule(scope=st.integers(0, 30).map(str), limit=st.integers(1, 20), now=INSTANTS)
    def search(self, scope: str, limit: int, now: float) -> None:
        live = [
            (-round(float(vector @ QUERY), 4), order, key)
            for key, (vector, expires, order) in self.rows.get(scope, {}).items()
            if expires is None or expires > now
        ]
        expected = [key for _, _, key in sorted(live)[:limit]]
        for index in self.indexes:
            assert [match.key for match in index.search(scope, QUERY, limit=limit, now=now)] == expected

    @invariant()
    def the_counts_agree(self) -> None:
        for index in self.indexes:
            assert len(index) == sum(map(len, self.rows.values()))
            assert all(index.count(scope) == len(rows) for scope, rows in self.rows.items())
            if not len(index):
                assert index.nbytes == 0
            assert index.nbytes <= SEGMENT_ROWS * (8 * 4 + 8) * 7  # one segment for each size of block in use


def _case(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> Any:
    case = machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    return case


TestMemoryModel = _case(MemoryModel, 60, 40)
TestSealedModel = _case(SealedModel, 30, 40)
TestDiskModel = pytest.mark.slow(_case(DiskModel, 25, 40))
TestIndexModel = _case(IndexModel, 40, 30)
