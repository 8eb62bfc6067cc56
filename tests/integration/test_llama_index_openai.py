"""LlamaIndex's OpenAI and OpenAILike classes on the loopback server: P30, P31 and P39, tools and streams included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeOpenAI

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODEL = "gpt-4.1-mini"
QUESTION = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="What is OSPF?")]
PROMPT = PromptTemplate("Make a trip of {days} days to '{city}'.")
_runner = asyncio.Runner()


class Trip(BaseModel):
    """A trip to a city."""

    city: str
    days: int


def get_weather(city: str, days: int) -> str:
    """The weather of the next days."""
    return f"{days} days of rain in {city}"


TOOL = FunctionTool.from_defaults(get_weather)


@pytest.fixture(scope="module", autouse=True)
def loop() -> Iterator[None]:
    """One for all tests: clients keep their connections open, and a closed loop would fail those."""
    global _runner
    with asyncio.Runner() as _runner:
        yield


def run(coroutine: Any) -> Any:
    return _runner.run(coroutine)


async def _astream(llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    return [piece async for piece in await getattr(llm, name)(*args, **kwargs)]


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with open_cache(embedder=None) as cache:
        yield cache


def _openai(server: FakeOpenAI, **settings: Any) -> Any:
    return OpenAI(**{"model": MODEL, "api_key": "sk-1", "api_base": server.base_url, "max_retries": 0, **settings})


def _openai_like(server: FakeOpenAI, **settings: Any) -> Any:
    given = {
        "model": "local",
        "api_key": "sk-1",
        "api_base": server.base_url,
        "max_retries": 0,
        "is_chat_model": True,
        "is_function_calling_model": True,
    }
    return OpenAILike(**{**given, **settings})


@pytest.fixture(params=[_openai, _openai_like], ids=["OpenAI", "OpenAILike"])
def make(request: pytest.FixtureRequest, server: FakeOpenAI) -> Iterator[Callable[..., Any]]:
    made = []

    def make(**settings: Any) -> Any:
        made.append(request.param(server, **settings))
        made[-1]._get_client(), made[-1]._get_aclient()  # now, so that a copy shares them
        return made[-1]

    yield make
    for llm in made:
        llm._get_client().close()
        run(llm._get_aclient().close())


def calls(server: FakeOpenAI) -> int:
    return server.count(server.main_path)


SHAPES: dict[str, Callable[[Any], Any]] = {
    "chat": lambda llm: llm.chat(QUESTION).message.content,
    "complete": lambda llm: llm.complete("hello").text,
    "stream_chat": lambda llm: "".join(piece.delta for piece in llm.stream_chat(QUESTION)),
    "stream_complete": lambda llm: "".join(piece.delta for piece in llm.stream_complete("hello")),
    "achat": lambda llm: run(llm.achat(QUESTION)).message.content,
    "acomplete": lambda llm: run(llm.acomplete("hello")).text,
    "astream_chat": lambda llm: "".join(piece.delta for piece in run(_astream(llm, "astream_chat", QUESTION))),
    "astream_complete": lambda llm: "".join(piece.delta for piece in run(_astream(llm, "astream_complete", "hello"))),
    "structured_predict": lambda llm: llm.structured_predict(Trip, PROMPT, city="Rome", days=3),
    "astructured_predict": lambda llm: run(llm.astructured_predict(Trip, PROMPT, city="Rome", days=3)),
    "stream_structured_predict": lambda llm: list(llm.stream_structured_predict(Trip, PROMPT, city="Rome", days=3))[
        -1
    ].model_dump(),
    "as_structured_llm": lambda llm: llm.as_structured_llm(Trip).chat([ChatMessage("2 days in 'Oslo'")]).raw,
    "chat_with_tools": lambda llm: _selected(llm, llm.chat_with_tools([TOOL], user_msg="get_weather 2 'Oslo'")),
    "stream_chat_with_tools": lambda llm: _selected(
        llm, list(llm.stream_chat_with_tools([TOOL], user_msg="get_weather 2 'Oslo'"))[-1]
    ),
    "predict_and_call": lambda llm: str(llm.predict_and_call([TOOL], user_msg="get_weather 2 'Oslo'")),
}


def _selected(llm: Any, response: Any) -> Any:
    return [(call.tool_name, call.tool_kwargs) for call in llm.get_tool_calls_from_response(response)]


@pytest.mark.parametrize("shape", SHAPES)
def test_p30_every_method_reaches_the_server_once(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any], shape: str
) -> None:
    plain = SHAPES[shape](make())
    assert plain
    llm, counts, said = cached_llm(make(), cache), [], []
    for _ in range(3):
        server.reset()
        said.append(SHAPES[shape](llm))
        counts.append(calls(server))
    assert counts == [1, 0, 0]
    assert said == [plain] * 3


@pytest.mark.parametrize("streaming", [True, False])
def test_p31_an_agent_runs_again_without_a_call(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any], streaming: bool
) -> None:
    llm = cached_llm(make(), cache)

    async def ask() -> str:
        return str(await FunctionAgent(tools=[TOOL], llm=llm, streaming=streaming).run("get_weather 2 'Oslo'"))

    first, made = run(ask()), calls(server)
    assert "2 days of rain in Oslo" in first
    assert run(ask()) == first
    assert (made, calls(server)) == (2, 2)


@pytest.mark.parametrize("order", [("chat", "stream_chat"), ("astream_chat", "achat"), ("complete", "stream_complete")])
def test_p39_a_stream_and_a_plain_call_share_an_answer(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any], order: tuple[str, str]
) -> None:
    llm = cached_llm(make(), cache)
    assert len({SHAPES[name](llm) for name in order}) == 1
    assert calls(server) == 1


def test_what_the_provider_said_is_had_by_attribute_and_by_key(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm = cached_llm(make(), cache)
    cold, warm = llm.chat(QUESTION), llm.chat(QUESTION)
    assert warm.message == cold.message
    assert warm.raw.choices[0].message.content == cold.raw.choices[0].message.content
    assert warm.raw.model == cold.raw.model
    assert warm.raw["usage"]["prompt_tokens"] == warm.raw.usage.total_tokens == 0
    assert warm.additional_kwargs["prompt_tokens"] == 0
    assert warm.additional_kwargs["llmcache"]["saved_usage"]["input_tokens"] == cold.raw.usage.prompt_tokens


def test_a_whole_answer_is_made_of_a_stream(server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any]) -> None:
    llm = cached_llm(make(), cache)
    list(llm.stream_chat(QUESTION))
    warm = llm.chat(QUESTION)
    assert warm.raw.choices[0].message.content == warm.message.content
    assert warm.raw.choices[0].finish_reason == "stop"
    assert warm.raw.object == "chat.completion"


def test_tool_calls_come_back_with_new_ids_and_are_accepted(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm = cached_llm(make(), cache)
    tools = [TOOL.metadata.to_openai_tool()]
    asked = [ChatMessage("get_weather for 2 days in 'Oslo'")]
    history, ids = list(asked), []
    for _ in range(2):  # the same step twice in one conversation, as a replay brings it about
        message = llm.chat(asked, tools=tools).message
        (call,) = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
        ids.append(call.tool_call_id)
        result = ChatMessage(role="tool", content="rain", additional_kwargs={"tool_call_id": call.tool_call_id})
        history += [message, result]
    assert len(set(ids)) == 2
    assert message.additional_kwargs["tool_calls"][0].id == ids[-1]
    assert message.additional_kwargs["tool_calls"][0]["function"].name == "get_weather"
    assert "rain" in (llm.chat(history, tools=tools).message.content or "")
    assert calls(server) == 2


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("shape", ["chat", "stream_chat", "astream_chat", "complete", "stream_complete"])
def test_an_answer_that_ended_badly_is_not_stored(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any], reason: str, shape: str
) -> None:
    llm = cached_llm(make(), cache)
    server.enqueue(text="It is", finish_reason=reason)
    SHAPES[shape](llm)
    SHAPES[shape](llm)
    assert calls(server) == 2


@pytest.mark.parametrize("shape", ["stream_chat", "astream_chat", "stream_complete"])
def test_a_broken_stream_is_not_stored(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any], shape: str
) -> None:
    llm = cached_llm(make(), cache)
    server.enqueue(text="a long answer that is cut in the middle", cut_after=2)
    with pytest.raises(Exception):  # noqa: B017, PT011 (httpx's)
        SHAPES[shape](llm)
    assert cache.stats().updates == 0
    SHAPES[shape](llm)
    assert cache.stats().updates == 1


@pytest.mark.parametrize(
    ("settings", "arguments", "is_another"),
    [
        ({"temperature": 0.9}, {}, True),
        ({"max_tokens": 7}, {}, True),
        ({"additional_kwargs": {"seed": 1}}, {}, True),
        ({}, {"stop": ["x"]}, True),
        ({"api_key": "sk-2", "max_retries": 1, "timeout": 9.0}, {}, False),
        ({"default_headers": {"authorization": "Bearer 2", "x-own": "1"}}, {}, False),
        ({"default_headers": {"x-own": "2"}}, {}, True),
    ],
)
def test_what_makes_another_call(
    server: FakeOpenAI,
    cache: SemanticCache,
    make: Callable[..., Any],
    settings: Any,
    arguments: Any,
    is_another: bool,
) -> None:
    own = {"default_headers": {"authorization": "Bearer 1", "x-own": "1"}}
    cached_llm(make(**own), cache).chat(QUESTION)
    cached_llm(make(**{**own, **settings}), cache).chat(QUESTION, **arguments)
    assert calls(server) == (2 if is_another else 1)


def test_another_server_is_another_llm(server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any]) -> None:
    with FakeOpenAI() as other:
        cached_llm(make(), cache).chat(QUESTION)
        cached_llm(make(api_base=other.base_url), cache).chat(QUESTION)
        assert (calls(server), calls(other)) == (1, 1)


def test_an_object_in_the_arguments_lets_the_call_pass(
    server: FakeOpenAI, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm = cached_llm(make(), cache)
    for _ in range(2):
        llm.chat(QUESTION, user=_Str("me"), extra_body=_Dict())
    assert calls(server) == 2
    assert cache.stats().bypasses == 2


class _Str(str):
    """JSON, for it is a string."""


class _Dict(dict[Any, Any]):
    """No JSON: its keys are no strings."""

    def __init__(self) -> None:
        super().__init__({1: "one"})
