"""Flights that other processes respect, step by step and through two caches on one store."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, SemanticCache, open_cache
from llmcache_plugins.engine.flight_steps import Pause
from llmcache_plugins.engine.leasing import Holders, Leasing, lease_flow
from llmcache_plugins.engine.rules import Flow, Found, NotFound
from llmcache_plugins.engine.singleflight import Flight, FlightTable
from llmcache_plugins.engine.steps import Acquire, Fits
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.selection import Lease
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.types import Entry, MissReason, Stored

LIMIT = 20.0
FOUND = Found(Stored(Entry("s", "k", "n", (), "q", '"a"', 0.0, None)), "exact", "hot")
MISSED = NotFound(MissReason.NO_CANDIDATES)


class Walk:
    """Feeds `lease_flow` by hand. A look is a `Fits` here: its answer is what the look gives."""

    def __init__(self, *, may_wait: bool = True, fail_open: bool = True) -> None:
        clock = FakeClock()
        _, flight = FlightTable(60.0, clock).enter("k", may_wait=True, is_open=False)
        assert flight is not None
        self.flight: Flight = flight
        leasing = Leasing(0, 60.0, Holders(), clock, fail_open)
        self.flow = lease_flow(flight, self._look, leasing, may_wait=may_wait)
        self.step: Any = next(self.flow)
        self.result: Any = None

    def _look(self) -> Flow[Found | NotFound]:
        return (yield Fits("look"))  # type: ignore[no-any-return]

    def expect(self, kind: type, answer: Any) -> Walk:
        assert type(self.step) is kind, self.step
        try:
            self.step = self.flow.throw(answer) if isinstance(answer, Exception) else self.flow.send(answer)
        except StopIteration as done:
            self.step, self.result = None, done.value
        return self


def test_who_gets_the_lease_looks_again_and_leads() -> None:
    walk = Walk()
    lease = Lease("flight:k", walk.step.holder, 1, walk.step.until)
    assert (walk.step.name, walk.step.until - walk.step.now) == ("flight:k", 60.0)
    assert walk.expect(Acquire, lease).expect(Fits, MISSED).result is MISSED
    assert walk.flight.lease == lease


def test_who_does_not_get_it_waits_for_the_answer() -> None:
    walk = Walk()
    for _ in range(3):
        walk.expect(Acquire, None).expect(Pause, True).expect(Fits, MISSED)
    assert walk.expect(Acquire, None).expect(Pause, True).expect(Fits, FOUND).result is FOUND


def test_pauses_grow_to_a_quarter_of_a_second_and_end_at_the_time_limit() -> None:
    walk, pauses = Walk(), []
    while walk.result is None:
        walk.expect(Acquire, None)
        if isinstance(walk.step, Pause):
            pauses.append(walk.step.seconds)
            walk.expect(Pause, True).expect(Fits, MISSED)
        else:
            walk.expect(Fits, MISSED)
    assert pauses[:6] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.25]
    assert max(pauses) == 0.25
    assert 60.0 <= sum(pauses) < 60.25
    assert walk.flight.lease is None  # it goes without


def test_who_takes_over_from_a_dead_holder_looks_again() -> None:
    walk = Walk()
    walk.expect(Acquire, None).expect(Pause, True).expect(Fits, MISSED)
    assert walk.expect(Acquire, Lease("flight:k", "me", 2, 0.0)).expect(Fits, FOUND).result is FOUND


def test_who_must_not_wait_goes_without_a_lease() -> None:
    walk = Walk()
    assert walk.expect(Acquire, None).expect(Pause, False).expect(Fits, MISSED).result is MISSED


def test_who_has_something_to_serve_does_not_wait() -> None:
    walk = Walk(may_wait=False)
    assert walk.expect(Acquire, None).step is None
    assert walk.result is None


def test_a_broken_store_is_no_reason_to_wait() -> None:
    walk = Walk()
    assert walk.expect(Acquire, StoreUnavailable("down")).expect(Fits, MISSED).result is MISSED
    with pytest.raises(StoreUnavailable):
        Walk(fail_open=False).expect(Acquire, StoreUnavailable("down"))


def test_no_two_flights_have_the_same_holder() -> None:
    first, second = Holders(), Holders()
    names = [first(), first(), second(), second()]
    first.after_fork()
    assert len({*names, first()}) == 5


# ---------------------------------------------------------------- two caches, as two processes would be
def shared(path: Path, **settings: Any) -> SemanticCache:
    return open_cache(f"disk://{path}/c.db", embedder=None, **({"single_flight_timeout": LIMIT} | settings))


def until(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")


def test_two_caches_on_one_file_make_one_call(tmp_path: Path) -> None:
    began, may_answer, calls = threading.Event(), threading.Event(), []

    def generate() -> str:
        calls.append("call")
        began.set()
        assert may_answer.wait(LIMIT)
        return "answer"

    with shared(tmp_path) as one, shared(tmp_path) as other, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(one.get_or_generate, "q", generate)]
        assert began.wait(LIMIT)
        asked += [pool.submit(other.get_or_generate, "q", generate) for _ in range(7)]
        until(lambda: len(other._flights) == 1)
        may_answer.set()
        assert {future.result(LIMIT) for future in asked} == {"answer"}
    assert len(calls) == 1


async def test_a_loop_waits_for_another_cache_without_blocking(tmp_path: Path) -> None:
    waiting: list[asyncio.Task[Any]] = []
    async with shared(tmp_path) as one, shared(tmp_path) as other:

        async def generate() -> str:
            waiting.append(asyncio.create_task(other.aget_or_generate("q", generate), context=Context()))
            while not len(other._flights):
                await asyncio.sleep(0)
            return "answer"

        assert await asyncio.wait_for(one.aget_or_generate("q", generate), LIMIT) == "answer"
        assert await asyncio.wait_for(asyncio.gather(*waiting), LIMIT) == ["answer"]


def test_a_failed_leader_gives_its_lease_back_at_once(tmp_path: Path) -> None:
    def fail() -> str:
        raise ConnectionError("down")

    with shared(tmp_path) as one, shared(tmp_path) as other:
        with pytest.raises(ConnectionError):
            one.get_or_generate("q", fail)
        assert other.get_or_generate("q", lambda: "answer") == "answer"  # or it would wait for LIMIT


def test_a_lookup_that_leads_holds_a_lease_until_its_update(tmp_path: Path) -> None:
    with shared(tmp_path) as one, shared(tmp_path) as other, ThreadPoolExecutor(1) as pool:
        assert isinstance(one.lookup("q", lead=True), Miss)
        waiting = pool.submit(other.lookup, "q", lead=True)
        until(lambda: len(other._flights) == 1)
        one.update("q", "answer")
        assert isinstance(waiting.result(LIMIT), Hit)


def test_the_answer_of_a_leader_whose_time_was_over_is_not_stored_over_the_next_one_s(tmp_path: Path) -> None:
    clock = FakeClock()
    with shared(tmp_path, clock=clock) as one, shared(tmp_path, clock=clock) as other:

        def late() -> str:
            clock.advance(LIMIT + 1.0)
            assert other.get_or_generate("q", lambda: "of the next") == "of the next"
            return "late"

        assert one.get_or_generate("q", late) == "late"
        assert one.stats().refusals == {"superseded": 1}
        assert one.get_or_generate("q", lambda: "never") == "of the next"


def test_old_answers_are_served_while_another_cache_renews_them(tmp_path: Path) -> None:
    clock = FakeClock()
    settings: dict[str, Any] = {"clock": clock, "ttl": 10.0, "stale_while_revalidate": 10.0}
    with shared(tmp_path, **settings) as one, shared(tmp_path, **settings) as other:
        began, may_answer = threading.Event(), threading.Event()

        def generate() -> str:
            began.set()
            assert may_answer.wait(LIMIT)
            return "new"

        one.update("q", "old")
        clock.advance(10.0)
        assert one.get_or_generate("q", generate) == "old"
        assert began.wait(LIMIT)
        assert other.get_or_generate("q", lambda: "a second call") == "old"
        may_answer.set()
        until(lambda: not len(one._flights) and not len(other._flights))
        assert other.get_or_generate("q", lambda: "a third call") == "new"


def test_two_caches_that_hold_what_the_other_wants_go_on(tmp_path: Path) -> None:
    with shared(tmp_path) as one, shared(tmp_path) as other, ThreadPoolExecutor(2) as pool:
        both = threading.Barrier(2)

        def crossed(cache: SemanticCache, first: str, second: str) -> str:
            def outer() -> str:
                both.wait(LIMIT)
                return str(cache.get_or_generate(second, lambda: "inner"))

            return str(cache.get_or_generate(first, outer))

        asked = [pool.submit(crossed, one, "a", "b"), pool.submit(crossed, other, "b", "a")]
        assert [future.result(LIMIT / 2) for future in asked] == ["inner", "inner"]


def test_leases_can_be_left_out(tmp_path: Path) -> None:
    with (
        shared(tmp_path, single_flight_across_processes=False) as one,
        shared(tmp_path, single_flight_across_processes=False) as other,
    ):
        assert isinstance(one.lookup("q", lead=True), Miss)
        assert isinstance(other.lookup("q", lead=True), Miss)
