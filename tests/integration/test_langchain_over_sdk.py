"""P62: LangChain's `ChatAnthropic` on clients that have the Anthropic SDK plugin, alone and below another cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.langchain import LLMCache, cached
from llmcache_plugins.testing import FakeAnthropic

QUESTION = "Is rtr-001 up?"

# Of the SDK, where an older integration asks for JSON as it did before.
pytestmark = pytest.mark.filterwarnings("ignore:.*output_format.*deprecated:DeprecationWarning")


class Device(BaseModel):
    """A device."""

    name: str
    port: int


def ping(host: str) -> str:
    """Is a device reachable?"""
    return f"{host} is up"


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


def over_sdk(server: FakeAnthropic, below: SemanticCache, **settings: Any) -> ChatAnthropic:
    """A model whose clients are cached ones. The attributes are private: what LangChain does with them is tested."""
    model = ChatAnthropic(
        **{
            "model": "claude-haiku-4-5",
            "max_tokens": 1024,
            "api_key": "test",
            "base_url": server.base_url,
            "max_retries": 0,
            **settings,
        }
    )
    vars(model)["_client"] = cache_client(model._client, below)
    vars(model)["_async_client"] = cache_client(model._async_client, below)
    return model


@pytest.fixture
def model(server: FakeAnthropic, cache: SemanticCache) -> ChatAnthropic:
    return over_sdk(server, cache)


def agent_answer(model: ChatAnthropic) -> str:
    found = create_agent(model, [ping]).invoke({"messages": [{"role": "user", "content": QUESTION}]})
    return str(found["messages"][-1].text)


SHAPES: dict[str, tuple[int, Callable[[ChatAnthropic], Any]]] = {
    "invoke": (1, lambda model: model.invoke(QUESTION).text),
    "stream": (1, lambda model: "".join(chunk.text for chunk in model.stream(QUESTION))),
    "tools": (1, lambda model: [call["args"] for call in model.bind_tools([ping]).invoke(QUESTION).tool_calls]),
    "tools, streamed": (
        1,
        lambda model: [
            call["args"]
            for call in sum_of(model.bind_tools([ping]).stream(QUESTION)).tool_calls
        ],
    ),
    "structured output": (1, lambda model: model.with_structured_output(Device).invoke(QUESTION)),
    "structured output by schema": (
        1,
        lambda model: model.with_structured_output(Device, method="json_schema").invoke(QUESTION),
    ),
    "batch": (1, lambda model: [found.text for found in model.batch([QUESTION, QUESTION])]),
    "agent": (2, agent_answer),
}  # fmt: skip


def sum_of(chunks: Any) -> AIMessage:
    first, *others = chunks
    for chunk in others:
        first = first + chunk
    assert isinstance(first, AIMessage)
    return first


@pytest.mark.parametrize("shape", SHAPES)
def test_p62_a_cached_client_answers_its_model(
    shape: str, model: ChatAnthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    calls, run = SHAPES[shape]
    cold = run(model)
    assert server.count() == calls
    assert run(model) == cold
    assert server.count() == calls
    assert not cache.stats().errors


async def test_p62_async_too(model: ChatAnthropic, server: FakeAnthropic) -> None:
    cold = (await model.ainvoke(QUESTION)).text
    assert (await model.ainvoke(QUESTION)).text == cold
    assert "".join([chunk.text async for chunk in model.astream(QUESTION)]) == cold
    found = await create_agent(model, [ping]).ainvoke({"messages": [{"role": "user", "content": QUESTION}]})
    asked = server.count()
    again = await create_agent(model, [ping]).ainvoke({"messages": [{"role": "user", "content": QUESTION}]})
    assert again["messages"][-1].text == found["messages"][-1].text
    assert asked == server.count() == 3


def test_p62_a_hit_reports_no_tokens_to_langchain(model: ChatAnthropic) -> None:
    cold = model.invoke(QUESTION)
    for hit in (model.invoke(QUESTION), sum_of(model.stream(QUESTION))):
        assert hit.usage_metadata is not None
        assert hit.usage_metadata["input_tokens"] == hit.usage_metadata["output_tokens"] == 0
        assert (hit.text, hit.id == cold.id) == (cold.text, False)


# ------------------------------------------------------------------ P15: below another layer
@pytest.mark.parametrize("below_is_the_same", [True, False])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("stream", "tools, streamed", "batch")])
def test_p15_p62_below_llm_cache_only_llm_cache_counts(
    shape: str, below_is_the_same: bool, server: FakeAnthropic, cache: SemanticCache
) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        below = cache if below_is_the_same else other
        calls, run = SHAPES[shape]
        layered = over_sdk(server, below, cache=LLMCache(cache))
        assert run(layered) == run(layered)
        stats = cache.stats()
        assert (server.count(), stats.lookups, stats.updates) == (calls, 2 * calls, calls)
        if not below_is_the_same:
            assert other.stats().lookups == 0


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "batch"])
def test_p15_p62_below_a_cached_model_only_that_counts(shape: str, server: FakeAnthropic, cache: SemanticCache) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        calls, run = SHAPES[shape]
        layered = cached(over_sdk(server, other), cache)
        assert run(layered) == run(layered)
        stats = cache.stats()
        assert (server.count(), stats.lookups, stats.updates) == (calls, 2 * calls, calls)
        assert other.stats().lookups == 0


async def test_p15_p62_async_layers_too(server: FakeAnthropic, cache: SemanticCache) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        layered = cached(over_sdk(server, other), cache)
        for _ in range(2):
            await layered.ainvoke(QUESTION)
            [chunk async for chunk in layered.astream(QUESTION)]
        behind = over_sdk(server, other, cache=LLMCache(cache))
        await behind.ainvoke(QUESTION)
        assert (server.count(), cache.stats().lookups, other.stats().lookups) == (1, 5, 0)


def test_p62_a_stream_that_llm_cache_does_not_see_is_the_clients(server: FakeAnthropic, cache: SemanticCache) -> None:
    """LangChain asks no framework cache for streams: then the client's is the only layer."""
    layered = over_sdk(server, cache, cache=LLMCache(cache))
    for _ in range(2):
        assert "".join(chunk.text for chunk in layered.stream(QUESTION))
    assert layered.invoke(QUESTION).text
    assert (server.count(), cache.stats().lookups) == (1, 3)
