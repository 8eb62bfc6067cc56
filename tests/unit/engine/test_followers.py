"""What becomes of those who wait: a leader that fails, calls inside calls, threads and tasks in one flight."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.engine.singleflight import FlightTable, Landing, LandingKind, Role
from llmcache_plugins.testing import FakeClock

LIMIT = 20.0


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, single_flight_timeout=LIMIT) as cache:
        yield cache


@pytest.fixture
def retrying() -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, single_flight_timeout=LIMIT, followers_on_failure="retry") as cache:
        yield cache


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")


class Failing:
    """Fails as often as told, then answers; counts how many calls run at a time."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = self.running = self.most = 0
        self.may_go = threading.Event()
        self.began = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
            number = self.calls
        self.began.set()
        assert self.may_go.wait(LIMIT)
        with self._lock:
            self.running -= 1
        if number <= self.failures:
            raise ConnectionError(f"failure {number}")
        return "answer"


def ask(cache: SemanticCache, model: Failing) -> str:
    try:
        return str(cache.get_or_generate("q", model))
    except ConnectionError as error:
        return str(error)


def all_wait(cache: SemanticCache, count: int) -> Callable[[], bool]:
    def look() -> bool:
        flight = next(iter(cache._flights._flights.values()), None)
        return flight is not None and len(flight._event._cond._waiters) == count  # type: ignore[attr-defined]

    return look


def test_followers_of_a_failed_leader_try_again_one_at_a_time(retrying: SemanticCache) -> None:
    model = Failing(2)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, retrying, model) for _ in range(8)]
        until(all_wait(retrying, 7))
        model.may_go.set()
        told = Counter(one.result(LIMIT) for one in asked)
    assert told == {"failure 1": 1, "failure 2": 1, "answer": 6}
    assert (model.calls, model.most) == (3, 1)


def test_by_default_they_get_its_error(cache: SemanticCache) -> None:
    model = Failing(1)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, cache, model) for _ in range(4)]
        until(all_wait(cache, 3))
        model.may_go.set()
        assert [one.result(LIMIT) for one in asked] == ["failure 1"] * 4
    assert model.calls == 1


def test_nobody_tries_again_beyond_the_time_limit() -> None:
    clock = FakeClock()
    model = Failing(100)
    with (
        open_cache(
            "memory://", embedder=None, clock=clock, single_flight_timeout=LIMIT, followers_on_failure="retry"
        ) as cache,
        ThreadPoolExecutor(2) as pool,
    ):
        asked = [pool.submit(ask, cache, model) for _ in range(2)]
        until(all_wait(cache, 1))
        clock.advance(LIMIT)
        model.may_go.set()
        assert [one.result(LIMIT) for one in asked] == ["failure 1"] * 2


async def test_tasks_try_again_one_at_a_time(retrying: SemanticCache) -> None:
    calls: list[str] = []
    may_go = asyncio.Event()

    async def generate() -> str:
        calls.append("call")
        number = len(calls)
        await may_go.wait()
        if number == 1:
            raise ConnectionError("first")
        return "answer"

    asked = [asyncio.create_task(retrying.aget_or_generate("q", generate)) for _ in range(5)]
    for _ in range(50):
        await asyncio.sleep(0)
    may_go.set()
    results = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), LIMIT)
    assert sorted(map(str, results)) == ["answer"] * 4 + ["first"]
    assert len(calls) == 2


async def test_a_thread_follows_a_task_and_a_task_follows_a_thread(cache: SemanticCache) -> None:
    began, may_answer = threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        assert may_answer.wait(LIMIT)
        return "answer"

    async def never() -> str:
        raise AssertionError("a second call")

    with ThreadPoolExecutor(2) as pool:
        thread = pool.submit(cache.get_or_generate, "q", slow)
        await asyncio.to_thread(began.wait, LIMIT)
        task = asyncio.create_task(cache.aget_or_generate("q", never))
        for _ in range(20):
            await asyncio.sleep(0)
        may_answer.set()
        assert await asyncio.wait_for(task, LIMIT) == "answer"
        assert thread.result(LIMIT) == "answer"

        released = asyncio.Event()

        async def slow_task() -> str:
            await released.wait()
            return "from a task"

        leading = asyncio.create_task(cache.aget_or_generate("p", slow_task))
        await asyncio.sleep(0)
        following = pool.submit(cache.get_or_generate, "p", slow)
        while not all_wait(cache, 1)():
            await asyncio.sleep(0)
        released.set()
        assert await asyncio.wait_for(leading, LIMIT) == "from a task"
        assert await asyncio.to_thread(following.result, LIMIT) == "from a task"


# ---------------------------------------------------------------- calls inside calls
def test_generate_that_asks_its_own_question_does_not_wait_for_itself(cache: SemanticCache) -> None:
    inner = "not from the cache"
    assert cache.get_or_generate("q", lambda: cache.get_or_generate("q", lambda: inner)) == inner


async def test_generate_that_asks_its_own_question_in_a_task_does_not_wait_either(cache: SemanticCache) -> None:
    async def inner() -> str:
        return "inner"

    async def outer() -> str:
        return str(await asyncio.create_task(cache.aget_or_generate("q", inner)))

    assert await asyncio.wait_for(cache.aget_or_generate("q", outer), LIMIT) == "inner"


async def test_parents_whose_children_ask_what_the_other_leads_do_not_deadlock(cache: SemanticCache) -> None:
    """Neither child is busy itself, but each is waited for by a leader."""
    both = asyncio.Barrier(2)

    async def inner() -> str:
        return "inner"

    def outer(other: str) -> Callable[[], Any]:
        async def generate() -> str:
            await both.wait()
            return str(await asyncio.create_task(cache.aget_or_generate(other, inner)))

        return generate

    asked = [cache.aget_or_generate("a", outer("b")), cache.aget_or_generate("b", outer("a"))]
    assert set(await asyncio.wait_for(asyncio.gather(*asked), LIMIT / 2)) == {"inner"}


