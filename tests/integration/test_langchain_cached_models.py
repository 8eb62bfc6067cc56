"""`cached(model)`: the cached model is what the plain one was, and what cannot be cached says so."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import copy_context
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListLLM, SimpleChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import BaseModel

from llmcache_plugins import ConfigError, SemanticCache, default_cache, open_cache, set_default_cache
from llmcache_plugins.langchain import LLMCache, cached, uncached
from llmcache_plugins.langchain.cached_base import CachedModel
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


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


class Sum(BaseModel):
    """A sum."""

    total: int


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


WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke(QUESTION),
    "ainvoke": lambda model: run(model.ainvoke(QUESTION)),
    "stream": lambda model: total(list(model.stream(QUESTION))),
    "astream": lambda model: total(run(astreamed(model))),
}
if hasattr(BaseChatModel, "stream_events"):  # from langchain-core 1.4 on
    WAYS["stream_events v3"] = lambda model: model.stream_events(QUESTION, version="v3").output


# ------------------------------------------------------------------ P25: as the plain model
def test_p25_it_is_what_it_was(server: FakeAnthropic, engine: SemanticCache) -> None:
    plain = claude(server)
    asked = cached(plain, engine)
    assert isinstance(asked, ChatAnthropic)
    assert asked is not plain
    assert type(plain) is ChatAnthropic
    assert (asked.lc_id(), asked._llm_type, type(asked).__name__) == (plain.lc_id(), plain._llm_type, "ChatAnthropic")
    for kwargs in ({}, {"stop": ["x"]}, {"tools": [{"name": "t"}]}):
        assert asked._get_llm_string(**kwargs) == plain._get_llm_string(**kwargs)
    assert asked.model_dump() == plain.model_dump()
    assert cached(asked, engine) is asked


def test_p25_copies_share_the_cache(model: ChatAnthropic, server: FakeAnthropic) -> None:
    copies = [model.model_copy(), copy.copy(model), copy.deepcopy(model)]
    for one in [model, *copies]:
        one.invoke(QUESTION)
    assert server.count() == 1


def test_p25_a_changed_parameter_is_another_question(model: ChatAnthropic, server: FakeAnthropic) -> None:
    model.invoke(QUESTION)
    model.model_copy(update={"temperature": 0.5}).invoke(QUESTION)
    model.temperature = 0.7
    model.invoke(QUESTION)
    assert server.count() == 3


def test_p25_pickled_it_is_cached_by_the_default_cache(server: FakeAnthropic, engine: SemanticCache) -> None:
    blob = pickle.dumps(cached(claude(server), engine))
    before = default_cache()
    with closing(open_cache("memory://", embedder=None)) as other:
        set_default_cache(other)
        try:
            back = pickle.loads(blob)  # noqa: S301  # made above
        finally:
            set_default_cache(before)
        assert isinstance(back, ChatAnthropic)
        back.invoke(QUESTION)
        back.invoke(QUESTION)
        assert (other.stats().hits, engine.stats().lookups) == ({"exact": 1}, 0)


def test_p25_tools_structured_output_retries_and_fallbacks(model: ChatAnthropic, server: FakeAnthropic) -> None:
    asked: list[Any] = [
        model.bind_tools([add]),
        model.with_structured_output(Sum),
        model.with_retry(),
        model.with_fallbacks([RunnableLambda(lambda _: "never")]),
    ]
    for count, one in enumerate(asked, 1):
        cold, warm = one.invoke(f"{QUESTION} {count}"), one.invoke(f"{QUESTION} {count}")
        assert server.count() == count
        if isinstance(cold, Sum):
            assert warm == cold
        else:
            assert said(warm) == said(cold)


def test_p25_a_binding_keeps_its_arguments(server: FakeAnthropic, engine: SemanticCache) -> None:
    bound = claude(server).bind_tools([add])
    asked = cached(bound, engine)
    asked.invoke(QUESTION)
    asked.invoke(QUESTION)
    assert server.count() == 1
    assert asked.kwargs == bound.kwargs
    assert not isinstance(bound.bound, CachedModel)
    assert type(uncached(asked).bound) is ChatAnthropic


def test_p25_configured_fields_are_cached_and_kept_apart(model: ChatAnthropic, server: FakeAnthropic) -> None:
    asked = model.configurable_fields(temperature=ConfigurableField(id="t"))
    for temperature in (0.1, 0.1, 0.9, 0.9):
        asked.invoke(QUESTION, config={"configurable": {"t": temperature}})
    assert server.count() == 2


def test_p25_a_model_that_does_not_stream_stays_without(engine: SemanticCache) -> None:
    asked = cached(Once(calls=[]), engine)
    assert type(asked)._stream is BaseChatModel._stream
    assert type(asked)._astream is BaseChatModel._astream
    assert [chunk.content for chunk in asked.stream("a")] == ["A"]
    assert [chunk.content for chunk in asked.stream("a")] == ["A"]
    assert asked.calls == ["a"]


class Once(SimpleChatModel):
    """Does not stream, and takes no callbacks."""

    calls: list[str]

    @property
    def _llm_type(self) -> str:
        return "once"

    def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:
        self.calls.append(str(messages[-1].content))
        return str(messages[-1].content).upper()


class OldStyle(BaseChatModel):
    """`_generate` is built on `_stream`, and neither takes callbacks."""

    calls: list[str]

    @property
    def _llm_type(self) -> str:
        return "old"

    def _stream(self, messages: list[BaseMessage], stop: Any = None, **kwargs: Any) -> Iterator[ChatGenerationChunk]:  # type: ignore[override]
        self.calls.append(str(messages[-1].content))
        for letter in "abc":
            yield ChatGenerationChunk(message=AIMessageChunk(letter))

    def _generate(self, messages: list[BaseMessage], stop: Any = None, **kwargs: Any) -> ChatResult:  # type: ignore[override]
        text = "".join(str(chunk.message.content) for chunk in self._stream(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_p15_a_model_built_on_its_own_stream_is_asked_and_stored_once(engine: SemanticCache, way: str) -> None:
    asked = cached(OldStyle(calls=[]), engine)
    assert [WAYS[way](asked).content for _ in range(2)] == ["abc", "abc"]
    assert asked.calls == [QUESTION]
    stats = engine.stats()
    assert (stats.lookups, stats.hits, stats.entries) == (2, {"exact": 1}, 1)


# ------------------------------------------------------------------ in place, and what cannot be cached
def test_in_place_reaches_what_was_built_before(server: FakeAnthropic, engine: SemanticCache) -> None:
    plain = claude(server)
    chain = ChatPromptTemplate.from_messages([("human", "{q}")]) | plain.bind_tools([add])
    assert cached(plain, engine, inplace=True) is plain
    for _ in range(2):
        list(chain.stream({"q": QUESTION}))
    assert server.count() == 1
    assert uncached(plain, inplace=True) is plain
    assert type(plain) is ChatAnthropic
    assert plain.cache is None
    chain.invoke({"q": QUESTION})
    assert server.count() == 2


def test_without_a_cache_it_asks_the_default_one(server: FakeAnthropic, engine: SemanticCache) -> None:
    before = default_cache()
    set_default_cache(engine)
    try:
        cached(claude(server)).invoke(QUESTION)
    finally:
        set_default_cache(before)
    assert engine.stats().entries == 1


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (lambda model: model | RunnableLambda(str), "prompt | cached"),
        (lambda model: model.with_fallbacks([model]), "cached\\(other\\)"),
        (lambda model: model.configurable_fields(temperature=ConfigurableField(id="t")), "cached\\(model\\) first"),
        (lambda model: RunnableLambda(str), "takes a chat model"),
        (lambda model: "claude", "not a str"),
    ],
)
def test_what_is_no_model_is_refused_with_the_remedy(
    server: FakeAnthropic, engine: SemanticCache, wrong: Callable[[Any], Any], remedy: str
) -> None:
    with pytest.raises(ConfigError, match=remedy):
        cached(wrong(claude(server)), engine)


def test_a_model_chosen_at_run_time_is_refused_with_the_remedy(engine: SemanticCache) -> None:
    from langchain.chat_models import init_chat_model

    with pytest.raises(ConfigError, match="set_llm_cache"):
        cached(init_chat_model(configurable_fields=("model",)), engine)


def test_what_the_profiler_is_told_of_the_run(server: FakeAnthropic) -> None:
    seen: list[Any] = []

    def profiler(request: Any) -> Any:
        from llmcache_plugins import Profile

        seen.append(request.details)
        return Profile()

    with closing(open_cache("memory://", embedder=None, profiler=profiler)) as engine:
        model = cached(claude(server, tags=["own"]), engine)
        config: Any = {"tags": ["mine"], "metadata": {"user": "u1"}}
        for way in WAYS:
            engine.clear()
            seen.clear()
            WAYS[way](model.with_config(config))
            assert seen, way
            assert {"own", "mine"} <= set(seen[0]["tags"]), way
            assert seen[0]["metadata"]["user"] == "u1", way


# ------------------------------------------------------------------ completion models
def test_completions_are_cached_and_streamed(engine: SemanticCache) -> None:
    asked = cached(FakeListLLM(responses=["one two", "three"]), engine)
    assert [asked.invoke("a") for _ in range(2)] == ["one two", "one two"]
    assert "".join(asked.stream("a")) == "one two"
    assert run(asked.ainvoke("a")) == "one two"
    assert asked.batch(["a", "b"]) == ["one two", "three"]
    assert engine.stats().entries == 2


def test_completions_share_with_the_framework_cache(engine: SemanticCache) -> None:
    FakeListLLM(responses=["first"], cache=LLMCache(engine)).invoke("a")
    asked = cached(FakeListLLM(responses=["first"]), engine)
    assert asked.generate(["a"]).generations[0][0].text == "first"
    assert engine.stats().hits == {"exact": 1}


def test_p27_the_arguments_of_a_call_are_in_the_key_of_a_cached_completion_model(engine: SemanticCache) -> None:
    asked = cached(FakeListLLM(responses=["one", "two"]), engine)
    assert asked.invoke("a") == "one"
    assert asked.invoke("a", temperature=0.9) == "two"
    assert asked.invoke("a", temperature=0.9) == "two"
    assert asked.invoke("a") == "one"


def test_several_completions_of_one_call_are_asked_at_once(engine: SemanticCache) -> None:
    asked = cached(FakeListLLM(responses=["one", "two", "three"]), engine)
    asked.invoke("a")
    result = asked.generate(["a", "b", "c", "b"])
    texts = [one[0].text for one in result.generations]
    assert texts[0] == "one"
    assert all(texts)
    again = asked.generate(["c", "a"])
    assert [one[0].text for one in again.generations] == [texts[2], "one"]


def test_system_prompts_keep_questions_apart(model: ChatAnthropic, server: FakeAnthropic) -> None:
    for system in ("Be short.", "Be long.", "Be short."):
        model.invoke([SystemMessage(system), HumanMessage(QUESTION)])
    assert server.count() == 2


def test_a_call_that_cannot_be_told_from_others_is_counted(server: FakeAnthropic, engine: SemanticCache) -> None:
    model = cached(claude(server, mcp_servers=[{"type": "url", "url": "http://127.0.0.1:1/mcp", "name": "w"}]), engine)
    for _ in range(2):
        model.invoke(QUESTION)
    assert (server.count(), engine.stats().bypasses) == (2, 2)
