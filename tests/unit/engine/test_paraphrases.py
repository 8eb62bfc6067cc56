"""A question that means the same as one whose answer is on its way waits for that answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, Request, SemanticCache, Verdict, open_cache
from llmcache_plugins.testing import FakeClock, FakeEmbedder

LIMIT = 20.0
GROUPS = {"Show BGP status": "bgp", "Display BGP state": "bgp", "BGP status, please": "bgp"}
FIRST, SECOND, THIRD = GROUPS
OTHER = "Which routes are there?"


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with open_flights() as cache:
        yield cache


def open_flights(**settings: Any) -> SemanticCache:
    embedder = settings.pop("embedder", None) or FakeEmbedder(GROUPS)
    return open_cache("memory://", embedder=embedder, **({"single_flight_timeout": LIMIT} | settings))


class Model:
    """Says which of its calls it was, once it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.began, self.may_answer = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def __call__(self) -> str:
        self.calls += 1
        self.began.set()
        assert self.may_answer.wait(LIMIT)
        if self.error is not None:
            raise self.error
        return "from the model"


@contextmanager
def under_way(cache: SemanticCache, model: Model, question: Request | str = FIRST) -> Iterator[ThreadPoolExecutor]:
    """While the model is asked this question."""
    with ThreadPoolExecutor(8) as pool:
        leading = pool.submit(cache.get_or_generate, question, model)
        assert model.began.wait(LIMIT)
        try:
            yield pool
        finally:
            model.may_answer.set()
        assert model.error or leading.result(LIMIT) == "from the model"


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(LIMIT / 0.005)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")


def are_waiting(cache: SemanticCache, count: int, question: str = FIRST) -> Callable[[], bool]:
    """Whether that many callers wait for the flight of this question."""
    key = cache.identify(question).key

    def look() -> bool:
        flight = cache._flights._flights.get(key)
        waiting = getattr(flight, "_event", None)
        return waiting is not None and len(waiting._cond._waiters) >= count

    return look


def answers(asked: list[Future[Any]]) -> list[Any]:
    return [one.result(LIMIT) for one in asked]


def test_paraphrases_in_flight_make_one_call(cache: SemanticCache) -> None:
    model = Model()
    with under_way(cache, model) as pool:
        asked = [pool.submit(cache.get_or_generate, question, model) for question in (SECOND, THIRD, SECOND)]
        until(are_waiting(cache, 3))
        model.may_answer.set()
        assert answers(asked) == ["from the model"] * 3
    assert model.calls == 1
    assert cache.stats().hits == {"semantic": 3} or cache.stats().hits == {"semantic": 2, "alias": 1}


async def test_paraphrases_in_flight_make_one_call_on_a_loop(cache: SemanticCache) -> None:
    calls, began, may_answer = [], asyncio.Event(), asyncio.Event()

    async def generate() -> str:
        calls.append("call")
        began.set()
        await may_answer.wait()
        return "answer"

    asked = [asyncio.create_task(cache.aget_or_generate(FIRST, generate))]
    await began.wait()
    asked.append(asyncio.create_task(cache.aget_or_generate(SECOND, generate)))
    for _ in range(200):
        await asyncio.sleep(0)
    may_answer.set()
    assert await asyncio.wait_for(asyncio.gather(*asked), LIMIT) == ["answer", "answer"]
    assert len(calls) == 1


def test_behind_a_lookup_too(cache: SemanticCache) -> None:
    assert isinstance(cache.lookup(FIRST, lead=True), Miss)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(cache.lookup, SECOND, lead=True)
        until(are_waiting(cache, 1))
        cache.update(FIRST, "answer")
        outcome = waiting.result(LIMIT)
    assert isinstance(outcome, Hit)
    assert outcome.kind == "semantic"


def goes_on(cache: SemanticCache, question: Request | str) -> bool:
    """Does the question get an answer of its own while another one is under way?"""
    model = Model()
    with under_way(cache, model) as pool:
        return bool(pool.submit(cache.get_or_generate, question, lambda: "its own").result(LIMIT) == "its own")


def test_another_question_does_not_wait(cache: SemanticCache) -> None:
    assert goes_on(cache, OTHER)


def test_another_scope_does_not_wait(cache: SemanticCache) -> None:
    assert goes_on(cache, Request(SECOND, model="another"))


def test_what_is_matched_exactly_only_does_not_wait(cache: SemanticCache) -> None:
    assert goes_on(cache, Request(SECOND, exact_only="agent_step"))


def test_what_a_guard_vetoes_does_not_wait() -> None:
    def veto(asked: str, stored: str) -> Verdict:
        return Verdict("veto", "conflict")

    veto.name = "veto"  # type: ignore[attr-defined]
    with open_flights(guards=[veto]) as cache:
        assert goes_on(cache, SECOND)


def test_what_was_reported_as_wrong_does_not_wait(cache: SemanticCache) -> None:
    cache.update(FIRST, "wrong for the second")
    outcome = cache.lookup(SECOND)
    assert isinstance(outcome, Hit)
    cache.report_wrong(outcome)
    assert goes_on(cache, SECOND)


def test_what_only_a_verifier_could_tell_does_not_wait() -> None:
    class Sure:
        verifier_id = "sure"

        def verify(self, pairs: Any) -> Any:
            return [1.0] * len(pairs)

    groups = FakeEmbedder(GROUPS, similarity=0.9)
    with open_flights(embedder=groups, similarity_threshold=0.95, verifier=Sure()) as cache:
        assert goes_on(cache, SECOND)


def test_by_setting_nobody_waits() -> None:
    with open_flights(join_paraphrases=False) as cache:
        assert goes_on(cache, SECOND)


def test_a_caller_that_leads_does_not_wait(cache: SemanticCache) -> None:
    """Its caller may look several questions up before it asks any of them."""
    assert isinstance(cache.lookup(FIRST, lead=True), Miss)
    assert isinstance(cache.lookup(SECOND, lead=True), Miss)


def test_when_the_call_fails_the_paraphrase_makes_its_own(cache: SemanticCache) -> None:
    """The error is not its own."""
    model = Model()
    model.error = ConnectionError("down")
    with under_way(cache, model) as pool:
        asked = pool.submit(cache.get_or_generate, SECOND, lambda: "its own")
        until(are_waiting(cache, 1))
        model.may_answer.set()
        assert asked.result(LIMIT) == "its own"


def test_nothing_is_embedded_for_it_unless_something_is_under_way() -> None:
    embedder = FakeEmbedder(GROUPS)
    with open_flights(embedder=embedder, clock=FakeClock()) as cache:
        assert cache.get_or_generate(FIRST, lambda: "answer") == "answer"
        assert embedder.embedded == []


def test_no_more_than_64_are_compared(cache: SemanticCache) -> None:
    for number in range(100):
        cache._flights.enter(str(number), may_wait=True, is_open=False, scope="s", text=f"question {number}")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(cache._flights.running, "s", "mine").result(LIMIT)
    assert [flight.text for flight in running] == [f"question {number}" for number in range(99, 35, -1)]
