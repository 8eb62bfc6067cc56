"""Case where it changes the meaning."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.case import case

CONFLICTS = [
    ("How do I use chmod +X on a folder?", "How do I use chmod +x on a folder?"),
    ("what does ssh -L do", "what does ssh -l do"),
    ("In vim, what does command D do?", "In vim, what does command d do?"),
    ("What is Polish for?", "What is polish for?"),
    ("Which rivers flow through Turkey?", "Which rivers flow through turkey?"),
    ("What does TAG mean?", "What does tag mean?"),
    ("Is this about US exports?", "Is this about us exports?"),
    ("How many kB are in an ISO image?", "How many kb are in an ISO image?"),
    ("Convert 8 MB to Mb", "Convert 8 MB to MB"),
    ("How large is a 5 kB file?", "How large is a 5 kb file?"),
    ("How large is a 5kB file?", "How large is a 5kb file?"),
]
SILENT = [
    ("What are the BGP states?", "What are the bgp states?"),
    ("what is python", "What is Python?"),  # lower case throughout: nothing is said by it
    ("WHAT DOES TAG MEAN?", "What does tag mean?"),
    ("Windows updates fail", "How do I update windows?"),  # begins a sentence
    ("How do I learn C?", "how do i learn c"),
    ("Show the route to a host", "Show a route to the host"),
    ("rm -rf x", "rm -fr x"),
    ("How many KB are in an ISO image?", "How many kb are in an ISO image?"),  # "KB" is typed for both
    ("How many MB are in an ISO image?", "How many mb are in an ISO image?"),
    ("How large is a 5 KB file?", "How large is a 5 kb file?"),
    ("How large is a 5 MB file?", "How large is a 5 mb file?"),
    ("How large is a 1 GB file?", "How large is an 8 Gb file?"),  # converted: numbers compare it
    ("What's the CEO's name?", "What's the ceo's name?"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_case_that_changes_the_meaning_is_a_conflict(one: str, other: str) -> None:
    assert (case(one, other).verdict, case(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), SILENT)
def test_case_that_says_nothing_is_no_conflict(one: str, other: str) -> None:
    assert case(one, other).verdict != "conflict"
    assert case(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS for text in pair])
def test_equal_texts_agree(text: str) -> None:
    assert case(text, text).verdict == "agree"
