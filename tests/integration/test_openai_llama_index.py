"""LlamaIndex's OpenAI clients through its plugin, against the fake API: asked once, and answered the same again."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.agent.workflow.workflow_events import AgentStream
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, create_model

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.llama_index import cached_llm, install, uninstall
from llmcache_plugins.testing import FakeEmbedder, FakeOpenAI
from llmcache_plugins.testing.fake_openai.answers import stream_chunks

# Agents look at every attribute of their class, pydantic's old ones too, and an index imports parts of LangChain.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BOTH_TOOLS = "get_weather and get_time for 2 days in 'Rome' and 'Oslo'"
BOTH_CALLS = [("get_weather", {"city": "Rome", "days": 2}), ("get_time", {"city": "Oslo"})]
QUESTION = [ChatMessage("one two three four five")]
SAID = "echo: one two three four five"

Make = Callable[..., Any]

# The memory of a chat engine leaves its database to the garbage collector.
leaves_open = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Trip(BaseModel):
    """A trip to a city."""

    city: str
    days: int


def get_weather(city: str, days: int) -> str:
    """The weather of the next days."""
    return f"{days} days of rain in {city}"


def get_time(city: str) -> str:
    """The time in a city."""
    return f"noon in {city}"


def _openai(**params: Any) -> Any:
    return OpenAI(**({"model": "gpt-4.1-mini"} | params))


def _openai_like(**params: Any) -> Any:
    given = {"model": "a-model-of-my-own", "is_chat_model": True, "is_function_calling_model": True}
    return OpenAILike(**(given | params))


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


@pytest.fixture(params=[_openai, _openai_like], ids=["OpenAI", "OpenAILike"])
async def make(request: pytest.FixtureRequest, server: FakeOpenAI) -> AsyncIterator[Make]:
    """Makes LLMs of the server that share their clients, which are closed while the loop runs."""
    common = {"api_key": "test", "api_base": server.base_url, "max_retries": 0}
    async with httpx.AsyncClient() as async_client:
        with httpx.Client() as client:
            common |= {"http_client": client, "async_http_client": async_client}
            yield lambda **params: request.param(**(common | params))


@pytest.fixture
def llm(make: Make, cache: SemanticCache) -> Any:
    return cached_llm(make(), cache)


@pytest.fixture
def tools() -> list[Any]:
    return [FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)]


def calls_of(llm: Any, response: Any) -> list[Any]:
    return [(call.tool_name, call.tool_kwargs) for call in llm.get_tool_calls_from_response(response)]


# ---------------------------------------------------------------- at once
async def test_a_chat_is_asked_for_once(llm: Any, server: FakeOpenAI) -> None:
    cold = llm.chat(QUESTION)
    for warm in (llm.chat(QUESTION), await llm.achat(QUESTION)):
        assert warm.message == cold.message
        assert type(warm) is type(cold)
        assert warm.additional_kwargs["llmcache"]["kind"] == "exact"
        assert warm.additional_kwargs["total_tokens"] == 0 < cold.additional_kwargs["total_tokens"]
        assert warm.raw.usage.total_tokens == 0
        assert warm.raw.choices[0].message.content == SAID
        saved = warm.additional_kwargs["llmcache"]["saved_usage"]
        assert saved["input_tokens"] == cold.additional_kwargs["prompt_tokens"]
        assert saved["output_tokens"] == cold.additional_kwargs["completion_tokens"]
    assert server.count() == 1


async def test_what_was_asked_async_answers_sync(llm: Any, server: FakeOpenAI) -> None:
    cold = await llm.achat(QUESTION)
    assert llm.chat(QUESTION).message == cold.message
    assert server.count() == 1


async def test_a_completion_is_asked_for_once(llm: Any, server: FakeOpenAI) -> None:
    cold = llm.complete("hello there")
    for warm in (llm.complete("hello there"), await llm.acomplete("hello there")):
        assert warm.text == cold.text == "echo: hello there"
    assert [piece.text for piece in llm.stream_complete("hello there")][-1] == cold.text
    stream = await llm.astream_complete("hello there")
    assert "".join([piece.delta async for piece in stream]) == cold.text
    assert server.count() == 1


# ---------------------------------------------------------------- streams
async def test_a_stream_is_recorded_and_replayed_in_pieces(llm: Any, server: FakeOpenAI) -> None:
    cold = list(llm.stream_chat(QUESTION))
    stream = await llm.astream_chat(QUESTION)
    for warm in (list(llm.stream_chat(QUESTION)), [piece async for piece in stream]):
        assert "".join(piece.delta or "" for piece in warm) == SAID
        assert warm[-1].message.content == cold[-1].message.content == SAID
        assert len([piece for piece in warm if piece.delta]) > 2
    assert llm.chat(QUESTION).message.content == SAID
    assert server.count() == 1


async def test_a_stream_recorded_async_is_replayed(llm: Any, server: FakeOpenAI) -> None:
    stream = await llm.astream_chat(QUESTION)
    assert "".join([piece.delta async for piece in stream]) == SAID
    assert [piece.message.content for piece in llm.stream_chat(QUESTION)][-1] == SAID
    assert server.count() == 1


def test_a_whole_answer_is_replayed_as_a_stream(llm: Any, server: FakeOpenAI) -> None:
    llm.chat(QUESTION)
    assert "".join(piece.delta for piece in llm.stream_chat(QUESTION)) == SAID
    assert server.count() == 1


@pytest.mark.parametrize("script", [{"cut_after": 3}, {"error_after": 3}])
def test_a_stream_that_breaks_is_not_stored(llm: Any, server: FakeOpenAI, script: dict[str, int]) -> None:
    server.enqueue(**script)
    with pytest.raises(Exception, match=r"(?i)error|closed|incomplete"):
        list(llm.stream_chat(QUESTION))
    assert [piece.message.content for piece in llm.stream_chat(QUESTION)][-1] == SAID
    assert server.count() == 2


def test_a_stream_without_an_end_is_not_stored(llm: Any, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy between client and model may end the stream politely, and in the middle of a sentence."""
    whole = stream_chunks
    monkeypatch.setattr(f"{FakeOpenAI.__module__}.stream_chunks", lambda *args, **more: whole(*args, **more)[:3])
    assert [piece.message.content for piece in llm.stream_chat(QUESTION)][-1] != SAID
    monkeypatch.undo()
    assert [piece.message.content for piece in llm.stream_chat(QUESTION)][-1] == SAID
    assert server.count() == 2


