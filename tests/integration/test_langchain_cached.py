"""`cached(model)`: what every way of asking a model gives, cold and on a hit, one test for each pitfall."""

from __future__ import annotations

import asyncio
import copy
import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import copy_context
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_anthropic._client_utils import _get_default_async_httpx_client
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from llmcache_plugins import ConfigError, SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, cached
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

QUESTION = "What is BGP?"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of the integration's clients, see `clients`
]


@pytest.fixture(autouse=True, scope="module")
def clients() -> Iterator[None]:
    """The integration keeps an asynchronous client for each address, and closes none: here their loops are gone."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        _get_default_async_httpx_client.cache_clear()
        gc.collect()


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


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


def total(chunks: list[Any]) -> AIMessageChunk:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    return whole


def said(message: BaseMessage) -> dict[str, Any]:
    """What has to be equal on a hit: all but ids, what it cost, and the mark."""
    fields = message.model_dump(exclude={"id", "usage_metadata", "type", "tool_call_chunks", "chunk_position"})
    fields["response_metadata"].pop("llmcache", None)
    ids = {call["id"]: f"call_{place}" for place, call in enumerate(fields["tool_calls"])}
    for item in [*fields["tool_calls"], *(block for block in message.content if isinstance(block, dict))]:
        if item.get("id") in ids:
            item["id"] = ids[item["id"]]
    fields["content"] = copy.deepcopy(message.content)
    return fields


async def astreamed(model: Any, question: Any = QUESTION) -> list[Any]:
    return [chunk async for chunk in model.astream(question)]


# ------------------------------------------------------------------ every way of asking
WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke(QUESTION),
    "ainvoke": lambda model: run(model.ainvoke(QUESTION)),
    "batch": lambda model: model.batch([QUESTION])[0],
    "abatch": lambda model: run(model.abatch([QUESTION]))[0],
    "stream": lambda model: total(list(model.stream(QUESTION))),
    "astream": lambda model: total(run(astreamed(model))),
    "astream_events v2": lambda model: run(_last_event(model)),
    "generate": lambda model: model.generate([[HumanMessage(QUESTION)]]).generations[0][0].message,
    "chain": lambda model: (ChatPromptTemplate.from_messages([("human", "{q}")]) | model).invoke({"q": QUESTION}),
}
if hasattr(BaseChatModel, "stream_events"):  # from langchain-core 1.4 on
    WAYS["stream_events v3"] = lambda model: model.stream_events(QUESTION, version="v3").output


async def _last_event(model: Any) -> Any:
    return [event async for event in model.astream_events(QUESTION, version="v2")][-1]["data"]["output"]


@pytest.mark.parametrize("way", WAYS)
def test_a_second_call_asks_nobody_and_says_the_same(model: ChatAnthropic, server: FakeAnthropic, way: str) -> None:
    cold, warm = WAYS[way](model), WAYS[way](model)
    assert server.count() == 1
    assert said(warm) == said(cold)
    assert warm.response_metadata["llmcache"]["hit"] is True
    assert warm.id != cold.id


@pytest.mark.parametrize("first", ["invoke", "stream", "ainvoke", "astream"])
def test_all_ways_and_the_framework_cache_share_their_answers(
    server: FakeAnthropic, engine: SemanticCache, first: str
) -> None:
    WAYS[first](cached(claude(server), engine))
    for way in WAYS.values():
        way(cached(claude(server), engine))
    claude(server, cache=LLMCache(engine)).invoke(QUESTION)
    assert server.count() == 1


def test_what_the_framework_cache_stored_is_streamed(server: FakeAnthropic, engine: SemanticCache) -> None:
    cold = claude(server, cache=LLMCache(engine)).invoke(QUESTION)
    chunks = list(cached(claude(server), engine).stream(QUESTION))
    assert server.count() == 1
    assert len(chunks) > 2
    assert said(total(chunks)) == said(cold)


# ------------------------------------------------------------------ P4, P6, P8, P12: what a hit gives
THOUGHT = {"type": "thinking", "thinking": "Let me think about it.", "signature": "sig"}
CITED = {"type": "text", "text": "As the manual says.", "citations": [{"type": "char_location", "cited_text": "c"}]}
SAYS = {"type": "text", "text": "I will add them."}
USES = [{"type": "tool_use", "id": f"toolu_0{n}", "name": "add", "input": {"a": n, "b": 2.5}} for n in (1, 2)]


@pytest.mark.parametrize(
    "content",
    [[SAYS], [THOUGHT, SAYS], [SAYS, *USES], USES, [{"type": "text", "text": "one\n\n  two\tthree  "}]],
    ids=["text", "thinking", "text and calls", "calls", "white space"],
)
@pytest.mark.parametrize("first", ["invoke", "stream"])
def test_p12_the_sum_of_the_pieces_is_the_cold_message(
    server: FakeAnthropic, engine: SemanticCache, content: list[Any], first: str
) -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if THOUGHT in content else {}
    asked = cached(claude(server, **thinking), engine).bind_tools([add])
    server.enqueue(content=content)
    cold = asked.invoke(QUESTION) if first == "invoke" else total(list(asked.stream(QUESTION)))
    chunks = list(asked.stream(QUESTION))
    warm = total(chunks)
    assert server.count() == 1
    assert len(chunks) > 2
    assert without_index(said(warm)) == without_index(said(cold))
    assert {chunk.id for chunk in chunks} == {warm.id}
    assert warm.id != cold.id
    assert chunks[-1].chunk_position == "last"
    assert "".join(str(chunk.text) for chunk in chunks) == str(cold.text)
    assert said(asked.invoke(QUESTION)) == said(cold)


def without_index(fields: dict[str, Any]) -> dict[str, Any]:
    """Blocks of a stream are numbered, and those of a message are not; LangChain itself does so."""
    if isinstance(fields["content"], list):
        for block in fields["content"]:
            block.pop("index", None)
    return fields


def test_p12_tool_calls_come_as_chunks_with_new_ids(server: FakeAnthropic, engine: SemanticCache) -> None:
    asked = cached(claude(server), engine).bind_tools([add])
    server.enqueue(content=[SAYS, *USES])
    cold = total(list(asked.stream(QUESTION)))
    chunks = list(asked.stream(QUESTION))
    pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
    assert [piece["name"] for piece in pieces] == ["add", "add"]
    warm = total(chunks)
    ids = [call["id"] for call in warm.tool_calls]
    assert set(ids).isdisjoint(call["id"] for call in cold.tool_calls)
    assert [block["id"] for block in warm.content if block["type"] == "tool_use"] == ids


def test_p06_changing_what_a_stream_gave_changes_nothing_stored(model: ChatAnthropic) -> None:
    for _ in range(2):
        for chunk in model.stream(QUESTION):
            chunk.content = "HACKED"
            chunk.response_metadata["model_name"] = "HACKED"
    warm = total(list(model.stream(QUESTION)))
    assert warm.content == f"echo: {QUESTION}"
    assert warm.response_metadata["model_name"] == "claude-haiku-4-5"


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_p08_one_call_and_two_hits_report_the_tokens_of_one_call(model: ChatAnthropic, way: str) -> None:
    handler = UsageMetadataCallbackHandler()
    asked = model.with_config(callbacks=[handler])
    cold = WAYS[way](asked)
    once = copy.deepcopy(handler.usage_metadata)
    warm = WAYS[way](asked)
    WAYS[way](asked)
    assert once["claude-haiku-4-5"]["output_tokens"] > 0
    counted = handler.usage_metadata["claude-haiku-4-5"]
    assert (counted["input_tokens"], counted["output_tokens"]) == (
        once["claude-haiku-4-5"]["input_tokens"],
        once["claude-haiku-4-5"]["output_tokens"],
    )
    assert warm.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    saved = warm.response_metadata["llmcache"]["saved_usage"]
    assert saved["total_tokens"] == cold.usage_metadata["total_tokens"]


def test_p08_usage_can_be_kept(server: FakeAnthropic, engine: SemanticCache) -> None:
    asked = cached(claude(server), engine, usage="keep")
    cold, warm = total(list(asked.stream(QUESTION))), total(list(asked.stream(QUESTION)))
    assert warm.usage_metadata == cold.usage_metadata
    with pytest.raises(ConfigError, match="usage"):
        cached(claude(server), engine, usage="some")  # type: ignore[arg-type]  # the test


# ------------------------------------------------------------------ P13: callbacks and events
class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.events: list[str] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.events.append("start")

    def on_llm_new_token(self, *args: Any, **kwargs: Any) -> None:
        self.events.append("token")

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.events.append("end")


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"generate"}))  # takes no callbacks of a binding
def test_p13_handlers_hear_a_hit_as_they_hear_a_call(model: ChatAnthropic, way: str) -> None:
    cold, warm = Heard(), Heard()
    WAYS[way](model.with_config(callbacks=[cold]))
    WAYS[way](model.with_config(callbacks=[warm]))
    assert sorted(set(warm.events)) == sorted(set(cold.events))
    assert (warm.events[0], warm.events[-1]) == ("start", "end")


async def test_p13_astream_events_of_a_hit(model: ChatAnthropic) -> None:
    heard = []
    for _ in range(2):
        heard.append([event["event"] async for event in model.astream_events(QUESTION, version="v2")])
    for events in heard:
        assert (events[0], events[-1]) == ("on_chat_model_start", "on_chat_model_end")
        assert events.count("on_chat_model_stream") > 1


async def test_p13_invoke_inside_of_a_streamed_graph_comes_in_pieces(model: ChatAnthropic) -> None:
    chain = RunnableLambda(lambda question: model.invoke(question))
    for _ in range(2):
        events = [event["event"] async for event in chain.astream_events(QUESTION, version="v2")]
        assert events.count("on_chat_model_stream") > 1


def test_p13_protocol_events_of_a_hit_carry_the_same_blocks(model: ChatAnthropic, server: FakeAnthropic) -> None:
    if "stream_events v3" not in WAYS:
        return
    asked = model.bind_tools([add])
    server.enqueue(content=[SAYS, *USES])
    runs = [list(asked.stream_events(QUESTION, version="v3")) for _ in range(2)]
    assert server.count() == 1
    cold, warm = ([event["content"] for event in run if event["event"] == "content-block-finish"] for run in runs)
    assert [block["type"] for block in warm] == [block["type"] for block in cold] == ["text", "tool_call", "tool_call"]
    assert [block.get("args") for block in warm] == [block.get("args") for block in cold]
