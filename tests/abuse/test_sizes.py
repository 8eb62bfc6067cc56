"""Inputs of sizes that nobody types: an outcome with a reason, never an exception, nothing that no limit sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Answer, Hit, Miss, Request, SemanticCache, UpdateOutcome, open_cache
from llmcache_plugins.keys.messages import ChatTurn, request_from_messages

MEGA = 1_000_000


@pytest.fixture(params=["memory://", "disk://"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SemanticCache]:
    url = request.param if request.param == "memory://" else f"disk://{tmp_path / 'c.db'}"
    with open_cache(url, maintenance="manual", embedder=None) as cache:
        cache.update("What is BGP?", "a protocol")
        yield cache


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 10 * MEGA, "bgp " * MEGA, "\u200b" * MEGA, "e" + "\u0301" * MEGA, "Question: " * MEGA, "(" * MEGA),
        *("<context>" * MEGA, '"' * MEGA, "Question:\n" * 100_000, "ignore " * MEGA, "a\u0430" * MEGA),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_a_huge_question_is_matched_exactly_only_and_not_stored_beyond_the_limit(
    cache: SemanticCache, text: str
) -> None:
    missed = cache.lookup(text)
    assert isinstance(missed, Miss)
    assert (missed.reason, missed.detail) in {("exact_only", "long"), ("exact_only", "multi_line")}
    assert cache.get_or_generate(text, lambda _: "answer") == "answer"
    is_short = len(text) <= cache.config.max_answer_bytes
    assert isinstance(cache.lookup(text), Hit) == is_short
    if not is_short:
        assert cache.update(text, "a") == UpdateOutcome(False, "too_large")


@pytest.mark.parametrize(
    "given",
    [
        {"model": "m" * 2 * MEGA},
        {"provider": "m" * 2 * MEGA},
        {"label": "m" * 2 * MEGA},
        {"query_type": "m" * 2 * MEGA},
        {"namespace": ("n",) * 2 * MEGA},
        {"namespace": ("n" * 2 * MEGA,)},
        {"tags": tuple(f"t:{number}" for number in range(20_000))},
        {"tags": ("t" * 2 * MEGA,)},
    ],
    ids=lambda given: next(iter(given)),
)
def test_names_and_tags_have_limits(cache: SemanticCache, given: dict[str, Any]) -> None:
    assert cache.update(Request("q", **given), "a") == UpdateOutcome(False, "too_large")
    assert not cache.lookup(Request("q", **given))


def test_a_thousand_tags_are_kept(cache: SemanticCache) -> None:
    tags = tuple(f"doc:{number}" for number in range(1000))
    assert cache.update(Request("q", tags=tags), "a").stored
    assert cache.invalidate(tags=["doc:999"]).count == 1


def test_tags_that_an_answer_brings_count_too(cache: SemanticCache) -> None:
    answer = Answer("a", tags=tuple(f"doc:{number}" for number in range(20_000)))
    assert cache.update("q", answer) == UpdateOutcome(False, "too_large")


def test_a_long_history_is_a_key_like_any_other(cache: SemanticCache) -> None:
    turns = [ChatTurn("user" if place % 2 == 0 else "assistant", "hi") for place in range(100_001)]
    request = request_from_messages(turns, provider="p", model="m", params={})
    assert not cache.lookup(request)
    assert cache.update(request, "a").stored
    assert isinstance(cache.lookup(request), Hit)


def test_an_answer_that_is_nested_too_deeply_reaches_the_caller_and_is_not_stored(cache: SemanticCache) -> None:
    answer: Any = 1
    for _ in range(100_000):
        answer = [answer]
    assert cache.get_or_generate("q", lambda _: answer) is answer
    assert not cache.lookup("q")
    while isinstance(answer, list):  # taken apart by hand: the interpreter would do it by recursion
        answer = answer[0]
