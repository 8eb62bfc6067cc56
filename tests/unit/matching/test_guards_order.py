"""The same words in another order."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.order import order

CONFLICTS = [
    ("Is a dog better than a cat?", "Is a cat better than a dog?"),
    ("Did Arsenal beat Chelsea?", "Did Chelsea beat Arsenal?"),
    ("Can a wolf eat a bear?", "Can a bear eat a wolf?"),
    ("Does stress cause insomnia?", "Does insomnia cause stress?"),
    ("Who does Ann Lee love more than Bob Ray?", "Who does Bob Ray love more than Ann Lee?"),
    ("Why did Brown Smith fire Green Smith?", "Why did Green Smith fire Brown Smith?"),
    ("Is Mark loyal to Richard?", "Is Richard loyal to Mark?"),
    ("Replace tabs with spaces", "Replace spaces with tabs"),
    ("Does the suite include the editor?", "Does the editor include the suite?"),
    ("Do German universities accept British students?", "Do British universities accept German students?"),
    ("Why do rich men marry poor women in films?", "Why do poor men marry rich women in films?"),
    ("Does Ann trust Bob?", "Is Ann trusted by Bob?"),
    ("Does Ann like Bob?", "Is Ann liked by Bob?"),
    ("Is it free for pupils and teachers?", "Is it free for pupils or teachers?"),
    ("Delete all mail from Bob", "Delete all mail to Bob"),
    ("Would he leave her?", "Would she leave him?"),
    ("Convert euros to dollars", "Convert dollars to euros"),
    ("How is rent in Bonn compared to Kiel?", "How is rent in Kiel compared to Bonn?"),
]
OTHERS = [
    ("What is the difference between TCP and UDP?", "What is the difference between UDP and TCP?"),
    ("A dog or a cat?", "A cat or a dog?"),
    ("the difference between tea or coffee", "the difference between tea and coffee"),
    ("Rust versus Go", "Go versus Rust"),
    ("Is Ann married to Bob?", "Is Bob married to Ann?"),
    ("How far is Rome from Milan?", "How far is Milan from Rome?"),
    ("In git, how do I squash commits?", "How do I squash commits in git?"),
    ("How quickly can I learn Java?", "How can I quickly learn Java?"),
    ("Does Ann trust Bob?", "Is Bob trusted by Ann?"),
    ("Does Ann like Bob?", "Is Bob liked by Ann?"),
    ("Fly to Oslo from Rome", "Fly from Rome to Oslo"),
    ("How do I fix the update error 42?", "Fix for the error 42 of the update"),
    ("Show errors on the port", "On the port, show errors"),
    ("recessive trait and dominant trait", "dominant trait and recessive trait"),
    ("Which city is the capital?", "The capital is which city?"),
    ("Mag Anna den Ben?", "Mag Ben die Anna?"),
]


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_exchanged_parts_are_a_conflict(one: str, other: str) -> None:
    assert (order(one, other).verdict, order(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS[:-1])
def test_lists_moved_phrases_and_the_passive_voice_are_not(one: str, other: str) -> None:
    assert order(one, other).verdict != "conflict"
    assert order(other, one).verdict != "conflict"


@pytest.mark.parametrize("text", [text for pair in CONFLICTS for text in pair])
def test_equal_texts_never_conflict(text: str) -> None:
    assert order(text, text).verdict != "conflict"


def test_other_languages_are_left_alone() -> None:
    assert order(*OTHERS[-1]).verdict == "silent"
