"""What surrounds a call reaches the cache through LangChain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableLambda

from llmcache_plugins import Hit, SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.recorded import LookupEvent
from llmcache_plugins.testing import FakeClock


class Counting(SimpleChatModel):
    calls: list[str]

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _call(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        self.calls.append(str(messages[-1].content))
        return f"answer {len(self.calls)}"


@pytest.fixture
def events() -> list[object]:
    return []


@pytest.fixture
def cache(events: list[object]) -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, clock=FakeClock(), recorders=[events.append]) as cache:
        yield cache


@pytest.fixture
def model(cache: SemanticCache) -> Counting:
    return Counting(calls=[], cache=LLMCache(cache))


def hits(events: list[object]) -> list[Hit]:
    return [e.outcome for e in events if isinstance(e, LookupEvent) and isinstance(e.outcome, Hit)]


def test_tenants_share_no_answers_although_the_prompt_is_remembered(cache: SemanticCache, model: Counting) -> None:
    said: dict[str, Any] = {}
    for tenant in ("acme", "globex", "acme", "globex"):
        with cache.context(tenant=tenant):
            said.setdefault(tenant, set()).add(model.invoke("Sing a song").content)
    assert said == {"acme": {"answer 1"}, "globex": {"answer 2"}}
    assert model.invoke("Sing a song").content == "answer 3"


def test_tags_reach_threads_and_tasks_that_langchain_starts(
    cache: SemanticCache, model: Counting, events: list[object]
) -> None:
    chain = RunnableLambda(lambda text: text) | model
    questions = ["Sing a song", "Sing two songs", "Sing three songs"]
    with cache.context(tags="tour:42"):
        chain.batch(questions)
        asyncio.run(chain.ainvoke("Sing four songs"))
    for question in (*questions, "Sing four songs"):
        model.invoke(question)
    assert [hit.entry.profile.tags for hit in hits(events)] == [("tour:42",)] * 4


def test_bypassed_calls_reach_the_model_and_leave_nothing(cache: SemanticCache, model: Counting) -> None:
    model.invoke("Sing a song")
    with cache.context(bypass=True):
        assert model.invoke("Sing a song").content == "answer 2"
        assert asyncio.run(model.ainvoke("Sing a song")).content == "answer 3"
    assert model.invoke("Sing a song").content == "answer 1"
    assert cache.stats().bypasses == 2


def test_an_epoch_counts_although_the_prompt_is_remembered(cache: SemanticCache, model: Counting) -> None:
    model.invoke("Sing a song")
    cache.invalidate(everything=True)
    assert model.invoke("Sing a song").content == "answer 2"
    assert model.invoke("Sing a song").content == "answer 2"
