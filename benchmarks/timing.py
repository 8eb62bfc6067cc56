"""Interleaved medians: A, B, C, B, C, A, ... so that a busy minute of the machine falls on all of them alike."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

__all__ = ["Case", "Group", "Timing", "measure", "without_gc"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to be timed.

    Args:
        name: for the table.
        call: takes one input; only this is timed.
        inputs: makes the inputs of one round, outside the timing; a semantic hit, for one, needs a wording that was not
            asked before.
        check: says whether a result is what the case claims to measure; asked outside the timing.
    """

    name: str
    call: Callable[[Any], object]
    inputs: Callable[[], Sequence[Any]]
    check: Callable[[Any], bool] = field(default=lambda _: True)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call: the median over the rounds and the quartiles. `ratio` is the median of the rounds' own
    ratios to the floor of the same round."""

    name: str
    seconds: float
    low: float
    high: float
    ratio: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Group:
    """What was measured together. The first timing is the floor that the ratios refer to."""

    section: str
    title: str
    timings: tuple[Timing, ...]

    @property
    def floor(self) -> Timing:
        return self.timings[0]

    def timing(self, name: str) -> Timing:
        return next(timing for timing in self.timings if timing.name == name)

    def has(self, name: str) -> bool:
        return any(timing.name == name for timing in self.timings)


def measure(section: str, title: str, cases: Sequence[Case], *, rounds: int) -> Group:
    """Time all cases in every round, each round in another order, after one round that only warms up.

    Args:
        cases: the floor first.
        rounds: at least 1.

    Raises:
        RuntimeError: a call's result is not what its case claims to measure.
    """
    seconds: dict[str, list[float]] = {case.name: [] for case in cases}
    with without_gc():
        for case in cases:
            _run(case)
        for number in range(rounds):
            turn = number % len(cases)
            for case in (*cases[turn:], *cases[:turn]):
                seconds[case.name].append(_run(case))
    floor = seconds[cases[0].name]
    return Group(section, title, tuple(_timing(case.name, seconds[case.name], floor) for case in cases))


@contextmanager
def without_gc() -> Iterator[None]:
    """The garbage collector off: it would strike one case and not the other."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run(case: Case) -> float:
    """Seconds of one call, the mean over the inputs of one round."""
    inputs, call = case.inputs(), case.call
    start = perf_counter()
    results = [call(one) for one in inputs]
    spent = perf_counter() - start
    wrong = next((result for result in results if not case.check(result)), None)
    if wrong is not None:
        raise RuntimeError(f"{case.name} does not measure what it says: {wrong!r}")
    return spent / len(results)


def _timing(name: str, seconds: list[float], floor: list[float]) -> Timing:
    ratio = statistics.median(own / least for own, least in zip(seconds, floor, strict=True))
    low, median, high = quartiles(seconds)
    return Timing(name, median, low, high, ratio, len(seconds))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of one value, that value.

    >>> quartiles([1.0, 2.0, 3.0, 4.0, 5.0])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
