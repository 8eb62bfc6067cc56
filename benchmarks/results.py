"""All that one run has measured, and what it was to be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks import chain, exact, loop, semantic
from benchmarks.timing import Group
from benchmarks.workload import STORES

__all__ = ["Aim", "Results"]


@dataclass
class Results:
    """Filled by one run; `machine` is what it ran on."""

    machine: dict[str, str]
    groups: list[Group] = field(default_factory=list)
    stalls: list[loop.Stall] = field(default_factory=list)
    crowds: list[loop.Crowd] = field(default_factory=list)

    def of(self, section: str) -> list[Group]:
        return [group for group in self.groups if group.section == section]

    def as_json(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "aims": [aim.as_json() for aim in aims_of(self)]}


@dataclass(frozen=True, slots=True)
class Aim:
    """What was to be reached: `measured` at most `limit`, in `unit` (`x` is a ratio)."""

    what: str
    limit: float
    measured: float
    unit: str

    @property
    def is_met(self) -> bool:
        return self.measured <= self.limit

    @property
    def verdict(self) -> str:
        """`met`, or by how much it was missed."""
        if self.is_met:
            return "met"
        over = self.measured / self.limit
        return f"missed by {over - 1:.1%}" if over < 2 else f"missed: {over:.1f} times the limit"

    def as_json(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "is_met": self.is_met}


def aims_of(results: Results) -> list[Aim]:
    """Every aim that this run can judge; of several sizes the worst counts."""
    return [*_exact_aims(results), *_search_aims(results), *_chain_aims(results), *_loop_aims(results)]


def _exact_aims(results: Results) -> Iterator[Aim]:
    for store in STORES:
        for kind in (exact.PLAIN, exact.CHAT):
            ratios = _ratios(results.of(exact.SECTION), f"{store}, lookup", lambda title, k=kind: title.startswith(k))  # type: ignore[misc]  # bound now
            if ratios:
                what = f"exact hit, {store}, {kind}: against hashing it and a dict look-up"
                yield Aim(what, 3.0, max(ratios), "x")


def _search_aims(results: Results) -> Iterator[Aim]:
    groups = results.of(semantic.SCAN)
    if groups:
        largest = groups[-1]
        search, product = (largest.timing(name) for name in ("memory store, search", "matrix @ query"))
        # Reading costs what the faster of two ways to read costs.
        read_once = max(search.ratio, search.ratio / product.ratio)
        yield Aim(f"search of {largest.title} in memory: against one read of its vectors", 1.5, read_once, "x")


def _chain_aims(results: Results) -> Iterator[Aim]:
    for store in STORES:
        for group in results.of(chain.HIT):
            ratio = group.timing(f"LLMCache, {store}").ratio
            yield Aim(f"invoke, exact hit, {store}, {group.title}: against InMemoryCache", 1.10, ratio, "x")


def _loop_aims(results: Results) -> Iterator[Aim]:
    for stall in results.stalls[1:]:
        what = f"longest stall of the event loop, {stall.name} with a slow embedder"
        yield Aim(what, 100.0, stall.seconds * 1e3, "ms")
    for crowd in results.crowds:
        yield Aim(f"provider calls for {crowd.callers} equal questions at once, {crowd.name}", 1, crowd.calls, "calls")


def _ratios(groups: list[Group], name: str, is_wanted: Callable[[str], bool]) -> list[float]:
    return [group.timing(name).ratio for group in groups if is_wanted(group.title)]
