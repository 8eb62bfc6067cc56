"""The built-in validators: what they accept, what they refuse, what they cannot see."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import ConfigError, Hit, Miss, Request, open_cache
from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.matching.validators import AnswerSimilarityValidator, KeywordValidator, answer_text
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import Entry, FloatArray, JsonValue

OSPF = "OSPF floods each link-state advertisement through the area."


def entry(answer: JsonValue) -> Entry:
    return Entry("s", "k", "n", (), "stored", json.dumps(answer), 0.0, None)


def accepts(question: str, answer: JsonValue, least: float = 0.2) -> bool:
    return KeywordValidator(least)(Request(question), entry(answer)).ok


@pytest.mark.parametrize(
    ("question", "answer", "is_accepted"),
    [
        ("How does OSPF flood LSAs?", OSPF, True),
        ("What are the BGP timers?", OSPF, False),
        ("Configuring VLANs", "A VLAN is configured with `vlan 10`.", True),
        ("What is it?", "Anything.", True),  # no content word to look for
        ("How do I ship a parcel?", "In a hip hop club.", False),  # parts of words are not words
        ("光合作用是什么", "光合作用是植物把光变成糖的过程。", True),
        ("光合作用是什么", "法国的首都是巴黎。", False),
        ("", "Anything.", True),
        ("What's OSPF?", "", False),
    ],
)
def test_keywords_of_the_question_in_the_answer(question: str, answer: str, is_accepted: bool) -> None:
    assert accepts(question, answer) is is_accepted


def test_all_keywords_may_be_asked_for() -> None:
    assert accepts("OSPF flooding areas", OSPF, least=1.0)
    assert not accepts("OSPF flooding timers", OSPF, least=1.0)


def test_refusal_says_how_many_keywords_occur_and_shows_none_in_its_repr() -> None:
    validation = KeywordValidator(0.9)(Request("OSPF timers"), entry(OSPF))
    assert validation.reason == "50% of the question's keywords occur in the answer"
    assert "OSPF" not in repr(validation)


def test_only_what_was_said_counts_where_an_answer_has_such_fields() -> None:
    stored = {"form": "x", "message": {"content": [{"type": "text", "text": "Idle"}], "meta": {"model": "ospf-large"}}}
    assert answer_text(stored).split("\n")[-1] == "Idle"
    assert "ospf-large" not in answer_text(stored)


def test_every_string_counts_where_there_are_no_such_fields() -> None:
    assert answer_text({"capital": ["Paris", 3, None]}) == "Paris"
    assert answer_text("Paris") == "Paris"


class Topics(FakeEmbedder):
    """Texts about OSPF point one way, all others another."""

    def embed(self, texts: list[str]) -> FloatArray:  # type: ignore[override]
        self.embedded.extend(texts)
        return np.array([[1.0, 0.0] if "OSPF" in text else [0.0, 1.0] for text in texts], dtype=np.float32)


def test_similarity_of_question_and_answer() -> None:
    validator = AnswerSimilarityValidator(Topics())
    assert validator(Request("How does OSPF work?"), entry(OSPF)).ok
    refused = validator(Request("How does OSPF work?"), entry("Bake it for an hour."))
    assert (refused.ok, refused.reason) == (False, "cosine of question and answer is 0.00")


class Lengths(FakeEmbedder):
    """Vectors of length 10, 60 degrees apart; those of other lengths by their text."""

    def embed(self, texts: list[str]) -> FloatArray:  # type: ignore[override]
        length = {"nothing": 0.0, "broken": float("nan"), "huge": 1e30}.get(texts[1], 10.0)
        return np.array([[10.0, 0.0], [length * 0.5, length * 0.75**0.5]], dtype=np.float32)


def test_length_of_a_vector_does_not_count() -> None:
    refused = AnswerSimilarityValidator(Lengths(), 0.6)(Request("q"), entry("an answer"))
    assert (refused.ok, refused.reason) == (False, "cosine of question and answer is 0.50")
    assert AnswerSimilarityValidator(Lengths(), 0.4)(Request("q"), entry("huge")).ok


@pytest.mark.parametrize("answer", ["nothing", "broken"])
def test_vector_without_a_direction_is_an_error_of_the_embedder(answer: str) -> None:
    with pytest.raises(EmbedderError):
        AnswerSimilarityValidator(Lengths(), -1.0)(Request("q"), entry(answer))


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan"), True, "0.2", None])
def test_share_out_of_range_is_refused(least: Any) -> None:
    with pytest.raises(ConfigError, match=r"least must be a number in \[0, 1\]"):
        KeywordValidator(least)


@pytest.mark.parametrize("least", [-1.1, 20, float("nan"), None])
def test_cosine_out_of_range_is_refused(least: Any) -> None:
    with pytest.raises(ConfigError, match=r"least must be a number in \[-1, 1\]"):
        AnswerSimilarityValidator(Topics(), least)


def test_only_the_beginning_of_a_long_answer_is_embedded() -> None:
    embedder = Topics()
    AnswerSimilarityValidator(embedder)(Request("q"), entry("x" * 10_000))
    assert max(map(len, embedder.embedded)) == 800


def test_built_in_validator_keeps_a_wrong_answer_from_being_served() -> None:
    groups = {"How does OSPF flood?": "o", "What does OSPF flood?": "o", "Which areas does OSPF have?": "o"}
    with open_cache("memory://", embedder=FakeEmbedder(groups), validators=[KeywordValidator()]) as cache:
        cache.update("How does OSPF flood?", "Bake it for an hour.")
        cache.update("unrelated", "x")
        outcome = cache.lookup("What does OSPF flood?")
        assert isinstance(outcome, Miss)
        assert outcome.reason == "rejected"
        cache.update("How does OSPF flood?", OSPF)
        assert isinstance(cache.lookup("What does OSPF flood?"), Hit)
        assert cache.stats().false_positive_rate == 0.5
