"""Each attack against a cache in memory with default settings and the local embedder.

A stores, B asks: the same tenant, the same model, an answer that A would like B to get.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from benchmarks.abuse.texts import INJECTIONS, REQUESTED, disguises, questions
from llmcache_plugins import Hit, Request, SemanticCache
from llmcache_plugins.embedders import OnnxEmbedder

__all__ = ["Tried", "centroids", "disguised", "injected", "near_many"]

_ASKED = 12  # questions that are attacked


class Tried(NamedTuple):
    """What came of one kind of attack: how often B was served, of how many tries."""

    kind: str
    tries: int
    served: int


def _tried(cache: SemanticCache, pairs: Iterable[tuple[str, str, str]]) -> Iterator[Tried]:
    """Of triples (kind, what A stores, what B asks), each in a scope of its own."""
    tries, served, tenant = Counter[str](), Counter[str](), uuid4().hex
    for number, (kind, stored, asked) in enumerate(pairs):
        namespace = (tenant, str(number))
        cache.update(Request(stored, namespace=namespace), "poison")
        tries[kind] += 1
        served[kind] += isinstance(cache.lookup(Request(asked, namespace=namespace)), Hit)
    for kind, count in tries.items():
        yield Tried(kind, count, served[kind])


def disguised(cache: SemanticCache, *, asked: int = _ASKED) -> list[Tried]:
    """A's text looks like B's. Both ways round: B asks the disguised one where the plain one is stored, too."""
    clean = questions()[:: len(questions()) // asked][:asked]
    return [
        *_tried(cache, ((kind, text, one) for one in clean for kind, text in disguises(one))),
        *_tried(cache, ((f"{kind}, asked", one, text) for one in clean for kind, text in disguises(one))),
    ]


def injected(cache: SemanticCache, *, asked: int = _ASKED) -> list[Tried]:
    """A puts a sentence behind B's question that says what the answer should be."""
    clean = questions()[:: len(questions()) // asked][:asked]
    sentences = [("an instruction behind the question", INJECTIONS), ("one in other words", REQUESTED)]
    return list(_tried(cache, ((k, f"{one} {more}", one) for k, all_ in sentences for more in all_ for one in clean)))


def centroids(embedder: OnnxEmbedder, targets: list[str], *, words: int = 10) -> list[str]:
    """Texts near as many of these as can be: greedy from the words of the questions, and the ones in the middle."""
    matrix = np.asarray(embedder.embed(targets), np.float32)
    middle = matrix.mean(axis=0)
    vocabulary = sorted({word.strip("?.,!").lower() for text in targets for word in text.split()} - {""})
    vocabulary = vocabulary[:: max(1, len(vocabulary) // 150)]
    made, text = list[str](), ""
    for _ in range(words):
        tried = [f"{text} {word}".strip() for word in vocabulary]
        scores = np.asarray(embedder.embed(tried), np.float32) @ middle
        text = tried[int(scores.argmax())]
        made.append(text)
    nearest = [targets[int(place)] for place in (matrix @ middle).argsort()[::-1][:10]]
    halves = [f"{one.rstrip('?')} and {other}" for one, other in zip(nearest[::2], nearest[1::2], strict=True)]
    return [
        *made,
        *nearest,
        *halves,
        " ".join(nearest[:3]),
        "How do I do that?",
        "What is it?",
        "Tell me about the network",
    ]


def near_many(cache: SemanticCache, embedder: OnnxEmbedder, *, every: int = 2) -> list[Tried]:
    """One stored text in the middle of many: how many other questions it answers."""
    targets = questions()
    crafted = centroids(embedder, targets)
    tries = served = worst = 0
    for number, text in enumerate(crafted):
        namespace = ("centroid", str(number))
        cache.update(Request(text, namespace=namespace), "poison")
        others = [one for one in targets if one != text][::every]
        hits = sum(isinstance(cache.lookup(Request(one, namespace=namespace)), Hit) for one in others)
        tries, served, worst = tries + len(others), served + hits, max(worst, hits)
    return [
        Tried("texts in the middle of many", tries, served),
        Tried("of them the best, of its questions", len(others), worst),
    ]
