"""The judge within its limits: money, time, one call for one pair, and nothing of it in the cache.

Most tests run twice, by plain calls and on an event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Entry, Hit, Judgement, Miss, Outcome, Request, SemanticCache, open_cache
from llmcache_plugins.recorded import Event, JudgeEvent
from llmcache_plugins.testing import FakeClock, FakeEmbedder

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
OTHERS = [f"{ASKED} {word}" for word in ("now", "here", "there", "then", "again", "too")]
DAY = 24 * 3600.0
Look = Callable[[SemanticCache, str], Outcome]


@pytest.fixture(params=["sync", "async"])
def look(request: pytest.FixtureRequest) -> Look:
    if request.param == "sync":
        return lambda cache, question: cache.lookup(question)
    return lambda cache, question: asyncio.run(cache.alookup(question))


def opened(judge: Any, **parts: Any) -> SemanticCache:
    """One stored question; all others are in the grey zone below it."""
    groups = dict.fromkeys((ASKED, STORED, *OTHERS), "bgp")
    cache = open_cache("memory://", embedder=FakeEmbedder(groups, similarity=0.9), judge=judge, **parts)
    cache.update(STORED, "answer")
    return cache


class Scripted:
    """Says one thing after the other, the last one for ever."""

    def __init__(self, *said: Any) -> None:
        self.said = list(said)
        self.asked: list[str] = []

    def __call__(self, request: Request, entry: Entry) -> Any:
        self.asked.append(request.text)
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said


class Hanging:
    """A judge that does not come back until it is released."""

    def __init__(self, said: Any = True) -> None:
        self.release = threading.Event()
        self.said = said
        self.asked = 0
        self.begun = threading.Event()

    def __call__(self, request: Request, entry: Entry) -> Any:
        self.asked += 1
        self.begun.set()
        self.release.wait(20)
        return self.said


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    judge = Hanging()
    yield judge
    judge.release.set()


class Heard:
    """A recorder that lets a test wait for what it hears."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        if isinstance(event, JudgeEvent):
            with self._changed:
                self.outcomes.append(event.outcome)
                self._changed.notify_all()

    def wait_for(self, outcome: str, count: int = 1) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.outcomes.count(outcome) >= count, 10)


# ------------------------------------------------------------------------------------------------ what is remembered
@pytest.mark.parametrize("said", [False, 0.9, Judgement(False, 0.1)])
def test_a_verdict_is_not_asked_for_again(look: Look, said: Any) -> None:
    judge = Scripted(said)
    with opened(judge) as cache:
        for _ in range(3):
            assert isinstance(look(cache, ASKED), Miss)
        assert judge.asked == [ASKED]
        assert (cache.stats().judge_calls, cache.stats().judged["known"]) == (1, 2)


def test_another_stored_answer_is_judged_again(look: Look) -> None:
    judge = Scripted(False)
    with opened(judge) as cache:
        look(cache, ASKED)
        cache.update(STORED, "another answer")
        look(cache, ASKED)
        assert len(judge.asked) == 2
        cache.update(STORED, "another answer")  # the same again, only fresh
        look(cache, ASKED)
        assert len(judge.asked) == 2


def test_another_question_is_judged_by_itself(look: Look) -> None:
    judge = Scripted(False)
    with opened(judge) as cache:
        look(cache, ASKED)
        look(cache, OTHERS[0])
        assert judge.asked == [ASKED, OTHERS[0]]


def test_that_a_judge_could_not_say_is_remembered_for_a_while(look: Look) -> None:
    judge, clock = Scripted(None), FakeClock()
    with opened(judge, clock=clock) as cache:
        look(cache, ASKED)
        look(cache, ASKED)
        assert len(judge.asked) == 1
        clock.advance(301)
        look(cache, ASKED)
        assert len(judge.asked) == 2


@pytest.mark.parametrize("failure", [RuntimeError("down"), "yes", 7])
def test_a_failure_is_not_remembered(look: Look, failure: Any) -> None:
    judge = Scripted(failure, True)
    with opened(judge) as cache:
        assert isinstance(look(cache, ASKED), Miss)
        assert isinstance(look(cache, ASKED), Hit)
        assert cache.stats().judged == {"none": 1, "yes": 1}
        assert cache.stats().errors == {"judge": 1}


# --------------------------------------------------------------------------------------------------- one call for all
def test_threads_that_ask_the_same_make_one_call(hanging: Hanging) -> None:
    heard = Heard()
    with opened(hanging, recorders=[heard]) as cache, ThreadPoolExecutor(5) as threads:
        looks = [threads.submit(cache.lookup, ASKED) for _ in range(5)]
        assert heard.wait_for("known", 4)
        hanging.release.set()
        assert all(isinstance(look.result(10), Hit) for look in looks)
        assert hanging.asked == 1


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_tasks_that_ask_the_same_make_one_call(kind: str) -> None:
    asked, go = [], asyncio.Event()
    loop = asyncio.get_running_loop()

    async def ajudge(request: Request, entry: Entry) -> bool:
        asked.append(request.text)
        await go.wait()
        return True

    def judge(request: Request, entry: Entry) -> bool:
        asked.append(request.text)
        return asyncio.run_coroutine_threadsafe(go.wait(), loop).result(10)

    heard = Heard()
    with opened(ajudge if kind == "coroutine" else judge, recorders=[heard]) as cache:
        looks = [asyncio.create_task(cache.alookup(ASKED)) for _ in range(5)]
        assert await asyncio.to_thread(heard.wait_for, "known", 4)
        go.set()
        assert all(isinstance(outcome, Hit) for outcome in await asyncio.gather(*looks))
        assert asked == [ASKED]