# ---------------------------------------------------------------- tools
async def test_parallel_tool_calls_come_with_new_ids(llm: Any, tools: list[Any], server: FakeOpenAI) -> None:
    more = {"allow_parallel_tool_calls": True}
    *_, streamed = llm.stream_chat_with_tools(tools, BOTH_TOOLS, **more)
    *_, later = [piece async for piece in await llm.astream_chat_with_tools(tools, BOTH_TOOLS, **more)]
    answers = [
        llm.chat_with_tools(tools, BOTH_TOOLS, **more),
        llm.chat_with_tools(tools, BOTH_TOOLS, **more),
        await llm.achat_with_tools(tools, BOTH_TOOLS, **more),
        streamed,
        later,
    ]
    assert [calls_of(llm, answer) for answer in answers] == [BOTH_CALLS] * 5
    ids = [call.tool_id for answer in answers for call in llm.get_tool_calls_from_response(answer)]
    assert len(set(ids)) == 10
    assert server.count() == 1


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_conversation_goes_on_with_replayed_calls(
    llm: Any, tools: list[Any], server: FakeOpenAI, is_streamed: bool
) -> None:
    """The server refuses ids that are there twice, and calls without results."""

    def ask(messages: Any) -> Any:
        if is_streamed:
            *_, last = llm.stream_chat_with_tools(tools, chat_history=messages, allow_parallel_tool_calls=True)
            return last
        return llm.chat_with_tools(tools, chat_history=messages, allow_parallel_tool_calls=True)

    ask([ChatMessage(BOTH_TOOLS)])
    history: list[Any] = []
    for _ in range(2):
        history.append(ChatMessage(BOTH_TOOLS))
        answer = ask([ChatMessage(BOTH_TOOLS)])
        history.append(answer.message)
        for call in llm.get_tool_calls_from_response(answer):
            history.append(ChatMessage(call.tool_name, role="tool", additional_kwargs={"tool_call_id": call.tool_id}))
    assert server.count() == 1
    for _ in range(2):
        assert ask(history).message.content == "tool said: get_weather; get_time"
    assert server.count() == 2


