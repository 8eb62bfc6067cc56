"""LangChain's and LlamaIndex's OpenAI clients against the fake API, without a cache: what a cache has to preserve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from llmcache_plugins.testing import FakeOpenAI

MODEL = "gpt-4.1-mini"
BOTH_TOOLS = "get_weather and get_time for 2 days in 'Rome' and 'Oslo'"
BOTH_CALLS = [("get_weather", {"city": "Rome", "days": 2}), ("get_time", {"city": "Oslo"})]


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


class TestLangChain:
    @pytest.fixture
    async def model(self, server: FakeOpenAI) -> AsyncIterator[ChatOpenAI]:
        model = ChatOpenAI(model=MODEL, api_key="test", base_url=server.base_url, max_retries=0)
        yield model
        model.root_client.close()
        await model.root_async_client.close()

    async def test_it_invokes_sync_and_async(self, model: ChatOpenAI, server: FakeOpenAI) -> None:
        answers = [model.invoke("hello"), await model.ainvoke("hello")]
        assert [answer.content for answer in answers] == ["echo: hello"] * 2
        assert answers[0].usage_metadata == answers[1].usage_metadata
        assert answers[0].response_metadata["finish_reason"] == "stop"
        assert server.count() == len(server.requests) == 2  # chat completions, not the newer Responses API

    async def test_it_streams_sync_and_async(self, model: ChatOpenAI) -> None:
        pieces = [chunk.text for chunk in model.stream("hello there", stream_usage=True)]
        assert [chunk.text async for chunk in model.astream("hello there", stream_usage=True)] == pieces
        assert "".join(pieces) == "echo: hello there"
        assert len([piece for piece in pieces if piece]) == 2

    def test_the_usage_of_a_stream_is_asked_for(self, model: ChatOpenAI) -> None:
        def usages(**params: Any) -> list[Any]:
            return [chunk.usage_metadata for chunk in model.stream("hello", **params) if chunk.usage_metadata]

        assert usages() == []  # with an address of its own, the client asks for no usage
        assert usages(stream_usage=True) == [model.invoke("hello").usage_metadata]

    def test_parallel_tool_calls_are_the_same_streamed_and_whole(self, model: ChatOpenAI) -> None:
        bound = model.bind_tools([get_weather, get_time])
        whole = bound.invoke(BOTH_TOOLS)
        streamed: Any = None
        for chunk in bound.stream(BOTH_TOOLS):
            streamed = chunk if streamed is None else streamed + chunk
        for message in (whole, streamed):
            assert [(call["name"], call["args"]) for call in message.tool_calls] == BOTH_CALLS
            assert message.response_metadata["finish_reason"] == "tool_calls"

    # Some versions of the client dump the parsed object against a type that has none.
    @pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    def test_structured_output_is_an_object(self, model: ChatOpenAI, method: Any) -> None:
        structured = model.with_structured_output(Holiday, method=method)
        assert structured.invoke("2027 in 'Rome' 3") == Holiday(year=2027, trip=Trip(city="Rome", days=3))

    def test_a_tool_message_is_answered(self, model: ChatOpenAI) -> None:
        bound = model.bind_tools([get_weather])
        call = bound.invoke("1 day in 'Rome'")
        history: list[Any] = [("user", "1 day in 'Rome'"), call]
        with pytest.raises(openai.BadRequestError, match="did not have response messages"):
            bound.invoke(history)
        result = {"role": "tool", "tool_call_id": call.tool_calls[0]["id"], "content": "rain"}
        assert bound.invoke([*history, result]).content == "tool said: rain"

    def test_several_choices_are_several_generations(self, server: FakeOpenAI, model: ChatOpenAI) -> None:
        result = model.generate([[HumanMessage("hello")]], n=2)
        assert [generation.text for generation in result.generations[0]] == ["echo: hello", "echo: hello (2)"]

    def test_errors_are_the_clients_own(self, model: ChatOpenAI, server: FakeOpenAI) -> None:
        server.enqueue(status=429)
        with pytest.raises(openai.RateLimitError, match="rate_limit_exceeded"):
            model.invoke("hello")
        server.api_key = "secret"
        with pytest.raises(openai.AuthenticationError):
            model.invoke("hello")

    def test_texts_are_embedded(self, server: FakeOpenAI) -> None:
        embedder = OpenAIEmbeddings(
            model="text-embedding-3-small", api_key="test", base_url=server.base_url, check_embedding_ctx_length=False
        )
        vectors = embedder.embed_documents(["show bgp", "show isis"])
        assert [len(vector) for vector in vectors] == [1536, 1536]
        assert embedder.embed_query("show bgp") == vectors[0] != vectors[1]
        assert server.count("/v1/embeddings") == 2


MakeLLM = Callable[[FakeOpenAI], Any]


def _openai(server: FakeOpenAI) -> Any:
    return OpenAI(model=MODEL, api_key="test", api_base=server.base_url, max_retries=0)


def _openai_like(server: FakeOpenAI) -> Any:
    return OpenAILike(
        model="a-model-of-my-own",
        api_key="test",
        api_base=server.base_url,
        max_retries=0,
        is_chat_model=True,
        is_function_calling_model=True,
    )


@pytest.mark.parametrize("make", [_openai, _openai_like])
class TestLlamaIndex:
    @pytest.fixture
    async def llm(self, make: MakeLLM, server: FakeOpenAI) -> AsyncIterator[Any]:
        llm = make(server)
        yield llm
        llm._get_client().close()
        await llm._get_aclient().close()

    @pytest.fixture
    def tools(self) -> list[Any]:
        return [FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)]

    async def test_it_chats_sync_and_async(self, llm: Any, server: FakeOpenAI) -> None:
        answers = [llm.chat([ChatMessage("hello")]), await llm.achat([ChatMessage("hello")])]
        assert [answer.message.content for answer in answers] == ["echo: hello"] * 2
        assert answers[0].additional_kwargs["total_tokens"] > 0
        assert llm.complete("hello").text == "echo: hello"
        assert server.count() == len(server.requests) == 3

    async def test_it_streams_sync_and_async(self, llm: Any) -> None:
        pieces = [piece.delta for piece in llm.stream_chat([ChatMessage("hello there")])]
        stream = await llm.astream_chat([ChatMessage("hello there")])
        assert [piece.delta async for piece in stream] == pieces
        assert "".join(pieces) == "echo: hello there"
        assert [piece.text for piece in llm.stream_complete("hello")][-1] == "echo: hello"

    def test_parallel_tool_calls_are_the_same_streamed_and_whole(self, llm: Any, tools: list[Any]) -> None:
        whole = llm.chat_with_tools(tools, BOTH_TOOLS, allow_parallel_tool_calls=True)
        *_, streamed = llm.stream_chat_with_tools(tools, BOTH_TOOLS, allow_parallel_tool_calls=True)
        for answer in (whole, streamed):
            calls = llm.get_tool_calls_from_response(answer)
            assert [(call.tool_name, call.tool_kwargs) for call in calls] == BOTH_CALLS

    def test_structured_output_is_an_object(self, llm: Any) -> None:
        wanted = Trip(city="Rome", days=3)
        prompt = PromptTemplate("{days} days in 'Rome'")
        assert llm.structured_predict(Trip, prompt, days=3) == wanted
        *_, streamed = llm.stream_structured_predict(Trip, prompt, days=3)
        assert streamed == wanted

    # The workflow that an agent is looks at every attribute of its class, pydantic's old ones too.
    @pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
    @pytest.mark.parametrize(
        ("streaming", "question", "said"),
        [
            (True, BOTH_TOOLS, "2 days of rain in Rome; noon in Oslo"),
            (False, "get_time in 'Oslo'", "noon in Oslo"),  # older agents that do not stream keep one call only
        ],
    )
    async def test_an_agent_calls_its_tools(
        self, llm: Any, tools: list[Any], server: FakeOpenAI, streaming: bool, question: str, said: str
    ) -> None:
        result = await FunctionAgent(tools=tools, llm=llm, streaming=streaming).run(question)
        assert str(result) == f"tool said: {said}"
        assert server.count() == 2
