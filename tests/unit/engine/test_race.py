"""An answer computed before an invalidation is not stored after it, whatever the road."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Answer, Hit, Miss, Request, SemanticCache, UpdateOutcome, open_cache
from llmcache_plugins.engine.drivers import run
from llmcache_plugins.engine.sequences import Sequences
from llmcache_plugins.testing import FakeClock

LIMIT = 20.0
REFUSED = UpdateOutcome(False, "invalidated")
STORED = UpdateOutcome(True)
REQUEST = Request("q", tags=("device:a",))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[SemanticCache]:
    url = "memory://" if request.param == "memory" else f"disk://{tmp_path}/c.db"
    with open_cache(url, embedder=None, clock=clock, single_flight_timeout=LIMIT) as cache:
        yield cache


def change(cache: SemanticCache, tag: str = "device:a") -> None:
    cache.invalidate(tags=[tag])


@pytest.mark.parametrize("lead", [False, True])
def test_an_answer_from_before_is_refused(cache: SemanticCache, lead: bool) -> None:
    assert isinstance(cache.lookup(REQUEST, lead=lead), Miss)
    change(cache)
    assert cache.update(REQUEST, "old") == REFUSED
    assert isinstance(cache.lookup(REQUEST), Miss)
    assert cache.update(REQUEST, "new") == STORED  # asked for after the change


@pytest.mark.parametrize("lead", [False, True])
async def test_an_answer_from_before_is_refused_on_a_loop(cache: SemanticCache, lead: bool) -> None:
    assert isinstance(await cache.alookup(REQUEST, lead=lead), Miss)
    await cache.ainvalidate(tags=["device:a"])
    assert await cache.aupdate(REQUEST, "old") == REFUSED
    assert isinstance(await cache.alookup(REQUEST), Miss)
    assert await cache.aupdate(REQUEST, "new") == STORED


def test_other_invalidations_are_no_obstacle(cache: SemanticCache) -> None:
    cache.lookup(REQUEST)
    change(cache, "device:b")
    assert cache.update(REQUEST, "a") == STORED


def test_get_or_generate_returns_the_answer_and_does_not_keep_it(cache: SemanticCache) -> None:
    def generate() -> str:
        change(cache)
        return "old"

    assert cache.get_or_generate(REQUEST, generate) == "old"
    assert cache.get_or_generate(REQUEST, lambda: "new") == "new"
    assert cache.get_or_generate(REQUEST, lambda: "newer") == "new"
    assert cache.stats().refusals == {"invalidated": 1}


def test_a_renewal_in_the_background_is_refused_too(clock: FakeClock) -> None:
    with open_cache("memory://", embedder=None, clock=clock, ttl=10.0, stale_while_revalidate=10.0) as cache:
        done = threading.Event()

        def generate() -> str:
            change(cache)
            done.set()
            return "old"

        cache.update(REQUEST, "first")
        clock.advance(10.0)
        assert cache.get_or_generate(REQUEST, generate) == "first"
        assert done.wait(LIMIT)
        until(lambda: not len(cache._flights))
        assert cache.get_or_generate(REQUEST, lambda: "new") == "new"


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")


def test_followers_of_an_answer_that_came_too_late_make_one_call_again() -> None:
    calls: list[str] = []
    began, may_answer = threading.Event(), threading.Event()
    with open_cache("memory://", embedder=None, single_flight_timeout=LIMIT) as cache:

        def generate() -> str:
            calls.append("call")
            began.set()
            assert may_answer.wait(LIMIT)
            return f"answer {len(calls)}"

        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(cache.get_or_generate, REQUEST, generate) for _ in range(8)]
            assert began.wait(LIMIT)
            until(lambda: cache.stats().misses != {} or len(cache._flights) == 1)
            change(cache)
            may_answer.set()
            answers = sorted(one.result(LIMIT) for one in asked)
    assert answers == ["answer 1"] + ["answer 2"] * 7
    assert len(calls) == 2


def test_each_caller_counts_with_what_it_knew(cache: SemanticCache) -> None:
    """A later lookup of the same question, by somebody else, says nothing of the earlier answer."""
    looked, may_update = threading.Event(), threading.Event()

    def early() -> UpdateOutcome:
        cache.lookup(REQUEST)
        looked.set()
        assert may_update.wait(LIMIT)
        return cache.update(REQUEST, "old")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(early)
        assert looked.wait(LIMIT)
        change(cache)
        cache.lookup(REQUEST)
        may_update.set()
        assert first.result(LIMIT) == REFUSED
        assert cache.update(REQUEST, "new") == STORED


def test_an_answer_handed_to_another_thread_counts_with_what_its_lookup_knew(cache: SemanticCache) -> None:
    cache.lookup(REQUEST)
    change(cache)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cache.update, REQUEST, "old").result(LIMIT) == REFUSED


async def test_lookup_and_update_in_threads_of_a_loop(cache: SemanticCache) -> None:
    """`to_thread` gives each of them a context of its own."""
    change(cache)
    await asyncio.to_thread(cache.lookup, REQUEST)
    assert await asyncio.to_thread(cache.update, REQUEST, "new") == STORED
    await asyncio.to_thread(cache.clear)
    await asyncio.to_thread(cache.lookup, REQUEST)
    change(cache)
    assert await asyncio.to_thread(cache.update, REQUEST, "old") == REFUSED


def test_without_a_lookup_the_duration_decides(cache: SemanticCache, clock: FakeClock) -> None:
    change(cache)
    clock.advance(3.0)
    assert cache.update(REQUEST, Answer("a", generation_seconds=4.0)) == REFUSED
    assert cache.update(REQUEST, Answer("a", generation_seconds=2.0)) == STORED


def test_without_lookup_and_duration_the_longest_wait_decides(cache: SemanticCache, clock: FakeClock) -> None:
    change(cache)
    clock.advance(LIMIT - 1.0)
    assert cache.update(REQUEST, "a") == REFUSED
    clock.advance(2.0)
    assert cache.update(REQUEST, "a") == STORED


def test_an_abandoned_lookup_stands_in_nobody_s_way(cache: SemanticCache, clock: FakeClock) -> None:
    def abandoned() -> None:
        cache.lookup(REQUEST)

    Context().run(abandoned)
    change(cache)
    clock.advance(LIMIT + 1.0)
    assert cache.update(REQUEST, Answer("a", generation_seconds=1.0)) == STORED


def test_everything_of_a_namespace(cache: SemanticCache) -> None:
    cache.lookup(REQUEST)
    cache.invalidate(everything=True)
    cache.update(REQUEST, "old")
    assert isinstance(cache.lookup(REQUEST), Miss)


def test_a_new_epoch_frees_those_who_wait(cache: SemanticCache) -> None:
    """The keys are others from then on; the flight is the same."""
    assert isinstance(cache.lookup(REQUEST, lead=True), Miss)
    run(cache._epochs.bump_flow((), cache._clock.now()), cache._perform)
    change(cache)
    assert cache.update(REQUEST, "old") == REFUSED
    assert len(cache._flights) == 0
    assert isinstance(cache.lookup(REQUEST), Miss)
    assert cache.update(REQUEST, "new") == STORED


def test_a_hit_reads_no_sequence() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.update("q", "a")
        store: Any = cache._tiers[-1].store
        asked: list[int] = []
        original = store.sequence

        def sequence() -> int:
            asked.append(1)
            return int(original())

        store.sequence = sequence
        assert isinstance(cache.lookup("q", lead=True), Hit)
        assert not asked
        cache.lookup("other")
        assert asked


def test_what_is_noted_is_bounded() -> None:
    sequences = Sequences(60.0, FakeClock())
    for number in range(10_000):
        sequences.note(str(number), number)
    for _ in range(200):
        Context().run(sequences.note, "same", 7)
    assert len(sequences._noted) <= 4096
    assert len(sequences._noted["same"]) <= 64


def test_of_very_many_callers_none_gets_a_later_number_than_its_own() -> None:
    sequences = Sequences(60.0, FakeClock())
    callers = [Context() for _ in range(100)]
    for number, caller in enumerate(callers):
        caller.run(sequences.note, "same", number)
    taken = [caller.run(sequences.take, "same") for caller in callers]
    assert all(seen is None or seen <= number for number, seen in enumerate(taken))
    assert taken[0] == 0
