"""Which rows of a scope are nearest to a query: read-only, without a lock, over views of the memory they lie in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmcache_plugins.types import FloatArray

__all__ = ["COARSE_FROM", "Bits", "View", "nearest", "rows_at", "sign_bits", "words_of"]

Bits: TypeAlias = "list[NDArray[np.uint64]]"
"""For each view the signs of its rows, shape (words, rows): one word of all rows lies together, so that a scan reads in
order."""

_RERANKED = 200  # besides the limit: 10 found every neighbour above a cosine of 0.8 in real embeddings
_CHUNK_FLOATS = (
    512 * 384
)  # numbers in one product: more, and OpenBLAS wakes its threads, which costs more than it saves
_TIE = 2e-6  # a BLAS kernel adds the last rows of a matrix in another order: equal vectors may differ by so much
_EXPIRED = 65_535  # further than any row can be
COARSE_FROM = 131_072
"""From so many rows the first signs are read before all of them; `benchmarks/scan.py` compares the ways."""
_COARSE_WORDS = 2
_COARSE_SHARE = 64  # one row in so many is looked at closer
_COARSE_LEAST = 4_096  # rows that are looked at closer at the least
_SAMPLED = 16_384  # rows that tell how far the nearest of all are


_Counts: TypeAlias = "NDArray[np.uint8] | NDArray[np.uint16]"


class View(NamedTuple):
    """Rows that lie together: float32, or int8 with the factor of each row; and when they expire."""

    rows: FloatArray | NDArray[np.int8]
    scales: FloatArray | None
    expires: NDArray[np.float64]


def nearest(
    views: list[View], bits: Bits | None, query: FloatArray, limit: int, now: float | None
) -> tuple[NDArray[np.intp], FloatArray]:
    """Positions of the best `limit` rows, and of all that may be as good as the last of them, in their order; and their
    similarities.

    Args:
        bits: signs of the rows, to be compared first; None to compare all vectors.
        now: rows that are expired by then are left out; None where none is.
    """
    if bits is None:
        similarities = _similarities(views, query)
        _leave_out_expired(similarities, views, now, -np.inf)
        return _best(similarities, limit)
    near = _near_by_signs(views, bits, query, limit, now)
    if not len(near):
        return near, np.empty(0, np.float32)
    places, similarities = _best(rows_at(views, near) @ query, limit)
    return near[places], similarities


def words_of(dimension: int) -> int:
    """Words of 64 signs in a row."""
    return -(-dimension // 64)


def sign_bits(rows: FloatArray | NDArray[np.int8]) -> NDArray[np.uint64]:
    """The signs of the rows, shape (words, rows)."""
    packed = np.packbits(rows > 0, axis=1)
    padded = np.zeros((len(rows), words_of(rows.shape[1]) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(padded.view(np.uint64).T)


def _similarities(views: list[View], query: FloatArray) -> FloatArray:
    similarities = np.empty(sum(len(view.rows) for view in views), np.float32)
    chunk = max(1, _CHUNK_FLOATS // query.size)
    start = 0
    for rows, scales, _ in views:
        for low in range(0, len(rows), chunk):
            part = rows[low : low + chunk]
            found = similarities[start : start + len(part)]
            if scales is None:
                np.dot(part, query, out=found)
            else:
                np.dot(part.astype(np.float32), query, out=found)
                found *= scales[low : low + chunk]
            start += len(part)
    return similarities


def rows_at(views: list[View], positions: NDArray[np.intp]) -> FloatArray:
    """Vectors of chosen rows, given in their order: float32, shape (len(positions), dimension)."""
    if len(views) == 1:
        return _floats(views[0], positions)
    parts = []
    start = 0
    for view in views:
        low, high = np.searchsorted(positions, (start, start + len(view.rows)))
        if low < high:
            parts.append(_floats(view, positions[low:high] - start))
        start += len(view.rows)
    return np.concatenate(parts)


def _floats(view: View, at: NDArray[np.intp]) -> FloatArray:
    rows = view.rows[at].astype(np.float32, copy=False)
    return rows if view.scales is None else rows * view.scales[at, None]


def _leave_out_expired(values: NDArray[np.generic], views: list[View], now: float | None, worst: float) -> None:
    if now is None:
        return
    start = 0
    for _, _, expires in views:
        values[start : start + len(expires)][expires <= now] = worst
        start += len(expires)


def _best(similarities: FloatArray, limit: int) -> tuple[NDArray[np.intp], FloatArray]:
    least = np.float32(-2.0)  # below every cosine, above the -inf of what is left out
    if limit < len(similarities):
        at = len(similarities) - limit
        least = max(least, np.partition(similarities, at)[at] - np.float32(_TIE))
    positions = np.flatnonzero(similarities >= least)
    return positions, similarities[positions]


def _near_by_signs(views: list[View], bits: Bits, query: FloatArray, limit: int, now: float | None) -> NDArray[np.intp]:
    """Positions of the rows whose signs differ least, in their order; some more than `limit`."""
    asked = sign_bits(query[None])[:, 0]
    rows = sum(len(view.rows) for view in views)
    is_coarse = rows >= COARSE_FROM and limit + _RERANKED <= _COARSE_LEAST // 4
    chosen = _near_by_first_signs(views, bits, asked, rows, now) if is_coarse else None
    distances = _hamming(views, bits, asked) if chosen is None else _hamming_at(views, bits, asked, chosen)
    if now is not None:
        expires = np.concatenate([view.expires for view in views])
        distances[(expires if chosen is None else expires[chosen]) <= now] = _EXPIRED
    if not len(distances):
        return np.empty(0, np.intp)
    wanted = min(limit + _RERANKED, len(distances))
    furthest = min(np.partition(distances, wanted - 1)[wanted - 1], _EXPIRED - 1)
    near = np.flatnonzero(distances <= furthest)
    return near if chosen is None else chosen[near]


def _near_by_first_signs(
    views: list[View], bits: Bits, asked: NDArray[np.uint64], rows: int, now: float | None
) -> NDArray[np.intp] | None:
    """Positions of about one row in `_COARSE_SHARE`, or a few thousand, those whose first signs differ least; None when
    so many are alike that looking at all is as quick."""
    distances = np.empty(rows, np.uint8)
    for part, words in _parts(views, bits, distances):
        _count(words[:_COARSE_WORDS], asked, part)
    _leave_out_expired(distances, views, now, 255)
    sample = distances[:: max(1, rows // _SAMPLED)]
    place = len(sample) * max(rows // _COARSE_SHARE, min(_COARSE_LEAST, rows - 1)) // rows
    chosen = np.flatnonzero(distances <= np.partition(sample, place)[place])
    return chosen if len(chosen) <= rows // 4 else None


def _hamming(views: list[View], bits: Bits, asked: NDArray[np.uint64]) -> NDArray[np.uint16]:
    distances = np.empty(sum(len(view.rows) for view in views), np.uint16)
    for part, words in _parts(views, bits, distances):
        _count(words, asked, part)
    return distances


def _parts(views: list[View], bits: Bits, values: _Counts) -> Iterator[tuple[_Counts, NDArray[np.uint64]]]:
    """The part of each view of what there is one of for each row, with the signs of its rows."""
    start = 0
    for view, words in zip(views, bits, strict=True):
        count = len(view.rows)
        yield values[start : start + count], words[:, :count]
        start += count


def _count(words: NDArray[np.uint64], asked: NDArray[np.uint64], distances: _Counts) -> None:
    """Write how many signs differ. What is in between lies in memory that is used again and stays in the cache."""
    differing = np.empty(words.shape[1], np.uint64)
    counted = np.empty(words.shape[1], np.uint8)
    for place, word in enumerate(words):
        np.bitwise_xor(word, asked[place], out=differing)
        if place:
            np.bitwise_count(differing, out=counted)
            np.add(distances, counted, out=distances)
        else:
            np.bitwise_count(differing, out=distances)


def _hamming_at(
    views: list[View], bits: Bits, asked: NDArray[np.uint64], positions: NDArray[np.intp]
) -> NDArray[np.uint16]:
    """Of chosen rows, given in their order."""
    found, start = [], 0
    for view, words in zip(views, bits, strict=True):
        low, high = np.searchsorted(positions, (start, start + len(view.rows)))
        if low < high:
            found.append(words.take(positions[low:high] - start, axis=1))
        start += len(view.rows)
    differing = np.concatenate(found, axis=1) ^ asked[:, None]
    distances: NDArray[np.uint16] = np.bitwise_count(differing).sum(axis=0, dtype=np.uint16)
    return distances
