"""What a question asks for: look-alikes that want another kind of answer."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.question import question

CONFLICTS = [
    ("Who founded Nokia?", "When was Nokia founded?"),
    ("Who wrote Dune?", "Why was Dune written?"),
    ("Where did Mozart die?", "When did Mozart die?"),
    ("Where was the treaty signed?", "In what year was the treaty signed?"),
    ("In which city is the louvre?", "When was the louvre opened?"),
    ("When did Rome fall?", "What was the reason for the fall of Rome, why did it fall?"),
    ("How many routers are in Berlin?", "Which routers are in Berlin?"),
    ("How many routers are in Berlin?", "What routers are in Berlin?"),
    ("How many planes land there?", "Why do planes land there?"),
    ("How long is a marathon?", "How many people run a marathon?"),
    ("How old is the tower?", "How tall is the tower?"),
    ("How far is the moon?", "How fast does the moon move?"),
    ("What is the age of the tower?", "What is the height of the tower?"),
    ("Will the store open in Rome?", "When will the store open in Rome?"),
    ("Hi, can you tell me who owns the site?", "Hi, can you tell me when the site was built?"),
]
OTHERS = [
    ("When was Nokia founded?", "What year was Nokia founded?"),
    ("When was Nokia founded?", "In what year did someone found Nokia?"),
    ("Where is the louvre?", "Which city is the louvre in?"),
    ("How do I reset my password?", "What is the best way to reset my password?"),
    ("How can I lose weight?", "What should I do to lose weight?"),
    ("How come the sky is blue?", "Why is the sky blue?"),
    ("Why is the sky blue?", "What is the reason that the sky is blue?"),
    ("Why is the sky blue?", "What makes the sky blue?"),
    ("How can I learn Go?", "Can I learn Go?"),
    ("How long does a transfer take?", "How many days does a transfer take?"),
    ("How often should I water it?", "How many times a week should I water it?"),
    ("How many people live in Oslo?", "What is the population of Oslo?"),
    ("How much is a ticket?", "What does a ticket cost?"),
    ("When I press the key, what happens?", "What happens if I press the key?"),
    ("Tell me who painted it", "Who painted it?"),
    ("When is it due?", "What is the due date?"),
    ("Who is it and when does it start?", "When does it start?"),
    ("Wer hat Nokia gegründet?", "Wann wurde Nokia gegründet?"),
    ("Show the interfaces", "Which interfaces are there?"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_questions_after_different_things_are_a_conflict(one: str, other: str) -> None:
    assert (question(one, other).verdict, question(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_ways_to_ask_are_not(one: str, other: str) -> None:
    assert question(one, other).verdict != "conflict"
    assert question(other, one).verdict != "conflict"


def test_two_questions_after_the_same_agree() -> None:
    assert question("Who founded Nokia?", "Who is the founder of Nokia?").verdict == "agree"


def test_two_things_asked_at_once_say_nothing() -> None:
    assert question("Who founded it? When was it?", "Where is it?").verdict == "silent"
