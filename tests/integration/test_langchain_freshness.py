"""Through LangChain: late answers meet invalidations, and old ones are served while one caller renews them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.testing import FakeClock

PATIENCE = 20.0


class Chat(BaseChatModel):
    """Answers `answer 1`, `answer 2`, ...; `during` runs in the middle of each call."""

    during: Any = None
    calls: Any = None

    @property
    def _llm_type(self) -> str:
        return "freshness"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.calls.append("call")
        number = len(self.calls)
        if self.during is not None:
            self.during()
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"answer {number}"))])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> Iterator[SemanticCache]:
    cache = open_cache("memory://", embedder=None, clock=clock, ttl=100.0, stale_while_revalidate=50.0)
    with closing(cache):
        yield cache


def chat_over(engine: SemanticCache, during: Callable[[], Any] | None = None) -> Chat:
    return Chat(cache=LLMCache(engine), during=during, calls=[])


def test_an_answer_from_before_an_invalidation_is_not_kept(engine: SemanticCache) -> None:
    chat = chat_over(engine, lambda: engine.invalidate(everything=True))
    assert chat.invoke("What is BGP?").content == "answer 1"
    chat.during = None
    assert chat.invoke("What is BGP?").content == "answer 2"
    assert chat.invoke("What is BGP?").content == "answer 2"


async def test_an_answer_from_before_an_invalidation_is_not_kept_on_a_loop(engine: SemanticCache) -> None:
    chat = chat_over(engine, lambda: engine.invalidate(everything=True))
    assert (await chat.ainvoke("What is BGP?")).content == "answer 1"
    chat.during = None
    assert (await chat.ainvoke("What is BGP?")).content == "answer 2"
    assert (await chat.ainvoke("What is BGP?")).content == "answer 2"


def test_one_caller_renews_and_the_others_get_the_old_answer(engine: SemanticCache, clock: FakeClock) -> None:
    began, may_answer = threading.Event(), threading.Event()

    def during() -> None:
        began.set()
        assert may_answer.wait(PATIENCE)

    chat = chat_over(engine)
    chat.invoke("What is BGP?")
    chat.during = during
    clock.advance(100.0)
    with ThreadPoolExecutor(6) as pool:
        paying = pool.submit(chat.invoke, "What is BGP?")
        assert began.wait(PATIENCE)
        others = [pool.submit(chat.invoke, "What is BGP?") for _ in range(5)]
        answers = [other.result(PATIENCE) for other in others]
        may_answer.set()
        assert paying.result(PATIENCE).content == "answer 2"
    assert [answer.content for answer in answers] == ["answer 1"] * 5
    assert all(answer.response_metadata["llmcache"]["is_stale"] for answer in answers)
    assert len(chat.calls) == 2
    fresh = chat.invoke("What is BGP?")
    assert (fresh.content, "is_stale" in fresh.response_metadata["llmcache"]) == ("answer 2", False)


async def test_when_the_renewing_task_is_cancelled_another_one_renews(engine: SemanticCache, clock: FakeClock) -> None:
    class Waiting(Chat):
        async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            result = self._generate(messages)
            if len(self.calls) == 2:
                await asyncio.sleep(PATIENCE)
            return result

    chat = Waiting(cache=LLMCache(engine), calls=[])
    await chat.ainvoke("What is BGP?")
    clock.advance(100.0)
    renewing = asyncio.create_task(chat.ainvoke("What is BGP?"))
    while len(chat.calls) < 2:
        await asyncio.sleep(0)
    assert (await chat.ainvoke("What is BGP?")).content == "answer 1"
    renewing.cancel()
    await asyncio.wait([renewing])
    assert (await chat.ainvoke("What is BGP?")).content == "answer 3"
    assert (await chat.ainvoke("What is BGP?")).content == "answer 3"
