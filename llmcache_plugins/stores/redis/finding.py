"""Who finds the nearest candidates: what the server can do is asked once, at the first vector."""

from __future__ import annotations

import logging
from typing import Literal, TypeAlias

from llmcache_plugins.errors import StoreError, StoreUnavailable
from llmcache_plugins.stores.codec import VectorType
from llmcache_plugins.stores.redis.commands import Command, Flow
from llmcache_plugins.stores.redis.core import Core, Finder
from llmcache_plugins.stores.redis.local_vectors import LocalVectors
from llmcache_plugins.stores.redis.search_index import SearchIndex
from llmcache_plugins.stores.redis.vector_sets import VectorSets
from llmcache_plugins.types import Candidate, FloatArray

__all__ = ["INDEXES", "ChosenFinder", "IndexChoice"]

_log = logging.getLogger(__name__)
IndexChoice: TypeAlias = Literal["auto", "flat", "hnsw", "sets", "local"]
INDEXES: tuple[IndexChoice, ...] = ("auto", "flat", "hnsw", "sets", "local")


class ChosenFinder:
    """The finder that was asked for; with `auto`, or where the server has not what was asked for, an index of the
    server where it has the search module and this user may use it, else vector sets where it has these, else this
    process."""

    def __init__(self, choice: IndexChoice) -> None:
        self._choice = choice
        self._finder: Finder | None = LocalVectors() if choice == "local" else None

    @property
    def name(self) -> str:
        """`index`, `sets`, `local`, or `unknown` before the first vector."""
        if self._finder is None:
            return "unknown"
        if isinstance(self._finder, LocalVectors):
            return "local"
        return "sets" if isinstance(self._finder, VectorSets) else "index"

    def wished(self, kind: VectorType) -> VectorType:
        return kind if self._finder is None else self._finder.wished(kind)

    def forget(self) -> None:
        if self._finder is not None:
            self._finder.forget()

    def changed(self, address: bytes) -> None:
        if self._finder is not None:
            self._finder.changed(address)

    def prepare(self, core: Core, dimension: int) -> Flow[None]:
        finder = yield from self._found()
        yield from finder.prepare(core, dimension)

    def find(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        finder = yield from self._found()
        return (yield from finder.find(core, scope, embedder_id, vector, limit=limit, now=now))

    def _found(self) -> Flow[Finder]:
        if self._finder is None:
            self._finder = yield from _found_out(self._choice)
        return self._finder


def _found_out(choice: IndexChoice) -> Flow[Finder]:
    """Asked by what the server can do, not by its version."""
    wants_sets = choice == "sets"
    if not wants_sets and (yield from is_understood(("FT._LIST",))):
        _log.info("the server has the search module: it finds the candidates")
        return SearchIndex("flat" if choice == "flat" else "hnsw" if choice == "hnsw" else "auto")
    if choice in ("flat", "hnsw"):
        _log.warning("index=%s needs the search module, which the server lacks or this user may not use", choice)
    if (yield from is_understood(("VCARD", "{llmcache}:none"))):
        _log.info("the server has vector sets: they find the candidates")
        return VectorSets()
    if wants_sets:
        _log.warning("index=sets needs the vector sets of Redis 8, which the server lacks or this user may not use")
        return (yield from _found_out("auto"))
    _log.info("the server finds no vectors, or may not: they are kept in this process")
    return LocalVectors()


def is_understood(command: Command) -> Flow[bool]:
    """Does the server know this command, and may this user give it?

    Raises:
        StoreUnavailable: it does not answer.
    """
    try:
        yield [command]
    except StoreUnavailable as error:
        if "NOPERM" not in str(error):  # nothing is known yet
            raise
        return False
    except StoreError:
        return False
    return True
