"""Edited copies of longer texts."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.edits import edits

STORY = (
    "Our small bakery opens every weekday before dawn. Two ovens heat the narrow kitchen, and flour covers each shelf. "
    "Customers arrive from the station and buy bread for the office. Which task should the baker plan first?"
)
CONTEXT = (
    "Use only the passage to answer. The treaty was signed by both kings after a long winter of war, and the northern "
    "harbour passed to the smaller kingdom while the islands stayed with the larger one. Merchants of the harbour paid "
    "a yearly toll to the smaller king until his nephew sold the harbour to a company of traders from the south, who "
    "built warehouses, a school and a lighthouse there. Question: who owned the harbour in the end?"
)
CONFLICTS = [
    (STORY, STORY.replace("weekday", "holiday")),
    (STORY, STORY.replace("office", "festival")),
    (STORY, STORY.replace("Customers arrive", "Customers and tourists arrive")),
    (STORY, STORY.replace("every weekday ", "")),
    (STORY, STORY + " Answer as a poem."),
    (STORY, STORY.replace("bread", "cake").replace("flour", "sugar")),
    (CONTEXT, CONTEXT.replace("northern", "southern")),
    (CONTEXT, CONTEXT.replace("yearly", "monthly")),
    (CONTEXT, CONTEXT.replace("who owned", "who built")),
    (CONTEXT, CONTEXT.replace("a school and a lighthouse", "a school")),
    (CONTEXT, CONTEXT.replace("smaller", "larger", 1)),
    (CONTEXT, CONTEXT.replace("nephew sold the harbour", "harbour sold the nephew")),
]
OTHERS = [
    (STORY, STORY.upper()),
    (STORY, f"Hi! {STORY} Thanks."),
    (STORY, STORY.replace("before", "befor").replace("bread", "bread ")),
    (STORY, STORY.replace("Customers", "Cutsomers")),
    (STORY, STORY.replace("opens", "opened")),
    (STORY, STORY.replace("the station", "our station")),
    (STORY, "Before dawn a bakery starts work with two ovens, and people on their way to work get their bread there. "
            "Tell me what the baker has to do first of all in the morning, please, and how much time it needs."),
    (CONTEXT, f"Hello! {CONTEXT}"),
    (CONTEXT, CONTEXT.replace("The treaty", "This treaty")),
    (CONTEXT, CONTEXT.replace(". ", ".\n\n")),
    ("Which task should the baker plan first?", "Which task should the butcher plan first?"),
    ("", STORY),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), CONFLICTS)
def test_an_edit_in_a_long_text_is_a_conflict(one: str, other: str) -> None:
    assert (edits(one, other).verdict, edits(other, one).verdict) == ("conflict", "conflict")


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_greetings_slips_and_rewordings_are_not(one: str, other: str) -> None:
    assert edits(one, other).verdict != "conflict"
    assert edits(other, one).verdict != "conflict"


def test_a_copy_agrees() -> None:
    assert edits(CONTEXT, CONTEXT).verdict == "agree"
