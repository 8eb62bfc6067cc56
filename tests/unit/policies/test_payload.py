"""What is matched exactly only because it carries something to work on."""

from __future__ import annotations

import pytest

from llmcache_plugins.policies import payload_of

PAYLOADS = {
    "task": [
        "Translate to French: The cat sat on the mat",
        "please summarize this: the router went down at noon",
        "Can you fix the typo: I has a dog",
        "Write a unit test for the function: add two numbers",
        "Classify the sentiment: great product",
    ],
    "code": [
        "Write a test for def add(a, b): return a + b",
        "What does x => x + 1 mean",
        "Why does if (a == b) fail?",
        "Is <b>this</b> valid?",
        "What does {'a': 1} mean?",
        "Explain select name from users where age > 3",
    ],
    "multi_line": ["Is there a mistake?\nrouter bgp 65001\n neighbor 10.0.0.1", "a\r\nb"],
    "long": ["word " * 1000],
}
QUESTIONS = [
    "What are the BGP states?",
    "How do I enable BGP on rtr-001?",
    "Show errors on Gi0/1 (the uplink) in the last 5 minutes",
    "What does %LINK-3-UPDOWN mean?",
    "Is 10.0.0.0/8 private?",
    "Is ::1 the loopback address?",
    "Translate hello to French",
    "What is the difference between TCP and UDP: which one is faster?",
    "Fix my router",
    "Who teaches EECS 280, and when?",
    "  What are the BGP states?\n",
    "How do I select a theme from the list?",
    "Run a traceroute to 10.0.0.1",
]


@pytest.mark.parametrize(("reason", "text"), [(reason, text) for reason, texts in PAYLOADS.items() for text in texts])
def test_turns_with_something_to_work_on_are_exact_only(reason: str, text: str) -> None:
    assert payload_of(text) == reason


@pytest.mark.parametrize("text", QUESTIONS)
def test_plain_questions_are_not(text: str) -> None:
    assert payload_of(text) is None


@pytest.mark.parametrize("piece", ["translate ", "a(", "<a ", "select a from ", "x=", "please "])
def test_time_is_linear(piece: str) -> None:
    """Patterns that backtrack without bound would take minutes here."""
    for _ in range(20):
        payload_of(piece * (4000 // len(piece)))
