"""Which answers may be stored."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins.policies import refusal_of
from llmcache_plugins.types import Answer


def refusal(answer: Answer, *, size: int = 10, store_truncated: bool = False) -> str | None:
    return refusal_of(answer, size=size, max_bytes=100, store_truncated=store_truncated)


@pytest.mark.parametrize("content", ["", " \n", None, [], {}])
def test_empty_answers_are_refused(content: Any) -> None:
    assert refusal(Answer(content)) == "empty"


@pytest.mark.parametrize("content", ["no", 0, False, [0], {"a": None}])
def test_short_answers_are_answers(content: Any) -> None:
    assert refusal(Answer(content)) is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (None, None),
        ("stop", None),
        ("end_turn", None),
        ("tool_use", None),
        ("STOP", None),
        ("max_tokens", "truncated"),
        ("MAX_TOKENS", "truncated"),
        ("length", "truncated"),
        ("model_context_window_exceeded", "truncated"),
        ("refusal", "refused"),
        ("content_filter", "refused"),
        ("SAFETY", "refused"),
        ("pause_turn", "unfinished"),
        ("error", "failed"),
    ],
)
def test_finish_reasons(reason: str | None, expected: str | None) -> None:
    assert refusal(Answer("text", finish_reason=reason)) == expected


def test_truncated_answers_may_be_stored_by_setting() -> None:
    assert refusal(Answer("text", finish_reason="length"), store_truncated=True) is None


def test_size_limit_is_inclusive() -> None:
    assert refusal(Answer("text"), size=100) is None
    assert refusal(Answer("text"), size=101) == "too_large"
