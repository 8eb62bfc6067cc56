"""`langchain-openai` through the LangChain plugin, against the fake API: asked once, and answered the same again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, create_model

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, LLMCacheMiddleware, cached
from llmcache_plugins.testing import FakeEmbedder, FakeOpenAI
from llmcache_plugins.testing.fake_openai.answers import stream_chunks

MODEL = "gpt-4.1-mini"
BOTH_TOOLS = "get_weather and get_time for 2 days in 'Rome' and 'Oslo'"
BOTH_CALLS = [("get_weather", {"city": "Rome", "days": 2}), ("get_time", {"city": "Oslo"})]
# Some versions of the client dump the parsed object against a type that has none.
QUIET = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")

Way = Callable[[Any], Any]


class Trip(BaseModel):
    """A trip to a city."""

    city: str
    days: int


class Holiday(BaseModel):
    """A holiday with a trip in it."""

    year: int
    trip: Trip


def get_weather(city: str, days: int) -> str:
    """The weather of the next days."""
    return f"{days} days of rain in {city}"


def get_time(city: str) -> str:
    """The time in a city."""
    return f"noon in {city}"


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


@pytest.fixture
async def make(server: FakeOpenAI) -> AsyncIterator[Callable[..., ChatOpenAI]]:
    """Makes models of the server. Their clients are their own, for those that they share by default cannot be closed:
    a later test may get the same port."""
    common = {"model": MODEL, "api_key": "test", "base_url": server.base_url, "max_retries": 0}
    async with httpx.AsyncClient() as async_client:
        with httpx.Client() as client:
            common |= {"http_client": client, "http_async_client": async_client}
            yield lambda **params: ChatOpenAI(**(common | params))


@pytest.fixture
def model(make: Callable[..., ChatOpenAI]) -> ChatOpenAI:
    return make()


@pytest.fixture(params=["set_llm_cache", "cached"])
def way(request: pytest.FixtureRequest, cache: SemanticCache) -> Iterator[Way]:
    """How the application caches: for all models, or for one."""
    if request.param == "cached":
        yield lambda model: cached(model, cache)
        return
    set_llm_cache(LLMCache(cache))
    yield lambda model: model
    set_llm_cache(None)


def calls_of(message: Any) -> list[Any]:
    return [(call["name"], call["args"]) for call in message.tool_calls]


def said_by(message: AIMessage) -> dict[str, Any]:
    """All of a message but its ids, what it cost and the mark of a hit."""
    dumped = message.model_dump(exclude={"id", "usage_metadata"})
    dumped["response_metadata"] = {
        name: value
        for name, value in dumped["response_metadata"].items()
        if name not in ("llmcache", "token_usage", "id", "logprobs")
    }
    dumped["tool_calls"] = calls_of(message)
    dumped["additional_kwargs"].pop("tool_calls", None)
    return dumped


def joined(pieces: list[AIMessageChunk]) -> AIMessageChunk:
    return pieces[0] + pieces[1:] if len(pieces) > 1 else pieces[0]


# ---------------------------------------------------------------- at once
async def test_an_answer_is_asked_for_once(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    asked = way(model)
    cold = asked.invoke("What is a loopback interface?")
    for warm in (asked.invoke("What is a loopback interface?"), await asked.ainvoke("What is a loopback interface?")):
        assert said_by(warm) == said_by(cold)
        assert warm.response_metadata["llmcache"]["kind"] == "exact"
        assert {warm.usage_metadata[name] for name in ("input_tokens", "output_tokens", "total_tokens")} == {0}
        saved = warm.response_metadata["llmcache"]["saved_usage"]
        assert saved["total_tokens"] == cold.usage_metadata["total_tokens"] > 0
        assert warm.id != cold.id
    assert server.count() == 1


async def test_what_was_asked_async_answers_sync(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    asked = way(model)
    cold = await asked.ainvoke("hello")
    assert said_by(asked.invoke("hello")) == said_by(cold)
    assert server.count() == 1


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_question_that_means_the_same_is_answered(model: ChatOpenAI, server: FakeOpenAI, is_streamed: bool) -> None:
    questions = ("How do I reset my password?", "What are the steps to reset my password?")
    embedder = FakeEmbedder(dict.fromkeys(questions, "reset my password"))
    with closing(open_cache("memory://", embedder=embedder)) as cache:
        asked = cached(model, cache)
        for question in questions:
            said: Any = joined(list(asked.stream(question))) if is_streamed else asked.invoke(question)
        assert said.response_metadata["llmcache"]["kind"] == "semantic"
        assert said.content == "echo: How do I reset my password?"
    assert server.count() == 1


async def test_batches_ask_each_question_once(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    asked, questions = way(model), ["one", "two", "three"]
    cold = asked.batch(questions)
    assert [message.content for message in asked.batch(questions)] == [message.content for message in cold]
    assert [message.content for message in await asked.abatch(questions)] == [message.content for message in cold]
    assert server.count() == 3


async def test_several_choices_are_one_call(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    asked = way(model)
    messages = [[HumanMessage("hello")]]
    for _ in range(2):
        whole = asked.generate(messages, n=2)
        assert [one.text for one in whole.generations[0]] == ["echo: hello", "echo: hello (2)"]
    later = await asked.agenerate(messages, n=2)
    assert [one.text for one in later.generations[0]] == ["echo: hello", "echo: hello (2)"]
    assert server.count() == 1
    assert asked.invoke("hello").content == "echo: hello"
    assert server.count() == 2  # one choice is another question


# ---------------------------------------------------------------- streams
@pytest.mark.parametrize("usage", [False, True])
async def test_a_stream_is_recorded_and_replayed_in_pieces(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, usage: bool
) -> None:
    asked = cached(model, cache)
    question, more = "one two three four five", {"stream_usage": usage}
    cold = list(asked.stream(question, **more))
    for warm in (list(asked.stream(question, **more)), [piece async for piece in asked.astream(question, **more)]):
        assert joined(warm).content == joined(cold).content == "echo: one two three four five"
        assert len([piece for piece in warm if piece.content]) > 2
        assert joined(warm).response_metadata["finish_reason"] == "stop"
        assert joined(warm).usage_metadata["total_tokens"] == 0
    assert said_by(asked.invoke(question))["content"] == joined(cold).content
    assert server.count() == 1


async def test_a_stream_recorded_async_is_replayed(model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI) -> None:
    asked = cached(model, cache)
    cold = [piece async for piece in asked.astream("hello there")]
    assert joined(list(asked.stream("hello there"))).content == joined(cold).content
    assert server.count() == 1


def test_a_whole_answer_is_replayed_as_a_stream(model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI) -> None:
    asked = cached(model, cache)
    cold = asked.invoke("hello there")
    pieces = list(asked.stream("hello there"))
    assert joined(pieces).content == cold.content
    assert len([piece for piece in pieces if piece.content]) > 1
    assert server.count() == 1


@pytest.mark.parametrize("script", [{"cut_after": 3}, {"error_after": 3}])
def test_a_stream_that_breaks_is_not_stored(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, script: dict[str, int]
) -> None:
    asked = cached(model, cache)
    server.enqueue(**script)
    with pytest.raises(Exception, match=r"(?i)error|closed|incomplete"):
        list(asked.stream("one two three four five"))
    assert joined(list(asked.stream("one two three four five"))).content == "echo: one two three four five"
    assert server.count() == 2


def test_a_stream_without_an_end_is_not_stored(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy between client and model may end the stream politely, and in the middle of a sentence."""
    whole = stream_chunks
    monkeypatch.setattr(f"{FakeOpenAI.__module__}.stream_chunks", lambda *args, **more: whole(*args, **more)[:3])
    asked = cached(model, cache)
    assert joined(list(asked.stream("one two three four five"))).content != "echo: one two three four five"
    monkeypatch.undo()
    assert joined(list(asked.stream("one two three four five"))).content == "echo: one two three four five"
    assert server.count() == 2


