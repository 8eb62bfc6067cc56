"""Two things asked for in one sentence, and one half of them."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.guards.asks import asks

BOTH = "What's the BGP status of rtr-001, and how do I check it?"
CONFLICTS = [
    (BOTH, "How do I check BGP status on rtr-001?"),
    (BOTH, "How do I verify BGP status on rtr-001?"),
    (BOTH, "What is the BGP status of rtr-001?"),
    ("What is online trading and how do you do it?", "What is online trading?"),
    ("What is the capital of France; what is its population?", "What is the capital of France?"),
    ("Why is the link down and how can I fix it?", "How can I fix the link?"),
    ("Show the routes and restart the router", "Restart the router"),
    ("Please summarize the report and translate it to French.", "Summarize the report"),
    ("Can you tell me where the logs are, and who can read them?", "Where are the logs?"),
    ("Who owns the site and when was it built?", "When was the site built?"),
]
OTHERS = [
    (BOTH, "How do I check it, and what's the BGP status of rtr-001?"),
    ("What is DNS and how does it work?", "How does DNS work?"),
    ("Which dogs, cats and birds are there?", "Which birds are there?"),
    ("Can you help me and tell me how to reset it?", "How can I reset it?"),
    ("Hi, could you please help me out and explain how DNS works?", "Explain how DNS works"),
    ("I have a router, and I am new to this. How do I reset a router?", "How do I reset a router?"),
    ("Thanks, and how do I reset a router?", "How do I reset a router?"),
    ("How do I install and configure nginx?", "How do I install nginx?"),
    ("Can't log in, what should I do?", "What should I do if I can't log in?"),
    ("When I press start and hold it, what happens?", "What happens when I press and hold start?"),
    ("How do I lose weight, and what is the way to lose weight?", "How do I lose weight?"),
    ("Is Rome old, and why?", "Is Rome old?"),
    ("What is a resistor? What does it do?", "What is a resistor?"),
    ("Why is the link down and how can I fix it?", "What repairs a broken uplink?"),
    ("rtr-001 and rtr-002", "rtr-001"),
    ("¿Qué es BGP y cómo funciona?", "¿Qué es BGP?"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_one_half_of_two_asks_is_a_conflict(one: str, other: str) -> None:
    assert (asks(one, other).verdict, asks(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_as_many_asks_in_other_words_are_not(one: str, other: str) -> None:
    assert asks(one, other).verdict == "silent"
    assert asks(other, one).verdict == "silent"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS + OTHERS for text in pair])
def test_equal_texts_never_conflict(text: str) -> None:
    assert asks(text, text).verdict != "conflict"


def test_the_same_two_asks_agree() -> None:
    assert asks(BOTH, BOTH.lower()).verdict == "agree"


def test_the_guard_is_one_of_the_default_guards() -> None:
    assert "asks" in [verdict.guard for verdict in judge(BOTH, "a")]