def test_a_circle_of_three_threads_is_not_closed(cache: SemanticCache) -> None:
    """Each asks in a thread of its own, with a copy of its context, as `asyncio.to_thread` and LangChain do."""
    all_lead = threading.Barrier(3)

    def outer(other: str) -> Callable[[], Any]:
        def generate() -> str:
            all_lead.wait(LIMIT)
            with ThreadPoolExecutor(1) as pool:
                run = copy_context().run
                return str(pool.submit(run, cache.get_or_generate, other, lambda: "inner").result(LIMIT / 2))

        return generate

    with ThreadPoolExecutor(3) as pool:
        pairs = [("a", "b"), ("b", "c"), ("c", "a")]
        asked = [pool.submit(cache.get_or_generate, own, outer(other)) for own, other in pairs]
        assert {one.result(LIMIT) for one in asked} == {"inner"}


async def test_a_child_still_waits_for_somebody_else_s_call(cache: SemanticCache) -> None:
    """Its parent leads, but nothing that the other call waits for."""
    may_answer, calls = asyncio.Event(), []

    async def slow() -> str:
        calls.append("call")
        await may_answer.wait()
        return "shared"

    async def outer() -> str:
        child = asyncio.create_task(cache.aget_or_generate("shared", slow))
        for _ in range(20):
            await asyncio.sleep(0)
        may_answer.set()
        return str(await child)

    other = asyncio.create_task(cache.aget_or_generate("shared", slow))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(cache.aget_or_generate("own", outer), LIMIT) == "shared"
    assert await asyncio.wait_for(other, LIMIT) == "shared"
    assert len(calls) == 1


def test_a_flight_that_changed_hands_is_led_by_who_took_it() -> None:
    table = FlightTable(LIMIT, FakeClock())
    role, flight = table.enter("k", may_wait=True, is_open=False)
    assert role is Role.LEAD
    assert flight is not None
    table.hand_over(flight)
    assert not table.leads(flight)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(table.adopt, flight).result(LIMIT)
        assert not table.leads(flight)
        assert pool.submit(table.leads, flight).result(LIMIT)
    table.land(flight, Landing(LandingKind.STORED))
    assert len(table) == 0


# ---------------------------------------------------------------- all at once
KEYS = "abcdef"


class Chaos:
    """A model that fails, asks the cache itself, and is cancelled, by chance."""

    def __init__(self, cache: SemanticCache, seed: int) -> None:
        self.cache = cache
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    def roll(self) -> float:
        with self.lock:
            return self.random.random()

    def key(self) -> str:
        return KEYS[int(self.roll() * len(KEYS))]

    def count(self, counter: Counter[str], key: str) -> None:
        with self.lock:
            counter[key] += 1

    def generate(self, key: str, depth: int) -> Callable[[], Any]:
        def call() -> str:
            self.count(self.begun, key)
            try:
                if self.roll() < 0.3:
                    raise ConnectionError(key)
                if depth and self.roll() < 0.5:
                    self.ask(self.key(), depth - 1)
                if self.roll() < 0.2:
                    self.cache.invalidate(key=self.cache.identify(key).key)
                return f"answer to {key}"
            finally:
                self.count(self.ended, key)

        return call

    def agenerate(self, key: str, depth: int) -> Callable[[], Any]:
        async def call() -> str:
            self.count(self.begun, key)
            try:
                for _ in range(int(self.roll() * 5)):
                    await asyncio.sleep(0)
                if self.roll() < 0.3:
                    raise ConnectionError(key)
                if depth and self.roll() < 0.5:
                    children = [self.aask(self.key(), depth - 1) for _ in range(2)]
                    await asyncio.gather(*children)
                return f"answer to {key}"
            finally:
                self.count(self.ended, key)

        return call

    def ask(self, key: str, depth: int = 2) -> None:
        try:
            assert self.cache.get_or_generate(key, self.generate(key, depth)) == f"answer to {key}"
        except ConnectionError:
            return

    async def aask(self, key: str, depth: int = 2) -> None:
        try:
            task = asyncio.create_task(self.cache.aget_or_generate(key, self.agenerate(key, depth)))
            if self.roll() < 0.2:
                await asyncio.sleep(0)
                task.cancel()
            assert await task == f"answer to {key}"
        except (ConnectionError, asyncio.CancelledError):
            return

    async def tasks(self, count: int) -> None:
        await asyncio.gather(*(self.aask(self.key()) for _ in range(count)))


@pytest.mark.parametrize("on_failure", ["error", "retry"])
@pytest.mark.parametrize("seed", range(4))
def test_threads_and_tasks_with_random_troubles_all_end(on_failure: Any, seed: int) -> None:
    with open_cache(
        "memory://",
        embedder=None,
        ttl=0.001,
        stale_while_revalidate=0.001,
        single_flight_timeout=1.5 * LIMIT,  # a deadlock lasts longer than the test's patience
        followers_on_failure=on_failure,
    ) as cache:
        chaos = Chaos(cache, seed)
        with ThreadPoolExecutor(10) as pool:
            loops = [pool.submit(asyncio.run, chaos.tasks(40)) for _ in range(2)]
            asked = [pool.submit(chaos.ask, chaos.key()) for _ in range(200)]
            for one in (*loops, *asked):
                one.result(LIMIT)
        until(lambda: not len(cache._flights) and not cache._refresher._running)
        assert chaos.begun == chaos.ended
        stats = cache.stats()
        assert sum(chaos.begun.values()) <= stats.miss_count + sum(stats.hits.values())
        assert set(stats.errors) <= {"refresh"}
