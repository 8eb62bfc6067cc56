"""The adaptive policy with no other code than `set_llm_cache`, and beside the other ways to ask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import BaseMessage

from llmcache_plugins import open_cache
from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.langchain import LLMCache, cached
from llmcache_plugins.testing import FakeEmbedder

STARTS = ("show", "display", "print", "list", "give")
WORDINGS = {f"{start} {number}": f"question {number}" for start in STARTS for number in range(60)}


class Knowing(SimpleChatModel):
    """Answers by the number in the question. With `mood` "other" every wording gets another answer."""

    mood: str = "same"
    calls: list[str]

    @property
    def _llm_type(self) -> str:
        return "knowing"

    def _call(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        text = str(messages[-1].content)
        self.calls.append(text)
        return f"{text} has a state of its own" if self.mood == "other" else f"number {text.split()[-1]} is up"


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    embedder = FakeEmbedder(WORDINGS)  # no calibration knows it
    with open_cache("memory://", embedder=embedder, guards=(), policy="adaptive", max_error_rate=0.2) as cache:
        assert cache._shadowing is not None
        cache._shadowing.toss_with(Random(4))
        set_llm_cache(LLMCache(cache))
        yield cache
    set_llm_cache(None)


def questions(count: int, seed: int) -> list[str]:
    coin = Random(seed)
    return [coin.choice(list(WORDINGS)) for _ in range(count)]


def test_langchain_learns_to_serve_what_is_right(cache: SemanticCache) -> None:
    model = Knowing(calls=[])
    for text in questions(500, 1):
        assert model.invoke(text).content == f"number {text.split()[-1]} is up"
    assert cache.finish_checks(10)
    stats = cache.stats()
    (learnt,) = stats.adaptive
    assert stats.hits["semantic"] > 50
    assert learnt.checked == learnt.agreed == stats.misses["shadow"] > 0
    assert learnt.near_agreed > 0
    assert learnt.near_differed == learnt.differed == 0
    assert len(model.calls) == stats.miss_count  # a check is a miss, and each miss one call


def test_langchain_does_not_serve_what_is_wrong(cache: SemanticCache) -> None:
    model, wrong = Knowing(calls=[], mood="other"), 0
    asked = questions(500, 2)
    for text in asked:
        wrong += model.invoke(text).content != f"{text} has a state of its own"
    assert cache.finish_checks(10)
    assert wrong <= 0.2 * len(asked)
    (learnt,) = cache.stats().adaptive
    assert learnt.near_differed > 0


async def test_langchain_on_an_event_loop(cache: SemanticCache) -> None:
    model = Knowing(calls=[])
    for text in questions(300, 3):
        assert (await model.ainvoke(text)).content == f"number {text.split()[-1]} is up"
    assert cache.finish_checks(10)
    stats = await cache.astats()
    assert stats.hits["semantic"] > 20
    assert stats.adaptive[0].checked == stats.adaptive[0].agreed > 0


def test_langchain_in_threads(cache: SemanticCache) -> None:
    model = Knowing(calls=[])
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda text: (text, model.invoke(text).content), questions(300, 5)))
    assert all(answer == f"number {text.split()[-1]} is up" for text, answer in answers)
    assert cache.finish_checks(10)
    (learnt,) = cache.stats().adaptive
    assert learnt.agreed + learnt.near_agreed > 0
    assert learnt.differed == learnt.near_differed == 0


def test_what_one_layer_checked_another_has_learnt(cache: SemanticCache) -> None:
    """Through `cached(model)` the cache makes the call itself."""
    model = cached(Knowing(calls=[]), cache)
    for text in questions(400, 6):
        assert model.invoke(text).content == f"number {text.split()[-1]} is up"
    assert cache.finish_checks(10)
    stats = cache.stats()
    assert stats.hits["semantic"] > 20
    assert stats.adaptive[0].checked == stats.adaptive[0].agreed == stats.misses["shadow"] > 0


def test_traffic_that_changes_is_noticed(cache: SemanticCache) -> None:
    model, wrong = Knowing(calls=[]), 0
    first, then = questions(400, 7), questions(500, 8)
    for text in first:
        model.invoke(text)
    cache.clear()
    model.mood = "other"
    for text in then:
        wrong += model.invoke(text).content != f"{text} has a state of its own"
        cache.finish_checks(10)
    assert wrong <= 0.2 * len(then)
