"""`cached(model)`: what every way of asking a model gives, cold and on a hit, one test for each pitfall."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import Context, copy_context
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListLLM, SimpleChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import BaseModel

from llmcache_plugins import ConfigError, SemanticCache, default_cache, open_cache, set_default_cache
from llmcache_plugins.langchain import LLMCache, cached, uncached
from llmcache_plugins.langchain.cached_base import CachedModel
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

QUESTION = "What is BGP?"
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")


class Loop:
    """One event loop for all: the integration keeps one client for all of them."""

    runner: asyncio.Runner


@pytest.fixture(autouse=True, scope="module")
def loop() -> Iterator[None]:
    with asyncio.Runner() as Loop.runner:
        yield


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


# ------------------------------------------------------------------ every way of asking
WAYS: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda model: model.invoke(QUESTION),
    "ainvoke": lambda model: run(model.ainvoke(QUESTION)),
    "batch": lambda model: model.batch([QUESTION])[0],
    "abatch": lambda model: run(model.abatch([QUESTION]))[0],
    "stream": lambda model: total(list(model.stream(QUESTION))),
    "astream": lambda model: total(run(astreamed(model))),
    "stream_events v3": lambda model: model.stream_events(QUESTION, version="v3").output,
    "astream_events v2": lambda model: run(_last_event(model)),
    "generate": lambda model: model.generate([[HumanMessage(QUESTION)]]).generations[0][0].message,
    "chain": lambda model: (ChatPromptTemplate.from_messages([("human", "{q}")]) | model).invoke({"q": QUESTION}),
}


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


@pytest.mark.parametrize("way", ["invoke", "stream", "astream", "stream_events v3"])
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
    asked = model.bind_tools([add])
    server.enqueue(content=[SAYS, *USES])
    runs = [list(asked.stream_events(QUESTION, version="v3")) for _ in range(2)]
    assert server.count() == 1
    cold, warm = ([event["content"] for event in run if event["event"] == "content-block-finish"] for run in runs)
    assert [block["type"] for block in warm] == [block["type"] for block in cold] == ["text", "tool_call", "tool_call"]
    assert [block.get("args") for block in warm] == [block.get("args") for block in cold]


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


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "stream_events v3"])
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
        for way in ("invoke", "stream", "stream_events v3"):
            engine.clear()
            seen.clear()
            WAYS[way](model.with_config(config))
            assert seen, way
            assert {"own", "mine"} <= set(seen[0]["tags"]), way
            assert seen[0]["metadata"]["user"] == "u1", way


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
