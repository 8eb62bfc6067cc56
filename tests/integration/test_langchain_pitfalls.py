"""What a LangChain cache gets wrong, one test for each pitfall, on the real packages and a loopback server."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import GenericFakeChatModel, SimpleChatModel
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.rate_limiters import InMemoryRateLimiter

from llmcache_plugins import CacheConfig, SemanticCache, open_cache
from llmcache_plugins.engine import Rules, Tier
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.keys.question import FramedQuestion, QuestionExtractor
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.langchain.parse import parse_llm_string, request_of
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.types import Stored


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as cache:
        yield cache


@pytest.fixture
def cache(engine: SemanticCache) -> Iterator[LLMCache]:
    plugin = LLMCache(engine)
    set_llm_cache(plugin)
    yield plugin
    set_llm_cache(None)


def claude(server: FakeAnthropic, **settings: Any) -> ChatAnthropic:
    return ChatAnthropic(
        **{"model": "claude-haiku-4-5", "api_key": "test", "base_url": server.base_url, "max_retries": 0} | settings
    )


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


def keys_of(cache: LLMCache, messages: list[BaseMessage], **bound: Any) -> tuple[str, str]:
    """Scope and key that these messages get, by way of the strings LangChain makes."""
    model = ChatAnthropic(**{"model": "claude-haiku-4-5", "api_key": "test"} | bound.pop("model", {}))
    prompt = dumps([message.model_copy(update={"id": None}) for message in messages])
    call = parse_llm_string(model._get_llm_string(stop=bound.pop("stop", None), **bound))
    identity = cache.cache.identify(request_of(prompt, call, QuestionExtractor()))
    return identity.scope, identity.key


def test_p05_lookup_returns_a_list_and_a_second_invoke_makes_no_call(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    cold = model.invoke("What is BGP?")
    hit = model.invoke("What is BGP?")
    assert server.count() == 1
    assert hit.content == cold.content
    cache.update("p", "s", [Generation(text="x")])
    assert isinstance(cache.lookup("p", "s"), list)


async def test_p05_async_too(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    cold = await model.ainvoke("What is BGP?")
    assert (await model.ainvoke("What is BGP?")).content == cold.content
    assert model.invoke("What is BGP?").content == cold.content
    assert server.count() == 1


def test_p06_changing_a_returned_message_changes_nothing_stored(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server).bind_tools([add])
    for _ in range(2):
        message = model.invoke("add 1 and 2")
        message.content = "HACKED"
        message.tool_calls[0]["args"]["a"] = 666
        message.response_metadata.clear()
    clean = model.invoke("add 1 and 2")
    assert server.count() == 1
    assert clean.content != "HACKED"
    assert clean.tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert clean.response_metadata["model_name"]


def test_p08_one_call_and_two_hits_report_the_tokens_of_one_call(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    counted = UsageMetadataCallbackHandler()
    first = model.invoke("What is BGP?", config={"callbacks": [counted]})
    after_one = json.dumps(counted.usage_metadata, sort_keys=True)
    hits = [model.invoke("What is BGP?", config={"callbacks": [counted]}) for _ in range(2)]
    (total,) = counted.usage_metadata.values()
    (once,) = json.loads(after_one).values()
    assert server.count() == 1
    assert first.usage_metadata is not None
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert total[name] == once[name] == first.usage_metadata[name]  # type: ignore[literal-required]  # by name
    for hit in hits:
        assert hit.usage_metadata is not None
        assert {name: hit.usage_metadata[name] for name in ("input_tokens", "output_tokens", "total_tokens")} == {  # type: ignore[literal-required]  # by name
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
        }
        assert hit.response_metadata["llmcache"]["saved_usage"]["total_tokens"] == once["total_tokens"]


def test_p08_a_model_without_usage_has_the_required_keys_on_a_hit(cache: LLMCache) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("a")]))
    model.invoke("hi")
    usage = model.invoke("hi").usage_metadata
    assert usage is not None
    assert {"input_tokens", "output_tokens", "total_tokens"} <= set(usage)


def test_p08_usage_can_be_kept(engine: SemanticCache, server: FakeAnthropic) -> None:
    model = claude(server, cache=LLMCache(engine, usage="keep"))
    cold, hit = model.invoke("hi"), model.invoke("hi")
    assert server.count() == 1
    assert cold.usage_metadata is not None
    assert hit.usage_metadata is not None
    assert hit.usage_metadata["total_tokens"] == cold.usage_metadata["total_tokens"] > 0


CALL = {"name": "add", "args": {"a": 1, "b": 2}, "id": "toolu_1"}


@pytest.mark.parametrize(
    "other",
    [
        AIMessage("b", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}),
        AIMessage("b", response_metadata={"id": "msg_1", "llmcache": {"hit": True}}),
        AIMessage("b", id="x"),
        AIMessageChunk("b"),
        AIMessage([{"type": "text", "text": "b"}]),
        AIMessage(["b"]),
    ],
)
def test_p09_what_varies_between_equal_messages_is_not_in_the_key(cache: LLMCache, other: AIMessage) -> None:
    first, last = HumanMessage("a"), HumanMessage("c")
    assert keys_of(cache, [first, other, last]) == keys_of(cache, [first, AIMessage("b"), last])


def test_p09_artifacts_and_tool_ids_are_not_in_the_key_but_swapped_results_are(cache: LLMCache) -> None:
    def thread(one: str, two: str, results: tuple[str, str], **extra: Any) -> list[BaseMessage]:
        return [
            HumanMessage("go"),
            AIMessage("", tool_calls=[{**CALL, "id": one}, {**CALL, "id": two}]),
            ToolMessage(results[0], tool_call_id=one, **extra),
            ToolMessage(results[1], tool_call_id=two),
        ]

    base = keys_of(cache, thread("a", "b", ("1", "2")))
    assert keys_of(cache, thread("x", "y", ("1", "2"), artifact={"frame": [1]})) == base
    assert keys_of(cache, thread("a", "b", ("2", "1"))) != base


@pytest.mark.parametrize(
    "other",
    [
        AIMessage("B"),
        HumanMessage("b"),
        AIMessage("b", name="bob"),
        AIMessage("b", tool_calls=[CALL]),
        ChatMessage("b", role="r"),
    ],
)
def test_p09_text_role_name_and_calls_are_in_the_key(cache: LLMCache, other: BaseMessage) -> None:
    last = HumanMessage("c")
    assert keys_of(cache, [other, last])[0] != keys_of(cache, [AIMessage("b"), last])[0]


@pytest.mark.parametrize(
    "irrelevant",
    [
        {"model": {"max_retries": 7}},
        {"model": {"timeout": 3}},
        {"model": {"streaming": True}},
        {"model": {"stream_usage": False}},
        {"model": {"disable_streaming": True}},
        {"model": {"name": "mine"}},
        {"model": {"api_key": "another"}},
        {"timeout": 5},
        {"cache_control": {"type": "ephemeral"}},
        {"tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}]},
    ],
)
def test_p10_what_does_not_shape_the_answer_is_not_in_the_key(cache: LLMCache, irrelevant: dict[str, Any]) -> None:
    question: list[BaseMessage] = [HumanMessage("q")]
    base = {"tools": [{"name": "t"}]}
    assert keys_of(cache, question, **{**base, **irrelevant}) == keys_of(cache, question, **base)


@pytest.mark.parametrize(
    "relevant",
    [
        {"model": {"model": "claude-sonnet-4-6"}},
        {"model": {"temperature": 0.5}},
        {"model": {"max_tokens": 7}},
        {"model": {"base_url": "http://other"}},
        {"model": {"betas": ["x"]}},
        {"model": {"thinking": {"type": "enabled", "budget_tokens": 2000}}},
        {"model": {"stop_sequences": ["y"]}},
        {"stop": ["x"]},
        {"temperature": 0.5},
        {"tools": [{"name": "u"}]},
        {"tool_choice": {"type": "any"}},
    ],
)
def test_p10_what_shapes_the_answer_is_in_the_key(cache: LLMCache, relevant: dict[str, Any]) -> None:
    question: list[BaseMessage] = [HumanMessage("q")]
    base = {"tools": [{"name": "t"}]}
    assert keys_of(cache, question, **{**base, **relevant})[0] != keys_of(cache, question, **base)[0]


MCP = {"mcp_servers": [{"type": "url", "url": "http://127.0.0.1:1/mcp", "name": "weather"}]}


@pytest.mark.parametrize("order", [({}, MCP), (MCP, {})])
async def test_p10_a_call_whose_parameters_langchain_hides_bypasses_the_cache(
    cache: LLMCache, server: FakeAnthropic, order: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """LangChain writes `mcp_servers` down as a secret: with one server or another, the cache is told the same."""
    for settings in order:
        model = claude(server, **settings)
        model.invoke("What is the weather?")
        await model.ainvoke("What is the weather?")
        model.invoke("What is the weather?")
    assert server.count() == 1 + 3  # without servers once, with them each time
    stats = cache.cache.stats()
    assert (stats.lookups, stats.bypasses, stats.updates, sum(stats.errors.values())) == (3, 3, 1, 0)


def test_p10_a_bypassed_call_leads_nobody_and_says_why_once(
    cache: LLMCache, server: FakeAnthropic, caplog: pytest.LogCaptureFixture
) -> None:
    model = claude(server, **MCP)
    llm_string = model._get_llm_string(stop=["only here"])
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):  # a follower of the first look-up would wait for its deadline
            assert pool.submit(cache.lookup, "p", llm_string).result(5) is None
    cache.update("p", llm_string, [Generation(text="x")])
    assert cache.lookup("p", llm_string) is None
    assert cache.cache.stats().entries == 0
    assert [record.levelname for record in caplog.records if "mcp_servers" in record.message] == ["WARNING"]


@pytest.mark.parametrize("name", ["pad_token", "tool_secret", "user_credentials"])
def test_p10_what_only_looks_like_a_credential_is_in_the_key(cache: LLMCache, name: str) -> None:
    question: list[BaseMessage] = [HumanMessage("q")]
    assert keys_of(cache, question, **{name: "a"})[0] != keys_of(cache, question, **{name: "b"})[0]
    assert keys_of(cache, question, api_key="a") == keys_of(cache, question, api_key="b")


def test_p11_two_namespaces_never_share_an_entry(server: FakeAnthropic) -> None:
    with (
        closing(open_cache("memory://", embedder=FakeEmbedder(), namespace="acme")) as one,
        closing(open_cache("memory://", embedder=FakeEmbedder(), namespace="globex")) as two,
    ):
        question = HumanMessage("What is our address?")
        keys = set()
        for engine in (one, two):
            model = claude(server, cache=LLMCache(engine))
            model.invoke([question])
            keys.add(keys_of(LLMCache(engine), [question])[0])
        assert server.count() == 2
        assert len(keys) == 2


def test_p11_two_namespaces_in_one_file_are_apart(server: FakeAnthropic, tmp_path: Any) -> None:
    url = f"disk://{tmp_path}/cache.db"
    with (
        closing(open_cache(url, embedder=FakeEmbedder(), namespace="acme")) as one,
        closing(open_cache(url, embedder=FakeEmbedder(), namespace="globex")) as two,
    ):
        for engine in (one, two, one, two):
            claude(server, cache=LLMCache(engine)).invoke("What is our address?")
        assert server.count() == 2


def test_p15_one_invoke_is_one_lookup_and_one_write(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    model.invoke("What is BGP?")
    stats = cache.cache.stats()
    assert (stats.lookups, stats.updates) == (1, 1)
    model.invoke("What is BGP?")
    stats = cache.cache.stats()
    assert (stats.lookups, stats.updates) == (2, 1)


class Upper(SimpleChatModel):
    """A model with a sync method only: its `ainvoke` runs `_call` in a thread."""

    calls: list[str]

    @property
    def _llm_type(self) -> str:
        return "upper"

    def _call(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        self.calls.append(str(messages[-1].content))
        return str(messages[-1].content).upper()


async def test_p15_a_sync_only_model_under_ainvoke_is_asked_once(cache: LLMCache) -> None:
    model = Upper(calls=[])
    assert (await model.ainvoke("hi")).content == (await model.ainvoke("hi")).content == "HI"
    stats = cache.cache.stats()
    assert (len(model.calls), stats.lookups, stats.updates) == (1, 2, 1)


def test_p16_a_hit_takes_no_token_of_the_rate_limiter(cache: LLMCache, server: FakeAnthropic) -> None:
    class Counting(InMemoryRateLimiter):
        acquired = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.acquired += 1
            return True

    limiter = Counting()
    model = claude(server, rate_limiter=limiter)
    model.invoke("hi")
    model.invoke("hi")
    assert (server.count(), limiter.acquired) == (1, 1)


@pytest.mark.parametrize("stop_reason", ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded"])
def test_p17_truncated_and_refused_answers_are_not_stored(
    cache: LLMCache, server: FakeAnthropic, stop_reason: str
) -> None:
    server.enqueue(text="half an ans", stop_reason=stop_reason)
    model = claude(server)
    model.invoke("Tell me.")
    assert model.invoke("Tell me.").content == "echo: Tell me."
    assert server.count() == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"finish_reason": "length"},
        {"finish_reason": "content_filter"},
        {"finish_reason": "MAX_TOKENS"},
        {"finishReason": "SAFETY"},
        {"done_reason": "length"},
        {"stopReason": "guardrail_intervened"},
        {"incomplete_details": {"reason": "max_output_tokens"}},
    ],
)
def test_p17_whatever_the_provider_calls_it(cache: LLMCache, metadata: dict[str, Any]) -> None:
    message = AIMessage("half", response_metadata=metadata)
    cache.update("[]", "m", [ChatGeneration(message=message)])
    cache.update("plain", "m", [Generation(text="half", generation_info=metadata)])
    # One bad choice of several spoils all.
    cache.update("many", "m", [Generation(text="ok"), Generation(text="half", generation_info=metadata)])
    assert cache.cache.stats().entries == 0
    assert sum(cache.cache.stats().refusals.values()) == 3


def test_p17_empty_answers_are_not_stored(cache: LLMCache) -> None:
    cache.update("a", "m", [ChatGeneration(message=AIMessage(""))])
    cache.update("b", "m", [Generation(text=" ")])
    cache.update("c", "m", [])
    assert cache.cache.stats().entries == 0


def test_p18_generation_info_comes_back_equal_and_several_in_order(cache: LLMCache) -> None:
    stored = [Generation(text=name, generation_info={"n": 1.5, "logprobs": [None, {"a": True}]}) for name in "ba"]
    cache.update("p", "m", stored)
    assert cache.lookup("p", "m") == stored
    info = {"finish_reason": "stop", "logprobs": None}
    cache.update("q", "m", [ChatGeneration(message=AIMessage("x"), generation_info=info)])
    found = cache.lookup("q", "m")
    assert found is not None
    assert found[0].generation_info == info


EXTRA = '"extra": {"langchain": {"kind": "%s"}}'


@pytest.mark.parametrize(
    "forged",
    [
        '{"lc": 1, "type": "constructor", "id": ["langchain_anthropic", "ChatAnthropic"], "kwargs": {}}',
        '[{"lc": 1, "type": "secret", "id": ["ANTHROPIC_API_KEY"]}]',
        '{"form": "chat/9", "answers": [{"content": "x"}], "has_tool_ids": false}',
        f'{{"form": "chat/1", "answers": [{{"content": "x", {EXTRA % "ChatAnthropic"}}}], "has_tool_ids": false}}',
        f'{{"form": "chat/1", "answers": [{{"content": 7, {EXTRA % "chat"}}}], "has_tool_ids": false}}',
        f'{{"form": "chat/1", "answers": [{{{EXTRA % "text"}}}], "has_tool_ids": false}}',
        f'{{"form": "chat/1", "answers": [{{"content": [], {EXTRA % "text"}}}], "has_tool_ids": false}}',
        '{"form": "chat/1", "answers": {}, "has_tool_ids": false}',
        f'{{"form": "chat/1", "answers": [{{"content": "x", {EXTRA % "text"}}}]}}',
        '"just text"',
        "null",
        "{not json",
    ],
)
def test_p20_an_unknown_or_damaged_answer_is_a_counted_miss(forged: str) -> None:
    engine, store = faulty(CacheConfig(), FakeEmbedder())
    cache = LLMCache(engine)
    cache.update("p", "m", [Generation(text="fine")])
    identity = engine.identify(request_of("p", parse_llm_string("m"), QuestionExtractor()))
    stored = store.get(identity.scope, identity.key)
    assert isinstance(stored, Stored)
    store.put(replace(stored.entry, answer_json=forged))
    assert cache.lookup("p", "m") is None
    assert sum(engine.stats().errors.values()) == 1
    cache.update("p", "m", [Generation(text="new")])
    assert cache.lookup("p", "m") == [Generation(text="new")]


def test_p20_each_change_for_the_worse_is_logged_once(cache: LLMCache, caplog: pytest.LogCaptureFixture) -> None:
    fine, broken = [Generation(text="x")], [ChatGeneration(message=HumanMessage("as an answer"))]
    for answer in (broken, broken, fine, broken):
        cache.update("p", "m", answer)
    logged = [record.message.split()[1] for record in caplog.records if record.message.startswith("langchain ")]
    assert logged == ["fails", "manages", "fails"]


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage("as an answer"),
        AIMessage("x", additional_kwargs={"object": object()}),
        AIMessage("x", additional_kwargs={"keys": {1: 2}}),
    ],
)
def test_p20_what_cannot_be_given_back_is_not_stored(cache: LLMCache, message: BaseMessage) -> None:
    cache.update("p", "m", [ChatGeneration(message=message)])
    assert cache.lookup("p", "m") is None
    assert cache.cache.stats().errors["langchain"] == 1


def test_p22_the_model_name_is_there_on_a_hit(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    cold, hit = model.invoke("hi"), model.invoke("hi")
    assert hit.response_metadata["model_name"] == cold.response_metadata["model_name"]
    assert hit.response_metadata["stop_reason"] == "end_turn"
    mark = hit.response_metadata["llmcache"]
    assert mark["hit"] is True
    assert (mark["kind"], mark["similarity"]) == ("exact", 1.0)
    assert mark["age"] >= 0


@pytest.mark.parametrize("llm_string", ["", "---", "{", '{"id": 1}---[]', "[('a', 1)", "[1, 2]", "x" * 50, "(" * 20000])
@pytest.mark.parametrize(
    "prompt", ["", "What is BGP?", "[]", '[{"lc": 1', '[{"lc": 1, "type": "secret"}]', '[{"lc"' * 9999]
)
def test_p23_unreadable_strings_are_opaque_text(cache: LLMCache, prompt: str, llm_string: str) -> None:
    generations = [Generation(text="x")]
    cache.update(prompt, llm_string, generations)
    assert cache.lookup(prompt, llm_string) == generations
    assert cache.lookup(prompt + "!!other", llm_string) is None
    assert cache.lookup(prompt, llm_string + "!") is None
    assert not cache.cache.stats().errors


def test_p23_user_text_that_looks_like_messages_is_exact_only(cache: LLMCache) -> None:
    text = '[{"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage'
    cache.update(text + "a", "m", [Generation(text="x")])
    assert cache.lookup(text + "b", "m") is None
    assert cache.cache.stats().misses == {"exact_only": 1}


class Gate:
    """Stops an embedder until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.is_shut = False

    def __call__(self, texts: Sequence[str]) -> None:
        if self.is_shut:
            self.reached.set()
            assert self.opened.wait(10)


