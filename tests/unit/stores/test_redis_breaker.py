"""The circuit breaker of the store on a server, on a clock that stands still unless it is moved."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("redis")

from llmcache_plugins.stores.redis.breaker import Breaker
from llmcache_plugins.testing import FakeClock


class Case:
    """A breaker that opens after three failures and waits 1, 2, 4 and then 5 seconds; `jitter` can be changed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.jitter = 0.0
        self.breaker = Breaker(
            failures=3, pause=1.0, longest=5.0, monotonic=self.clock.monotonic, jitter=lambda: self.jitter
        )

    def fail(self, times: int = 1) -> list[bool]:
        return [self.breaker.failed() for _ in range(times)]

    def pause(self) -> float:
        """Seconds until it lets one through again, to a thousandth."""
        waited = 0.0
        while not self.breaker.allows():
            self.clock.advance(0.001)
            waited += 0.001
            assert waited < 100.0
        return round(waited, 2)


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_closed_breaker_lets_everybody_through(case: Case) -> None:
    assert [case.breaker.allows() for _ in range(5)] == [True] * 5
    assert not case.breaker.is_open
    assert not case.breaker.succeeded()  # nothing to tell


def test_it_opens_at_the_third_failure_in_a_row_and_says_so_once(case: Case) -> None:
    assert case.fail(2) == [False, False]
    assert not case.breaker.is_open
    assert case.breaker.allows()
    assert case.fail(3) == [True, False, False]
    assert case.breaker.is_open
    assert not case.breaker.allows()


def test_a_success_between_failures_begins_the_count_anew(case: Case) -> None:
    for _ in range(3):
        assert case.fail(2) == [False, False]
        assert not case.breaker.succeeded()  # it was not open
    assert not case.breaker.is_open


def test_when_the_pause_is_over_one_caller_may_try(case: Case) -> None:
    case.fail(3)
    case.clock.advance(0.999)
    assert not case.breaker.allows()
    case.clock.advance(0.002)
    assert [case.breaker.allows() for _ in range(4)] == [True, False, False, False]


def test_of_many_threads_one_may_try(case: Case) -> None:
    case.fail(3)
    case.clock.advance(1.0)
    barrier = threading.Barrier(8)

    def ask(_: int) -> bool:
        barrier.wait(10)
        return case.breaker.allows()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1


def test_a_try_that_never_ends_does_not_shut_it_for_ever(case: Case) -> None:
    case.fail(3)
    case.clock.advance(1.0)
    assert case.breaker.allows()  # a task that is cancelled, say: nobody hears what became of it
    assert case.pause() == pytest.approx(1.0, abs=0.02)


def test_each_try_that_fails_doubles_the_pause_up_to_a_bound(case: Case) -> None:
    case.fail(3)
    pauses = []
    for _ in range(5):
        pauses.append(case.pause())
        assert case.fail() == [False]
    assert pauses == pytest.approx([1.0, 2.0, 4.0, 5.0, 5.0], abs=0.02)


def test_an_outage_of_days_ends_like_any_other(case: Case) -> None:
    case.fail(3)
    for _ in range(5000):
        case.clock.advance(5.0)
        assert case.breaker.allows()
        case.fail()
    assert case.pause() == pytest.approx(5.0, abs=0.02)
    assert case.breaker.succeeded()
    assert case.breaker.allows()


def test_a_success_closes_it_and_says_so_once(case: Case) -> None:
    case.fail(3)
    case.clock.advance(1.0)
    assert case.breaker.allows()
    assert [case.breaker.succeeded(), case.breaker.succeeded()] == [True, False]
    assert not case.breaker.is_open
    assert [case.breaker.allows() for _ in range(3)] == [True] * 3
    assert case.fail(2) == [False, False]  # and three failures are needed again
    assert case.pause() == 0.0


def test_the_pause_after_the_next_outage_is_the_first_one_again(case: Case) -> None:
    case.fail(3)
    for _ in range(3):
        case.pause()
        case.fail()
    case.breaker.succeeded()
    case.fail(3)
    assert case.pause() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 1.0), (0.5, 0.875), (0.999, 0.75)])
def test_a_pause_is_shortened_by_up_to_a_quarter(case: Case, jitter: float, pause: float) -> None:
    case.jitter = jitter
    case.fail(3)
    assert case.pause() == pytest.approx(pause, abs=0.02)


def test_callers_that_were_under_way_when_it_opened_do_not_lengthen_the_pause(case: Case) -> None:
    """Thirty threads wait for the same dead server: one outage, one pause."""
    assert sum(case.fail(30)) == 1
    assert case.pause() == pytest.approx(1.0, abs=0.02)


def test_in_a_forked_child_it_is_closed(case: Case) -> None:
    case.fail(3)
    case.breaker.after_fork()
    assert not case.breaker.is_open
    assert case.breaker.allows()
    assert case.fail(2) == [False, False]