async def test_a_plain_lookup_does_not_wait_for_a_task_of_its_own_loop() -> None:
    go = asyncio.Event()

    async def judge(request: Request, entry: Entry) -> bool:
        await go.wait()
        return True

    with opened(judge, judge_timeout=60.0) as cache:
        task = asyncio.create_task(cache.alookup(ASKED))
        while "known" not in cache.stats().judged:
            await asyncio.sleep(0.001)
            assert isinstance(cache.lookup(ASKED), Miss)
        go.set()
        assert isinstance(await task, Hit)


async def test_a_cancelled_lookup_leaves_nobody_waiting() -> None:
    begun = asyncio.Event()

    async def judge(request: Request, entry: Entry) -> bool:
        begun.set()
        await asyncio.sleep(60)
        return True

    heard = Heard()
    with opened(judge, judge_timeout=60.0, recorders=[heard]) as cache:
        leader = asyncio.create_task(cache.alookup(ASKED))
        await begun.wait()
        follower = asyncio.create_task(cache.alookup(ASKED))
        assert await asyncio.to_thread(heard.wait_for, "known")
        leader.cancel()
        assert isinstance(await asyncio.wait_for(follower, 10), Miss)
        with pytest.raises(asyncio.CancelledError):
            await leader


# ------------------------------------------------------------------------------------------------------------- money
def test_the_budget_of_24_hours_is_not_exceeded(look: Look, caplog: pytest.LogCaptureFixture) -> None:
    judge, clock = Scripted(Judgement(False, 0.4)), FakeClock()
    with opened(judge, judge_budget=1.0, ttl=None, clock=clock) as cache, caplog.at_level(logging.WARNING):
        for question in OTHERS[:5]:
            assert isinstance(look(cache, question), Miss)
        stats = cache.stats()
        assert stats.judged == {"no": 2, "budget": 3}
        assert (stats.judge_calls, stats.judge_cost) == (2, pytest.approx(0.8))
        assert [record.message for record in caplog.records if "budget" in record.message] == [
            "the judge's budget for 24 hours is used up: it is not asked until there is some again"
        ]
        clock.advance(DAY)
        look(cache, OTHERS[5])
        assert cache.stats().judge_calls == 3


def test_what_is_known_needs_no_budget(look: Look) -> None:
    judge = Scripted(Judgement(False, 1.0))
    with opened(judge, judge_budget=1.0) as cache:
        for _ in range(3):
            look(cache, ASKED)
        assert cache.stats().judged == {"no": 1, "known": 2}


@pytest.mark.parametrize("said", [False, RuntimeError("down"), Judgement(False)])
def test_a_call_that_does_not_say_its_cost_costs_the_flat_one(look: Look, said: Any) -> None:
    with opened(Scripted(said), judge_budget=1.0, judge_cost=0.5) as cache:
        for question in OTHERS:
            look(cache, question)
        assert cache.stats().judge_cost == 1.0
        assert cache.stats().judged["budget"] == 4


def test_a_budget_for_a_judge_without_a_price_is_said_to_limit_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with opened(Scripted(False), judge_budget=1.0) as cache, caplog.at_level(logging.WARNING):
        for question in OTHERS:
            cache.lookup(question)
        assert len([record for record in caplog.records if "judge_budget limits nothing" in record.message]) == 1


@pytest.mark.parametrize("cost", [-0.1, float("nan"), float("inf"), "1", True])
def test_a_cost_that_is_no_money_is_refused(cost: Any) -> None:
    with pytest.raises(ValueError, match="cost of a judgement"):
        Judgement(True, cost)


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"judge_budget": 0}, "judge_budget must be a number above 0"), ({"judge_cost": -1}, "judge_cost must be")],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_cache("memory://", embedder=None, **setting)


# ------------------------------------------------------------------------------------------------------------- hangs
def test_a_verdict_that_comes_late_serves_the_next_lookup(look: Look, hanging: Hanging) -> None:
    heard = Heard()
    hanging.said = Judgement(True, 0.75)
    with opened(hanging, judge_timeout=0.02, recorders=[heard]) as cache:
        assert isinstance(look(cache, ASKED), Miss)
        assert cache.stats().errors == {"judge": 1}
        hanging.release.set()
        assert heard.wait_for("late")
        assert cache.stats().judge_cost == 0.75
        assert isinstance(look(cache, ASKED), Hit)
        assert hanging.asked == 1


