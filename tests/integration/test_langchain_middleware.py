"""`LLMCacheMiddleware`: what a run says of itself counts for its model calls, and nothing it says breaks the agent."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from llmcache_plugins import ConfigError, MissingExtraError, SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, LLMCacheMiddleware, cached
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

QUESTION: Any = {"messages": [HumanMessage("What is OSPF?")]}


@dataclass
class Customer:
    tenant: str | None = None
    region: str = "eu"  # the application's own


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder(), clock=clock)) as opened:
        yield opened


@pytest.fixture
def model(server: FakeAnthropic) -> ChatAnthropic:
    return model_of(server)


def model_of(server: FakeAnthropic, name: str = "claude-haiku-4-5") -> ChatAnthropic:
    return ChatAnthropic(model=name, api_key="test", base_url=server.base_url, max_retries=0)


def test_p11_tenants_named_by_the_runs_context_share_no_answers(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache
) -> None:
    agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)], context_schema=Customer)
    for tenant, calls in [("acme", 1), ("acme", 1), ("globex", 2), (None, 3), ("acme", 3), ("globex", 3), (None, 3)]:
        agent.invoke(QUESTION, context=Customer(tenant))
        assert server.count() == calls, tenant


async def test_p11_async(server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache) -> None:
    agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)], context_schema=Customer)
    for tenant, calls in [("acme", 1), ("acme", 1), ("globex", 2), ("acme", 2)]:
        await agent.ainvoke(QUESTION, context=Customer(tenant))
        assert server.count() == calls
    async for _ in agent.astream(QUESTION, context=Customer("globex"), stream_mode="messages"):
        pass
    assert server.count() == 2
    async for _ in agent.astream(QUESTION, context=Customer("initech"), stream_mode="messages"):
        pass
    assert server.count() == 3


@pytest.mark.parametrize(
    "context",
    [
        {"tenant": "acme", "tags": ["device:r1"]},
        {"llmcache": {"tenant": "acme", "tags": "device:r1"}, "tenant": "the application's own"},
        SimpleNamespace(tenant="acme", tags=("device:r1",), refresh=print),  # a method of that name is none of ours
        SimpleNamespace(llmcache=SimpleNamespace(tenant="acme", tags=("device:r1",), volatility=None)),
    ],
    ids=["dict", "dict under llmcache", "object", "object under llmcache"],
)
def test_a_context_of_any_shape_is_read(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, context: Any
) -> None:
    agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)])
    agent.invoke(QUESTION, context=context)
    with cache.context(tenant="acme"):
        cached(model, cache).invoke(QUESTION["messages"])
    assert server.count() == 1
    assert cache.invalidate(tags="device:r1").count == 1
    agent.invoke(QUESTION, context=context)
    assert server.count() == 2


def test_how_long_an_answer_lives_is_the_runs_to_say(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, clock: FakeClock
) -> None:
    agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)])
    context: Any = {"volatility": "volatile", "query_type": "status"}
    agent.invoke(QUESTION, context=context)
    assert cache.invalidate(query_type="status", dry_run=True).count == 1
    clock.advance(31)
    agent.invoke(QUESTION, context=context)
    assert server.count() == 2


def test_regenerate_and_bypass(server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache) -> None:
    agent: Any = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)])
    server.enqueue(text="first")
    agent.invoke(QUESTION)
    server.enqueue(text="second")
    assert agent.invoke(QUESTION, context={"refresh": True})["messages"][-1].content == "second"
    assert agent.invoke(QUESTION)["messages"][-1].content == "second"
    server.enqueue(text="third")
    assert agent.invoke(QUESTION, context={"bypass": True})["messages"][-1].content == "third"
    assert agent.invoke(QUESTION)["messages"][-1].content == "second"
    assert server.count() == 3


def test_a_function_tells_what_holds_for_a_call(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, clock: FakeClock
) -> None:
    def of(request: Any) -> dict[str, Any] | None:
        user = request.runtime.context["user"]
        return {"tenant": user, "ttl": None} if user else None

    agent: Any = create_agent(model, [], middleware=[LLMCacheMiddleware(cache, context=of)])
    for user, calls in [("ann", 1), ("bob", 2), ("", 3), ("ann", 3), ("bob", 3), ("", 3)]:
        agent.invoke(QUESTION, context={"user": user, "tenant": "not asked"})
        assert server.count() == calls
    clock.advance(100 * 24 * 3600)
    agent.invoke(QUESTION, context={"user": "ann"})
    assert server.count() == 3


def broken(request: Any) -> Mapping[str, Any]:
    raise KeyError("user")


@pytest.mark.parametrize(
    ("settings", "context"),
    [
        ({}, {"tenant": 42}),
        ({}, {"llmcache": {"tennant": "acme"}}),
        ({}, {"llmcache": "acme"}),
        ({}, {"volatility": "often"}),
        ({}, {"bypass": "no"}),
        ({"context": broken}, None),
        ({"context": lambda request: "acme"}, None),
        ({"tenant_required": True}, None),
        ({"tenant_required": True}, {"tenant": ""}),
        ({"tenant_required": True}, {"tags": ["device:r1"]}),
    ],
)
def test_what_is_wrong_or_missing_bypasses_the_cache_and_is_counted(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, settings: Any, context: Any
) -> None:
    set_llm_cache(LLMCache(cache))
    try:
        model.invoke(QUESTION["messages"])  # an answer that nobody else is to be given
        agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache, **settings)])
        for calls in (2, 3):
            agent.invoke(QUESTION, context=context)
            assert server.count() == calls
    finally:
        set_llm_cache(None)
    assert cache.stats().errors["langchain"] == 2
    assert cache.stats().entries == 1


def test_a_tenant_that_is_required_and_named_is_served(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache
) -> None:
    agent: Any = create_agent(model, [], middleware=[LLMCacheMiddleware(cache, tenant_required=True)])
    for _ in range(2):
        agent.invoke(QUESTION, context={"tenant": "acme"})
    assert (server.count(), dict(cache.stats().errors)) == (1, {})


def test_a_cache_that_must_not_fail_open_says_what_is_wrong(model: ChatAnthropic) -> None:
    with closing(open_cache("memory://", embedder=FakeEmbedder(), fail_open=False)) as cache:
        agent: Any = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)])
        with pytest.raises(ConfigError, match="volatility"):
            agent.invoke(QUESTION, context={"volatility": "often"})


def test_the_settings_are_over_when_the_model_has_answered(model: ChatAnthropic, cache: SemanticCache) -> None:
    seen: list[bool] = []

    class Outer(AgentMiddleware):  # type: ignore[type-arg]  # the number of its parameters has changed
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            response = handler(request)
            seen.append(cache.lookup(cache.request("never asked")).__class__.__name__ == "Bypass")
            return response

    agent: Any = create_agent(model, [], middleware=[Outer(), LLMCacheMiddleware(cache)])
    agent.invoke(QUESTION, context={"bypass": True})
    assert seen == [False]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_fallback_model_answers_when_the_first_one_fails(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, is_first: bool
) -> None:
    fallback = ModelFallbackMiddleware(model_of(server, "claude-opus-4-6"))
    ours = LLMCacheMiddleware(cache)
    agent = create_agent(model, [], middleware=[ours, fallback] if is_first else [fallback, ours])
    server.enqueue(status=500, message="down")
    answer = agent.invoke(QUESTION)["messages"][-1]
    assert answer.response_metadata["model_name"] == "claude-opus-4-6"
    assert server.count() == 2
    # Last in the list, the cache also knows the fallback's answer, under the fallback's name only.
    server.enqueue(status=500, message="down")
    agent.invoke(QUESTION)
    assert server.count() == (4 if is_first else 3)
    server.reset()
    assert agent.invoke(QUESTION)["messages"][-1].response_metadata["model_name"] == "claude-haiku-4-5"
    agent.invoke(QUESTION)
    assert server.count() == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_marks_for_the_providers_prompt_cache_do_not_make_another_question(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, is_first: bool
) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    ours, marks = LLMCacheMiddleware(cache), AnthropicPromptCachingMiddleware()
    question: Any = {"messages": [HumanMessage("add 19 and 23")]}
    plain = create_agent(model, [add], system_prompt="Be brief.", middleware=[ours])
    plain.invoke(question)
    assert server.count() == 2
    marked = create_agent(
        model, [add], system_prompt="Be brief.", middleware=[ours, marks] if is_first else [marks, ours]
    )
    for _ in range(2):
        marked.invoke(question)
        assert server.count() == 2


def test_a_model_that_is_cached_already_is_left_and_its_cache_knows_the_tenant(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache
) -> None:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as own:
        agent = create_agent(cached(model, own), [], middleware=[LLMCacheMiddleware(cache)], context_schema=Customer)
        for tenant, calls in [("acme", 1), ("acme", 1), ("globex", 2), ("acme", 2)]:
            agent.invoke(QUESTION, context=Customer(tenant))
            assert server.count() == calls
        assert own.stats().entries == 2
    assert cache.stats().entries == 0


def test_with_all_three_ways_at_once_one_request_makes_one_lookup(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache
) -> None:
    set_llm_cache(LLMCache(cache))
    try:
        agent = create_agent(cached(model, cache), [], middleware=[LLMCacheMiddleware(cache)])
        for _ in range(3):
            agent.invoke(QUESTION)
    finally:
        set_llm_cache(None)
    stats = cache.stats()
    assert (server.count(), stats.lookups, stats.updates) == (1, 3, 1)


def test_a_field_that_is_changed_later_counts(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache
) -> None:
    agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)])
    agent.invoke(QUESTION)
    model.max_tokens = 7
    agent.invoke(QUESTION)
    assert [request["body"]["max_tokens"] == 7 for request in server.requests] == [False, True]


def test_a_model_is_made_cached_once_and_forgotten_with_the_model(
    server: FakeAnthropic, cache: SemanticCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[type] = []

    def counted(model: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(type(model))
        return cached(model, *args, **kwargs)

    monkeypatch.setattr("llmcache_plugins.langchain.middleware.cached", counted)
    middleware = LLMCacheMiddleware(cache)
    model = model_of(server)
    agent = create_agent(model, [], middleware=[middleware])
    for _ in range(3):
        agent.invoke(QUESTION)
    assert made == [ChatAnthropic]
    gone = weakref.ref(model)
    del model, agent
    gc.collect()
    assert gone() is None


def test_a_model_that_cannot_be_cached_is_called_as_it_is(
    server: FakeAnthropic, model: ChatAnthropic, cache: SemanticCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*args: Any, **kwargs: Any) -> Any:
        raise ConfigError("not this one")

    monkeypatch.setattr("llmcache_plugins.langchain.middleware.cached", refuses)
    agent = create_agent(model, [], middleware=[LLMCacheMiddleware(cache)])
    assert agent.invoke(QUESTION)["messages"][-1].content
    assert (server.count(), cache.stats().errors["langchain"]) == (1, 1)


def test_wrong_arguments_are_refused_when_it_is_made(cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="usage"):
        LLMCacheMiddleware(cache, usage="half")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigError, match="context"):
        LLMCacheMiddleware(cache, context={"tenant": "acme"})  # type: ignore[arg-type]  # that is the point


def test_without_langchain_itself_the_plugin_works_and_the_middleware_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import llmcache_plugins.langchain as plugin

    for name in [name for name in sys.modules if name.split(".")[0] == "langchain"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain", None)
    monkeypatch.delitem(sys.modules, "llmcache_plugins.langchain.middleware", raising=False)
    monkeypatch.delitem(vars(plugin), "LLMCacheMiddleware", raising=False)
    monkeypatch.delattr(plugin, "middleware", raising=False)
    assert plugin.LLMCache is LLMCache
    with pytest.raises(MissingExtraError, match=r"llmcache-plugins\[agents\]"):
        _ = plugin.LLMCacheMiddleware
