"""Percentiles: how far off they may be, and that memory does not grow."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from llmcache_plugins import ConfigError, open_cache
from llmcache_plugins.counters import LATENCY_BOUNDS, Latency
from llmcache_plugins.recorded import Event, LookupEvent, UpdateEvent
from llmcache_plugins.telemetry import Statistics, percentiles_of
from llmcache_plugins.types import Miss, MissReason, UpdateOutcome

pytest.importorskip("ddsketch")
from llmcache_plugins.telemetry import LatencyRecorder


def missed(seconds: float) -> LookupEvent:
    return LookupEvent(Miss(MissReason.NO_CANDIDATES, latency=seconds), ())


def true_percentiles(values: list[float]) -> list[float]:
    """The value at the rank that the sketch means, `share * (n - 1)` rounded down."""
    values = sorted(values)
    return [values[int(share * (len(values) - 1))] for share in (0.5, 0.95, 0.99)]


@pytest.mark.parametrize("relative_error", [0.005, 0.01, 0.05])
def test_sketch_keeps_its_error_over_eight_decades(relative_error: float) -> None:
    chance = random.Random(7)
    values = [10 ** chance.uniform(-5, 3) for _ in range(5000)]
    recorder = LatencyRecorder(relative_error=relative_error)
    for value in values:
        recorder(missed(value))
    found = recorder.percentiles()["miss"]
    assert recorder.dropped == 0
    assert (found.count, found.relative_error) == (5000, relative_error)
    for told, true in zip((found.p50, found.p95, found.p99), true_percentiles(values), strict=True):
        assert abs(told - true) <= relative_error * true * 1.000001
    (sketch,) = recorder._sketches.values()
    assert sketch._store.length() <= 2048
    recorder.close()


def test_histogram_is_too_high_by_its_stated_error_at_most() -> None:
    chance = random.Random(7)
    values = [10 ** chance.uniform(-4.9, 1.9) for _ in range(5000)]
    statistics = Statistics()
    for value in values:
        statistics(missed(value))
    found = percentiles_of(statistics.snapshot({}).latency["miss"])
    for told, true in zip((found.p50, found.p95, found.p99), true_percentiles(values), strict=True):
        assert true <= told <= (1 + found.relative_error) * true


def test_error_of_the_histogram_is_that_of_its_widest_step() -> None:
    steps = [high / low - 1 for low, high in itertools.pairwise(LATENCY_BOUNDS)]
    assert max(steps) == pytest.approx(percentiles_of(Latency()).relative_error)


def test_a_known_day_by_kind(day: list[Event]) -> None:
    recorder = LatencyRecorder()
    with open_cache("memory://", embedder=None, recorders=[recorder]) as cache:
        for event in [*day, UpdateEvent(UpdateOutcome(True), (), seconds=3.0), UpdateEvent(UpdateOutcome(True), ())]:
            cache._emit(event)
        found = recorder.percentiles()
        recorder.close()
    assert {kind: one.count for kind, one in found.items()} == {"hit": 130, "miss": 60, "model": 1}
    assert (found["hit"].p50, found["hit"].p99) == (pytest.approx(0.025, rel=0.01), pytest.approx(0.035, rel=0.01))
    assert found["miss"].p50 == pytest.approx(3.2, rel=0.01)
    assert found["model"].p50 == pytest.approx(3.0, rel=0.01)


def test_clock_that_went_mad_spoils_nothing() -> None:
    recorder = LatencyRecorder()
    for seconds in (float("nan"), -1.0, float("inf"), 0.0, 1.0):
        recorder(missed(seconds))
    found = recorder.percentiles()["miss"]
    assert (found.count, found.p50, recorder.dropped) == (2, 0.0, 0)
    recorder.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_counts_for_itself() -> None:
    recorder = LatencyRecorder()
    recorder(missed(1.0))
    recorder.percentiles()
    with recorder._reading:  # as if a thread was feeding the sketch
        child = os.fork()
        if child == 0:
            recorder(missed(2.0))
            os._exit(0 if recorder.percentiles()["miss"].count == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert recorder.percentiles()["miss"].count == 1
    recorder.close()


@pytest.mark.parametrize("relative_error", [0.0, 0.001, 0.5, True, "1%"])
def test_error_that_cannot_be_kept_is_refused(relative_error: float) -> None:
    with pytest.raises(ConfigError, match=r"relative_error must be from 0\.005 to 0\.2"):
        LatencyRecorder(relative_error=relative_error)
