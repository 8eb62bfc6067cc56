"""Superlatives, bounds, places in an order, and words such as only and becoming."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.features import features_of
from llmcache_plugins.matching.guards.content import are_alike
from llmcache_plugins.matching.guards.scope import scope

CONFLICTS = [
    ("What is the longest river of Asia?", "What is the widest river of Asia?"),
    ("What is the largest lake of Asia?", "What is the deepest lake of Asia?"),
    ("Name the cheapest flight to Rome", "Name the earliest flight to Rome"),
    ("Which flights go to Rome?", "Which is the cheapest flight to Rome?"),
    ("Which rivers are in Ohio?", "Which are the shortest rivers in Ohio?"),
    ("What is the largest city of Peru?", "What is the second largest city of Peru?"),
    ("What is the most expensive phone?", "What is the cheapest phone?"),
    ("What is the least expensive phone?", "What is the most expensive phone?"),
    ("Rooms for at least ten guests", "Rooms for at most ten guests"),
    ("Jobs with more than five hops", "Jobs with fewer than five hops"),
    ("Pods with up to ten restarts", "Pods with ten or more restarts"),
    ("Who scored in the half?", "Who scored in the second half?"),
    ("Who was the president of Chile?", "Who was the first president of Chile?"),
    ("Who can open the door?", "Who only can open the door?"),
    ("Is it only for admins?", "Is it not only for admins?"),
    ("Why do most cats purr?", "Why do some cats purr?"),
    ("Do all hosts answer?", "Do most hosts answer?"),
    ("Why do few hosts answer?", "Why do most hosts answer?"),
    ("Is Ann Lee an actor?", "Is Ann Lee becoming an actor?"),
    ("Is he a poet or a painter?", "Is he simultaneously a poet or a painter?"),
    ("Who is the mayor of Bonn?", "Who is the former mayor of Bonn?"),
]
OTHERS = [
    ("What is the largest city of Peru?", "Which city of Peru is the biggest?"),
    ("What is the best way to learn Go?", "How can I learn Go?"),
    ("What is the easiest way to learn Go?", "How do I learn Go?"),
    ("What are the top hotels in Rome?", "What are the best hotels in Rome?"),
    ("What is the most common error?", "What are common errors?"),
    ("What are the most common errors?", "What are some common errors?"),
    ("Which tools do most people use?", "Which tools do some people use?"),
    ("Show all routes", "Show some routes"),
    ("Why do a few hosts answer?", "Why do some hosts answer?"),
    ("Is it not only fast but small?", "Is it fast and small?"),
    ("What is the most important rule?", "What is the rule?"),
    ("Show the latest commits", "Show the most recent commits"),
    ("Show the last commits", "Show the most recent commits"),
    ("Which flights go to Rome on Monday from Oslo?", "What is the cheapest train in Italy?"),
    ("What was the first computer?", "What was the earliest computer?"),
    ("Rooms for at least ten guests", "Rooms for ten guests or more"),
    ("How do I become a pilot?", "What is needed for becoming a pilot?"),
    ("Show all routes", "Show the routes"),
    ("What are some good books?", "What are good books?"),
    ("Wer ist der erste?", "Wer ist der letzte?"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_another_scope_is_a_conflict(one: str, other: str) -> None:
    assert (scope(one, other).verdict, scope(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_the_same_scope_in_other_words_is_not(one: str, other: str) -> None:
    assert scope(one, other).verdict != "conflict"
    assert scope(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS for text in pair])
def test_equal_texts_never_conflict(text: str) -> None:
    assert scope(text, text).verdict != "conflict"


def test_inflected_words_are_the_same_content() -> None:
    assert are_alike(features_of("deploying the pods"), features_of("How to deploy a pod?"), most=0)
    assert not are_alike(features_of("deploying the pods"), features_of("How to drain a node?"))
