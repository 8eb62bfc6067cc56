"""Unit vectors by scope, in memory: exact search inside one scope, without a lock during the scan.

A scope owns a block of a segment (see `segments`) and moves to a bigger one as it grows; beyond a segment's rows it
owns whole segments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmcache_plugins.errors import StoreError
from llmcache_plugins.stores.scanning import Bits, View, nearest, rows_at, sign_bits, words_of
from llmcache_plugins.stores.segments import SEGMENT_ROWS, Allocator, Block, Precision, Segment
from llmcache_plugins.types import FloatArray

__all__ = ["Match", "VectorIndex", "as_vector"]

PREFILTER_FROM = 8_192
"""From so many rows the sign bits are read before the vectors; crossover measured by benchmarks/scan.py (it stands
between 6,000 and 10,000 rows of 384 numbers)."""
_MOVED = 1e-4  # a row whose similarity differs by more was overwritten during the scan
_ATTEMPTS = 3


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
        self.bits: Bits | None = None

    @property
    def capacity(self) -> int:
        return self.blocks[0][0].block_rows * len(self.blocks) if self.blocks else 0

    def locate(self, position: int) -> tuple[Segment, int]:
        segment, offset = self.blocks[position // SEGMENT_ROWS]
        return segment, offset + position % SEGMENT_ROWS

    def views(self) -> list[View]:
        left = len(self.keys)
        views = []
        for segment, offset in self.blocks:
            count = min(left, segment.block_rows)
            views.append(segment.view(offset, offset + count))
            left -= count
        return views


class VectorIndex:
    """The vectors of one embedder, by scope and key. Thread-safe; the lock is held for microseconds.

    Args:
        dimension: of every vector.
        prefilter_from: scopes of so many rows are searched by sign bits first, and the best are compared exactly.
        precision: how the rows are kept.
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
        precision: Precision = "float32",
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.dimension = dimension
        self._prefilter_from = prefilter_from
        self._lock = Lock() if lock is None else lock
        self._precision = precision
        self._allocator = Allocator(dimension, precision)
        self._scopes: dict[str, _Scope] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def nbytes(self) -> int:
        """Memory of the segments in use."""
        row_bytes = self.dimension * 4 if self._precision == "float32" else self.dimension + 4
        return self._allocator.segments * SEGMENT_ROWS * (row_bytes + 8)

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
            segment.write(at, vector[None], expires)
            rows.orders[position] = order
            rows.soonest = min(rows.soonest, expires)
            if rows.bits is not None:
                rows.bits[position // SEGMENT_ROWS][:, position % SEGMENT_ROWS] = sign_bits(vector[None])[:, 0]

    def load(
        self, scope: str, keys: Sequence[str], vectors: FloatArray, expires: NDArray[np.float64], orders: Sequence[int]
    ) -> None:
        """Add rows that are not there yet, many at once: a twentieth of the time of putting each.

        Args:
            vectors: float32, shape (len(keys), dimension), of finite numbers.
            expires: when each row expires; infinite for never.
        """
        with self._lock:
            rows = self._scopes.get(scope)
            if rows is None:
                rows = self._scopes[scope] = _Scope()
            done = 0
            while done < len(keys):
                start = len(rows.keys)
                while start == rows.capacity or rows.capacity < min(start + len(keys) - done, SEGMENT_ROWS):
                    self._grow(rows)
                segment, at = rows.locate(start)
                stop = min(len(keys), done + rows.capacity - start)
                segment.write(at, vectors[done:stop], expires[done:stop])
                rows.positions.update(zip(keys[done:stop], range(start, start + stop - done), strict=True))
                rows.keys.extend(keys[done:stop])
                rows.orders.extend(orders[done:stop])
                if rows.bits is not None:
                    first = start % SEGMENT_ROWS
                    signs = sign_bits(vectors[done:stop])
                    rows.bits[start // SEGMENT_ROWS][:, first : first + stop - done] = signs
                done = stop
            self._rows += len(keys)
            rows.soonest = min(rows.soonest, float(expires.min(initial=math.inf)))
            self._prefilter(rows)

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
            self._allocator = Allocator(self.dimension, self._precision)
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
            positions, near = nearest(views, bits, query, limit, now if now >= soonest else None)
            with self._lock:
                if self._scopes.get(scope) is rows:
                    found = _resolve(rows, positions, near, query, now, is_unchanged=rows.changes == changes)
                    if found is not None:
                        return found[:limit]
        with self._lock:
            rows = self._scopes.get(scope)
            if rows is None:
                return []
            positions, near = nearest(rows.views(), rows.bits, query, limit, now)
            return (_resolve(rows, positions, near, query, now, is_unchanged=True) or [])[:limit]

    def _append(self, rows: _Scope, key: str) -> int:
        position = len(rows.keys)
        if position == rows.capacity:
            self._grow(rows)
        rows.keys.append(key)
        rows.orders.append(0)
        rows.positions[key] = position
        self._rows += 1
        self._prefilter(rows)
        return position

    def _prefilter(self, rows: _Scope) -> None:
        if rows.bits is None and len(rows.keys) >= self._prefilter_from:
            rows.bits = [sign_bits(segment.rows[at : at + segment.block_rows]) for segment, at in rows.blocks]

    def _grow(self, rows: _Scope) -> None:
        capacity = rows.capacity
        if capacity < SEGMENT_ROWS:
            self._move(rows, max(1, capacity * 2))
            return
        rows.blocks.append(self._allocator.take(SEGMENT_ROWS))
        if rows.bits is not None:
            rows.bits = [*rows.bits, np.zeros((words_of(self.dimension), SEGMENT_ROWS), np.uint64)]

    def _move(self, rows: _Scope, block_rows: int) -> None:
        new, start = self._allocator.take(block_rows)
        count = len(rows.keys)
        rows.changes += 1
        for old in rows.blocks:  # one at most: scopes of several blocks have full segments, which never move
            segment, offset = old
            new.copy(start, segment, offset, count)
            self._allocator.give_back(old)
        rows.blocks = [(new, start)]
        if rows.bits is not None:
            rows.bits = [sign_bits(new.rows[start : start + block_rows])]

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


def _fill_hole(rows: _Scope, position: int) -> None:
    last = len(rows.keys) - 1
    if position != last:
        from_segment, from_row = rows.locate(last)
        to_segment, to_row = rows.locate(position)
        to_segment.copy(to_row, from_segment, from_row, 1)
        if rows.bits is not None:
            moved = rows.bits[last // SEGMENT_ROWS][:, last % SEGMENT_ROWS]
            rows.bits[position // SEGMENT_ROWS][:, position % SEGMENT_ROWS] = moved
        rows.keys[position] = rows.keys[last]
        rows.orders[position] = rows.orders[last]
        rows.positions[rows.keys[position]] = position
    rows.keys.pop()
    rows.orders.pop()


def _resolve(
    rows: _Scope, positions: NDArray[np.intp], near: FloatArray, query: FloatArray, now: float, *, is_unchanged: bool
) -> list[Match] | None:
    """What lies at these positions now, with similarities computed anew; None when the scan read something else."""
    places = positions.tolist()
    if not places:
        return []
    if places[-1] >= len(rows.keys):
        return None
    views = rows.views()
    # Added up row by row in one fixed order, so that equal vectors have equal similarities wherever they lie.
    exact = np.add.reduce(rows_at(views, positions) * query, axis=1)
    if not is_unchanged:
        was_read = bool(np.all(np.abs(exact - near) <= _MOVED))
        if not was_read or any(_expires(rows, place) <= now for place in places):
            return None
    exact = np.clip(exact, -1.0, 1.0)
    found = [Match(rows.keys[place], rows.orders[place], s) for place, s in zip(places, exact.tolist(), strict=True)]
    found.sort(key=lambda match: (-match.similarity, match.order))
    return found


def _expires(rows: _Scope, place: int) -> float:
    segment, at = rows.locate(place)
    return float(segment.expires[at])
