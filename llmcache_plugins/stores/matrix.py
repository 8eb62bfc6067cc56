"""Unit vectors by scope, in memory: exact search inside one scope, without a lock during the scan.

A scope owns a block of a segment (see `segments`) and moves to a bigger one as it grows; beyond a segment's rows it
owns whole segments.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from threading import Lock
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmcache_plugins.errors import StoreError
from llmcache_plugins.stores.segments import SEGMENT_ROWS, Allocator, Block, Segment
from llmcache_plugins.types import FloatArray

__all__ = ["Match", "VectorIndex", "as_vector"]

PREFILTER_FROM = 8_192
"""From so many rows the sign bits are read before the vectors; crossover measured by benchmarks/scan.py (it stands
between 6,000 and 10,000 rows of 384 numbers)."""
_RERANKED = 200  # besides the limit: 10 found every neighbour above a cosine of 0.8 in real embeddings
_CHUNK_FLOATS = (
    512 * 384
)  # numbers in one product: more, and OpenBLAS wakes its threads, which costs more than it saves
_TIE = 2e-6  # a BLAS kernel adds the last rows of a matrix in another order: equal vectors may differ by so much
_MOVED = 1e-4  # a row whose similarity differs by more was overwritten during the scan
_EXPIRED = 65_535  # further than any row can be
_ATTEMPTS = 3

_Views: TypeAlias = "list[tuple[FloatArray, NDArray[np.float64]]]"
_Bits: TypeAlias = "list[NDArray[np.uint64]]"


class Match(NamedTuple):
    """A row that was found; `order` is the number it was put with."""

    key: str
    order: int
    similarity: float


def as_vector(vector: FloatArray, dimension: int | None = None) -> FloatArray:
    """`vector` as contiguous float32 of shape (dim,); the same array when it is that already.

    Raises:
        StoreError: another shape or dimension, or numbers that are not finite.
    """
    array = np.ascontiguousarray(vector, dtype=np.float32)
    if array.ndim != 1 or not array.size or (dimension is not None and array.size != dimension):
        wanted = "one dimension" if dimension is None else f"shape ({dimension},)"
        raise StoreError(f"a vector must have {wanted}, not shape {array.shape}")
    if not math.isfinite(float(array @ array)):
        raise StoreError("a vector must be made of finite numbers")
    return array


class _Scope:
    """The rows of one scope, numbered 0, 1, ... through its blocks."""

    __slots__ = ("bits", "blocks", "changes", "keys", "orders", "positions", "soonest")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.keys: list[str] = []
        self.orders: list[int] = []
        self.positions: dict[str, int] = {}
        self.soonest = math.inf  # no row expires before; removing rows leaves it too early, which is safe
        self.changes = 0  # grows when a row that a scan may be reading is overwritten or moved
        self.bits: _Bits | None = None

    @property
    def capacity(self) -> int:
        return self.blocks[0][0].block_rows * len(self.blocks) if self.blocks else 0

    def locate(self, position: int) -> tuple[Segment, int]:
        segment, offset = self.blocks[position // SEGMENT_ROWS]
        return segment, offset + position % SEGMENT_ROWS

    def views(self) -> _Views:
        left = len(self.keys)
        views: _Views = []
        for segment, offset in self.blocks:
            stop = offset + min(left, segment.block_rows)
            views.append((segment.rows[offset:stop], segment.expires[offset:stop]))
            left -= stop - offset
        return views


class VectorIndex:
    """The vectors of one embedder, by scope and key. Thread-safe; the lock is held for microseconds.

    Args:
        dimension: of every vector.
        prefilter_from: scopes of so many rows are searched by sign bits first, and the best are compared exactly.
        lock: None for one of its own; an owner that holds its own lock around changes gives that, so that there is one.

    >>> index = VectorIndex(2)
    >>> index.put("scope", "a", np.array([1, 0], np.float32), expires_at=None, order=1)
    >>> index.search("scope", np.array([1, 0], np.float32), limit=1, now=0.0)
    [Match(key='a', order=1, similarity=1.0)]
    """

    def __init__(
        self,
        dimension: int,
        *,
        prefilter_from: int = PREFILTER_FROM,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.dimension = dimension
        self._prefilter_from = prefilter_from
        self._lock = Lock() if lock is None else lock
        self._allocator = Allocator(dimension)
        self._scopes: dict[str, _Scope] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """Memory of the segments in use."""
        return self._allocator.segments * SEGMENT_ROWS * (self.dimension * 4 + 8)

    def count(self, scope: str) -> int:
        """How many rows the scope has, expired ones included."""
        rows = self._scopes.get(scope)
        return 0 if rows is None else len(rows.keys)

    def put(self, scope: str, key: str, vector: FloatArray, *, expires_at: float | None, order: int) -> None:
        """Add a row or replace it. Of equally similar rows the one with the lower `order` is found first.

        Raises:
            StoreError: the vector has another shape or is not finite.
        """
        vector = as_vector(vector, self.dimension)
        expires = math.inf if expires_at is None else expires_at
        with self._lock:
            rows = self._scopes.get(scope)
            if rows is None:
                rows = self._scopes[scope] = _Scope()
            position = rows.positions.get(key)
            if position is None:
                position = self._append(rows, key)
            else:
                rows.changes += 1
            segment, at = rows.locate(position)
            segment.rows[at] = vector
            segment.expires[at] = expires
            rows.orders[position] = order
            rows.soonest = min(rows.soonest, expires)
            if rows.bits is not None:
                rows.bits[position // SEGMENT_ROWS][:, position % SEGMENT_ROWS] = _sign_bits(vector[None])[:, 0]

    def remove(self, scope: str, key: str) -> bool:
        """Remove a row; False when there was none."""
        with self._lock:
            rows = self._scopes.get(scope)
            position = None if rows is None else rows.positions.pop(key, None)
            if rows is None or position is None:
                return False
            rows.changes += 1
            self._rows -= 1
            _fill_hole(rows, position)
            self._shrink(scope, rows)
            return True

    def clear(self) -> None:
        """Remove every row."""
        with self._lock:
            for rows in self._scopes.values():
                rows.changes += 1
            self._scopes = {}
            self._allocator = Allocator(self.dimension)
            self._rows = 0

    def search(self, scope: str, query: FloatArray, *, limit: int, now: float) -> list[Match]:
        """The at most `limit` rows of the scope most similar to `query`, best first, equal ones by `order`.

        The scan holds no lock. What it found is checked afterwards, under the lock, against the rows as they are then:
        a key is never paired with another key's vector, nor found in another scope. A row that moves during the scan
        may be overlooked; one that is replaced again and again is at last read under the lock.

        Args:
            query: float32, shape (dimension,), unit length.
            now: rows that are expired by then are left out.

        Raises:
            StoreError: `query` has another shape or is not finite.
        """
        query = as_vector(query, self.dimension)
        if limit < 1:
            return []
        for _ in range(_ATTEMPTS - 1):
            with self._lock:
                rows = self._scopes.get(scope)
                if rows is None:
                    return []
                views, bits, soonest, changes = rows.views(), rows.bits, rows.soonest, rows.changes
            positions, near = self._scan(views, bits, query, limit, now if now >= soonest else None)
            with self._lock:
                if self._scopes.get(scope) is rows:
                    found = _resolve(rows, positions, near, query, now, is_unchanged=rows.changes == changes)
                    if found is not None:
                        return found[:limit]
        with self._lock:
            rows = self._scopes.get(scope)
            if rows is None:
                return []
            positions, near = self._scan(rows.views(), rows.bits, query, limit, now)
            return (_resolve(rows, positions, near, query, now, is_unchanged=True) or [])[:limit]

    def _append(self, rows: _Scope, key: str) -> int:
        position = len(rows.keys)
        if position == rows.capacity:
            self._grow(rows)
        rows.keys.append(key)
        rows.orders.append(0)
        rows.positions[key] = position
        self._rows += 1
        if rows.bits is None and position + 1 >= self._prefilter_from:
            rows.bits = [_sign_bits(segment.rows[at : at + segment.block_rows]) for segment, at in rows.blocks]
        return position

    def _grow(self, rows: _Scope) -> None:
        capacity = rows.capacity
        if capacity < SEGMENT_ROWS:
            self._move(rows, max(1, capacity * 2))
            return
        rows.blocks.append(self._allocator.take(SEGMENT_ROWS))
        if rows.bits is not None:
            rows.bits = [*rows.bits, np.zeros((_words(self.dimension), SEGMENT_ROWS), np.uint64)]

    def _move(self, rows: _Scope, block_rows: int) -> None:
        new, start = self._allocator.take(block_rows)
        count = len(rows.keys)
        rows.changes += 1
        for old in rows.blocks:  # one at most: scopes of several blocks have full segments, which never move
            segment, offset = old
            new.rows[start : start + count] = segment.rows[offset : offset + count]
            new.expires[start : start + count] = segment.expires[offset : offset + count]
            self._allocator.give_back(old)
        rows.blocks = [(new, start)]
        if rows.bits is not None:
            rows.bits = [_sign_bits(new.rows[start : start + block_rows])]

    def _shrink(self, scope: str, rows: _Scope) -> None:
        count = len(rows.keys)
        if not count:
            for block in rows.blocks:
                self._allocator.give_back(block)
            del self._scopes[scope]
            return
        if rows.bits is not None and count < self._prefilter_from // 2:
            rows.bits = None
        if len(rows.blocks) > 1:
            # Half a segment of room stays, so that adding and removing one row does not take and give a segment.
            if count <= (len(rows.blocks) - 1) * SEGMENT_ROWS - SEGMENT_ROWS // 2:
                self._allocator.give_back(rows.blocks.pop())
                rows.bits = None if rows.bits is None else rows.bits[:-1]
        elif count <= rows.capacity // 4:
            self._move(rows, rows.capacity // 2)

    def _scan(
        self, views: _Views, bits: _Bits | None, query: FloatArray, limit: int, now: float | None
    ) -> tuple[NDArray[np.intp], FloatArray]:
        if bits is None:
            similarities = _similarities(views, query)
            _leave_out_expired(similarities, views, now, -math.inf)
            return _best(similarities, limit)
        distances = _hamming(views, bits, query)
        _leave_out_expired(distances, views, now, _EXPIRED)
        wanted = min(limit + _RERANKED, len(distances))
        furthest = min(np.partition(distances, wanted - 1)[wanted - 1], _EXPIRED - 1)
        nearest = np.flatnonzero(distances <= furthest)
        if not len(nearest):
            return nearest, np.empty(0, np.float32)
        rows = np.stack([views[at // SEGMENT_ROWS][0][at % SEGMENT_ROWS] for at in nearest])
        places, near = _best(_similarities([(rows, np.empty(0))], query), limit)
        return nearest[places], near


def _fill_hole(rows: _Scope, position: int) -> None:
    last = len(rows.keys) - 1
    if position != last:
        from_segment, from_row = rows.locate(last)
        to_segment, to_row = rows.locate(position)
        to_segment.rows[to_row] = from_segment.rows[from_row]
        to_segment.expires[to_row] = from_segment.expires[from_row]
        if rows.bits is not None:
            moved = rows.bits[last // SEGMENT_ROWS][:, last % SEGMENT_ROWS]
            rows.bits[position // SEGMENT_ROWS][:, position % SEGMENT_ROWS] = moved
        rows.keys[position] = rows.keys[last]
        rows.orders[position] = rows.orders[last]
        rows.positions[rows.keys[position]] = position
    rows.keys.pop()
    rows.orders.pop()


def _similarities(views: _Views, query: FloatArray) -> FloatArray:
    similarities = np.empty(sum(len(rows) for rows, _ in views), np.float32)
    chunk = max(1, _CHUNK_FLOATS // query.size)
    start = 0
    for rows, _ in views:
        for low in range(0, len(rows), chunk):
            part = rows[low : low + chunk]
            np.dot(part, query, out=similarities[start : start + len(part)])
            start += len(part)
    return similarities


def _leave_out_expired(values: NDArray[np.generic], views: _Views, now: float | None, worst: float) -> None:
    if now is None:
        return
    start = 0
    for _, expires in views:
        values[start : start + len(expires)][expires <= now] = worst
        start += len(expires)


def _best(similarities: FloatArray, limit: int) -> tuple[NDArray[np.intp], FloatArray]:
    """Positions of the best `limit` and of all that may be as good as the last of them."""
    least = np.float32(-2.0)  # below every cosine, above the -inf of what is left out
    if limit < len(similarities):
        at = len(similarities) - limit
        least = max(least, np.partition(similarities, at)[at] - np.float32(_TIE))
    positions = np.flatnonzero(similarities >= least)
    return positions, similarities[positions]


def _resolve(
    rows: _Scope, positions: NDArray[np.intp], near: FloatArray, query: FloatArray, now: float, *, is_unchanged: bool
) -> list[Match] | None:
    """What lies at these positions now, with similarities computed anew; None when the scan read something else."""
    places = positions.tolist()
    if not places:
        return []
    if places[-1] >= len(rows.keys):
        return None
    located = [rows.locate(place) for place in places]
    # Added up row by row in one fixed order, so that equal vectors have equal similarities wherever they lie.
    exact = np.add.reduce(np.stack([segment.rows[at] for segment, at in located]) * query, axis=1)
    if not is_unchanged:
        was_read = bool(np.all(np.abs(exact - near) <= _MOVED))
        if not was_read or any(segment.expires[at] <= now for segment, at in located):
            return None
    exact = np.clip(exact, -1.0, 1.0)
    found = [Match(rows.keys[place], rows.orders[place], s) for place, s in zip(places, exact.tolist(), strict=True)]
    found.sort(key=lambda match: (-match.similarity, match.order))
    return found


def _words(dimension: int) -> int:
    return -(-dimension // 64)


def _sign_bits(rows: FloatArray) -> NDArray[np.uint64]:
    """The signs of the rows, shape (words, rows): one word of all rows lies together, so that a scan reads in order."""
    packed = np.packbits(rows > 0, axis=1)
    padded = np.zeros((len(rows), _words(rows.shape[1]) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(padded.view(np.uint64).T)


def _hamming(views: _Views, bits: _Bits, query: FloatArray) -> NDArray[np.uint16]:
    asked = _sign_bits(query[None])[:, 0]
    distances = np.zeros(sum(len(rows) for rows, _ in views), np.uint16)
    start = 0
    for (rows, _), words in zip(views, bits, strict=True):
        part = distances[start : start + len(rows)]
        for word, one in zip(words, asked, strict=True):
            np.add(part, np.bitwise_count(word[: len(rows)] ^ one), out=part)
        start += len(rows)
    return distances
