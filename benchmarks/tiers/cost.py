"""What a look-up costs with three tiers, beside one tier of the same size: the same questions, the same store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.timing import Case, Group, measure
from benchmarks.workload import ANSWER, STORES, Workload, question
from llmcache_plugins import Hit, Miss, SemanticCache, TierConfig

__all__ = ["LOOKUPS", "THREE", "WRITES", "costs"]

LOOKUPS, WRITES, THREE = "look-ups", "writes", "three tiers"
_ONE = "one tier"
_SKEW = 1.1  # of the Zipf distribution of what is asked: most of it ends up in the hot tier


def costs(folder: Path, *, size: int, rounds: int, calls: int) -> Iterator[Group]:
    """A group for each store and kind of call; one tier is the floor."""
    for store in STORES:
        workload = Workload(folder)
        with ExitStack() as stack:
            one = stack.enter_context(workload.filled(store, size, tiers=[TierConfig("all")]))
            three = stack.enter_context(workload.filled(store, size))
            asked = _popular(size, calls)
            for cache in (one, three):
                for text in asked * 3:  # what is popular moves up before anything is timed
                    cache.lookup(text)
            yield _group(f"{store}, exact hit", one, three, lambda asked=asked: asked, "exact", rounds)  # type: ignore[misc]  # bound now
            few = max(1, calls // 10)
            reword = partial(workload.reworded, [int(n) for n in np.random.default_rng(1).integers(size, size=few)])
            yield _group(f"{store}, semantic hit", one, three, reword, "semantic", rounds)
            yield _group(f"{store}, miss", one, three, partial(workload.unknown, few), "", rounds)
            yield _updates(store, one, three, few, rounds)


def _popular(size: int, calls: int) -> list[str]:
    ranks = np.random.default_rng(3).zipf(_SKEW, size=50 * calls)
    return [question(int(rank) - 1) for rank in ranks[ranks <= size][:calls]]


def _group(
    title: str, one: SemanticCache, three: SemanticCache, inputs: Callable[[], Sequence[str]], kind: str, rounds: int
) -> Group:
    def is_right(outcome: object) -> bool:
        return (isinstance(outcome, Hit) and outcome.kind == kind) if kind else isinstance(outcome, Miss)

    cases = [Case(name, cache.lookup, inputs, is_right) for name, cache in ((_ONE, one), (THREE, three))]
    return measure(LOOKUPS, title, cases, rounds=rounds)


def _updates(store: str, one: SemanticCache, three: SemanticCache, calls: int, rounds: int) -> Group:
    numbers = itertools.count(100_000)

    def fresh() -> list[str]:
        return [f"{question(next(numbers))} And why?" for _ in range(calls)]

    cases = [
        Case(name, lambda text, cache=cache: cache.update(text, ANSWER), fresh)  # type: ignore[misc]  # bound now
        for name, cache in ((_ONE, one), (THREE, three))
    ]
    return measure(WRITES, f"{store}, update", cases, rounds=rounds)
