"""Entries are shared where the request on the wire is the same: the Anthropic SDK and LangChain's `ChatAnthropic`.

LlamaIndex's `Anthropic` and the SDK: `test_llama_index_anthropic.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.langchain import LLMCache, cached
from llmcache_plugins.testing import FakeAnthropic

MODEL = "claude-haiku-4-5"
QUESTION = "What does a route reflector do?"
PING = {
    "name": "ping",
    "description": "Is a device reachable?",
    "input_schema": {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]},
}
BODY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": QUESTION}],
}


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture
def client(server: FakeAnthropic, cache: SemanticCache) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


def plain_model(server: FakeAnthropic, **settings: Any) -> ChatAnthropic:
    given = {"model": MODEL, "max_tokens": 1024, "api_key": "test", "base_url": server.base_url, "max_retries": 0}
    return ChatAnthropic(**{**given, **settings})


Layer = Callable[..., ChatAnthropic]


def behind_framework_cache(server: FakeAnthropic, cache: SemanticCache, **settings: Any) -> ChatAnthropic:
    return plain_model(server, cache=LLMCache(cache), **settings)


def as_cached_model(server: FakeAnthropic, cache: SemanticCache, **settings: Any) -> ChatAnthropic:
    return cached(plain_model(server, **settings), cache)


LAYERS = pytest.mark.parametrize("layer", [behind_framework_cache, as_cached_model], ids=["LLMCache", "cached"])


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


# ------------------------------------------------------------------ equal on the wire
@LAYERS
def test_what_the_sdk_stored_answers_langchain(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    cold = client.messages.create(**BODY)
    message = layer(server, cache).invoke(QUESTION)
    assert server.count() == 1
    assert (type(message), message.text) == (AIMessage, text_of(cold))
    assert message.response_metadata["stop_reason"] == "end_turn"
    assert message.response_metadata["model_name"] == MODEL
    mark = message.response_metadata["llmcache"]
    spent = cold.usage.input_tokens + cold.usage.output_tokens
    assert (mark["hit"], mark["saved_usage"]["total_tokens"]) == (True, spent)
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == 0


@LAYERS
def test_what_langchain_stored_answers_the_sdk(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    cold = layer(server, cache).invoke(QUESTION)
    message = client.messages.create(**BODY)
    with client.messages.stream(**BODY) as stream:
        streamed = stream.get_final_message()
    assert server.count() == 1
    for found in (message, streamed):
        assert (text_of(found), found.stop_reason, found.model) == (cold.text, "end_turn", MODEL)
        assert found.usage.output_tokens == 0
        saved: Any = found.usage.to_dict()["llmcache"]
        assert cold.usage_metadata is not None
        assert saved["saved"]["output_tokens"] == cold.usage_metadata["output_tokens"]


def test_streams_are_shared_too(server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic) -> None:
    model = as_cached_model(server, cache)
    with client.messages.stream(**BODY) as stream:
        cold = stream.get_final_text()
    pieces = [chunk.text for chunk in model.stream(QUESTION)]
    assert ("".join(pieces), server.count()) == (cold, 1)
    cache.clear()
    cold = "".join(chunk.text for chunk in model.stream(QUESTION))
    with client.messages.stream(**BODY) as stream:
        assert stream.get_final_text() == cold
    assert server.count() == 2


async def test_async_calls_are_shared_too(
    server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    cold = await as_cached_model(server, cache).ainvoke(QUESTION)
    assert text_of(client.messages.create(**BODY)) == cold.text
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url) as made:
        assert text_of(await cache_client(made, cache).messages.create(**BODY)) == cold.text
    assert server.count() == 1


@LAYERS
def test_tool_calls_and_their_results_are_shared(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    model = layer(server, cache).bind_tools([PING])
    cold = client.messages.create(**BODY, tools=[PING])
    message = model.invoke(QUESTION)
    assert server.count() == 1
    (call,) = message.tool_calls
    (block,) = [block for block in cold.content if block.type == "tool_use"]
    assert (call["name"], call["args"]) == (block.name, block.input)
    assert call["id"] != block.id

    turns: list[BaseMessage] = [HumanMessage(QUESTION), message, ToolMessage("up", tool_call_id=call["id"])]
    answered = model.invoke(turns)
    assert server.count() == 2
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "up"}
    thread = [*BODY["messages"], {"role": "assistant", "content": cold.content}, {"role": "user", "content": [result]}]
    last = client.messages.create(**{**BODY, "messages": thread, "tools": [PING]})
    assert (text_of(last), server.count()) == (answered.text, 2)


SAME: dict[str, tuple[dict[str, Any], dict[str, Any], list[BaseMessage]]] = {
    "system prompt": ({"system": "Be short."}, {}, [SystemMessage("Be short."), HumanMessage(QUESTION)]),
    "temperature": ({"extra_body": {"temperature": 0.2}}, {"temperature": 0.2}, [HumanMessage(QUESTION)]),
    "stop": ({"stop_sequences": ["X"]}, {"stop_sequences": ["X"]}, [HumanMessage(QUESTION)]),
    "thinking": (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096},
        [HumanMessage(QUESTION)],
    ),
}


@LAYERS
@pytest.mark.parametrize("name", SAME)
def test_settings_said_in_either_way_are_the_same(
    name: str, layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    further, settings, messages = SAME[name]
    cold = client.messages.create(**{**BODY, **further})
    assert layer(server, cache, **settings).invoke(messages).text == text_of(cold)
    assert server.count() == 1


@LAYERS
def test_thoughts_come_back_with_their_signature(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    cold = layer(server, cache, thinking=thinking, max_tokens=4096).invoke(QUESTION)
    found = client.messages.create(**{**BODY, "max_tokens": 4096}, thinking=thinking)
    thought = found.content[0]
    assert thought.type == "thinking"
    assert isinstance(cold.content, list)
    assert isinstance(cold.content[0], dict)
    assert (thought.thinking, thought.signature) == (cold.content[0]["thinking"], cold.content[0]["signature"])
    assert server.count() == 1


@LAYERS
def test_calls_with_the_same_betas_share(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    cold = client.beta.messages.create(**BODY, betas=["one", "two"])
    found = layer(server, cache, betas=["one", "two"]).invoke(QUESTION)
    assert (found.text, server.count()) == (cold.content[0].to_dict()["text"], 1)


# ------------------------------------------------------------------ not equal
OTHER: dict[str, dict[str, Any]] = {
    "max_tokens": {"max_tokens": 1025},
    "temperature": {"temperature": 0.2},
    "model": {"model": "claude-opus-4-6"},
    "stop": {"stop_sequences": ["X"]},
    "beta": {"betas": ["a-beta"]},
}


@LAYERS
@pytest.mark.parametrize("name", OTHER)
def test_a_default_that_differs_is_a_miss(
    name: str, layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    client.messages.create(**BODY)
    layer(server, cache, **OTHER[name]).invoke(QUESTION)
    assert server.count() == 2


@LAYERS
def test_another_server_is_a_miss(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    client.messages.create(**BODY)
    with FakeAnthropic() as other:
        layer(other, cache).invoke(QUESTION)
        assert (server.count(), other.count()) == (1, 1)


@LAYERS
def test_another_tenant_is_a_miss(
    layer: Layer, server: FakeAnthropic, cache: SemanticCache, client: anthropic.Anthropic
) -> None:
    with cache.context(tenant="a"):
        client.messages.create(**BODY)
    with cache.context(tenant="b"):
        layer(server, cache).invoke(QUESTION)
    assert server.count() == 2
    with cache.context(tenant="a"):
        layer(server, cache).invoke(QUESTION)
    assert server.count() == 2
