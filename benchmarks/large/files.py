"""A cache file with very many entries, and questions whose nearest entries are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scan import clustered, noisy
from benchmarks.workload import ANSWER, PreparedEmbedder, word
from llmcache_plugins.keys.fingerprint import key_of, normalised_key_of, scope_of
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.types import Entry, FloatArray, Request

__all__ = ["ASKED", "Questions", "make", "scope_named", "sizes_of_scopes", "stored_text"]

ASKED = 60  # questions whose nearest entries are looked for
COSINE = 0.9  # of a question to the entry it was made from
NEIGHBOURS = 8
_AT_ONCE = 20_000
_WORDS = 343_000  # that `word` tells apart
_JSON = '"' + ANSWER + '"'


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked, and what there is to be found.

    Args:
        vectors: float32, shape (ASKED, dimension).
        targets: number of the entry that each was made from.
        nearest: numbers of its nearest entries, shape (ASKED, NEIGHBOURS), nearest first.
    """

    vectors: FloatArray
    targets: list[int]
    nearest: list[list[int]]


def stored_text(number: int) -> str:
    """A question that only this number has; letters alone, so that no guard sees a number in it."""
    return f"How do I configure the {word(number % _WORDS)}{word(number // _WORDS)} feature of this router?"


def scope_named(name: str) -> str:
    """The scope of plain questions about this application; without a name that of all plain strings."""
    return scope_of(Request("", context=name or None))


def sizes_of_scopes(entries: int, scopes: int) -> list[int]:
    """Many small ones, few huge ones: the k-th has a share of 1/k (Zipf's law), and at least one entry.

    >>> sizes_of_scopes(20, 6)
    [8, 4, 2, 2, 1, 1]
    """
    shares = 1.0 / np.arange(1, scopes + 1)
    return [max(1, int(entries * share / shares.sum())) for share in shares]


def make(path: Path, sizes: list[int], say: Callable[[str, int, int], None]) -> Questions:
    """Write scopes of these sizes into a file.

    Returns:
        Questions to the first scope.
    """
    total, done = sum(sizes), 0
    chosen = [int(number) for number in np.random.default_rng(5).choice(sizes[0], min(ASKED, sizes[0]), replace=False)]
    targets: dict[int, FloatArray] = {}
    with closing(DiskStore(path, max_entries=2 * total, max_bytes=2**42)) as store:
        for place, size in enumerate(sizes):
            scope = scope_named("" if not place else str(place))
            for start, vectors in _vectors(place, size):
                for number, vector in enumerate(vectors, start):
                    store.put(_entry(scope, number, vector))
                say(f"{total:,} entries: writing them", done := done + len(vectors), total)
                if not place:
                    targets |= {n: vectors[n - start] for n in chosen if start <= n < start + len(vectors)}
    random = np.random.default_rng(6)
    asked = np.stack([noisy(random, targets[number], COSINE) for number in chosen])
    return Questions(asked, chosen, _nearest(asked, sizes[0]))


def _vectors(place: int, size: int) -> Iterator[tuple[int, FloatArray]]:
    """The vectors of a scope bit by bit: the number of the first, and the vectors."""
    for start in range(0, size, _AT_ONCE):
        random = np.random.default_rng((place, start))
        yield start, clustered(random, min(_AT_ONCE, size - start))


def _nearest(asked: FloatArray, size: int) -> list[list[int]]:
    best: list[list[tuple[float, int]]] = [[] for _ in asked]
    for start, vectors in _vectors(0, size):
        near = asked @ vectors.T
        for row, similarities in enumerate(near):
            first = np.argpartition(-similarities, min(NEIGHBOURS, len(similarities)) - 1)[:NEIGHBOURS]
            best[row] += [(float(similarities[at]), start + int(at)) for at in first]
            best[row] = sorted(best[row], reverse=True)[:NEIGHBOURS]
    return [[number for _, number in row] for row in best]


def _entry(scope: str, number: int, vector: FloatArray) -> Entry:
    text = stored_text(number)
    return Entry(
        scope=scope,
        key=key_of(scope, text),
        normalised_key=normalised_key_of(scope, text),
        namespace=(),
        text=text,
        answer_json=_JSON,
        created_at=0.0,
        expires_at=None,
        embedder_id=PreparedEmbedder.embedder_id,
        vector=vector,
    )
