"""Concurrent misses make one call; nobody hangs; failing and cancelled leaders free the others."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, Hit, Miss, SemanticCache, Tier, open_cache
from llmcache_plugins.engine import Rules
from llmcache_plugins.engine.clock import SystemClock
from llmcache_plugins.engine.singleflight import FlightTable, Landing, LandingKind, Role
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

LIMIT = 20.0  # seconds after which a test counts as hung


@pytest.fixture
def cache() -> Any:
    with open_cache("memory://", embedder=None, single_flight_timeout=LIMIT) as cache:
        yield cache


class SlowModel:
    """Answers when told to, and counts its calls."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.started = threading.Event()
        self.finish = threading.Event()
        self._error = error
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.calls += 1
        self.started.set()
        assert self.finish.wait(LIMIT)
        if self._error is not None:
            raise self._error
        return "answer"


def in_threads(count: int, call: Callable[[], Any]) -> list[Any]:
    """Results or exceptions of `count` concurrent calls."""

    def attempt() -> Any:
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return [future.result(LIMIT) for future in [pool.submit(attempt) for _ in range(count)]]


def test_concurrent_equal_misses_make_one_call() -> None:
    count = 16
    model, missed = SlowModel(), threading.Semaphore(0)
    store = FaultyStore(MemoryStore())
    store.before({"get"}, lambda: missed.release())
    with cache_over(store) as cache, ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(cache.get_or_generate, "q", model) for _ in range(count)]
        for _ in range(count + 1):  # each caller has missed, and the leader has looked again: now the model may answer
            assert missed.acquire(timeout=LIMIT)
        model.finish.set()
        assert [future.result(LIMIT) for future in futures] == ["answer"] * count
        assert model.calls == 1
        assert len(cache._flights) == 0


@pytest.mark.parametrize("times", [1, 100])
def test_followers_of_an_answer_that_is_gone_again_make_one_call_or_do_not_wait_for_ever(times: int) -> None:
    count = 8
    model, missed = SlowModel(), threading.Semaphore(0)
    store = FaultyStore(MemoryStore())
    lock, forgotten = threading.Lock(), 0

    def forget() -> None:
        """As an invalidation would, between the moment in which the answer was stored and the followers' look."""
        nonlocal forgotten
        missed.release()
        with lock:
            if store.calls["put"] > forgotten and forgotten < times:
                forgotten = store.calls["put"]
                store.inner.clear()

    def answer() -> str:
        said = model()
        if model.calls > 1:
            time.sleep(0.2)  # the others ask meanwhile
        return said

    store.before({"get"}, forget)
    with cache_over(store) as cache, ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(cache.get_or_generate, "q", answer) for _ in range(count)]
        for _ in range(count + 1):
            assert missed.acquire(timeout=LIMIT)
        model.finish.set()
        assert [future.result(LIMIT) for future in futures] == ["answer"] * count
        assert model.calls == 2 if times == 1 else model.calls > 2
        assert len(cache._flights) == 0


def cache_over(store: FaultyStore) -> SemanticCache:
    return SemanticCache(
        [Tier("hot", store, AsyncStoreAdapter(store))],
        config=CacheConfig(single_flight_timeout=LIMIT),
        rules=Rules(("hot",), None, "p", lambda request: SimilarityPolicy(0.95), lambda asked, stored: ()),
        embedder=None,
        statistics=Statistics(),
        clock=SystemClock(),
    )


def test_failing_leader_gives_its_error_to_those_who_wait(cache: SemanticCache) -> None:
    error = ValueError("model down")
    model = SlowModel(error)
    results: list[Any] = []
    leader = threading.Thread(target=lambda: results.extend(in_threads(1, lambda: cache.get_or_generate("q", model))))
    leader.start()
    assert model.started.wait(LIMIT)
    waiting = threading.Barrier(5)

    def follow() -> Any:
        waiting.wait(LIMIT)
        return cache.get_or_generate("q", model)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(follow) for _ in range(4)]
        waiting.wait(LIMIT)
        model.finish.set()
        for future in futures:
            with pytest.raises(ValueError, match="model down"):
                future.result(LIMIT)
    leader.join(LIMIT)
    assert results == [error]
    assert cache.get_or_generate("q", lambda: "recovered") == "recovered"


def test_an_answer_that_may_not_be_stored_holds_nobody_up(cache: SemanticCache) -> None:
    model_calls: list[int] = []

    def empty() -> str:
        model_calls.append(1)
        return ""

    assert in_threads(8, lambda: cache.get_or_generate("q", empty)) == [""] * 8
    assert len(cache._flights) == 0


def test_lookup_with_lead_waits_for_the_update_of_the_leader(cache: SemanticCache) -> None:
    assert isinstance(cache.lookup("q", lead=True), Miss)
    with ThreadPoolExecutor(1) as pool:
        follower = pool.submit(lambda: cache.lookup("q", lead=True))
        cache.update("q", "answer")
        found = follower.result(LIMIT)
    assert isinstance(found, Hit)


