"""Vectors of a server without a search of its own: each process keeps those of the scopes it has searched.

A scope is read when it is searched first. From then on the changes that the server's stream tells of are read again
before the next search, so that a candidate is at most as old as the stream is late; what is served is always read anew.
"""

from __future__ import annotations

from threading import Lock

from llmcache_plugins.errors import StoreError
from llmcache_plugins.stores.codec import VectorType, decode_vector
from llmcache_plugins.stores.matrix import VectorIndex
from llmcache_plugins.stores.redis.commands import Flow, Reply
from llmcache_plugins.stores.redis.core import FIELDS, Core
from llmcache_plugins.stores.redis.layout import Layout, digest_of, vector_field
from llmcache_plugins.types import Candidate, FloatArray

__all__ = ["LocalVectors"]

_ATTEMPTS = 3
_AT_ONCE = 500
_ORDER = FIELDS.index("order")


class _Scope:
    """What is known of one scope's vectors of one embedder and dimension."""

    __slots__ = ("changed", "is_loaded", "name")

    def __init__(self, name: str) -> None:
        self.name = name  # of its rows in the index
        self.is_loaded = False
        self.changed: set[bytes] = set()


class LocalVectors:
    """Finds the nearest candidates with vectors kept in this process."""

    def __init__(self) -> None:
        self.forget()

    def wished(self, kind: VectorType) -> VectorType:
        return kind

    def forget(self) -> None:
        self._lock = Lock()
        self._indexes: dict[int, VectorIndex] = {}
        self._scopes: dict[tuple[str, str, int], _Scope] = {}
        self._by_scope: dict[str, list[_Scope]] = {}

    def prepare(self, core: Core, dimension: int) -> Flow[None]:
        yield from ()

    def changed(self, address: bytes) -> None:
        parsed = Layout.parsed(address)
        if parsed is None:
            return
        with self._lock:
            for scope in self._by_scope.get(parsed.scope, ()):
                scope.changed.add(address)

    def find(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        group = digest_of(embedder_id)
        candidates: list[Candidate] = []
        for _ in range(_ATTEMPTS):
            known, index = self._known(scope, embedder_id, vector.size)
            yield from self._catch_up(core, known, index, scope, group, vector.size)
            matches = index.search(known.name, vector, limit=limit, now=now)
            if not matches:
                return []
            addresses = [core.layout.address(scope, match.key) for match in matches]
            (rows,) = yield [core.call("load", *addresses)]
            candidates, gone = [], []
            for match, address, row in zip(matches, addresses, rows[1::2], strict=True):
                parsed = core.layout.parsed(address)
                candidate = None
                if parsed is not None and row[_ORDER] == b"%d" % match.order:
                    candidate = core.candidate(row, parsed, match.similarity)
                if candidate is not None and candidate.entry.embedder_id == embedder_id:
                    candidates.append(candidate)
                else:
                    gone.append(address)
                    index.remove(known.name, match.key)
            if not gone:
                break
            with self._lock:
                known.changed.update(gone)
        return candidates

    def _known(self, scope: str, embedder_id: str, dimension: int) -> tuple[_Scope, VectorIndex]:
        with self._lock:
            index = self._indexes.get(dimension)
            if index is None:
                index = self._indexes[dimension] = VectorIndex(dimension)
            known = self._scopes.get((scope, embedder_id, dimension))
            if known is None:
                known = _Scope(f"{len(scope)}:{scope}{embedder_id}")
                self._scopes[scope, embedder_id, dimension] = known
                self._by_scope.setdefault(scope, []).append(known)
            return known, index

    def _catch_up(
        self, core: Core, known: _Scope, index: VectorIndex, scope: str, group: bytes, dimension: int
    ) -> Flow[None]:
        kind = yield from core.vector_type()
        field = vector_field(dimension, kind)
        if not known.is_loaded:
            yield from self._load(core, known, index, scope, group, field, kind)
            known.is_loaded = True
        with self._lock:
            changed, known.changed = list(known.changed), set()
        try:
            for start in range(0, len(changed), _AT_ONCE):
                part = changed[start : start + _AT_ONCE]
                (rows,) = yield [core.call("fetch", field, *part)]
                for address, row in zip(part, rows, strict=True):
                    vector = row[3] if row[0] == group else None
                    _apply(index, known.name, address, row[1], row[2], vector, kind)
        except BaseException:
            with self._lock:
                known.changed.update(changed)
            raise

    def _load(
        self,
        core: Core,
        known: _Scope,
        index: VectorIndex,
        scope: str,
        group: bytes,
        field: str,
        kind: VectorType,
    ) -> Flow[None]:
        after: Reply = 0
        digest = digest_of(scope)
        while True:
            (rows,) = yield [core.call("group", digest, group, field, after, _AT_ONCE)]
            for address, order, expires, vector in rows:
                _apply(index, known.name, address, order, expires, vector, kind)
                after = order
            if len(rows) < _AT_ONCE:
                return


def _apply(
    index: VectorIndex, name: str, address: bytes, order: Reply, expires: Reply, vector: Reply, kind: VectorType
) -> None:
    """Put the vector in its row, or take the row away."""
    parsed = Layout.parsed(address)
    if parsed is None:
        return
    decoded = decode_vector(vector or b"", kind)
    try:
        if decoded is not None and order is not None:
            until = None if expires in (None, b"", b"inf") else float(expires)
            index.put(name, parsed.key, decoded, expires_at=until, order=int(order))
            return
    except (StoreError, ValueError):  # damaged, or of another dimension
        pass
    index.remove(name, parsed.key)
