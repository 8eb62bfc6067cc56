"""Do two answers say the same?"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from llmcache_plugins.matching.answers import is_same_text, said_by, same_by_meaning
from llmcache_plugins.matching.guards import DEFAULT_GUARDS, judge

guards = partial(judge, guards=DEFAULT_GUARDS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("It is up.", "It is up."),
        (None, ""),
        (42, "42"),
        ([{"type": "text", "text": "It is up."}], "It is up."),
        ([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "It is up."}], "It is up."),
        ({"form": "chat/1", "answers": [{"content": "It is up.", "tool_calls": [], "model": "m"}]}, "It is up."),
        ([{"type": "tool_use", "id": "toolu_1", "name": "show", "input": {"b": 1, "a": 2}}], 'show {"a": 2, "b": 1}'),
        ({"state": "up", "id": "7"}, '{"state": "up"}'),
    ],
)
def test_words_of_an_answer(content: Any, said: str) -> None:
    assert said_by(content) == said


def test_equal_but_for_case_spaces_and_closing_punctuation() -> None:
    assert is_same_text("It is  Established.", "it is established")
    assert not is_same_text("It is Established.", "It is Idle.")


@pytest.mark.parametrize(
    ("fresh", "stored", "similarity", "agrees"),
    [
        ("Run `show ip bgp summary`.", "Use show ip bgp summary for that.", 0.95, True),
        ("The capital is Paris.", "The capital is Rome.", 0.58, False),
        ("Open the settings and reset it there.", "Go to the settings.", 0.78, None),
        ("Returns are accepted within 14 days.", "Returns are accepted within 30 days.", 0.98, False),
        ("The tunnel is up.", "The tunnel is down.", 0.91, False),
    ],
)
def test_answers_by_meaning(fresh: str, stored: str, similarity: float, agrees: bool | None) -> None:
    assert same_by_meaning(fresh, stored, similarity, guards, 0.85) is agrees


def test_another_number_in_a_long_answer_is_no_contradiction() -> None:
    long = "The session is kept alive by messages between the two neighbours. " * 8
    assert same_by_meaning(f"{long}Every 60 seconds.", f"{long}Each 30 s.", 0.97, guards, 0.85) is True