def test_released_lead_passes_to_the_next_follower(cache: SemanticCache) -> None:
    assert isinstance(cache.lookup("q", lead=True), Miss)

    def follow() -> Any:
        outcome = cache.lookup("q", lead=True)
        if isinstance(outcome, Miss):
            cache.update("q", "from the follower")
        return outcome

    with ThreadPoolExecutor(3) as pool:
        followers = [pool.submit(follow) for _ in range(3)]
        assert cache.release_leads() == 1
        outcomes = [follower.result(LIMIT) for follower in followers]
    assert sum(isinstance(outcome, Miss) for outcome in outcomes) == 1


def test_two_threads_that_ask_in_opposite_order_do_not_deadlock(cache: SemanticCache) -> None:
    both = threading.Barrier(2)

    def ask(*questions: str) -> type:
        first = type(cache.lookup(questions[0], lead=True))
        both.wait(LIMIT)
        cache.lookup(questions[1], lead=True)  # the other thread leads this one, and would wait for ours
        for question in questions:
            cache.update(question, "answer")
        return first

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(ask, "a", "b"), pool.submit(ask, "b", "a")
        assert (first.result(LIMIT), second.result(LIMIT)) == (Miss, Miss)


def test_one_caller_may_look_the_same_prompt_up_twice(cache: SemanticCache) -> None:
    for question in ("a", "b", "a"):
        assert isinstance(cache.lookup(question, lead=True), Miss)
    for question in ("a", "b", "a"):
        assert cache.update(question, "answer").stored


def test_generate_may_use_the_cache_itself(cache: SemanticCache) -> None:
    def outer() -> str:
        return "outer+" + cache.get_or_generate("inner", lambda: "inner")

    assert cache.get_or_generate("outer", outer) == "outer+inner"
    assert cache.get_or_generate("same", lambda: cache.get_or_generate("same", lambda: "deep")) == "deep"


def test_leader_that_never_lands_is_out_after_the_deadline() -> None:
    clock = FakeClock()
    table = FlightTable(5.0, clock)
    role, late = table.enter("k", may_wait=True, is_open=True)
    assert role is Role.LEAD
    assert _enter_elsewhere(table, "k") == (Role.FOLLOW, late)
    clock.advance(5.0)
    role, second = _enter_elsewhere(table, "k")
    assert role is Role.LEAD
    assert late.landing == Landing(LandingKind.RELEASED)
    # What becomes of the late call is no longer the business of those who wait for the second one.
    table.land(late, Landing(LandingKind.FAILED, ValueError("late")))
    assert second.landing is None
    assert _enter_elsewhere(table, "k") == (Role.FOLLOW, second)


def _enter_elsewhere(table: FlightTable, key: str) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: table.enter(key, may_wait=True, is_open=True)).result(LIMIT)


def test_abandoned_leads_do_not_pile_up() -> None:
    clock = FakeClock()
    table = FlightTable(5.0, clock)
    for number in range(1500):
        clock.advance(1.0)
        table.enter(str(number), may_wait=True, is_open=True)
    assert len(table) <= 1024


async def test_concurrent_tasks_make_one_call(cache: SemanticCache) -> None:
    calls = 0
    gate = asyncio.Event()

    async def ask() -> str:
        nonlocal calls
        calls += 1
        await gate.wait()
        return "answer"

    tasks = [asyncio.create_task(cache.aget_or_generate("q", ask)) for _ in range(20)]
    while not calls:
        await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), LIMIT) == ["answer"] * 20
    assert calls == 1


async def test_cancelled_leader_passes_the_lead_on(cache: SemanticCache) -> None:
    calls = 0
    gate = asyncio.Event()

    async def ask() -> str:
        nonlocal calls
        calls += 1
        await gate.wait()
        return "answer"

    leader = asyncio.create_task(cache.aget_or_generate("q", ask))
    while not calls:
        await asyncio.sleep(0)
    followers = [asyncio.create_task(cache.aget_or_generate("q", ask)) for _ in range(5)]
    await asyncio.sleep(0)
    leader.cancel()
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(*followers), LIMIT) == ["answer"] * 5
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert calls == 2
    assert len(cache._flights) == 0


async def test_cancelled_follower_leaves_the_leader_alone(cache: SemanticCache) -> None:
    gate = asyncio.Event()
    started = asyncio.Event()

    async def ask() -> str:
        started.set()
        await gate.wait()
        return "answer"

    leader = asyncio.create_task(cache.aget_or_generate("q", ask))
    await started.wait()
    follower = asyncio.create_task(cache.aget_or_generate("q", ask))
    await asyncio.sleep(0)
    follower.cancel()
    gate.set()
    assert await asyncio.wait_for(leader, LIMIT) == "answer"
    with pytest.raises(asyncio.CancelledError):
        await follower