# ---------------------------------------------------------------- tools
async def test_parallel_tool_calls_come_with_new_ids(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    bound = way(model).bind_tools([get_weather, get_time])
    cold, warm, later = bound.invoke(BOTH_TOOLS), bound.invoke(BOTH_TOOLS), await bound.ainvoke(BOTH_TOOLS)
    assert calls_of(cold) == calls_of(warm) == calls_of(later) == BOTH_CALLS
    ids = [call["id"] for message in (cold, warm, later) for call in message.tool_calls]
    assert len(set(ids)) == 6
    assert server.count() == 1
    # The server refuses ids that are there twice, and calls without results.
    history: list[Any] = []
    for message in (cold, warm):
        history += [HumanMessage(BOTH_TOOLS), message]
        history += [ToolMessage(call["name"], tool_call_id=call["id"]) for call in message.tool_calls]
    assert bound.invoke(history).content == "tool said: get_weather; get_time"
    assert bound.invoke(history).content == "tool said: get_weather; get_time"
    assert server.count() == 2


async def test_streamed_tool_calls_are_replayed(model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI) -> None:
    bound = cached(model, cache).bind_tools([get_weather, get_time])
    cold = joined(list(bound.stream(BOTH_TOOLS)))
    warm = joined(list(bound.stream(BOTH_TOOLS)))
    later = joined([piece async for piece in bound.astream(BOTH_TOOLS)])
    whole = bound.invoke(BOTH_TOOLS)
    for message in (cold, warm, later, whole):
        assert calls_of(message) == BOTH_CALLS
        assert message.response_metadata["finish_reason"] == "tool_calls"
    assert len({call["id"] for message in (cold, warm, later, whole) for call in message.tool_calls}) == 8
    assert server.count() == 1


def test_a_step_after_a_tool_is_answered_whatever_the_ids(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    bound = way(model).bind_tools([get_weather])
    for _ in range(2):
        call = bound.invoke("1 day in 'Rome'")
        result = ToolMessage("rain", tool_call_id=call.tool_calls[0]["id"])
        assert bound.invoke([HumanMessage("1 day in 'Rome'"), call, result]).content == "tool said: rain"
    assert server.count() == 2


# ---------------------------------------------------------------- structured answers
@QUIET
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_answers_are_objects_again(
    way: Way, model: ChatOpenAI, server: FakeOpenAI, method: Any
) -> None:
    structured = way(model).with_structured_output(Holiday, method=method)
    wanted = Holiday(year=2027, trip=Trip(city="Rome", days=3))
    assert structured.invoke("2027 in 'Rome' 3") == wanted
    assert structured.invoke("2027 in 'Rome' 3") == wanted
    assert await structured.ainvoke("2027 in 'Rome' 3") == wanted
    assert server.count() == 1


@QUIET
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_answers_are_streamed_again(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, method: Any
) -> None:
    structured = cached(model, cache).with_structured_output(Holiday, method=method)
    wanted = Holiday(year=2027, trip=Trip(city="Rome", days=3))
    assert list(structured.stream("2027 in 'Rome' 3"))[-1] == wanted
    assert list(structured.stream("2027 in 'Rome' 3"))[-1] == wanted
    assert [piece async for piece in structured.astream("2027 in 'Rome' 3")][-1] == wanted
    assert structured.invoke("2027 in 'Rome' 3") == wanted
    assert server.count() == 1


@QUIET
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_another_schema_of_the_same_name_is_another_question(
    way: Way, model: ChatOpenAI, server: FakeOpenAI, method: Any
) -> None:
    """A field was added and the program started again, or a cell of a notebook run twice."""
    asked = way(model)
    for count, fields in enumerate(({"city": (str, "")}, {"city": (str, ""), "days": (int, 0)}), 1):
        kind = create_model("Journey", __module__=__name__, **fields)  # type: ignore[call-overload]
        structured = asked.with_structured_output(kind, method=method)
        for _ in range(2):
            said = structured.invoke("3 days in 'Rome'")
            assert said == kind(**{"city": "Rome", "days": 3})
        assert server.count() >= count


# ---------------------------------------------------------------- agents
async def test_agents_ask_once(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    agent = create_agent(way(model), [get_weather, get_time])
    await _runs_once(agent, server)


async def test_agents_with_the_middleware_ask_once(model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI) -> None:
    agent = create_agent(model, [get_weather, get_time], middleware=[LLMCacheMiddleware(cache)])
    await _runs_once(agent, server)
    question: Any = {"messages": [HumanMessage(BOTH_TOOLS)]}
    for pieces in (
        [piece for piece, _ in agent.stream(question, stream_mode="messages")],
        [piece async for piece, _ in agent.astream(question, stream_mode="messages")],
    ):
        words = [piece.content for piece in pieces if isinstance(piece, AIMessageChunk) and piece.content]
        assert "".join(words) == "tool said: 2 days of rain in Rome; noon in Oslo"
        assert len(words) > 2
    assert server.count() == 2


async def _runs_once(agent: Any, server: FakeOpenAI) -> None:
    question = {"messages": [HumanMessage(BOTH_TOOLS)]}
    runs = [agent.invoke(question), agent.invoke(question), await agent.ainvoke(question)]
    for run in runs:
        assert run["messages"][-1].content == "tool said: 2 days of rain in Rome; noon in Oslo"
        assert calls_of(run["messages"][1]) == BOTH_CALLS
    assert server.count() == 2


@QUIET
@pytest.mark.parametrize("run", ["stream first", "invoke first"])
async def test_agents_stream_and_answer_in_a_schema(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, run: str
) -> None:
    agent = create_agent(model, [get_time], middleware=[LLMCacheMiddleware(cache)], response_format=Trip)
    question: Any = {"messages": [HumanMessage("3 days in 'Rome'")]}
    if run == "stream first":
        *_, state = agent.stream(question, stream_mode="values")
    else:
        state = agent.invoke(question)
    wanted, asked = state["structured_response"], server.count()
    assert isinstance(wanted, Trip)
    assert agent.invoke(question)["structured_response"] == wanted
    assert (await agent.ainvoke(question))["structured_response"] == wanted
    *_, state = [state async for state in agent.astream(question, stream_mode="values")]
    assert state["structured_response"] == wanted
    assert server.count() == asked
