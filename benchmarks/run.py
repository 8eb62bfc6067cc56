"""One run of everything: a list of named steps that fill the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from benchmarks.chain import chain_hits, chain_misses
from benchmarks.exact import exact_hits
from benchmarks.loop import crowds, stalls
from benchmarks.misses import embedded_misses, misses
from benchmarks.results import Results
from benchmarks.semantic import embedded_hits, given_vector_hits, searches
from benchmarks.timing import Group
from benchmarks.workload import Plan, Workload
from llmcache_plugins.protocols import Embedder

__all__ = ["STEPS", "perform"]

STEPS = (
    "exact hits",
    "semantic hits, vectors given",
    "searches",
    "semantic hits, real embedder",
    "misses",
    "misses, real embedder",
    "LangChain, hits",
    "LangChain, misses",
    "event loop",
)


def perform(
    results: Results, workload: Workload, plan: Plan, embedder: Embedder, *, with_sqlite_cache: bool
) -> Iterator[str]:
    """Perform step after step, naming each before it starts; what they measured is in `results` then."""
    makers: tuple[Callable[[], Iterable[Group]], ...] = (
        partial(exact_hits, workload, plan),
        partial(given_vector_hits, workload, plan),
        partial(searches, workload, plan),
        partial(embedded_hits, workload, plan, embedder),
        partial(misses, workload, plan),
        partial(embedded_misses, workload, plan, embedder),
        partial(chain_hits, workload, plan, with_sqlite_cache=with_sqlite_cache),
        partial(chain_misses, workload, plan, with_sqlite_cache=with_sqlite_cache),
    )
    for name, make in zip(STEPS[:-1], makers, strict=True):
        yield name
        results.groups.extend(make())
    yield STEPS[-1]
    results.stalls.extend(stalls(workload, plan))
    results.crowds.extend(crowds(workload))
