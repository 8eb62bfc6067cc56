"""`cached(model)`: what is stored and what is not, how often the cache and the model are asked, also at one time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import Context, copy_context
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.rate_limiters import InMemoryRateLimiter

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, cached, uncached
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

QUESTION = "What is BGP?"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta"),
]


class Loop:
    """One event loop for all: the integration keeps one client for all of them."""

    runner: asyncio.Runner


@pytest.fixture(autouse=True, scope="module")
def loop() -> Iterator[None]:
    with asyncio.Runner() as Loop.runner:
        yield
    del Loop.runner


def run(coroutine: Any) -> Any:
    return Loop.runner.run(coroutine, context=copy_context())


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as cache:
        yield cache


def claude(server: FakeAnthropic, **settings: Any) -> ChatAnthropic:
    return ChatAnthropic(
        **{"model": "claude-haiku-4-5", "api_key": "test", "base_url": server.base_url, "max_retries": 0} | settings
    )


@pytest.fixture
def model(server: FakeAnthropic, engine: SemanticCache) -> ChatAnthropic:
    return cached(claude(server), engine)


def total(chunks: list[Any]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    return whole


async def astreamed(model: Any, question: Any = QUESTION) -> list[Any]:
    return [chunk async for chunk in model.astream(question)]


WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke(QUESTION),
    "ainvoke": lambda model: run(model.ainvoke(QUESTION)),
    "stream": lambda model: total(list(model.stream(QUESTION))),
    "astream": lambda model: total(run(astreamed(model))),
}
if hasattr(BaseChatModel, "stream_events"):  # from langchain-core 1.4 on
    WAYS["stream_events v3"] = lambda model: model.stream_events(QUESTION, version="v3").output


# ------------------------------------------------------------------ P14: what is stored
def test_p14_a_stream_closed_early_stores_nothing(model: ChatAnthropic, server: FakeAnthropic) -> None:
    stream = model.stream(QUESTION)
    next(stream)
    stream.close()
    model.invoke(QUESTION)
    assert server.count() == 2


async def test_p14_an_async_stream_closed_early_stores_nothing(model: ChatAnthropic, server: FakeAnthropic) -> None:
    stream: Any = model.astream(QUESTION)
    await anext(stream)
    await stream.aclose()
    await model.ainvoke(QUESTION)
    assert server.count() == 2


@pytest.mark.parametrize("damage", [{"cut_after": 4}, {"error_after": 4}])
def test_p14_a_stream_that_fails_in_the_middle_stores_nothing(
    model: ChatAnthropic, server: FakeAnthropic, damage: dict[str, int]
) -> None:
    server.enqueue(text="one two three four five six seven", **damage)
    try:
        broken = list(model.stream(QUESTION))
    except Exception:
        broken = []
    assert not any(chunk.response_metadata.get("stop_reason") for chunk in broken)
    assert model.invoke(QUESTION).content == f"echo: {QUESTION}"
    assert server.count() == 2


@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "pause_turn"])
def test_p17_truncated_and_refused_answers_are_not_stored(
    model: ChatAnthropic, server: FakeAnthropic, reason: str, way: str
) -> None:
    server.enqueue(text="only half", stop_reason=reason)
    WAYS[way](model)
    assert WAYS[way](model).content == f"echo: {QUESTION}"
    assert server.count() == 2


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_an_error_of_the_model_passes_and_is_not_stored(model: ChatAnthropic, server: FakeAnthropic, way: str) -> None:
    server.enqueue(status=529, message="Overloaded")
    with pytest.raises(Exception, match="Overloaded"):
        WAYS[way](model)
    WAYS[way](model)
    WAYS[way](model)
    assert server.count() == 2


# ------------------------------------------------------------------ P15, P16: one lookup, no waiting
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_p15_one_request_is_one_lookup_although_a_framework_cache_is_set(
    model: ChatAnthropic, server: FakeAnthropic, engine: SemanticCache, way: str
) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        set_llm_cache(LLMCache(other))
        try:
            WAYS[way](model)
            WAYS[way](model)
        finally:
            set_llm_cache(None)
        stats = engine.stats()
        assert (stats.lookups, stats.hits, stats.entries) == (2, {"exact": 1}, 1)
        assert other.stats().lookups == 0


class Limiter(InMemoryRateLimiter):
    def __init__(self) -> None:
        super().__init__(requests_per_second=1000)
        self.acquired = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.acquired += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.acquired += 1
        return True


@pytest.mark.parametrize("way", WAYS)
def test_p16_a_hit_takes_no_token_of_the_rate_limiter(server: FakeAnthropic, engine: SemanticCache, way: str) -> None:
    limiter = Limiter()
    asked = cached(claude(server, rate_limiter=limiter), engine)
    for _ in range(3):
        WAYS[way](asked)
    assert limiter.acquired == 1
    assert uncached(asked).rate_limiter is limiter


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_p16_without_a_lookup_it_takes_one(server: FakeAnthropic, engine: SemanticCache, way: str) -> None:
    from llmcache_plugins.engine.layers import inside

    limiter = Limiter()
    asked = cached(claude(server, rate_limiter=limiter), engine)
    with inside():  # an outer layer has looked it up already
        WAYS[way](asked)
    assert limiter.acquired == 1
    assert engine.stats().lookups == 0
    with engine.bypass():
        WAYS[way](asked)
    assert limiter.acquired == 2


# ------------------------------------------------------------------ P20, P22, P7: trouble
@pytest.mark.parametrize("first", ["invoke", "stream"])
@pytest.mark.parametrize("second", ["invoke", "stream"])
def test_p22_the_model_name_is_there_on_a_hit(model: ChatAnthropic, first: str, second: str) -> None:
    WAYS[first](model)
    hit = WAYS[second](model)
    assert hit.response_metadata["llmcache"]["hit"]
    assert hit.response_metadata["model_name"] == "claude-haiku-4-5"


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_p07_a_fault_of_ours_costs_a_call_and_is_counted(
    model: ChatAnthropic, server: FakeAnthropic, engine: SemanticCache, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    WAYS[way](model)
    monkeypatch.setattr("llmcache_plugins.langchain.cached_link.generations_of", broken)
    assert WAYS[way](model).content == f"echo: {QUESTION}"
    monkeypatch.setattr("llmcache_plugins.langchain.requests.request_of", broken)
    other = "What is OSPF?"
    assert model.invoke(other).content == f"echo: {other}"
    monkeypatch.setattr("llmcache_plugins.langchain.cached_link.answer_of", broken)
    assert server.count() == 3
    assert engine.stats().errors["langchain"] >= 2


# ------------------------------------------------------------------ P26, P24: at one time
async def test_p26_eight_identical_streams_make_one_call(model: ChatAnthropic, server: FakeAnthropic) -> None:
    server.latency = 0.05
    answers = await asyncio.gather(*(asyncio.create_task(astreamed(model)) for _ in range(8)))
    assert server.count() == 1
    assert {total(chunks).content for chunks in answers} == {f"echo: {QUESTION}"}


def test_p26_eight_identical_streams_in_threads_make_one_call(model: ChatAnthropic, server: FakeAnthropic) -> None:
    server.latency = 0.05
    answers: list[Any] = []
    ask = [threading.Thread(target=lambda: answers.append(total(list(model.stream(QUESTION))))) for _ in range(8)]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join()
    assert server.count() == 1
    assert {answer.content for answer in answers} == {f"echo: {QUESTION}"}


@pytest.mark.parametrize("way", [lambda model: model.ainvoke(QUESTION), astreamed], ids=["ainvoke", "astream"])
async def test_p26_a_failure_reaches_those_who_wait(model: ChatAnthropic, server: FakeAnthropic, way: Any) -> None:
    server.latency = 0.05
    server.enqueue(status=529, message="Overloaded")
    answers = await asyncio.gather(*(asyncio.create_task(way(model)) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(answer, Exception) for answer in answers)
    assert server.count() == 1
    await model.ainvoke(QUESTION)
    assert server.count() == 2


async def test_p26_invokes_wait_for_a_stream_on_its_way(model: ChatAnthropic, server: FakeAnthropic) -> None:
    server.frame_delay = 0.02
    stream: Any = model.astream(QUESTION)
    await anext(stream)
    # In a context of its own: a child of the task that leads would not wait for it.
    waiting = asyncio.create_task(model.ainvoke(QUESTION), context=Context())
    await asyncio.sleep(0)
    async for _ in stream:
        pass
    assert (await waiting).content == f"echo: {QUESTION}"
    assert server.count() == 1
