"""Cached models beside what else there is: other layers, other plugins, agents, warming, old answers, a busy loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.checkpoint.memory import InMemorySaver

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.canonical.answer import answer_from, stored_answers
from llmcache_plugins.canonical.anthropic import answer_of_message, message_of_answer, request_of_body, wire_usage
from llmcache_plugins.engine.layers import is_inside
from llmcache_plugins.langchain import LLMCache, Warmer, cached
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic
from llmcache_plugins.types import Hit

QUESTION = "What is BGP?"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta"),
]


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> Iterator[SemanticCache]:
    cache = open_cache("memory://", embedder=None, clock=clock, ttl=100.0, stale_while_revalidate=50.0)
    with closing(cache):
        yield cache


def claude(server: FakeAnthropic, **settings: Any) -> ChatAnthropic:
    return ChatAnthropic(
        **{"model": "claude-haiku-4-5", "api_key": "test", "base_url": server.base_url, "max_retries": 0} | settings
    )


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


class Chat(BaseChatModel):
    """Numbers its answers, notes whether it is inside of a lookup, and has a model inside that it asks."""

    notes: list[Any]
    within: Any = None
    fails: bool = False

    @property
    def _llm_type(self) -> str:
        return "numbered"

    def _text(self) -> str:
        self.notes.append(is_inside())
        if self.fails:
            raise ConnectionError("the provider is down")
        return f"answer {len(self.notes)}"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        if self.within is not None:
            self.within.invoke(messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._text()))])

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._text()))])

    def _stream(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        for word in self._text().partition(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(word))


# ------------------------------------------------------------------ layers: of two, the outer one counts
async def test_p15_below_llmcache_other_layers_keep_still_until_the_answer_is_there(engine: SemanticCache) -> None:
    for ask_async in (False, True):
        model = Chat(notes=[], cache=LLMCache(engine))
        question = f"asked {'async' if ask_async else 'sync'}"
        for _ in range(2):
            await model.ainvoke(question) if ask_async else model.invoke(question)
            assert not is_inside()
        assert model.notes == [True]


def test_p15_a_call_that_failed_leaves_no_mark(engine: SemanticCache) -> None:
    model = Chat(notes=[], cache=LLMCache(engine), fails=True)
    with pytest.raises(ConnectionError):
        model.invoke(QUESTION)
    assert not is_inside()


async def test_p15_an_awaited_call_that_failed_leaves_no_mark(engine: SemanticCache) -> None:
    model = Chat(notes=[], cache=LLMCache(engine), fails=True)
    with pytest.raises(ConnectionError):
        await model.ainvoke(QUESTION)
    assert not is_inside()


def test_p15_a_cached_model_inside_of_another_is_not_looked_up(engine: SemanticCache) -> None:
    with closing(open_cache("memory://", embedder=None)) as inner_cache:
        inner = cached(Chat(notes=[]), inner_cache)
        for outer in (
            Chat(notes=[], within=inner, cache=LLMCache(engine)),
            cached(Chat(notes=[], within=inner), engine),
        ):
            engine.clear()
            for _ in range(2):
                outer.invoke(QUESTION)
        assert inner.notes == [True, True]
        assert inner_cache.stats().lookups == 0


def test_p15_llmcache_inside_of_a_cached_model_is_not_asked(engine: SemanticCache) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        set_llm_cache(LLMCache(other))
        try:
            cached(Chat(notes=[], within=Chat(notes=[])), engine).invoke(QUESTION)
        finally:
            set_llm_cache(None)
        assert (other.stats().lookups, other.stats().entries) == (0, 0)


# ------------------------------------------------------------------ other plugins
BODY = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": QUESTION}]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "A routing protocol."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7},
}


@pytest.mark.parametrize("streams", [False, True])
def test_what_the_sdk_asked_answers_langchain(server: FakeAnthropic, engine: SemanticCache, streams: bool) -> None:
    request = request_of_body(BODY, base_url=server.base_url)
    engine.update(request, answer_from([answer_of_message(MESSAGE)]))
    model = cached(claude(server, max_tokens=64), engine)
    found = sum_of(list(model.stream(QUESTION))) if streams else model.invoke(QUESTION)
    assert server.count() == 0
    assert found.content == "A routing protocol."
    assert found.response_metadata["model_name"] == "claude-haiku-4-5"
    assert found.response_metadata["llmcache"]["saved_usage"]["total_tokens"] == 12
    claude(server, max_tokens=65, cache=LLMCache(engine)).invoke(QUESTION)
    assert server.count() == 1  # what is sent differs


@pytest.mark.parametrize("streams", [False, True])
def test_what_langchain_asked_answers_the_sdk(server: FakeAnthropic, engine: SemanticCache, streams: bool) -> None:
    model = cached(claude(server, max_tokens=64), engine)
    cold = sum_of(list(model.stream(QUESTION))) if streams else model.invoke(QUESTION)
    outcome = engine.lookup(request_of_body(BODY, base_url=server.base_url))
    assert isinstance(outcome, Hit)
    (answer,) = stored_answers(outcome.answer)
    message = message_of_answer(answer, usage=wire_usage(answer.usage))
    assert message["content"] == [{"type": "text", "text": cold.content}]
    assert (message["model"], message["stop_reason"]) == ("claude-haiku-4-5", "end_turn")
    assert message["usage"]["output_tokens"] == cold.usage_metadata["output_tokens"]


def sum_of(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


# ------------------------------------------------------------------ agents
def test_p01_an_agent_on_a_cached_model_comes_in_pieces_and_asks_once(
    server: FakeAnthropic, engine: SemanticCache
) -> None:
    agent = create_agent(cached(claude(server), engine), tools=[add])
    task: Any = {"messages": [("user", "add 2 and 3")]}
    streamed = [[part[0] for part in agent.stream(task, stream_mode="messages")] for _ in range(3)]
    asked = server.count()
    assert asked == 2
    for parts in streamed:
        assert len([part for part in parts if isinstance(part, AIMessageChunk) and part.content]) > 2
    invoked = agent.invoke(task)["messages"]
    assert server.count() == asked
    assert [message.type for message in invoked] == ["human", "ai", "tool", "ai"]


def test_p03_the_same_question_thrice_in_one_thread_keeps_all_messages(
    server: FakeAnthropic, engine: SemanticCache
) -> None:
    agent = create_agent(cached(claude(server), engine), checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    for _ in range(3):
        list(agent.stream({"messages": [("user", "hello")]}, config, stream_mode="messages"))
    messages = agent.get_state(config).values["messages"]
    assert [message.type for message in messages] == ["human", "ai"] * 3
    assert len({message.id for message in messages}) == 6


# ------------------------------------------------------------------ old answers, a busy loop
def test_an_old_answer_is_served_while_a_new_one_is_made(engine: SemanticCache, clock: FakeClock) -> None:
    for way in (lambda model: model.invoke(QUESTION), lambda model: sum_of(list(model.stream(QUESTION)))):
        engine.clear()
        model = cached(Chat(notes=[]), engine)
        assert way(model).content == "answer 1"
        clock.advance(120)
        assert way(model).content == "answer 1"
        until(lambda: engine.stats().updates % 2 == 0)
        assert way(model).content == "answer 2"


async def test_an_old_answer_is_served_while_a_new_one_is_made_on_a_loop(
    engine: SemanticCache, clock: FakeClock
) -> None:
    async def streamed(model: Any) -> Any:
        return sum_of([chunk async for chunk in model.astream(QUESTION)])

    for way in (lambda model: model.ainvoke(QUESTION), streamed):
        engine.clear()
        model = cached(Chat(notes=[]), engine)
        assert (await way(model)).content == "answer 1"
        clock.advance(120)
        assert (await way(model)).content == "answer 1"
        while engine.stats().updates % 2:
            await asyncio.sleep(0.001)
        assert (await way(model)).content == "answer 2"


def until(is_so: Any) -> None:
    waiting = threading.Event()
    for _ in range(5000):
        if is_so():
            return
        waiting.wait(0.002)
    raise AssertionError("it did not come")


async def test_p24_a_stream_never_blocks_the_loop() -> None:
    reached, opened = threading.Event(), threading.Event()

    def embed(texts: Sequence[str]) -> None:
        if is_shut:
            reached.set()
            assert opened.wait(10)

    is_shut = False
    with closing(open_cache("memory://", embedder=FakeEmbedder({"hi": "g", "hello": "g"}, before=embed))) as engine:
        model = cached(Chat(notes=[]), engine)
        await model.ainvoke("hi")
        is_shut = True

        async def streamed() -> Any:
            return sum_of([chunk async for chunk in model.astream("hello")])

        asking = asyncio.create_task(streamed())
        while not reached.is_set():
            await asyncio.sleep(0)  # the embedder stands still now, and this loop turns
        assert not asking.done()
        opened.set()
        assert (await asking).content == "answer 1"


# ------------------------------------------------------------------ contexts, warming
async def test_p11_tenants_share_no_streams(engine: SemanticCache) -> None:
    model = cached(Chat(notes=[]), engine)
    for tenant in ("a", "b", "a"):
        with engine.context(tenant=tenant):
            list(model.stream(QUESTION))
            [chunk async for chunk in model.astream(QUESTION)]
    assert len(model.notes) == 2


def test_bypassed_and_refreshed_streams_ask_the_model(engine: SemanticCache) -> None:
    model = cached(Chat(notes=[]), engine)
    list(model.stream(QUESTION))
    with engine.bypass():
        assert sum_of(list(model.stream(QUESTION))).content == "answer 2"
    with engine.context(refresh=True):
        assert sum_of(list(model.stream(QUESTION))).content == "answer 3"
    assert sum_of(list(model.stream(QUESTION))).content == "answer 3"


def test_a_cached_model_is_warmed_where_it_looks(engine: SemanticCache) -> None:
    model = cached(Chat(notes=[]), engine)
    assert engine.warm([QUESTION], model).warmed == 1
    assert engine.warm([QUESTION], model).skipped == 1
    assert sum_of(list(model.stream(QUESTION))).content == "answer 1"
    assert len(model.notes) == 1


def test_a_warmed_model_finds_questions_as_the_cached_one_does(engine: SemanticCache) -> None:
    found: list[str] = []

    def extractor(turn: str) -> None:
        found.append(turn)

    model = cached(Chat(notes=[]), engine, extractor=extractor)
    assert Warmer(model).request_of("x").text == "x"
    assert found == ["x"]
