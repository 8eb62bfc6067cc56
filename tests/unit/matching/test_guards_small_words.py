"""Small words that change the question when everything else is the same."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards.small_words import small_words


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("When should I water my plants?", "How should I water my plants?"),
        ("Where do I renew my passport?", "How do I renew my passport?"),
        ("Why does the link flap?", "When does the link flap?"),
        ("Who built the bridge?", "When was the bridge built?"),
        ("Is the tunnel to Oslo up?", "Was the tunnel to Oslo up?"),
        ("Are the backups running?", "Were the backups running?"),
        ("Does the switch reload?", "Did the switch reload?"),
        ("Must I declare the gift?", "May I declare the gift?"),
        ("Do I have to sign the form?", "Am I allowed to sign the form?"),
        ("Should we rotate the keys?", "Must we rotate the keys?"),
        ("Which sites lost any link?", "Which sites lost all links?"),
        ("What causes a routing loop?", "What does a routing loop cause?"),
        ("Who called Ann on Monday?", "Who did Ann call on Monday?"),
        ("Did anyone log in at night?", "Did everyone log in at night?"),
    ],
)
def test_vetoed(asked: str, stored: str) -> None:
    assert small_words(asked, stored).verdict == "conflict"
    assert small_words(stored, asked).verdict == "conflict"


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("What is the weather in Oslo?", "How is the weather in Oslo?"),
        ("What can I do to sleep better?", "How can I sleep better?"),
        ("Who is the best pilot?", "Which pilot is the best?"),
        ("What was the result of the vote?", "What is the result of the vote?"),
        ("Show all errors", "Show any errors"),
        ("Are there any errors?", "Is there any error?"),
        ("How do I reset it?", "How can I reset it?"),
        ("How about a reset of the modem?", "What about a reset of the modem?"),
        ("Can I reset the modem?", "Could I reset the modem?"),
        ("When does the shop open?", "When does the shop close today?"),
        ("Why is it slow?", "how come it is so slow"),
        ("What does BGP stand for?", "what bgp stands for"),
        ("Who did call Ann?", "Who called Ann?"),
        ("wo ist der router", "war der router wo"),
    ],
)
def test_passed(asked: str, stored: str) -> None:
    assert small_words(asked, stored).verdict != "conflict"
    assert small_words(stored, asked).verdict != "conflict"


def test_equal_questions_agree() -> None:
    assert small_words("Is it up, router one?", "Is it up, router one?").verdict == "agree"
    assert small_words("", "").verdict == "silent"
