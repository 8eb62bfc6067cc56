"""`langchain-openai` through the LangChain plugin: what is another question, and what is not stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from langchain_core.globals import set_llm_cache
from langchain_openai import ChatOpenAI

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, cached, get_llmcache_callback
from llmcache_plugins.testing import FakeEmbedder, FakeOpenAI

MODEL = "gpt-4.1-mini"

Way = Callable[[Any], Any]


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


@pytest.fixture
async def make(server: FakeOpenAI) -> AsyncIterator[Callable[..., ChatOpenAI]]:
    """Makes models of the server. Their clients are their own, for those that they share by default cannot be closed:
    a later test may get the same port."""
    common = {"model": MODEL, "api_key": "test", "base_url": server.base_url, "max_retries": 0}
    async with httpx.AsyncClient() as async_client:
        with httpx.Client() as client:
            common |= {"http_client": client, "http_async_client": async_client}
            yield lambda **params: ChatOpenAI(**(common | params))


@pytest.fixture
def model(make: Callable[..., ChatOpenAI]) -> ChatOpenAI:
    return make()


@pytest.fixture(params=["set_llm_cache", "cached"])
def way(request: pytest.FixtureRequest, cache: SemanticCache) -> Iterator[Way]:
    """How the application caches: for all models, or for one."""
    if request.param == "cached":
        yield lambda model: cached(model, cache)
        return
    set_llm_cache(LLMCache(cache))
    yield lambda model: model
    set_llm_cache(None)


# ---------------------------------------------------------------- what is not stored
@pytest.mark.parametrize(
    "script",
    [
        {"text": "only half of", "finish_reason": "length"},
        {"text": "not this", "finish_reason": "content_filter"},
        {"refusal": "I cannot say."},
    ],
    ids=["length", "content_filter", "refusal"],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_is_not_whole_is_not_stored(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, script: dict[str, Any], is_streamed: bool
) -> None:
    asked = cached(model, cache)
    server.enqueue(**script)
    for _ in range(2):
        list(asked.stream("hello")) if is_streamed else asked.invoke("hello")
    assert server.count() == 2
    assert asked.invoke("hello").content == "echo: hello"
    assert server.count() == 2


@pytest.mark.parametrize("script", [{"text": "half", "finish_reason": "length"}, {"refusal": "I cannot say."}])
def test_the_global_cache_stores_nothing_of_it_either(
    model: ChatOpenAI, cache: SemanticCache, server: FakeOpenAI, script: dict[str, Any]
) -> None:
    set_llm_cache(LLMCache(cache))
    try:
        server.enqueue(**script)
        model.invoke("hello")
        assert model.invoke("hello").content == "echo: hello"
    finally:
        set_llm_cache(None)
    assert server.count() == 2


# ---------------------------------------------------------------- what is another question
@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.5},
        {"seed": 7},
        {"top_p": 0.5},
        {"max_tokens": 100},
        {"stop": ["x"]},
        {"logit_bias": {50256: -100}},
        {"presence_penalty": 1.0},
        {"n": 2},
        {"logprobs": True},
        {"logprobs": True, "top_logprobs": 2},
        {"organization": "org-other"},
        {"reasoning_effort": "low"},
        {"verbosity": "low"},
        {"service_tier": "flex"},
        {"extra_body": {"guided_choice": ["yes", "no"]}},
        {"model_kwargs": {"prediction": {"type": "content", "content": "x"}}},
        {"default_headers": {"x-tenant": "acme"}},
        {"default_query": {"version": "2"}},
    ],
    ids=lambda other: "+".join(other),
)
def test_other_parameters_are_another_question(
    way: Way, make: Callable[..., ChatOpenAI], server: FakeOpenAI, other: dict[str, Any]
) -> None:
    for model, count in ((make(), 1), (make(**other), 2), (make(), 2), (make(**other), 2)):
        way(model).invoke("hello")
        assert server.count() == count


def test_another_response_format_is_another_question(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    asked = way(model)
    for _ in range(2):
        asked.invoke("hello as json")
        asked.invoke("hello as json", response_format={"type": "json_object"})
    assert server.count() == 2


def test_another_server_is_another_question(way: Way, make: Callable[..., ChatOpenAI], server: FakeOpenAI) -> None:
    with FakeOpenAI() as other:
        for _ in range(2):
            way(make()).invoke("hello")
            way(make(base_url=other.base_url)).invoke("hello")
        assert (server.count(), other.count()) == (1, 1)


def test_a_server_named_by_the_environment_counts_too(
    way: Way, make: Callable[..., ChatOpenAI], server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAI() as other:
        for address in (server.base_url, other.base_url, server.base_url):
            monkeypatch.setenv("OPENAI_BASE_URL", address)
            way(make(base_url=None)).invoke("hello")
        assert (server.count(), other.count()) == (1, 1)


def test_keys_of_the_api_are_no_part_of_the_question(
    way: Way, make: Callable[..., ChatOpenAI], cache: SemanticCache, server: FakeOpenAI
) -> None:
    way(make(api_key="one")).invoke("hello")
    way(make(api_key="another")).invoke("hello")
    assert server.count() == 1
    for tenant, count in (("acme", 2), ("globex", 3), ("acme", 3)):
        with cache.context(tenant=tenant):
            way(make()).invoke("hello")
        assert server.count() == count


def test_transport_is_no_part_of_the_question(way: Way, make: Callable[..., ChatOpenAI], server: FakeOpenAI) -> None:
    for more in ({}, {"timeout": 5.0}, {"max_retries": 1}, {"stream_usage": True}, {"tags": ["a"]}):
        way(make(**more)).invoke("hello")
    assert server.count() == 1


# ---------------------------------------------------------------- the rest
def test_log_probabilities_come_back(
    way: Way, make: Callable[..., ChatOpenAI], server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"content": [{"token": "yes", "logprob": -0.1, "bytes": [121], "top_logprobs": []}], "refusal": None}
    whole = FakeOpenAI.answer

    def answer(self: FakeOpenAI, body: Any) -> Any:
        completion, script = whole(self, body)
        completion["choices"][0]["logprobs"] = shown
        return completion, script

    monkeypatch.setattr(FakeOpenAI, "answer", answer)
    asked = way(make(logprobs=True))
    cold, warm = asked.invoke("hello"), asked.invoke("hello")
    assert warm.response_metadata["logprobs"] == cold.response_metadata["logprobs"] == shown
    assert server.count() == 1


def test_reasoning_models_are_answered(way: Way, make: Callable[..., ChatOpenAI], server: FakeOpenAI) -> None:
    server.enqueue(
        text="forty-two",
        usage={
            "prompt_tokens": 9,
            "completion_tokens": 20,
            "total_tokens": 29,
            "completion_tokens_details": {"reasoning_tokens": 12},
        },
    )
    asked = way(make(model="o3-mini", reasoning_effort="low", max_completion_tokens=50))
    cold, warm = asked.invoke("hello"), asked.invoke("hello")
    assert cold.content == warm.content == "forty-two"
    assert cold.usage_metadata["output_token_details"]["reasoning"] == 12
    assert warm.usage_metadata["output_tokens"] == 0
    saved = warm.response_metadata["llmcache"]["saved_usage"]
    assert saved["output_token_details"]["reasoning"] == 12
    assert server.count() == 1


def test_the_monitor_knows_what_was_saved(way: Way, model: ChatOpenAI) -> None:
    asked = way(model)
    cold = asked.invoke("hello")
    with get_llmcache_callback() as monitor:
        asked.invoke("hello")
    assert monitor.total.hit_count == 1
    assert monitor.total.saved.output_tokens == cold.usage_metadata["output_tokens"]
    assert monitor.total.spent.output_tokens == 0


def test_errors_of_the_server_are_the_clients_own(way: Way, model: ChatOpenAI, server: FakeOpenAI) -> None:
    asked = way(model)
    server.enqueue(status=429)
    with pytest.raises(Exception, match="rate_limit_exceeded"):
        asked.invoke("hello")
    assert asked.invoke("hello").content == "echo: hello"
    assert server.count() == 2