async def test_p24_alookup_never_blocks_the_loop() -> None:
    gate = Gate()
    with closing(open_cache("memory://", embedder=FakeEmbedder({"hi": "g", "hello": "g"}, before=gate))) as engine:
        plugin = LLMCache(engine)
        await plugin.aupdate("hi", "m", [Generation(text="x")])
        gate.is_shut = True
        lookup = asyncio.create_task(plugin.alookup("hello", "m"))
        while not gate.reached.is_set():
            await asyncio.sleep(0)  # the embedder stands still now, and this loop turns
        assert not lookup.done()
        gate.opened.set()
        assert await lookup == [Generation(text="x")]


async def test_p24_with_a_200_ms_embedder_a_timer_ticks_on() -> None:
    def slow(texts: Sequence[str]) -> None:
        time.sleep(0.2)

    with closing(open_cache("memory://", embedder=FakeEmbedder({"hi": "g", "hello": "g"}, before=slow))) as engine:
        plugin = LLMCache(engine)
        await plugin.aupdate("hi", "m", [Generation(text="x")])
        lookup = asyncio.create_task(plugin.alookup("hello", "m"))
        ticks = 0
        while not lookup.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert await lookup is not None
        assert ticks >= 5


def test_p27_upstream_leaves_the_arguments_of_a_basellm_call_out_of_the_key(cache: LLMCache) -> None:
    seen = []

    class Recording(FakeListLLM):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
            seen.append(kwargs)
            return super()._call(prompt, stop, run_manager, **kwargs)

    llm = Recording(responses=["a", "b"])
    assert llm.invoke("p", temperature=0.1) == llm.invoke("p", temperature=0.9) == "a"
    assert len(seen) == 1, "LangChain keys the call's arguments now: the documentation's warning can go"


