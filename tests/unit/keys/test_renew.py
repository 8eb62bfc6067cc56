from __future__ import annotations

import re

import pytest

from llmcache_plugins.keys.renew import new_tool_id, renew_tool_ids


@pytest.mark.parametrize(
    ("old", "pattern"),
    [
        ("toolu_01AbCdEfGhIjKlMnOpQrSt", r"toolu_[A-Za-z0-9]{22}"),
        ("call_abcdefghijklmnopqrstuvwx", r"call_[A-Za-z0-9]{24}"),
        ("chatcmpl-tool-0123456789abcdef", r"chatcmpl-tool-[0-9a-f]{16}"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        ("aB3dE6gH9", r"[A-Za-z0-9]{9}"),
        ("t1", r"[A-Za-z0-9]{9}"),
    ],
)
def test_a_new_id_looks_like_the_old_one(old: str, pattern: str) -> None:
    new = new_tool_id(old)
    assert new != old
    assert re.fullmatch(pattern, new)


def test_every_place_gets_the_same_new_id() -> None:
    answer = {
        "message": {
            "tool_calls": [{"name": "f", "args": {"id": "toolu_0123456789"}, "id": "toolu_0123456789"}],
            "content": [
                {"type": "text", "text": "toolu_0123456789"},
                {"type": "tool_use", "id": "toolu_0123456789", "input": {"id": "toolu_0123456789"}},
                {"type": "function_call", "id": "fc_77", "call_id": "toolu_0123456789", "arguments": "{}"},
            ],
            "additional_kwargs": {
                "tool_calls": [{"id": "toolu_0123456789", "function": {"arguments": "toolu_0123456789"}}],
                "__openai_function_call_ids__": {"toolu_0123456789": "fc_77"},
            },
        }
    }
    message = renew_tool_ids(answer)["message"]
    new = message["tool_calls"][0]["id"]
    assert new != "toolu_0123456789"
    assert message["content"][1]["id"] == new
    assert message["content"][2] == {"type": "function_call", "id": "fc_77", "call_id": new, "arguments": "{}"}
    assert message["additional_kwargs"]["tool_calls"][0]["id"] == new
    assert message["additional_kwargs"]["__openai_function_call_ids__"] == {new: "fc_77"}
    # The model's own words stay as they are.
    assert message["content"][0]["text"] == "toolu_0123456789"
    assert message["tool_calls"][0]["args"] == {"id": "toolu_0123456789"}
    assert message["content"][1]["input"] == {"id": "toolu_0123456789"}
    assert message["additional_kwargs"]["tool_calls"][0]["function"]["arguments"] == "toolu_0123456789"
    assert answer["message"]["tool_calls"][0]["id"] == "toolu_0123456789"


def test_two_calls_get_two_ids() -> None:
    renewed = renew_tool_ids({"tool_calls": [{"id": "a1"}, {"id": "b1"}], "invalid_tool_calls": [{"id": "c1"}]})
    ids = {renewed["tool_calls"][0]["id"], renewed["tool_calls"][1]["id"], renewed["invalid_tool_calls"][0]["id"]}
    assert len(ids) == 3
    assert ids.isdisjoint({"a1", "b1", "c1"})


def test_an_answer_without_calls_is_itself() -> None:
    answer = [{"content": "x", "id": "keep"}, {"tool_calls": [{"id": None}, "odd"]}]
    assert renew_tool_ids(answer) is answer
