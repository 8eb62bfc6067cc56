"""A cache without an embedding model: what it matches by words, and what it must not."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins import Answer, Hit, Miss, Request, open_cache
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.matching.lexical import LexicalMatcher, threshold_for
from llmcache_plugins.types import MissReason

REWORDED = [
    ("Show BGP status", "Display BGP state"),
    ("Show BGP status", "What is the BGP status?"),
    ("How do I configure OSPF on a router?", "how can I configure OSPF on routers"),
    ("What is the difference between TCP and UDP?", "How do TCP and UDP differ?"),
    ("How can I reset my Wi-Fi password?", "Please tell me how to reset my Wi-Fi password"),
    ("Which courses does Professor Smith teach?", "What courses is Professor Smith teaching?"),
    ("What is the population of New Zealand?", "population of New Zealand"),
    ("What are the best books on machine learning?", "Which is the best book for learning about machine learning?"),
]
LOOK_ALIKES = [
    ("Show BGP status on rtr-001", "Show BGP status on rtr-002"),
    ("Show BGP status", "Show OSPF status"),
    ("What is the population of New Zealand?", "What is the population of New Caledonia?"),
    ("Who invented the telephone?", "When was the telephone invented?"),
    ("How do I enable telnet on a switch?", "How do I disable telnet on a switch?"),
    ("Why do cats purr?", "Why do dogs bark?"),
    ("flights from Boston to Denver", "flights from Denver to Boston"),
]


@pytest.mark.parametrize(("stored", "asked"), REWORDED)
def test_a_rewording_is_answered(stored: str, asked: str) -> None:
    with closing(open_cache("memory://", embedder=LexicalMatcher())) as cache:
        cache.update(Request(stored), Answer("yes"))
        hit = cache.lookup(Request(asked))
        assert isinstance(hit, Hit)
        assert hit.kind == "semantic"
        assert hit.confidence == LexicalMatcher().score(asked, stored)


@pytest.mark.parametrize(("stored", "asked"), LOOK_ALIKES)
def test_a_look_alike_is_not_answered(stored: str, asked: str) -> None:
    with closing(open_cache("memory://", embedder=LexicalMatcher())) as cache:
        cache.update(Request(stored), Answer("no"))
        assert isinstance(cache.lookup(Request(asked)), Miss)


def test_the_best_of_several_questions_is_served() -> None:
    questions = ["How do I brew coffee?", "Show BGP status", "Show BGP neighbors", "Show OSPF status", "Show VLANs"]
    with closing(open_cache("memory://", embedder=LexicalMatcher())) as cache:
        for question in questions:
            cache.update(Request(question), Answer(question))
        hit = cache.lookup(Request("What is the BGP state?"))
        assert isinstance(hit, Hit)
        assert hit.answer == "Show BGP status"


def test_a_threshold_is_the_least_score() -> None:
    stored, asked = REWORDED[1]
    score = LexicalMatcher().score(asked, stored)
    for threshold, is_served in ((score - 0.001, True), (score + 0.001, False)):
        for embedder, settings in (
            (LexicalMatcher(threshold=threshold), {}),
            (LexicalMatcher(), {"similarity_threshold": threshold}),
        ):
            with closing(open_cache("memory://", embedder=embedder, **settings)) as cache:
                cache.update(Request(stored), Answer("yes"))
                assert isinstance(cache.lookup(Request(asked)), Hit) is is_served


def test_a_smaller_error_budget_asks_for_a_higher_score() -> None:
    thresholds = [threshold_for(budget) for budget in (0.0005, 0.002, 0.01, 0.03, 0.2)]
    assert thresholds == sorted(thresholds, reverse=True)
    stored, asked = REWORDED[1]
    with closing(open_cache("memory://", embedder=LexicalMatcher(), max_error_rate=0.001)) as cache:
        cache.update(Request(stored), Answer("yes"))
        miss = cache.lookup(Request(asked))
        assert isinstance(miss, Miss)
        assert miss.reason is MissReason.LOW_CONFIDENCE


def test_a_verifier_is_asked_below_the_threshold() -> None:
    class Sure:
        verifier_id = "sure"

        def verify(self, pairs: list[tuple[str, str]]) -> np.ndarray:
            return np.ones(len(pairs), np.float32)

    stored, asked = "How do I brew coffee at home?", "How do I brew coffee in my kitchen at home?"
    for verifier, kind in ((None, Miss), (Sure(), Hit)):
        with closing(open_cache("memory://", embedder=LexicalMatcher(), verifier=verifier)) as cache:
            cache.update(Request(stored), Answer("yes"))
            assert isinstance(cache.lookup(Request(asked)), kind)


@pytest.mark.parametrize("text", ["", "?!", "How are you?", "word " * 3 + " ".join(f"term{n}" for n in range(30))])
def test_texts_of_no_or_too_many_keywords_match_exactly_only(text: str) -> None:
    assert not LexicalMatcher().fits(text)
    with closing(open_cache("memory://", embedder=LexicalMatcher())) as cache:
        cache.update(Request(text), Answer("yes"))
        assert isinstance(cache.lookup(Request(text)), Hit)
        miss = cache.lookup(Request(f"please {text} please"))
        assert isinstance(miss, Miss)
        assert miss.reason is MissReason.UNREADABLE


def test_a_text_without_keywords_has_no_vector() -> None:
    with pytest.raises(EmbedderError):
        LexicalMatcher().embed(["Show BGP status", "how are you"])


@pytest.mark.parametrize(
    "settings", [{"threshold": 0}, {"threshold": 1.1}, {"threshold": "high"}, {"dimension": 32}, {"dimension": 99.5}]
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        LexicalMatcher(**settings)  # type: ignore[arg-type]


def test_the_id_tells_vectors_of_another_size_apart() -> None:
    assert LexicalMatcher(dimension=64).embedder_id != LexicalMatcher(dimension=128).embedder_id


SOME_WORDS = [
    "show",
    "the",
    "BGP",
    "of",
    "New",
    "York",
    "rtr-001",
    "how",
    "many",
    "don't",
    "best",
    "café",
    "1.5",
    "什么",
]
WORDS = st.lists(st.sampled_from(SOME_WORDS) | st.text(min_size=1, max_size=12))


@given(WORDS, WORDS)
def test_scores_are_symmetric_and_between_0_and_1(left: list[str], right: list[str]) -> None:
    matcher, asked, stored = LexicalMatcher(), " ".join(left), " ".join(right)
    score = matcher.score(asked, stored)
    assert 0.0 <= score <= 1.0
    assert score == matcher.score(stored, asked)
    assert score <= max(matcher.score(asked, asked), matcher.score(stored, stored))


@given(WORDS, WORDS)
def test_vectors_have_unit_length_and_are_the_same_in_a_batch(left: list[str], right: list[str]) -> None:
    matcher = LexicalMatcher()
    texts = [text for text in (" ".join(left), " ".join(right), "Show BGP status") if matcher.fits(text)]
    rows = matcher.embed(texts)
    assert rows.dtype == np.float32
    assert rows.shape == (len(texts), 512)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    for row, text in zip(rows, texts, strict=True):
        assert np.array_equal(row, matcher.embed([text])[0])
