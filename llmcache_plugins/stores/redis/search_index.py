"""The search module of the server: nearest candidates inside a scope by a TAG filter.

Only "the k nearest", never "all within a radius": on a graph index (HNSW) the latter loses neighbours that the former
finds (measured; see docs/redis.md). What is near enough is decided here.

An index of another kind takes over without a gap: the new one fills beside the old one, which is asked until the new
one is complete and is dropped then. Any process may begin and any may finish; none of them waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from llmcache_plugins.errors import StoreError
from llmcache_plugins.stores.codec import VectorType, encode_vector
from llmcache_plugins.stores.redis.commands import Command, Flow
from llmcache_plugins.stores.redis.core import Core, as_int
from llmcache_plugins.stores.redis.layout import digest_of, vector_field
from llmcache_plugins.stores.redis.nearest import Neighbour, best_of, neighbours_of
from llmcache_plugins.types import Candidate, FloatArray

__all__ = ["GROWN", "HNSW", "IndexKind", "SearchIndex"]

_log = logging.getLogger(__name__)

IndexKind = Literal["flat", "hnsw"]
_KINDS: tuple[IndexKind, ...] = get_args(IndexKind)

GROWN = 10_000
"""Entries from which on a graph is worth its price: there the server takes 0.17 instead of 0.70 ms to find 9
vectors of 384 dimensions, and 0.20 instead of 0.01 ms to take one more (`benchmarks/redis/kinds.py`)."""
_ASKED_AGAIN = 1.0  # seconds between two looks whether an index is complete
HNSW: Command = ("M", 16, "EF_CONSTRUCTION", 200, "EF_RUNTIME", 64)
"""The graph: neighbours of a vector, and how many are looked at while one is stored and while one is searched."""


@dataclass(slots=True)
class _Known:
    """What this process knows of the indexes of one field."""

    asked: IndexKind | None = None  # None until that is found out
    is_moving: bool = False  # another one is to take over
    looked_at: float = 0.0
    made: set[IndexKind] = field(default_factory=set)


class SearchIndex:
    """Finds the nearest candidates with one index of the server for each dimension.

    Args:
        kind: `flat` compares with all candidates of the scope, `hnsw` follows a graph; `auto` is `flat` until there are
            `grown` entries, then `hnsw`.
        grown: entries; `GROWN` where none are given.
        monotonic: seconds.
    """

    def __init__(
        self,
        kind: Literal["auto", "flat", "hnsw"],
        *,
        grown: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._grown = GROWN if grown is None else grown
        self._monotonic = monotonic
        self._fields: dict[str, _Known] = {}

    def wished(self, kind: VectorType) -> VectorType:
        return kind

    def forget(self) -> None:
        self._fields = {}

    def changed(self, address: bytes) -> None:
        """Nothing is kept here."""

    def find(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        return (yield from best_of(lambda wanted: self._nearest(core, scope, embedder_id, vector, wanted, now), limit))

    def _nearest(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, wanted: int, now: float
    ) -> Flow[tuple[list[Neighbour], int]]:
        kind = yield from core.vector_type()
        name = vector_field(vector.size, kind)
        known = self._fields.get(name) or _Known()
        asked = known.asked
        if asked is None or (known.is_moving and self._monotonic() - known.looked_at >= _ASKED_AGAIN):
            asked = yield from self._settle(core, vector.size, kind)
        call = (digest_of(scope), digest_of(embedder_id), name, encode_vector(vector, kind), wanted)
        try:
            (reply,) = yield [core.call("search", self._name(core, asked, name), *call)]
        except StoreError as error:
            if "index" not in str(error):
                raise
            # It is gone: another one took over, the server began anew, or its slot has moved. One that is made again
            # fills by itself.
            asked = yield from self._settle(core, vector.size, kind)
            (reply,) = yield [core.call("search", self._name(core, asked, name), *call)]
        entries, rows = reply
        if self._kind == "auto" and asked == "flat" and not known.is_moving and as_int(entries) >= self._grown:
            yield from self._settle(core, vector.size, kind, is_grown=True)
        given = [(address, row, 1.0 - float(distance)) for address, row, distance in rows]
        return neighbours_of(core, given, scope, embedder_id, now), len(rows)

    def prepare(self, core: Core, dimension: int) -> Flow[None]:
        kind = yield from core.vector_type()
        if vector_field(dimension, kind) not in self._fields:
            yield from self._settle(core, dimension, kind)

    def _settle(self, core: Core, dimension: int, kind: VectorType, *, is_grown: bool = False) -> Flow[IndexKind]:
        """Which index is to be asked. Makes what is missing, and drops what is not needed any more."""
        name = vector_field(dimension, kind)
        known = self._fields.setdefault(name, _Known())
        known.looked_at = self._monotonic()
        (found,) = yield [core.call("indexes", *(self._name(core, one, name) for one in _KINDS))]
        held = {one: as_int(many) for one, (many, _) in zip(_KINDS, found, strict=True)}
        filling = {one for one, (_, is_filling) in zip(_KINDS, found, strict=True) if is_filling}
        present = [one for one in _KINDS if held[one] >= 0]
        wanted = self._wanted(present, is_grown=is_grown)
        other: IndexKind = "flat" if wanted == "hnsw" else "hnsw"
        if wanted not in present and (not present or wanted not in known.made):
            # Once for each process, or two with different settings would build and drop for ever.
            yield from self._make(core, wanted, dimension, kind)
            known.made.add(wanted)
            present.append(wanted)
        # A server may call an index filled a moment before it is: both are told of whatever is stored meanwhile.
        is_behind = wanted in filling or held[wanted] < held[other]
        if wanted not in present or (other in present and is_behind):
            known.asked, known.is_moving = other, wanted in present
            return other
        known.asked, known.is_moving = wanted, False
        if other in present:
            yield from self._drop(core, other, name)
        return wanted

    def _wanted(self, present: list[IndexKind], *, is_grown: bool) -> IndexKind:
        if self._kind != "auto":
            return self._kind
        return "hnsw" if is_grown or "hnsw" in present else "flat"

    def _make(self, core: Core, index: IndexKind, dimension: int, kind: VectorType) -> Flow[None]:
        """Over entries that are there already it fills a while later. It may have been made by somebody else."""
        name = vector_field(dimension, kind)
        options: Command = ("TYPE", kind.upper(), "DIM", dimension, "DISTANCE_METRIC", "COSINE")
        if index == "hnsw":
            options = (*options, *HNSW)
        schema: Command = ("within", "TAG", name, "VECTOR", index.upper(), len(options), *options)
        over: Command = ("ON", "HASH", "PREFIX", 1, core.layout.vector(b""))
        try:
            yield [("FT.CREATE", self._name(core, index, name), *over, "SCHEMA", *schema)]
        except StoreError as error:
            if "already exists" not in str(error):
                raise
        else:
            _log.info("made an index (%s) of the vectors on the server", index)

    def _drop(self, core: Core, index: IndexKind, name: str) -> Flow[None]:
        try:
            yield [("FT.DROPINDEX", self._name(core, index, name))]
        except StoreError as error:  # somebody else was faster, or this user may not: it costs memory, and no answer
            _log.info("an index (%s) that is not needed any more was not dropped: %s", index, error)

    @staticmethod
    def _name(core: Core, index: IndexKind, name: str) -> bytes:
        return core.layout.base + b":index:%b:%b" % (index.encode("ascii"), name.encode("ascii"))
