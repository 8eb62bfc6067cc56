"""LlamaIndex's OpenAI clients through its plugin: what is another question, and what is not stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest
from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeEmbedder, FakeOpenAI

QUESTION = [ChatMessage("one two three four five")]
SAID = "echo: one two three four five"

Make = Callable[..., Any]


def _openai(**params: Any) -> Any:
    return OpenAI(**({"model": "gpt-4.1-mini"} | params))


def _openai_like(**params: Any) -> Any:
    given = {"model": "a-model-of-my-own", "is_chat_model": True, "is_function_calling_model": True}
    return OpenAILike(**(given | params))


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


@pytest.fixture(params=[_openai, _openai_like], ids=["OpenAI", "OpenAILike"])
async def make(request: pytest.FixtureRequest, server: FakeOpenAI) -> AsyncIterator[Make]:
    """Makes LLMs of the server that share their clients, which are closed while the loop runs."""
    common = {"api_key": "test", "api_base": server.base_url, "max_retries": 0}
    async with httpx.AsyncClient() as async_client:
        with httpx.Client() as client:
            common |= {"http_client": client, "async_http_client": async_client}
            yield lambda **params: request.param(**(common | params))


@pytest.fixture
def llm(make: Make, cache: SemanticCache) -> Any:
    return cached_llm(make(), cache)


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
    llm: Any, server: FakeOpenAI, script: dict[str, Any], is_streamed: bool
) -> None:
    server.enqueue(**script)
    for _ in range(2):
        list(llm.stream_chat(QUESTION)) if is_streamed else llm.chat(QUESTION)
    assert server.count() == 2
    assert llm.chat(QUESTION).message.content == SAID
    assert server.count() == 2


# ---------------------------------------------------------------- what is another question
@pytest.mark.parametrize(
    "other",
    [
        {"model": "gpt-4o-mini"},
        {"temperature": 0.5},
        {"max_tokens": 100},
        {"logprobs": True, "top_logprobs": 2},
        {"system_prompt": "Be brief."},
        {"reasoning_effort": "low"},
        {"additional_kwargs": {"seed": 7}},
        {"additional_kwargs": {"extra_body": {"guided_choice": ["yes", "no"]}}},
        {"default_headers": {"OpenAI-Organization": "org-other"}},
    ],
    ids=lambda other: "+".join(other),
)
def test_other_parameters_are_another_question(
    make: Make, cache: SemanticCache, server: FakeOpenAI, other: dict[str, Any]
) -> None:
    for params, count in (({}, 1), (other, 2), ({}, 2), (other, 2)):
        cached_llm(make(**params), cache).chat(QUESTION)
        assert server.count() == count


@pytest.mark.parametrize("more", [{"response_format": {"type": "json_object"}}, {"seed": 7}, {"stop": ["x"]}])
def test_other_arguments_of_a_call_are_another_question(llm: Any, server: FakeOpenAI, more: dict[str, Any]) -> None:
    question = [ChatMessage("hello as json")]
    for _ in range(2):
        llm.chat(question)
        llm.chat(question, **more)
    assert server.count() == 2


def test_another_server_is_another_question(make: Make, cache: SemanticCache, server: FakeOpenAI) -> None:
    with FakeOpenAI() as other:
        for _ in range(2):
            cached_llm(make(), cache).chat(QUESTION)
            cached_llm(make(api_base=other.base_url), cache).chat(QUESTION)
        assert (server.count(), other.count()) == (1, 1)


def test_a_server_named_by_the_environment_counts_too(
    make: Make, cache: SemanticCache, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeOpenAI() as other:
        for address in (server.base_url, other.base_url, server.base_url):
            for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL"):
                monkeypatch.setenv(name, address)
            cached_llm(make(api_base=None), cache).chat(QUESTION)
        assert (server.count(), other.count()) == (1, 1)


@pytest.mark.parametrize(
    "other", [{"base_url": "x"}, {"default_headers": {"x-route": "b"}}, {"default_query": {"v": "2"}}]
)
def test_a_client_of_the_users_own_counts(
    make: Make, cache: SemanticCache, server: FakeOpenAI, other: dict[str, Any]
) -> None:
    given = {"api_key": "test", "base_url": server.base_url}
    with FakeOpenAI() as elsewhere, httpx.Client() as http:
        other = {"base_url": elsewhere.base_url} if "base_url" in other else other
        for _ in range(2):
            for more in ({}, other):
                client = openai.OpenAI(**(given | more), http_client=http)
                cached_llm(make(openai_client=client), cache).chat(QUESTION)
        assert server.count() + elsewhere.count() == 2
        cached_llm(make(), cache).chat(QUESTION)  # a client that says nothing new is no other LLM
        assert server.count() + elsewhere.count() == 2


async def test_each_of_two_clients_counts_for_its_own_calls(
    make: Make, cache: SemanticCache, server: FakeOpenAI
) -> None:
    with FakeOpenAI() as elsewhere, httpx.Client() as http:
        client = openai.OpenAI(api_key="test", base_url=elsewhere.base_url, http_client=http)
        llm = cached_llm(make(openai_client=client), cache)
        for _ in range(2):
            llm.chat(QUESTION)
            await llm.achat(QUESTION)
        assert (server.count(), elsewhere.count()) == (1, 1)


def test_headers_of_the_users_http_client_count(make: Make, cache: SemanticCache, server: FakeOpenAI) -> None:
    for _ in range(2):
        for route in ("a", "b"):
            with httpx.Client(headers={"x-route": route, "authorization": route}) as http:
                cached_llm(make(http_client=http), cache).chat(QUESTION)
    assert server.count() == 2


def test_keys_of_the_api_are_no_part_of_the_question(make: Make, cache: SemanticCache, server: FakeOpenAI) -> None:
    for key in ("one", "another"):
        cached_llm(make(api_key=key), cache).chat(QUESTION)
    assert server.count() == 1
    for tenant, count in (("acme", 2), ("globex", 3), ("acme", 3)):
        with cache.context(tenant=tenant):
            cached_llm(make(), cache).chat(QUESTION)
        assert server.count() == count


def test_transport_is_no_part_of_the_question(make: Make, cache: SemanticCache, server: FakeOpenAI) -> None:
    for more in ({}, {"timeout": 5.0}, {"max_retries": 1}, {"reuse_client": False}):
        cached_llm(make(**more), cache).chat(QUESTION)
    assert server.count() == 1


# ---------------------------------------------------------------- the rest
def test_blocks_of_one_text_are_the_text(llm: Any, server: FakeOpenAI) -> None:
    llm.chat(QUESTION)
    llm.chat([ChatMessage(role="user", blocks=[TextBlock(text=str(QUESTION[0].content))])])
    assert server.count() == 1


def test_reasoning_models_are_answered(make: Make, cache: SemanticCache, server: FakeOpenAI) -> None:
    server.enqueue(
        text="forty-two",
        usage={
            "prompt_tokens": 9,
            "completion_tokens": 20,
            "total_tokens": 29,
            "completion_tokens_details": {"reasoning_tokens": 12},
        },
    )
    llm = cached_llm(make(model="o3-mini", reasoning_effort="low"), cache)
    cold, warm = llm.chat(QUESTION), llm.chat(QUESTION)
    assert cold.message == warm.message
    assert warm.raw.usage.completion_tokens_details.reasoning_tokens == 0
    assert warm.additional_kwargs["llmcache"]["saved_usage"]["output_tokens"] == 20
    assert server.count() == 1


def test_errors_of_the_server_are_the_clients_own(llm: Any, server: FakeOpenAI) -> None:
    server.enqueue(status=429)
    with pytest.raises(Exception, match="rate_limit_exceeded"):
        llm.chat(QUESTION)
    assert llm.chat(QUESTION).message.content == SAID
    assert server.count() == 2
