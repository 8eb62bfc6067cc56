"""The monitor over real models, chains and agents: what it counts is what the server was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from contextvars import copy_context
from typing import Any
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import (
    LLMCache,
    LLMCacheCallbackHandler,
    cached,
    get_llmcache_callback,
    unwatch_llmcache,
    watch_llmcache,
)
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

QUESTION = {"messages": [HumanMessage("add 19 and 23")]}
PRICES = {"claude-haiku-4-5": (1.0, 5.0)}


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture(autouse=True)
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as cache:
        set_llm_cache(LLMCache(cache))
        yield cache
        set_llm_cache(None)


@pytest.fixture
def model(server: FakeAnthropic) -> ChatAnthropic:
    return ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0)


def test_what_three_runs_of_an_agent_cost_and_save(server: FakeAnthropic, model: ChatAnthropic) -> None:
    agent = create_agent(model, [add])
    with get_llmcache_callback(prices=PRICES) as monitor:
        for _ in range(3):
            agent.invoke(QUESTION)
    total = monitor.total
    assert server.count() == total.misses == 2
    assert (total.calls, total.hits) == (6, {"exact": 4})
    assert total.spent.usd > 0
    # The two runs that were replayed would have cost what the first one did.
    assert total.saved.input_tokens == 2 * total.spent.input_tokens > 0
    assert total.saved.output_tokens == 2 * total.spent.output_tokens > 0
    assert total.saved.usd == pytest.approx(2 * total.spent.usd)
    assert [(run.misses, run.hit_count) for run in monitor.by_run.values()] == [(2, 0), (0, 2), (0, 2)]
    assert list(monitor.by_model) == ["claude-haiku-4-5"]


async def test_async_runs_are_counted_too(server: FakeAnthropic, model: ChatAnthropic) -> None:
    agent = create_agent(model, [add])
    with get_llmcache_callback() as monitor:
        await agent.ainvoke(QUESTION)
        await asyncio.gather(*(agent.ainvoke(QUESTION) for _ in range(5)))
        async for _ in agent.astream(QUESTION, stream_mode="messages"):
            pass
        _ = [event async for event in agent.astream_events(QUESTION, version="v2")]
    assert server.count() == monitor.total.misses == 2
    assert monitor.total.hit_count == 14
    assert len(monitor.by_run) == 8


def test_a_handler_given_to_a_call_counts_that_call(server: FakeAnthropic, model: ChatAnthropic) -> None:
    handler, run = LLMCacheCallbackHandler(prices=PRICES), uuid4()
    chain = ChatPromptTemplate.from_template("Explain {topic}") | model
    chain.invoke({"topic": "OSPF"})
    chain.invoke({"topic": "OSPF"}, {"callbacks": [handler], "tags": ["docs"], "run_id": run})
    assert (server.count(), handler.total.hits) == (1, {"exact": 1})
    assert handler.by_tag["docs"].hit_count == handler.by_run[str(run)].hit_count == 1


def test_a_batch_and_threads_with_a_copied_context(server: FakeAnthropic, model: ChatAnthropic) -> None:
    with get_llmcache_callback() as monitor:
        model.batch(["a", "b", "c"])
        model.batch(["a", "b", "c", "d"])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda context: context.run(model.invoke, "a"), [copy_context() for _ in range(4)]))
    assert (server.count(), monitor.total.misses, monitor.total.hit_count) == (4, 4, 7)


def test_a_watched_process_counts_every_thread(server: FakeAnthropic, model: ChatAnthropic) -> None:
    monitor = watch_llmcache()
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(model.invoke, "a").result()
        model.invoke("a")
    finally:
        unwatch_llmcache(monitor)
    model.invoke("a")
    assert (server.count(), monitor.total.misses, monitor.total.hit_count) == (1, 1, 1)


def test_replayed_streams_are_hits(server: FakeAnthropic, model: ChatAnthropic, engine: SemanticCache) -> None:
    streaming = cached(model, engine)
    with get_llmcache_callback(prices=PRICES) as monitor:
        for _ in range(3):
            list(streaming.stream("a"))
        streaming.invoke("a")
    total = monitor.total
    assert (server.count(), total.misses, total.hits) == (1, 1, {"exact": 3})
    assert total.saved.usd == pytest.approx(3 * total.spent.usd)
    assert list(monitor.by_model) == ["claude-haiku-4-5"]


async def test_replayed_streams_are_hits_on_an_event_loop(
    server: FakeAnthropic, model: ChatAnthropic, engine: SemanticCache
) -> None:
    streaming = cached(model, engine)
    with get_llmcache_callback() as monitor:
        for _ in range(2):
            _ = [piece async for piece in streaming.astream("a")]
        _ = [event async for event in streaming.astream_events("a", version="v2")]
    assert (server.count(), monitor.total.misses, monitor.total.hits) == (1, 1, {"exact": 2})


@pytest.mark.skipif(not hasattr(BaseChatModel, "stream_events"), reason="this LangChain has no events v3")
@pytest.mark.filterwarnings("ignore:The method .*_stream_v3")
async def test_replayed_events_v3_are_hits(server: FakeAnthropic, model: ChatAnthropic, engine: SemanticCache) -> None:
    streaming = cached(model, engine)
    with get_llmcache_callback() as monitor:
        for _ in range(2):
            list(streaming.stream_events("a", version="v3"))
        run = await streaming.astream_events("a", version="v3")
        _ = [event async for event in run]
        await run  # callbacks come after the last event, and LangChain waits for them here
    assert (server.count(), monitor.total.misses, monitor.total.hits) == (1, 1, {"exact": 2})


def test_streams_that_no_cache_answers_are_misses_and_one_closed_early_is_unfinished(model: ChatAnthropic) -> None:
    with get_llmcache_callback() as monitor:
        list(model.stream("a"))
        pieces = model.stream("b")
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # it is a generator
    assert (monitor.total.misses, monitor.total.unfinished) == (1, 1)
    assert monitor.total.spent.output_tokens > 0


def test_a_call_that_fails_is_unfinished_and_the_error_is_the_users(
    server: FakeAnthropic, model: ChatAnthropic
) -> None:
    server.enqueue(status=500, message="down")
    with get_llmcache_callback() as monitor, pytest.raises(Exception, match="down"):
        model.invoke("a")
    assert (monitor.total.unfinished, monitor.total.calls) == (1, 1)


def test_the_block_ends_when_its_body_raises(model: ChatAnthropic) -> None:
    with suppress(ZeroDivisionError), get_llmcache_callback() as monitor:
        raise ZeroDivisionError
    model.invoke("a")
    assert monitor.total.calls == 0


def test_a_block_may_be_left_in_another_context(model: ChatAnthropic) -> None:
    """As when an async fixture or a web framework closes it in another task."""
    block: Any = get_llmcache_callback()
    monitor = copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    model.invoke("a")
    assert monitor.total.calls == 0


def test_a_hit_of_a_completion_model_is_a_hit_of_the_monitor() -> None:
    with open_cache("memory://", embedder=None) as cache:
        model = cached(FakeListLLM(responses=["A protocol.", "Another one."]), cache)
        with get_llmcache_callback() as monitor:
            assert model.invoke("What is BGP?") == model.invoke("What is BGP?") == "A protocol."
    assert (monitor.total.misses, monitor.total.hit_count) == (1, 1)
