"""Semantic hits: with given vectors (search, guards and threshold alone), with the real model, and the search alone."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from benchmarks.scan import clustered, noisy
from benchmarks.timing import Case, Group, measure
from benchmarks.workload import ANSWER, DIMENSION, STORES, Plan, Workload
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.types import Candidate, Entry, FloatArray, Hit

__all__ = ["EMBEDDED", "SCAN", "SECTION", "embedded_hits", "given_vector_hits", "searches"]

SECTION, SCAN, EMBEDDED = "semantic", "scan", "embedder"
_SCOPE, _EMBEDDER_ID = "scope", "scan"
_OPENINGS = ("Please tell me", "I would like to know", "Could you explain", "Kindly say", "Tell me", "Let me know")
_ASKED = ("how a {0} finds its neighbours", "which timers a {0} has", "why a {0} loses its session")
_ROUTING = ("BGP router", "route reflector", "OSPF area", "MPLS core", "VPN tunnel", "leaf switch")
_THINGS = (
    *_ROUTING,
    "spanning tree",
    "VLAN trunk",
    "firewall cluster",
    "load balancer",
    "DNS resolver",
    "wireless cell",
)


def given_vector_hits(workload: Workload, plan: Plan) -> Iterator[Group]:
    """Lookups of new wordings, in the scope of all plain questions. The floor reads the scope's vectors once."""
    for size in plan.sizes:
        with contextlib.ExitStack() as stack:
            caches = {store: stack.enter_context(workload.filled(store, size)) for store in STORES}
            asked = np.random.default_rng(size)
            reword = partial(_reworded, workload, asked, size, plan.slow_calls)
            matrix = clustered(np.random.default_rng(1), size)
            cases = [_read_case(matrix, plan.slow_calls)]
            cases += [Case(f"{store}, lookup", cache.lookup, reword, _is_semantic) for store, cache in caches.items()]
            yield measure(SECTION, f"{size:,} entries in the scope", cases, rounds=plan.rounds)


def _reworded(workload: Workload, random: np.random.Generator, size: int, count: int) -> list[str]:
    return workload.reworded([int(number) for number in random.integers(size, size=count)])


def _is_semantic(outcome: object) -> bool:
    return isinstance(outcome, Hit) and outcome.kind == "semantic"


def searches(workload: Workload, plan: Plan) -> Iterator[Group]:
    """The store's search alone among vectors of one scope, beside two ways to read them all once."""
    for size in sorted({*plan.sizes, plan.scanned}):
        random = np.random.default_rng(2)
        matrix = clustered(random, size)
        targets = [int(number) for number in random.integers(size, size=plan.slow_calls)]
        queries = [noisy(random, matrix[target], 0.9) for target in targets]
        store = _store_of(matrix)
        asked = list(zip(queries, targets, strict=True))
        cases = [
            _read_case(matrix, plan.slow_calls),
            Case("matrix @ query", _product(matrix), lambda queries=queries: queries),  # type: ignore[misc]  # bound now
            Case("memory store, search", _searcher(store), lambda asked=asked: asked, bool),  # type: ignore[misc]  # bound now
        ]
        yield measure(SCAN, f"{size:,} x {DIMENSION}", cases, rounds=plan.rounds)
        store.close()


def _read_case(matrix: FloatArray, calls: int) -> Case:
    return Case("floor: one read (np.sum)", lambda _: matrix.sum(), lambda: range(calls))


def _product(matrix: FloatArray) -> Callable[[FloatArray], object]:
    return lambda query: matrix @ query


def _store_of(matrix: FloatArray) -> MemoryStore:
    store = MemoryStore(max_entries=len(matrix), max_bytes=2**34)
    for number, vector in enumerate(matrix):
        key = str(number)
        store.put(
            Entry(
                scope=_SCOPE,
                key=key,
                normalised_key=key,
                namespace=(),
                text=key,
                answer_json='""',
                created_at=0.0,
                expires_at=None,
                embedder_id=_EMBEDDER_ID,
                vector=vector,
            )
        )
    return store


def _searcher(store: MemoryStore) -> Callable[[tuple[FloatArray, int]], bool]:
    def search(asked: tuple[FloatArray, int]) -> bool:
        """Whether the stored vector that the query was made from came first."""
        query, target = asked
        found: Sequence[Candidate] = store.search(_SCOPE, _EMBEDDER_ID, query, limit=8, now=1.0)
        return found[0].entry.key == str(target)

    return search


def embedded_hits(workload: Workload, plan: Plan, embedder: Embedder) -> Iterator[Group]:
    """Lookups that run the real model. The floor is the model alone on such questions; `ratio` - 1 is all the rest."""
    wordings = [f"{opening} {asked.format(thing)}" for asked in _ASKED for thing in _THINGS for opening in _OPENINGS]
    np.random.default_rng(3).shuffle(wordings)
    rounds = min(plan.rounds, len(wordings) // plan.embed_calls - 1)  # one more is spent on warming up
    # Any wording may find any neighbour here: what is timed is the way of a hit, not whether it is right.
    with contextlib.ExitStack() as stack:
        # All get the same wordings in the same round: how long the model takes depends on a text's length.
        alone = partial(_take, iter(wordings), plan.embed_calls)
        cases = [Case("floor: the embedder alone", lambda text: embedder.embed([text]), alone)]
        for store in STORES:
            cache = stack.enter_context(workload.open(store, embedder=embedder, threshold=0.5))
            for asked in _ASKED:
                for thing in _THINGS:
                    cache.update(asked.format(thing), ANSWER)
            fresh = partial(_take, iter(wordings), plan.embed_calls)
            cases.append(Case(f"{store}, lookup", cache.lookup, fresh, _is_semantic))
        yield measure(EMBEDDED, f"{len(_ASKED) * len(_THINGS)} entries in the scope", cases, rounds=rounds)


def _take(texts: Iterator[str], count: int) -> list[str]:
    return list(itertools.islice(texts, count))