def test_p27_upstream_gives_models_without_identifying_params_one_key(cache: LLMCache) -> None:
    class Named(Upper):
        label: str

        def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:
            return self.label

    a, b = Named(label="A", calls=[]), Named(label="B", calls=[])
    assert a._get_llm_string() == b._get_llm_string(), "LangChain tells them apart now: the warning can go"


def test_models_are_kept_apart(cache: LLMCache, server: FakeAnthropic) -> None:
    for name in ("claude-haiku-4-5", "claude-sonnet-4-6") * 2:
        claude(server, model=name).invoke("What is BGP?")
    assert server.count() == 2


def test_a_two_turn_chat_replayed_makes_two_calls(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    for _ in range(3):
        history: list[BaseMessage] = [SystemMessage("Be terse."), HumanMessage("What is BGP?")]
        history.append(model.invoke(history))
        history.append(HumanMessage("And OSPF?"))
        model.invoke(history)
    assert server.count() == 2


def test_an_expired_answer_is_asked_again_however_often_it_is_read(server: FakeAnthropic) -> None:
    clock = FakeClock()
    with closing(open_cache("memory://", embedder=FakeEmbedder(), ttl=3, clock=clock)) as engine:
        model = claude(server, cache=LLMCache(engine))
        for _ in range(3):
            model.invoke("hi")
            clock.advance(0.9)
        assert server.count() == 1
        clock.advance(0.4)
        model.invoke("hi")
        assert server.count() == 2


def test_a_reworded_question_hits_and_says_so(server: FakeAnthropic) -> None:
    embedder = FakeEmbedder({"Show BGP status": "bgp", "Display BGP state": "bgp"})
    with closing(open_cache("memory://", embedder=embedder)) as engine:
        model = claude(server, cache=LLMCache(engine))
        cold = model.invoke([SystemMessage("s"), HumanMessage("Show BGP status")])
        hit = model.invoke([SystemMessage("s"), HumanMessage("Display BGP state")])
        other = model.invoke([SystemMessage("t"), HumanMessage("Display BGP state")])
        assert hit.content == cold.content != other.content
        assert server.count() == 2
        assert hit.response_metadata["llmcache"]["kind"] == "semantic"
        assert "llmcache" not in other.response_metadata


def test_only_the_question_of_a_retrieval_prompt_is_embedded(server: FakeAnthropic) -> None:
    embedder = FakeEmbedder({"What is the MTU?": "mtu", "Which MTU is it?": "mtu"})
    prompt = "Answer by the context.\n\nContext: {}\n\nQuestion: {}"
    with closing(open_cache("memory://", embedder=embedder)) as engine:
        model = claude(server, cache=LLMCache(engine))
        model.invoke(prompt.format("MTU is 1500.", "What is the MTU?"))
        model.invoke(prompt.format("MTU is 1500.", "Which MTU is it?"))
        assert server.count() == 1
        model.invoke(prompt.format("MTU is 9000.", "Which MTU is it?"))
        assert server.count() == 2
        assert set(embedder.embedded) <= {"What is the MTU?", "Which MTU is it?"}


def test_a_model_can_be_deep_copied_with_its_cache(engine: SemanticCache, server: FakeAnthropic) -> None:
    plugin = LLMCache(engine)
    model = GenericFakeChatModel(messages=iter([]), cache=plugin)
    assert model.model_copy(deep=True).cache is plugin


def test_clear_forgets(cache: LLMCache, server: FakeAnthropic) -> None:
    model = claude(server)
    model.invoke("hi")
    cache.clear()
    model.invoke("hi")
    assert server.count() == 2


async def test_aclear_forgets(cache: LLMCache) -> None:
    await cache.aupdate("p", "m", [Generation(text="x")])
    await cache.aclear()
    assert await cache.alookup("p", "m") is None


def faulty(config: CacheConfig, embedder: Embedder) -> tuple[SemanticCache, FaultyStore]:
    """A cache whose store fails when told to."""
    store = FaultyStore(MemoryStore(max_entries=100, max_bytes=1 << 20))
    policy = SimilarityPolicy(0.95)
    rules = Rules(("hot",), embedder.embedder_id, "test", lambda request: policy, judge, fail_open=config.fail_open)
    tier = Tier("hot", store, AsyncStoreAdapter(store))
    parts = {"rules": rules, "embedder": embedder, "statistics": Statistics(), "clock": FakeClock()}
    return SemanticCache([tier], config=config, **parts), store


@pytest.mark.parametrize("verbs", [{"get"}, {"put"}, {"census", "search"}, None])
async def test_p07_a_broken_store_leaves_invoke_working_and_is_counted(
    server: FakeAnthropic, verbs: set[str] | None
) -> None:
    engine, store = faulty(CacheConfig(), FakeEmbedder())
    model = claude(server, cache=LLMCache(engine))
    model.invoke("What is OSPF?")
    store.fail(verbs) if verbs else store.fail()
    assert model.invoke("What is BGP?").content == "echo: What is BGP?"
    assert (await model.ainvoke("What is BGP now?")).content == "echo: What is BGP now?"
    assert engine.stats().errors["hot"] >= 2
    store.heal()
    model.invoke("What is MPLS?")
    before = server.count()
    model.invoke("What is MPLS?")
    assert server.count() == before


async def test_p07_a_broken_embedder_leaves_invoke_working_and_is_counted(server: FakeAnthropic) -> None:
    def fail(texts: Sequence[str]) -> None:
        raise RuntimeError("no model file")

    with closing(open_cache("memory://", embedder=FakeEmbedder(before=fail))) as engine:
        model = claude(server, cache=LLMCache(engine))
        for question in ("a", "b", "a"):
            assert model.invoke(question).content == f"echo: {question}"
        assert (await model.ainvoke("c")).content == "echo: c"
        assert engine.stats().errors["embedder"] >= 1
        assert server.count() == 3  # the exact repeat was answered all the same


async def test_p07_our_own_errors_cost_a_call_or_raise_when_asked_to(server: FakeAnthropic) -> None:
    def broken(turn: str) -> FramedQuestion | None:
        raise RuntimeError("the user's extractor is broken")

    with closing(open_cache("memory://", embedder=None)) as engine:
        model = claude(server, cache=LLMCache(engine, extractor=broken))
        assert model.invoke("hi").content == (await model.ainvoke("hi")).content == "echo: hi"
        assert engine.stats().errors["langchain"] == 4  # two lookups, two updates
    with closing(open_cache("memory://", embedder=None, fail_open=False)) as engine:
        model = claude(server, cache=LLMCache(engine, extractor=broken))
        with pytest.raises(RuntimeError, match="extractor"):
            model.invoke("hi")
        with pytest.raises(RuntimeError, match="extractor"):
            await model.ainvoke("hi")


async def test_p07_without_fail_open_a_broken_store_raises(server: FakeAnthropic) -> None:
    engine, store = faulty(CacheConfig(fail_open=False), FakeEmbedder())
    model = claude(server, cache=LLMCache(engine))
    store.fail({"get"})
    with pytest.raises(StoreUnavailable):
        model.invoke("hi")
    with pytest.raises(StoreUnavailable):
        await model.ainvoke("hi")
