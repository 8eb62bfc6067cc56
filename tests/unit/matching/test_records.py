"""Questions for records and questions for knowledge."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llmcache_plugins.matching.evidence import EVIDENCE, asks_for_records, evidence_of, stems_of
from llmcache_plugins.matching.records import asks_records, signs_of

RECORDS = [
    "List the names of all courses with more than 3 credits",
    "How many students are in each department?",
    "Show all interfaces that have more than 10 errors",
    "Which device has the highest number of routes?",
]
KNOWLEDGE = ["Why is the sky blue?", "How do I reset my password?", "what's the best way to learn to cook", "hello"]


def asked(text: str) -> float:
    return asks_records(stems_of(text))


def test_records_are_told_from_knowledge() -> None:
    assert min(map(asked, RECORDS)) > 0.0 > max(map(asked, KNOWLEDGE))


@pytest.mark.parametrize("text", ["", "?", "a" * 5000, "list all " * 500, "\u4f60\u597d", "1 2 3"])
def test_every_text_has_log_odds_in_range(text: str) -> None:
    assert -8.0 <= asked(text) <= 4.0


def test_every_process_finds_the_same_number() -> None:
    code = (
        "from llmcache_plugins.matching.evidence import stems_of\n"
        "from llmcache_plugins.matching.records import asks_records\n"
        f"print([asks_records(stems_of(text)).hex() for text in {RECORDS + KNOWLEDGE!r}])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_numbers_are_alike() -> None:
    assert signs_of(("take", "5")) == signs_of(("take", "12"))
    assert signs_of(("show", "all")) == {"^show", "show", "all", "show all"}


def test_what_shows_no_sign_is_matched_with_care() -> None:
    assert all(map(asks_for_records, [*RECORDS, "", "xyzzy"]))
    assert not any(map(asks_for_records, KNOWLEDGE[:3]))


def test_the_evidence_holds_the_greater_of_both() -> None:
    place = EVIDENCE.index("asks_records")
    for pair in ((RECORDS[0], KNOWLEDGE[0]), (KNOWLEDGE[0], RECORDS[0])):
        assert evidence_of(*pair, 0.5, (), ())[place] == pytest.approx(asked(RECORDS[0]))