def test_a_call_that_never_comes_back_costs_what_the_last_one_did(look: Look, hanging: Hanging) -> None:
    def judge(request: Request, entry: Entry) -> Any:
        return hanging(request, entry) if request.text == ASKED else Judgement(False, 0.25)

    with opened(judge, judge_timeout=0.5, judge_budget=10.0) as cache:
        look(cache, OTHERS[0])
        look(cache, ASKED)
        assert cache.stats().judge_cost == 0.5


def test_a_judge_that_hangs_is_left_alone_for_a_while(look: Look, hanging: Hanging) -> None:
    clock = FakeClock()
    with opened(hanging, judge_timeout=0.3, clock=clock) as cache:
        for question in OTHERS[:5]:
            assert isinstance(look(cache, question), Miss)
        assert hanging.asked == 3
        assert cache.stats().judged == {"none": 3, "paused": 2}
        hanging.release.set()
        clock.advance(31)
        assert isinstance(look(cache, OTHERS[5]), Hit)
        assert isinstance(look(cache, ASKED), Hit)


async def test_a_coroutine_that_will_not_be_cancelled_is_given_up() -> None:
    stubborn = asyncio.Event()

    async def judge(request: Request, entry: Entry) -> bool:
        while not stubborn.is_set():
            try:
                await stubborn.wait()
            except asyncio.CancelledError:
                continue
        return True

    with opened(judge, judge_timeout=0.02) as cache:
        assert isinstance(await asyncio.wait_for(cache.alookup(ASKED), 10), Miss)
        assert cache.stats().errors == {"judge": 1}
        stubborn.set()
        while "late" not in cache.stats().judged:
            await asyncio.sleep(0.001)


async def test_a_judge_that_blocks_does_not_block_the_loop(hanging: Hanging) -> None:
    with opened(hanging, judge_timeout=20.0) as cache:
        task = asyncio.create_task(cache.alookup(ASKED))
        while not hanging.begun.is_set():
            await asyncio.sleep(0.001)  # the loop goes on while the judge holds its thread
        assert not task.done()
        hanging.release.set()
        assert isinstance(await task, Hit)


async def test_a_function_that_gives_an_awaitable_has_it_awaited_on_the_callers_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def later() -> bool:
        loops.append(asyncio.get_running_loop())
        return True

    with opened(lambda request, entry: later()) as cache:
        assert isinstance(await cache.alookup(ASKED), Hit)
    assert loops == [asyncio.get_running_loop()]


async def test_an_object_whose_call_is_a_coroutine_function_is_a_judge() -> None:
    class Remote:
        async def __call__(self, request: Request, entry: Entry) -> bool:
            return True

    with opened(Remote()) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)  # nobody can await it there
        assert isinstance(await cache.alookup(ASKED), Hit)


# ------------------------------------------------------------------------------------------------ past the cache
def test_a_judge_that_asks_through_the_cache_asks_its_model(look: Look) -> None:
    """Neither a stored answer nor a call that waits for this very lookup stands in for it, and nothing is stored."""
    called: list[str] = []

    def model() -> str:
        called.append("model")
        return "yes"

    def judge(request: Request, entry: Entry) -> bool:
        return [cache.get_or_generate(text, model) for text in (STORED, ASKED)] == ["yes", "yes"]

    with opened(judge, judge_timeout=5.0) as cache:
        assert isinstance(look(cache, ASKED), Hit)
        assert called == ["model", "model"]
        assert cache.stats().updates == 1


async def test_a_coroutine_that_asks_through_the_cache_asks_its_model() -> None:
    async def model() -> str:
        return "yes"

    async def judge(request: Request, entry: Entry) -> bool:
        return bool(await cache.aget_or_generate(STORED, model) == "yes")

    with opened(judge, judge_timeout=5.0) as cache:
        assert isinstance(await cache.alookup(ASKED), Hit)
        assert cache.stats().updates == 1


def test_a_leader_of_the_cache_may_ask_a_judge_that_asks_the_same_question() -> None:
    """The lookup of `get_or_generate` leads a call; the judge must not wait for its own caller."""

    def judge(request: Request, entry: Entry) -> bool:
        return bool(cache.get_or_generate(ASKED, lambda: "judge's own") != "judge's own")

    with opened(judge, judge_timeout=5.0, single_flight_timeout=60.0) as cache:
        assert cache.get_or_generate(ASKED, lambda: "fresh") == "fresh"
        assert cache.stats().judged == {"no": 1}


def test_no_text_is_in_what_recorders_hear_or_logs_say(look: Look, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []
    with opened(Scripted(ValueError(ASKED)), recorders=[heard.append]) as cache, caplog.at_level(logging.DEBUG):
        look(cache, ASKED)
    events = [event for event in heard if isinstance(event, JudgeEvent)]
    assert [event.outcome for event in events] == ["none"]
    assert ASKED not in repr(events)
    assert ASKED not in caplog.text
