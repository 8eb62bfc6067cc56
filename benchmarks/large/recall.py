"""What each way to search overlooks, among the vectors of real questions."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmcache_plugins.stores import scanning
from llmcache_plugins.stores.matrix import PREFILTER_FROM, VectorIndex
from llmcache_plugins.types import FloatArray

__all__ = ["Overlooked", "overlooked", "texts_in"]

_ASKED, _NEIGHBOURS = 500, 8
_SERVED_FROM = 0.7  # below that cosine nothing is ever served with the default settings
_SHORTEST, _LONGEST = 8, 300  # characters of a question
_SCOPE = "scope"


@dataclass(frozen=True, slots=True)
class Overlooked:
    """By one way of searching.

    Args:
        way: of searching.
        recall: share of the eight nearest that are found.
        close: the same of those with a cosine of 0.7 and more.
    """

    way: str
    recall: float
    close: float


def texts_in(folder: Path) -> list[str]:
    """All texts of the labelled files in a folder that may be questions, each once."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                found |= dict.fromkeys(_texts_of(json.loads(line)))
    return list(found)


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _SHORTEST <= len(value) <= _LONGEST and " " in value:
            yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_of(item)


def overlooked(vectors: FloatArray) -> list[Overlooked]:
    """Each way held against a comparison with all vectors; questions are chosen among the vectors, and do not find
    themselves."""
    chosen = np.random.default_rng(11).choice(len(vectors), _ASKED, replace=False)
    truth = [_nearest(vectors, int(number)) for number in chosen]
    small = _index(vectors, "int8", PREFILTER_FROM)
    ways = [
        ("all vectors, rounded to int8", _index(vectors, "int8", len(vectors) + 1), None),
        ("signs before vectors", small, len(vectors) + 1),
        ("some signs before all signs", small, 0),
    ]
    kept, found = scanning.COARSE_FROM, []
    try:
        for way, index, coarse_from in ways:
            scanning.COARSE_FROM = kept if coarse_from is None else coarse_from
            found.append(_compared(way, index, vectors, truth, chosen.tolist()))
    finally:
        scanning.COARSE_FROM = kept
    return found


def _index(vectors: FloatArray, precision: Any, prefilter_from: int) -> VectorIndex:
    index = VectorIndex(vectors.shape[1], precision=precision, prefilter_from=prefilter_from)
    numbers = list(range(len(vectors)))
    index.load(_SCOPE, [str(number) for number in numbers], vectors, np.full(len(vectors), math.inf), numbers)
    return index


def _nearest(vectors: FloatArray, asked: int) -> list[tuple[int, float]]:
    similarities = vectors @ vectors[asked]
    similarities[asked] = -2.0
    first = np.argpartition(-similarities, _NEIGHBOURS)[:_NEIGHBOURS]
    return [(int(number), float(similarities[number])) for number in first]


def _compared(
    way: str, index: VectorIndex, vectors: FloatArray, truth: list[list[tuple[int, float]]], chosen: list[int]
) -> Overlooked:
    seen = close = all_close = 0
    for asked, nearest in zip(chosen, truth, strict=True):
        # Two more than are wanted are asked for, as `DiskStore` does, and the question itself.
        matches = index.search(_SCOPE, vectors[asked], limit=_NEIGHBOURS + 3, now=0.0)
        found = {match.order for match in matches}
        seen += sum(number in found for number, _ in nearest)
        close += sum(number in found for number, similarity in nearest if similarity >= _SERVED_FROM)
        all_close += sum(similarity >= _SERVED_FROM for _, similarity in nearest)
    return Overlooked(way, seen / sum(map(len, truth)), close / all_close)
