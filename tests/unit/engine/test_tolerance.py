"""Parameters that need not be equal: which stored answers serve a request with others."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import Answer, Hit, Miss, Request, SemanticCache, Usage, open_cache
from llmcache_plugins.testing import FakeClock, FakeEmbedder

SAME = {"how do I bake bread": "bread", "what is the way to bake bread": "bread"}


def opened(**tolerance: float) -> closing[SemanticCache]:
    embedder = FakeEmbedder(SAME)
    return closing(
        open_cache(
            "memory://", embedder=embedder, clock=FakeClock(), similarity_threshold=0.9, guards=[], tolerance=tolerance
        )
    )


def asked(text: str = "how do I bake bread", **params: Any) -> Request:
    return Request(text, model="m", params={"top_k": 5, **params})


def answer(text: str, output_tokens: int = 50) -> Answer:
    return Answer(text, finish_reason="stop", usage=Usage(output_tokens=output_tokens))


def kind_of(cache: SemanticCache, request: Request) -> str:
    outcome = cache.lookup(request)
    return outcome.kind if isinstance(outcome, Hit) else "miss"


def test_by_default_parameters_are_equal_or_another_question() -> None:
    with opened() as cache:
        cache.update(asked(temperature=0.1), answer("a"))
        assert kind_of(cache, asked(temperature=0.1)) == "exact"
        assert kind_of(cache, asked(temperature=0.11)) == "miss"


def test_near_parameters_are_a_normalised_match_and_equal_ones_an_exact_one() -> None:
    with opened(temperature=0.2) as cache:
        cache.update(asked(temperature=0.1), answer("of 0.1"))
        assert kind_of(cache, asked(temperature=0.3)) == "normalised"
        assert kind_of(cache, asked(temperature=0.4)) == "miss"
        assert kind_of(cache, asked()) == "miss"
        assert kind_of(cache, asked(temperature=0.1, top_k=6)) == "miss"
        cache.update(asked(temperature=0.3), answer("of 0.3"))
        for temperature in (0.1, 0.3):
            hit = cache.lookup(asked(temperature=temperature))
            assert isinstance(hit, Hit)
            assert (hit.kind, hit.answer) == ("exact", f"of {temperature}")
        assert kind_of(cache, asked(temperature=0.5)) == "normalised"


def test_other_words_and_near_parameters_go_together() -> None:
    with opened(temperature=0.2) as cache:
        cache.update(asked(temperature=0.1), answer("a"))
        others = "what is the way to bake bread"
        assert kind_of(cache, asked(others, temperature=0.4)) == "miss"
        assert kind_of(cache, asked(others, temperature=0.2)) == "semantic"
        assert kind_of(cache, asked(others, temperature=0.2)) == "alias"
        assert kind_of(cache, asked(others, temperature=0.4)) == "miss"
        assert not cache.explain(asked(others, temperature=0.4)).candidates
        assert cache.explain(asked(others, temperature=0.3)).candidates


def test_an_answer_that_is_too_long_for_the_asked_limit_is_not_served() -> None:
    with opened(max_tokens=0.3) as cache:
        cache.update(asked(max_tokens=120), answer("a", output_tokens=110))
        assert kind_of(cache, asked(max_tokens=130)) == "normalised"
        assert kind_of(cache, asked(max_tokens=105)) == "miss"
        assert kind_of(cache, asked(max_tokens=120)) == "exact"


def test_an_alias_gives_way_when_the_answer_behind_it_becomes_too_long() -> None:
    with opened(max_tokens=0.3) as cache:
        others = asked("what is the way to bake bread", max_tokens=100)
        cache.update(asked(max_tokens=120), answer("short", output_tokens=90))
        assert kind_of(cache, others) == "semantic"
        cache.update(asked(max_tokens=120), answer("long", output_tokens=119))
        assert kind_of(cache, others) == "miss"


@pytest.mark.parametrize("exact_only", ["agent_step", "media"])
def test_what_is_matched_exactly_only_tolerates_nothing(exact_only: str) -> None:
    with opened(temperature=0.2) as cache:
        params = {"temperature": 0.1}
        cache.update(Request("q q", params=params, exact_only=exact_only), answer("a"))
        assert isinstance(cache.lookup(Request("q q", params={"temperature": 0.2}, exact_only=exact_only)), Miss)
        assert isinstance(cache.lookup(Request("q q", params=params, exact_only=exact_only)), Hit)
