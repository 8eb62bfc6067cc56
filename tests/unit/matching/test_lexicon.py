"""How English words stand to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.matching.evidence import EVIDENCE, evidence_of
from llmcache_plugins.matching.exchanged import exchanged
from llmcache_plugins.matching.lexicon import relation_of, word_of
from llmcache_plugins.matching.stems import stem_of

WORDS = (
    *("buy", "purchase", "school", "library", "dog", "cat", "increase", "decrease", "husband", "wife", "error"),
    *("mistake", "Zürich", "qwertz", "run", "ran", "hot", "cold", "router", "switch"),
)


def relation(one: str, other: str) -> str:
    return relation_of(word_of(stem_of(one)), word_of(stem_of(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [("buy", "purchase"), ("error", "mistake"), ("ran", "run"), ("children", "child"), ("cure", "remedy")],
)
def test_synonyms_and_forms_mean_the_same(one: str, other: str) -> None:
    assert relation(one, other) == "same"


@pytest.mark.parametrize(("one", "other"), [("husband", "wife"), ("hot", "cold"), ("increase", "decrease")])
def test_opposites(one: str, other: str) -> None:
    assert relation(one, other) == "opposite"


@pytest.mark.parametrize(
    ("one", "other"), [("school", "bakery"), ("farm", "newspaper"), ("router", "laptop"), ("delete", "export")]
)
def test_other_things_do_not_mean_the_same(one: str, other: str) -> None:
    assert relation(one, other) in ("apart", "siblings")


def test_what_is_not_in_a_dictionary_is_unknown() -> None:
    assert relation("kubernetes", "terraform") == "unknown" == relation("dog", "qwertz")


def test_kinds_of_words() -> None:
    known = {"farm": "thing", "wife": "thing", "paris": "thing", "reason": "notion", "delete": "verb", "red": "other"}
    found = {word: word_of(stem_of(word)) for word in known}
    assert {word: one.kind for word, one in found.items() if one is not None} == known


@given(st.sampled_from(WORDS), st.sampled_from(WORDS))
def test_symmetric(one: str, other: str) -> None:
    assert relation(one, other) == relation(other, one)


@given(st.text(max_size=20))
def test_any_word_may_be_asked_for(word: str) -> None:
    known = word_of(word)
    assert relation_of(known, known) == ("unknown" if known is None else "same")


def test_words_exchanged_are_evidence() -> None:
    """The relation of what is exchanged tells a rewording from a question about something else."""

    def of(one: str, other: str) -> dict[str, float]:
        return dict(zip(EVIDENCE, evidence_of(one, other, 0.9, [], []), strict=True))

    same = of("How do I buy a ticket for the zoo?", "How do I purchase a ticket for the zoo?")
    other = of("How do I clean the floor of a bakery?", "How do I clean the floor of a farm?")
    assert (same["related"], same["unrelated"]) == (1, 0)
    assert (other["related"], other["unrelated"], other["nouns"], other["things"]) == (0, 1, 1, 1)


def test_texts_with_many_other_words_cost_no_more_than_a_glance() -> None:
    ones = ["purchase", "error", "begin", "large", "automobile", "child", "movie", "gift", "fast", "stone", "illness"]
    others = ["buy", "mistake", "start", "big", "car", "kid", "film", "present", "quick", "rock", "sickness"]

    def related(count: int) -> float:
        evidence = evidence_of(" ".join(ones[:count]), " ".join(others[:count]), 0.5, [], [])
        return dict(zip(EVIDENCE, evidence, strict=True))["related"]

    assert (related(3), related(len(ones))) == (3, 0)


@given(*[st.frozensets(st.sampled_from([stem_of(word) for word in WORDS]), max_size=6)] * 2)
def test_what_is_exchanged_is_symmetric(mine: frozenset[str], theirs: frozenset[str]) -> None:
    assert exchanged(mine, theirs) == exchanged(theirs, mine)
