"""The evidence about two questions: what each number says."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.evidence import EVIDENCE, crowding_of, evidence_of
from llmcache_plugins.types import Verdict


def seen(asked: str, stored: str, similarity: float = 0.9, verdicts: tuple[Verdict, ...] = ()) -> dict[str, float]:
    return dict(zip(EVIDENCE, evidence_of(asked, stored, similarity, (), verdicts), strict=True))


def test_equal_questions_share_everything() -> None:
    found = seen("How do I reset the BGP session?", "How do I reset the BGP session?", 1.0)
    ones = (
        "shared_words",
        "shared_content",
        "contained",
        "shared_pairs",
        "shared_letters",
        "in_order",
        "equal_letters",
    )
    assert [found[name] for name in ones] == [1.0] * len(ones)
    assert found["unmatched_most"] == found["unmatched_function"] == found["repeated"] == 0.0


@pytest.mark.parametrize(
    ("asked", "stored", "name", "value"),
    [
        ("reset the router", "reset the routers", "unmatched_most", 0.0),  # another ending is no other word
        ("configure the interface", "configuration of the interface", "unmatched_most", 0.0),
        ("reset the ruoter", "reset the router", "unmatched_most", 0.0),  # nor is a slip of the keyboard
        ("reset the switch", "reset the router", "unmatched_most", 1.0),
        ("reset the switch", "reset the router", "substituted", 1.0),
        ("reset the old switch", "reset the router", "substituted", 0.0),
        ("restart it please", "restart it", "unmatched_most", 0.0),
        ("does a cat eat a mouse", "does a mouse eat a cat", "in_order", 3 / 5),
        ("which is better, tea or coffee", "which is better, coffee or tea", "in_order", 1.0),
        ("the East Coast or the West Coast", "the West Coast or the East Coast", "in_order", 1.0),
        ("what states border the most states", "what states border the most", "repeated", 1.0),
        ("flights to Boston", "daily flights to Boston", "unmatched_limits", 1.0),
        ("how long is the river", "what is the river", "amount_asked", 1.0),
        ("length of the river", "how long is the river", "amount_asked", 0.0),
        ("who built it", "when was it built", "same_asking", 0.0),
        ("re-set it !", "reset it", "equal_letters", 1.0),
        ("ask Alice about it", "ask Robert about it", "unmatched_capital", 2.0),
        ("größe der leitung", "grösse der leitung", "is_ascii", 0.0),
    ],
)
def test_one_number(asked: str, stored: str, name: str, value: float) -> None:
    assert seen(asked, stored)[name] == pytest.approx(value)


def test_only_agreement_of_guards_is_counted() -> None:
    verdicts = (Verdict("numbers", "agree"), Verdict("dates", "silent"), Verdict("quotes", "agree"))
    assert seen("a", "b", verdicts=verdicts)["agreements"] == 2.0


@pytest.mark.parametrize(
    ("others", "margin", "crowd"),
    [((), 0.2, 0.0), ((0.5,), 0.2, 0.0), ((0.85, 0.5), 0.05, 1.0), ((0.95, 0.86, 0.82, 0.79), 0.0, 3.0)],
)
def test_other_candidates_are_a_margin_and_a_crowd(others: tuple[float, ...], margin: float, crowd: float) -> None:
    assert crowding_of(0.9, others) == pytest.approx((margin, crowd))


def test_empty_texts_are_no_error() -> None:
    assert len(evidence_of("", "?!", 0.5, (), ())) == len(EVIDENCE)
