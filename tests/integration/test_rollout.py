"""A roll-out by two environment variables, through LangChain, LlamaIndex and the Anthropic SDK: no code changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.globals import get_llm_cache, set_llm_cache
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeAnthropic, FakeOpenAI

QUESTIONS = [f"Is rtr-{number:03} up?" for number in range(24)]
Ask: TypeAlias = Callable[[str], Any]
Count: TypeAlias = Callable[[], int]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # LlamaIndex's own


@contextmanager
def by_langchain(cache: SemanticCache) -> Iterator[tuple[Ask, Count]]:
    before = get_llm_cache()
    set_llm_cache(LLMCache(cache))
    try:
        with FakeAnthropic() as server:
            given: Any = {"model": "m", "api_key": "test", "base_url": server.base_url, "max_retries": 0}
            yield ChatAnthropic(**given).invoke, lambda: len(server.requests)
    finally:
        set_llm_cache(before)


@contextmanager
def by_llama_index(cache: SemanticCache) -> Iterator[tuple[Ask, Count]]:
    with FakeOpenAI() as server:
        given: Any = {"model": "gpt-4o-mini", "api_key": "test", "api_base": server.base_url, "max_retries": 0}
        llm = cached_llm(OpenAILike(is_chat_model=True, **given), cache)
        yield (lambda question: llm.chat([ChatMessage(question)])), (lambda: len(server.requests))


def client_of(server: FakeAnthropic) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0)


@contextmanager
def by_sdk(cache: SemanticCache) -> Iterator[tuple[Ask, Count]]:
    with FakeAnthropic() as server, client_of(server) as plain:
        client = cache_client(plain, cache)
        asked: Any = {"model": "m", "max_tokens": 9}
        yield (
            lambda question: client.messages.create(messages=[{"role": "user", "content": question}], **asked),
            lambda: len(server.requests),
        )


@contextmanager
def by_sdk_stream(cache: SemanticCache) -> Iterator[tuple[Ask, Count]]:
    with FakeAnthropic() as server, client_of(server) as plain:
        client = cache_client(plain, cache)

        def ask(question: str) -> str:
            asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": question}]}
            with client.messages.stream(**asked) as stream:
                return "".join(stream.text_stream)

        yield ask, lambda: len(server.requests)


WAYS = {"langchain": by_langchain, "llama_index": by_llama_index, "sdk": by_sdk, "sdk_stream": by_sdk_stream}


@pytest.mark.parametrize("way", WAYS)
def test_shadow_calls_the_model_each_time_and_compares(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("LLMCACHE_MODE", "shadow")
    with closing(open_cache("memory://", embedder=None)) as cache:
        with WAYS[way](cache) as (ask, calls):
            for _ in range(3):
                ask(QUESTIONS[0])
            assert calls() == 3
        assert cache.finish_checks(10)
        control = cache.stats().groups["control"]
        assert (control.lookups, control.withheld, control.same, control.calls) == (3, 2, 2, 3)
        assert control.answers.count == 3


@pytest.mark.parametrize("way", WAYS)
def test_canary_serves_a_share(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("LLMCACHE_MODE", "canary")
    monkeypatch.setenv("LLMCACHE_FRACTION", "0.5")
    with closing(open_cache("memory://", embedder=None)) as cache:
        with WAYS[way](cache) as (ask, calls):
            for question in (*QUESTIONS, *QUESTIONS):
                ask(question)
            made = calls()
        assert cache.finish_checks(10)
        groups = cache.stats().groups
        hits, withheld = groups["served"].hits, groups["control"].withheld
        assert (hits > 2, withheld > 2, hits + withheld) == (True, True, len(QUESTIONS))
        assert groups["control"].same == withheld
        assert made == len(QUESTIONS) + withheld
