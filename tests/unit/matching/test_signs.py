"""Accents, and signs that stand alone."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.base import Rule
from llmcache_plugins.matching.guards.signs import accents, signs

CONFLICTS = [
    (accents, "Was bedeutet schon?", "Was bedeutet sch\u00f6n?"),
    (accents, "\u00bfCu\u00e1ntos anos tiene?", "\u00bfCu\u00e1ntos a\u00f1os tiene?"),
    (accents, "p\u00eache", "p\u00e9ch\u00e9"),
    (accents, "Is a \u2208 b?", "Is a \u2209 b?"),
    (accents, "\u304b\u304e", "\u304c\u304d"),
    (signs, "docker build .", "docker build"),
    (signs, "cd ..", "cd ."),
    (signs, "ls * ~", "ls *"),
    (signs, "Is A \u2282 B?", "Is A \u2284 B?"),
    (signs, "What does bash $? mean", "What does bash $! mean"),
]
SILENT = [
    (accents, "What is BGP?", "What is OSPF?"),
    (accents, "O\u00f9 est la gare?", "La gare est o\u00f9?"),
    (accents, "caf\u00e9", "cafe\u0301"),
    (accents, "na\u00efve approach", "simple approach"),
    (signs, "What is BGP ?", "What is BGP"),
    (signs, "rtr-001 - rtr-002", "rtr-001 rtr-002"),
    (signs, "ACL & NAT", "ACL and NAT"),
]


@pytest.mark.parametrize(("guard", "one", "other"), CONFLICTS)
def test_a_difference_that_changes_the_answer_is_a_conflict(guard: Rule, one: str, other: str) -> None:
    assert (guard(one, other).verdict, guard(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("guard", "one", "other"), SILENT)
def test_other_differences_are_not(guard: Rule, one: str, other: str) -> None:
    assert guard(one, other).verdict != "conflict"
    assert guard(other, one).verdict != "conflict"


@pytest.mark.parametrize(("guard", "one", "other"), CONFLICTS)
def test_equal_texts_never_conflict(guard: Rule, one: str, other: str) -> None:
    assert guard(one, one).verdict != "conflict"
    assert guard(other, other).verdict != "conflict"
