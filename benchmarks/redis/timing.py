"""Several clients at the same time, each a thread: every case in every round, each round in another order."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.timing import without_gc

__all__ = ["Case", "Cell", "Row", "measure"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to be timed.

    Args:
        name: for the table.
        call: takes one input; only this is timed.
        inputs: makes as many inputs as it is asked for, outside the timing.
        is_right: says of an input and its result whether that is what the case claims to measure.
    """

    name: str
    call: Callable[[Any], object]
    inputs: Callable[[int], Sequence[Any]]
    is_right: Callable[[Any, Any], bool] = field(default=lambda given, result: True)


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds of one call, over all rounds; `rate` is calls by second of all clients together. `right` is the share of
    calls that gave what the case claims to measure, and `wrong` what the others gave.

    `to_floor` and `to_peer` are medians of the rounds' own ratios of medians.
    """

    name: str
    p50: float
    p99: float
    rate: float
    to_floor: float
    to_peer: float
    right: float
    calls: int
    wrong: dict[str, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """What was measured together: the first row is the floor, `peer` the name of the row it is compared with."""

    section: str
    entries: int
    clients: int
    runs_model: bool
    peer: str
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Taken:
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    wrong: Counter[str] = field(default_factory=Counter)
    medians: list[float] = field(default_factory=list)


def measure(
    section: str,
    cases: Sequence[Case],
    *,
    entries: int,
    clients: int,
    runs_model: bool,
    peer: str,
    rounds: int,
    calls: int,
) -> Cell:
    """Time all cases in every round, after one that only warms up.

    Args:
        cases: the floor first.
        peer: name of the case that the others are compared with.
        calls: of each case in a round, by all clients together.
    """
    each = max(1, calls // clients)
    taken = {case.name: _Taken() for case in cases}
    for case in cases:
        _run(case, clients, min(each, 10), _Taken())
    for number in range(rounds):
        turn = number % len(cases)
        with without_gc():
            for case in (*cases[turn:], *cases[:turn]):
                _run(case, clients, each, taken[case.name])
    floors, peers = taken[cases[0].name].medians, taken[peer].medians
    rows = tuple(_row(case.name, taken[case.name], floors, peers) for case in cases)
    return Cell(section, entries, clients, runs_model, peer, rows)


def _run(case: Case, clients: int, each: int, taken: _Taken) -> None:
    inputs = case.inputs(clients * each)
    parts = [inputs[start : start + each] for start in range(0, clients * each, each)]
    latencies: list[list[float]] = [[] for _ in parts]
    results: list[list[Any]] = [[] for _ in parts]
    ends = [0.0] * clients
    barrier = threading.Barrier(clients + 1)
    call = case.call
    failures: list[BaseException] = []

    def work(place: int) -> None:
        mine, spent, got = parts[place], latencies[place], results[place]
        barrier.wait()
        try:
            for one in mine:
                start = perf_counter()
                result = call(one)
                spent.append(perf_counter() - start)
                got.append(result)
        except BaseException as error:  # noqa: BLE001  # raised again by the caller
            failures.append(error)
        ends[place] = perf_counter()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    begin = perf_counter()
    barrier.wait()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{case.name} failed") from failures[0]
    flat = [one for part in latencies for one in part]
    taken.latencies += flat
    taken.seconds += max(ends) - begin
    taken.medians.append(statistics.median(flat))
    taken.wrong.update(
        str(getattr(result, "reason", None) or type(result).__name__)
        for part, got in zip(parts, results, strict=True)
        for given, result in zip(part, got, strict=True)
        if not case.is_right(given, result)
    )


def _row(name: str, taken: _Taken, floors: Sequence[float], peers: Sequence[float]) -> Row:
    p50, p99 = np.percentile(taken.latencies, (50, 99))
    return Row(
        name,
        float(p50),
        float(p99),
        len(taken.latencies) / taken.seconds,
        statistics.median(own / other for own, other in zip(taken.medians, floors, strict=True)),
        statistics.median(own / other for own, other in zip(taken.medians, peers, strict=True)),
        1 - taken.wrong.total() / len(taken.latencies),
        len(taken.latencies),
        dict(taken.wrong),
    )