async def test_failing_leader_frees_the_waiting_tasks(cache: SemanticCache) -> None:
    gate = asyncio.Event()
    calls = 0

    async def fail() -> str:
        nonlocal calls
        calls += 1
        await gate.wait()
        raise ValueError("model down")

    tasks = [asyncio.create_task(cache.aget_or_generate("q", fail)) for _ in range(8)]
    while not calls:
        await asyncio.sleep(0)
    gate.set()
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LIMIT)
    assert [str(result) for result in results] == ["model down"] * 8
    assert calls == 1


async def test_threads_and_tasks_share_one_flight(cache: SemanticCache) -> None:
    model = SlowModel()
    thread = asyncio.get_running_loop().run_in_executor(None, lambda: cache.get_or_generate("q", model))
    while not model.started.is_set():
        await asyncio.sleep(0.001)

    async def never() -> str:
        raise AssertionError("the thread leads")

    task = asyncio.create_task(cache.aget_or_generate("q", never))
    await asyncio.sleep(0)
    model.finish.set()
    assert await asyncio.wait_for(asyncio.gather(thread, task), LIMIT) == ["answer", "answer"]


async def test_sync_lookup_on_a_loop_never_waits_for_a_task_of_that_loop(cache: SemanticCache) -> None:
    gate = asyncio.Event()
    started = asyncio.Event()

    async def ask() -> str:
        started.set()
        await gate.wait()
        return "answer"

    leader = asyncio.create_task(cache.aget_or_generate("q", ask))
    await started.wait()
    assert isinstance(cache.lookup("q", lead=True), Miss)  # would block the loop, and so its own leader
    gate.set()
    assert await asyncio.wait_for(leader, LIMIT) == "answer"


async def test_child_task_that_asks_for_what_its_parent_leads_does_not_wait(cache: SemanticCache) -> None:
    async def inner() -> str:
        return "inner"

    async def outer() -> str:
        child = asyncio.create_task(cache.aget_or_generate("q", inner))
        return "outer+" + await asyncio.wait_for(child, LIMIT / 2)

    assert await cache.aget_or_generate("q", outer) == "outer+inner"


def test_releasing_leads_leaves_alone_what_the_cache_itself_runs(cache: SemanticCache) -> None:
    def generate() -> str:
        assert cache.release_leads() == 0  # as an error handler does when one of several models in a chain fails
        assert len(cache._flights) == 1
        return "answer"

    assert cache.get_or_generate("q", generate) == "answer"


def test_two_caches_do_not_end_each_other_s_flights() -> None:
    with open_cache("memory://", embedder=None) as one, open_cache("memory://", embedder=None) as other:
        one.lookup("q", lead=True)
        other.lookup("q", lead=True)
        assert other.release_leads() == 1
        assert (len(one._flights), len(other._flights)) == (1, 0)
        one.update("q", "answer")
        assert len(one._flights) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_starts_with_threads_of_its_own_and_no_flights(cache: SemanticCache) -> None:
    async def embed_in_a_thread(cache: SemanticCache) -> Any:
        await cache.aupdate("What are the BGP states?", "six")
        return await cache.alookup("Which states does BGP have?")

    groups = {"What are the BGP states?": "bgp", "Which states does BGP have?": "bgp"}
    with open_cache("memory://", embedder=FakeEmbedder(groups)) as cache:
        assert isinstance(asyncio.run(embed_in_a_thread(cache)), Hit)
        cache.lookup("led by the parent", lead=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
            child = os.fork()
        if child == 0:
            signal.alarm(int(LIMIT))
            cache.clear()
            is_fine = isinstance(asyncio.run(embed_in_a_thread(cache)), Hit)
            is_fine = is_fine and cache.get_or_generate("led by the parent", lambda: "x") == "x"
            os._exit(0 if is_fine else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_followers_in_the_loop_s_own_threads_do_not_starve_their_leader(tmp_path: Path) -> None:
    """The leader needs a thread to write to the disk; the followers may hold all that the loop has."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    gate, started = asyncio.Event(), asyncio.Event()

    async def ask() -> str:
        started.set()
        await gate.wait()
        return "answer"

    async with open_cache(f"disk://{tmp_path}/c.db", embedder=None, single_flight_timeout=LIMIT) as cache:
        leader = asyncio.create_task(cache.aget_or_generate("q", ask))
        await started.wait()
        follower = loop.run_in_executor(None, lambda: cache.get_or_generate("q", lambda: "called again"))
        await asyncio.sleep(0.1)  # it waits by now; were it later, it would only hit
        gate.set()
        assert await asyncio.wait_for(asyncio.gather(leader, follower), LIMIT / 2) == ["answer", "answer"]
