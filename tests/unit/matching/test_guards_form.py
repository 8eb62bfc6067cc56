"""What a text asks of the answer's form."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.form import form

CONFLICTS = [
    ("Explain recursion in French", "Explain recursion in German"),
    ("Explain recursion", "Explain recursion in French"),
    ("Explain recursion. Answer in Hindi.", "In Spanish, explain recursion"),
    ("Erkläre Rekursion auf Deutsch", "Erkläre Rekursion auf Englisch"),
    ("Sort a list in Python", "Sort a list in Java"),
    ("Sort a list using Rust", "Sort a list"),
    ("Sort a list in C++", "Sort a list in C#"),
    ("List the planets as JSON", "List the planets as YAML"),
    ("List the planets as a table", "List the planets"),
    ("List the planets in bullet points", "List the planets"),
    ("List the planets in CSV format", "List the planets in a markdown table"),
    ("Describe Rome briefly", "Describe Rome in detail"),
    ("Describe Rome in one sentence", "Describe Rome in one paragraph"),
    ("Write the note in a formal tone", "Write the note in a casual tone"),
    ("Write the note", "Write the note in a sarcastic tone"),
    ("Explain gravity for a child", "Explain gravity for an expert"),
    ("What is inflation?", "What is inflation in simple terms?"),
    ("How do I bake bread?", "How do I bake bread? Please respond with the charm of a poet."),
    ("How do I bake bread? Answer kindly.", "How do I bake bread? Answer kindly. Furthermore, use three rhymes."),
    ("How do I bake bread?", "How do I bake bread? Make sure that every step has a time."),
]
OTHERS = [
    ("Explain recursion in English", "Explain recursion"),
    ("Explain recursion in French", "In French, explain recursion"),
    ("Explain recursion in French. Thanks", "Answer in French: explain recursion"),
    ("Write a Java program for sorting", "Write a program for sorting in Java"),
    ("Who rules in Tamil Nadu?", "Who is the ruler of Tamil Nadu?"),
    ("Describe Rome in detail", "Describe Rome"),
    ("Which books are good for beginners?", "Which books are good?"),
    ("What is a JSON file?", "What is the use of a JSON file?"),
    ("How do I query a table in MySQL?", "How do I query MySQL?"),
    ("Describe Rome in one line", "Describe Rome in one sentence"),
    ("Why is my test slow? Please help.", "Why is my test slow?"),
    ("He has three books. Additionally, he buys two. How many?", "He has three books and buys two. How many?"),
    ("List the planets as JSON", "Give me the planets in JSON format"),
    ("Go to the shop in town", "Go into town, to the shop"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_another_form_is_a_conflict(one: str, other: str) -> None:
    assert (form(one, other).verdict, form(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_the_same_form_in_other_words_is_not(one: str, other: str) -> None:
    assert form(one, other).verdict != "conflict"
    assert form(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS for text in pair])
def test_equal_texts_never_conflict(text: str) -> None:
    assert form(text, text).verdict != "conflict"


def test_the_same_wish_agrees() -> None:
    assert form("Explain recursion in French", "In French, what is recursion?").verdict == "agree"
