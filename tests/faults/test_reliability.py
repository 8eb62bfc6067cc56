"""The trials of docs/reliability.md, a few times each: nothing lost, nothing wrong, nothing raised."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.reliability.__main__ import TRIALS
from benchmarks.reliability.history import Operation, ages, violations
from benchmarks.reliability.trial import Trial
from llmcache_plugins.testing.redis_server import find_server

FEW = {
    "10,000 at once": 1,
    "forked workers": 3,
    "full disk": 6,
    "file, processes": 2,
    "server, processes": 2,
    "server, with copies": 2,
}
ALL = [pytest.param(trial, id=f"{section}: {trial.name}") for section, trials in TRIALS.items() for trial in trials]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("trial", ALL)
def test_nothing_is_lost_wrong_or_raised(trial: Trial, tmp_path: Path) -> None:
    if "server" in trial.name and find_server("plain") is None and "LLMCACHE_REQUIRE_SERVERS" not in os.environ:
        pytest.skip("no redis-server here")
    times = FEW.get(trial.name, 30)
    *_, outcome = trial.run(times, tmp_path)
    assert outcome.is_clean, outcome
    assert outcome.tried == times
    assert "damaged files" not in outcome.told


def write(value: str, begin: float, end: float) -> Operation:
    return Operation("write", 0, value, begin, end)


def read(value: str | None, begin: float, end: float) -> Operation:
    return Operation("read", 0, value, begin, end)


def remove(begin: float, end: float) -> Operation:
    return Operation("remove", 0, None, begin, end)


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([write("a", 0, 1), read("a", 2, 3)], 0),
        ([write("a", 0, 5), read("a", 2, 3), read(None, 1, 2)], 0),
        ([read("a", 0, 1), write("a", 2, 3)], 1),
        ([read("b", 0, 1)], 1),
        ([write("a", 0, 1), remove(2, 3), read("a", 4, 5)], 1),
        ([write("a", 0, 1), remove(2, 5), read("a", 4, 5)], 0),
        ([write("a", 0, 1), read(None, 2, 3)], 1),
        ([write("a", 0, 1), remove(2, 9), read(None, 3, 4)], 0),
        ([write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)], 1),
        ([write("a", 0, 9), write("b", 0, 9), read("a", 4, 5), read("b", 6, 7)], 0),
        ([write("a", 0, 1), write("b", 2, 9), read("b", 3, 4), read("a", 5, 6)], 1),
    ],
)
def test_what_cannot_have_happened_is_found(history: list[Operation], found: int) -> None:
    assert len(violations(history)) == found


def test_the_age_of_what_was_read() -> None:
    history = [write("a", 0, 1), write("b", 2, 3), read("a", 3.5, 4), read("b", 3.5, 4), read("a", 2.5, 4)]
    assert ages(history) == [0.5]
