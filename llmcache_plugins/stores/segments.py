"""Memory for rows of vectors: segments of fixed size, cut into blocks.

There are very many tiny scopes (every history is one) and a few huge ones, so a matrix for each would be wasteful. A
segment holds blocks of one size, a power of two, and free blocks are used again.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmcache_plugins.stores.scanning import View
from llmcache_plugins.types import FloatArray

__all__ = ["SEGMENT_ROWS", "Allocator", "Block", "Precision", "Segment"]

SEGMENT_ROWS = 4096
_STEPS = 127  # of an int8 in either direction

Precision: TypeAlias = Literal["float32", "int8"]
"""`int8`: a quarter of the memory; each row has a factor of its own, and a cosine is off by 0.001 or so."""


class Segment:
    """Rows with their expiry times, cut into blocks of equal size."""

    __slots__ = ("block_rows", "expires", "free", "rows", "scales")

    def __init__(self, dimension: int, block_rows: int, precision: Precision) -> None:
        is_exact = precision == "float32"
        self.rows: FloatArray | NDArray[np.int8] = np.empty((SEGMENT_ROWS, dimension), precision)
        self.scales: FloatArray | None = None if is_exact else np.empty(SEGMENT_ROWS, np.float32)
        self.expires: NDArray[np.float64] = np.empty(SEGMENT_ROWS, np.float64)
        self.cut(block_rows)

    def write(self, start: int, vectors: FloatArray, expires: float | NDArray[np.float64]) -> None:
        """Put vectors, float32 of shape (rows, dimension), where `start` is and behind it."""
        place = slice(start, start + len(vectors))
        self.expires[place] = expires
        if self.scales is None:
            self.rows[place] = vectors
            return
        scales = np.maximum(np.abs(vectors).max(axis=1), np.finfo(np.float32).tiny) / np.float32(_STEPS)
        self.rows[place] = np.rint(vectors / scales[:, None])
        self.scales[place] = scales

    def copy(self, start: int, other: Segment, other_start: int, count: int) -> None:
        """Put rows of another segment here."""
        to, of = slice(start, start + count), slice(other_start, other_start + count)
        self.rows[to] = other.rows[of]
        self.expires[to] = other.expires[of]
        if self.scales is not None and other.scales is not None:
            self.scales[to] = other.scales[of]

    def view(self, start: int, stop: int) -> View:
        scales = None if self.scales is None else self.scales[start:stop]
        return View(self.rows[start:stop], scales, self.expires[start:stop])

    def cut(self, block_rows: int) -> None:
        self.block_rows = block_rows
        self.free = list(range(SEGMENT_ROWS - block_rows, -1, -block_rows))

    @property
    def is_unused(self) -> bool:
        return len(self.free) * self.block_rows == SEGMENT_ROWS


Block: TypeAlias = tuple[Segment, int]


class Allocator:
    """Hands out blocks of rows; segments nobody uses go back to the system, but for one."""

    def __init__(self, dimension: int, precision: Precision) -> None:
        self._dimension = dimension
        self._precision = precision
        self._with_room: dict[int, dict[int, Segment]] = {}
        self._spare: Segment | None = None
        self.segments = 0

    def take(self, block_rows: int) -> Block:
        with_room = self._with_room.setdefault(block_rows, {})
        segment = next(iter(with_room.values()), None)
        if segment is None:
            segment = self._segment(block_rows)
            with_room[id(segment)] = segment
        offset = segment.free.pop()
        if not segment.free:
            del with_room[id(segment)]
        return segment, offset

    def give_back(self, block: Block) -> None:
        segment, offset = block
        segment.free.append(offset)
        with_room = self._with_room[segment.block_rows]
        if segment.is_unused:
            with_room.pop(id(segment), None)
            self.segments -= 1
            self._spare = segment
        else:
            with_room[id(segment)] = segment

    def _segment(self, block_rows: int) -> Segment:
        self.segments += 1
        segment, self._spare = self._spare, None
        if segment is None:
            return Segment(self._dimension, block_rows, self._precision)
        segment.cut(block_rows)
        return segment
