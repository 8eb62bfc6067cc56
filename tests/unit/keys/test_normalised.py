"""The normalised key: what it forgives, and what it must not."""

from __future__ import annotations

import pytest

from llmcache_plugins.keys.fingerprint import normalise_text


@pytest.mark.parametrize(
    "other", ["what is bgp", "WHAT IS BGP?", "  What  is\nBGP?? ", "What is\u00a0BGP\uff1f", "What is BGP..."]
)
def test_case_spaces_and_closing_punctuation_are_forgiven(other: str) -> None:
    assert normalise_text(other) == normalise_text("What is BGP?")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 5!", "What is 5?"),
        ("What is n!", "What is n"),
        ("git checkout .", "git checkout"),
        ("In a regex, what does this match: ?", "In a regex, what does this match: ."),
        ("Explain the symbol ;", "Explain the symbol ,"),
        ("What is C#?", "What is C?"),
        ("What is f(x)?", "What is f(x"),
        ("How many is 10\u2076?", "How many is 106?"),
        ("What is a.b?", "What is ab?"),
        ("What is C++?", "What is C?"),
        ("What is .5", "What is 5"),
        ("Who is he?", "Who is she?"),
    ],
)
def test_what_may_change_the_answer_is_kept(one: str, other: str) -> None:
    assert normalise_text(one) != normalise_text(other)


@pytest.mark.parametrize("text", ["?!", "...", "?"])
def test_text_of_punctuation_alone_is_kept(text: str) -> None:
    assert normalise_text(text) == text
