"""`cache.context(...)` reaches through every framework: in the calling thread, in others, and in tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from typing import Any

import anthropic
import pytest
from langchain_core.language_models import FakeListChatModel
from llama_index.core.llms import ChatMessage, MockLLM

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.langchain import cached
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeAnthropic

QUESTION = "Is the gateway up?"
Ask = Callable[[], Any]
Await = Callable[[], Awaitable[Any]]


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture(params=["langchain", "llama_index", "anthropic"])
async def application(request: pytest.FixtureRequest, cache: SemanticCache) -> Any:
    """How the application asks its question, plainly and awaited."""
    if request.param == "langchain":
        model = cached(FakeListChatModel(responses=["yes"]), cache)
        yield (lambda: model.invoke(QUESTION)), (lambda: model.ainvoke(QUESTION))
    elif request.param == "llama_index":
        llm = cached_llm(MockLLM(), cache)
        yield (lambda: llm.chat([ChatMessage(QUESTION)])), (lambda: llm.achat([ChatMessage(QUESTION)]))
    else:
        asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": QUESTION}]}
        with FakeAnthropic() as server:
            where: Any = {"api_key": "test", "base_url": server.base_url, "max_retries": 0}
            async with anthropic.AsyncAnthropic(**where) as later:
                with anthropic.Anthropic(**where) as now:
                    client, aclient = cache_client(now, cache), cache_client(later, cache)
                    yield (lambda: client.messages.create(**asked)), (lambda: aclient.messages.create(**asked))


WAYS: dict[str, Callable[[Ask, Await], Awaitable[Any]]] = {
    "thread": lambda ask, aask: asyncio.to_thread(ask),
    "task": lambda ask, aask: asyncio.gather(asyncio.create_task(_made(aask))),
    "awaited": lambda ask, aask: aask(),
}


async def _made(aask: Await) -> Any:
    return await aask()


@pytest.mark.parametrize("way", WAYS)
async def test_tenants_tags_and_classes_reach_through(application: Any, cache: SemanticCache, way: str) -> None:
    with cache.context(tenant="acme", tags=["site:berlin"], volatility="static", query_type="status"):
        await WAYS[way](*application)
        await WAYS[way](*application)
    assert (cache.stats().hit_count, cache.stats().updates) == (1, 1)
    with cache.context(tenant="globex"):
        await WAYS[way](*application)
    await WAYS[way](*application)
    assert (cache.stats().hit_count, cache.stats().updates) == (1, 3)  # neither another tenant nor nobody shares it
    report = cache.invalidate(tags=["site:berlin"], query_type="status", dry_run=True)
    assert report.count == 1
    assert cache.invalidate(tags=["site:berlin"]).count == 1


@pytest.mark.parametrize("way", WAYS)
async def test_bypass_and_refresh_reach_through(application: Any, cache: SemanticCache, way: str) -> None:
    await WAYS[way](*application)
    with cache.bypass():
        await WAYS[way](*application)
    stats = cache.stats()
    assert (stats.bypasses, stats.hit_count, stats.updates) == (1, 0, 1)
    with cache.context(refresh=True):
        await WAYS[way](*application)
    stats = cache.stats()
    assert (stats.misses["refresh"], stats.hit_count, stats.updates) == (1, 0, 2)


def test_threads_of_a_langchain_batch_are_in_the_context(cache: SemanticCache) -> None:
    model = cached(FakeListChatModel(responses=["yes"]), cache)
    with cache.context(tags=["site:berlin"]):
        model.batch(["a?", "b?", "c?"])
    assert cache.invalidate(tags=["site:berlin"]).count == 3