# ---------------------------------------------------------------- structured answers
async def test_structured_answers_are_objects_again(llm: Any, server: FakeOpenAI) -> None:
    prompt, wanted = PromptTemplate("{days} days in 'Rome'"), Trip(city="Rome", days=3)
    assert llm.structured_predict(Trip, prompt, days=3) == wanted
    assert llm.structured_predict(Trip, prompt, days=3) == wanted
    assert await llm.astructured_predict(Trip, prompt, days=3) == wanted
    assert llm.as_structured_llm(Trip).chat([ChatMessage("3 days in 'Rome'")]).raw == wanted
    assert server.count() == 1
    for _ in range(2):
        assert list(llm.stream_structured_predict(Trip, prompt, days=3))[-1] == wanted
    stream = await llm.astream_structured_predict(Trip, prompt, days=3)
    assert [piece async for piece in stream][-1] == wanted
    assert server.count() <= 2  # some of them put a streamed question in another way


def test_another_schema_of_the_same_name_is_another_question(llm: Any, server: FakeOpenAI) -> None:
    kinds: list[Any] = [
        create_model("Journey", __module__=__name__, city=(str, ...)),
        create_model("Journey", __module__=__name__, city=(str, ...), days=(int, ...)),
    ]
    wanted = [{"city": "Rome"}, {"city": "Rome", "days": 3}]
    for count, kind in enumerate(kinds, 1):
        for _ in range(2):
            said = llm.structured_predict(kind, PromptTemplate("3 days in 'Rome'"))
            assert said.model_dump() == wanted[count - 1]
        assert server.count() == count


# ---------------------------------------------------------------- agents and engines
@pytest.mark.parametrize(
    ("streaming", "question", "said"),
    [
        (True, BOTH_TOOLS, "tool said: 2 days of rain in Rome; noon in Oslo"),
        (False, "get_time in 'Oslo'", "tool said: noon in Oslo"),  # older agents that do not stream keep one call only
    ],
)
async def test_a_function_agent_asks_once(
    llm: Any, tools: list[Any], server: FakeOpenAI, streaming: bool, question: str, said: str
) -> None:
    for _ in range(2):
        agent = FunctionAgent(tools=tools, llm=llm, streaming=streaming)
        handler = agent.run(question)
        deltas = [event.delta async for event in handler.stream_events() if isinstance(event, AgentStream)]
        assert str(await handler) == said
        assert "".join(deltas) == (said if streaming else "")
        assert server.count() == 2


async def test_an_agent_workflow_asks_once(llm: Any, tools: list[Any], server: FakeOpenAI) -> None:
    for _ in range(2):
        workflow = AgentWorkflow.from_tools_or_functions([get_weather, get_time], llm=llm)
        assert str(await workflow.run(BOTH_TOOLS)) == "tool said: 2 days of rain in Rome; noon in Oslo"
        assert server.count() == 2


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_react_agent_asks_once(llm: Any, tools: list[Any], server: FakeOpenAI, streaming: bool) -> None:
    server.enqueue(text='Thought: I need a tool.\nAction: get_time\nAction Input: {"city": "Oslo"}\n')
    server.enqueue(text="Thought: I can answer without using any more tools.\nAnswer: noon")
    for _ in range(2):
        agent = ReActAgent(tools=tools, llm=llm, streaming=streaming)
        assert str(await agent.run("What time is it in Oslo?")).strip() == "noon"
        assert server.count() == 2


@pytest.fixture
def index() -> Any:
    documents = [Document(text="R1 is a router.", doc_id="r1")]
    return VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(8))


async def test_a_query_engine_asks_once(llm: Any, index: Any, server: FakeOpenAI) -> None:
    engine = index.as_query_engine(llm=llm)
    cold = engine.query("What is R1?")
    assert str(engine.query("What is R1?")) == str(await engine.aquery("What is R1?")) == str(cold)
    assert "What is R1?" in str(cold)
    assert server.count() == 1
    streamed = index.as_query_engine(llm=llm, streaming=True).query("What is R1?")
    assert "".join(streamed.response_gen) == str(cold)
    assert server.count() == 1


@leaves_open
def test_an_engine_that_was_built_before_is_reached(
    make: Make, index: Any, cache: SemanticCache, server: FakeOpenAI
) -> None:
    before, Settings.llm = getattr(Settings, "_llm", None), make()
    try:
        engine = index.as_query_engine()
        memory = ChatMemoryBuffer.from_defaults(token_limit=3000)  # the default one leaves a database open
        chat = index.as_chat_engine(chat_mode="context", memory=memory)
        install(cache)
        for _ in range(2):
            engine.query("What is R1?")
            chat.reset()
            assert "".join(chat.stream_chat("What is R1?").response_gen)
        assert server.count() == 2
        uninstall()
        engine.query("What is R1?")
        assert server.count() == 3
    finally:
        uninstall()
        Settings._llm = before
        del chat
        gc.collect()  # here, and not in another test
