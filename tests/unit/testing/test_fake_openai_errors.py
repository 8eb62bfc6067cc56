"""What the fake OpenAI API refuses, over plain HTTP: above all what a replaying cache can get wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmcache_plugins.testing import FakeOpenAI

Send = Callable[..., tuple[int, Any]]

USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def assistant(*ids: str, **fields: Any) -> dict[str, Any]:
    calls = [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for call_id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls, **fields}


def answer(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "x"}


@pytest.mark.parametrize(
    ("messages", "wording"),
    [
        ([], "empty array"),
        (None, "Missing required parameter: 'messages'"),
        (["hello"], "expected an object"),
        ([{"role": "robot", "content": "hello"}], "Invalid value: 'robot'"),
        ([{"role": "user", "content": None}], "expected a string, got null"),
        ([{"role": "user", "content": []}], "empty array"),
        ([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}], "'tool_result'"),
        ([{"role": "assistant", "content": None}], "expected a string, got null"),
        ([USER, answer("a")], "preceeding message"),
        ([USER, assistant("a"), answer("a"), USER, answer("a")], "preceeding message"),
        ([USER, assistant("a"), answer("b")], "'b' not found"),
        ([USER, assistant("a")], "did not have response messages: a"),
        ([USER, assistant("a"), USER], "did not have response messages: a"),
        ([USER, assistant("a", "b"), answer("b")], "did not have response messages: a"),
        ([USER, assistant("a"), {"role": "tool", "content": "x"}], "tool_call_id"),
        ([USER, assistant(content="x"), USER], "empty array"),
        ([USER, assistant("a" * 41), answer("a" * 41)], "too long"),
        ([USER, {**assistant(), "tool_calls": [{"type": "function"}]}], "id"),
        (
            [
                USER,
                {**assistant(), "tool_calls": [{"id": "a", "type": "function", "function": {"arguments": {}}}]},
                answer("a"),
            ],
            "arguments': expected a string",
        ),
    ],
)
def test_messages_that_do_not_fit_together_are_refused(send: Send, messages: Any, wording: str) -> None:
    status, body = send("/chat/completions", {"model": "gpt-4.1", "messages": messages})
    assert status == 400
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"
    assert wording in body["error"]["message"]


def test_answered_tool_calls_are_accepted_in_any_order(send: Send) -> None:
    messages = [USER, assistant("a", "b"), answer("b"), answer("a"), assistant(tool_calls=None, content="so"), USER]
    assert send("/chat/completions", {"model": "gpt-4.1", "messages": messages})[0] == 200


@pytest.mark.parametrize(
    ("params", "wording"),
    [
        ({"model": None}, "model parameter"),
        ({"tools": []}, "Invalid 'tools': empty array"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "pattern"),
        ({"tool_choice": "auto"}, "only allowed when 'tools' are specified"),
        ({"parallel_tool_calls": True}, "only allowed when 'tools' are specified"),
        ({"tools": [TOOL], "tool_choice": "any"}, "Supported values"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "'g' not found"),
        ({"stream_options": {"include_usage": True}}, "'stream' is enabled"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time"),
        ({"n": 0}, "'n'"),
        ({"stop": list("abcde")}, "'stop'"),
        ({"response_format": {"type": "json_object"}}, "the word 'json'"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, "json_schema.name"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(send: Send, params: Any, wording: str) -> None:
    status, body = send("/chat/completions", {"model": "gpt-4.1", "messages": [USER], **params})
    assert (status, wording in body["error"]["message"]) == (400, True), body


@pytest.mark.parametrize("body", [{"model": "m"}, {"model": "m", "input": [""]}, {"input": "text"}])
def test_embeddings_need_a_model_and_a_text(send: Send, body: Any) -> None:
    assert send("/embeddings", body)[0] == 400


def test_a_body_that_is_no_json_object_is_refused(send: Send) -> None:
    for body in (b"{", b"[1]"):
        assert send("/chat/completions", body)[0] == 400


def test_a_wrong_key_and_a_missing_key_are_refused(send: Send, openai_server: FakeOpenAI) -> None:
    openai_server.api_key = "secret"
    for key in ("test", None):
        status, body = send("/models", key=key)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    assert send("/models", key="secret")[0] == 200


def test_an_unknown_path_and_an_unknown_model_are_not_found(send: Send) -> None:
    assert send("/responses", {"model": "gpt-4.1", "input": "hello"})[0] == 404
    assert send("/files")[0] == 404
    status, body = send("/models/no-such-model")
    assert (status, body["error"]["code"]) == (404, "model_not_found")


def test_errors_are_scripted_with_their_code(send: Send, openai_server: FakeOpenAI) -> None:
    body = {"model": "gpt-4.1", "messages": [USER]}
    openai_server.enqueue(status=429, message="slow down")
    openai_server.enqueue(status=429, code="insufficient_quota")
    openai_server.enqueue(status=500)
    errors = [send("/chat/completions", body)[1]["error"] for _ in range(3)]
    assert errors[0] == {"message": "slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    assert [error["type"] for error in errors[1:]] == ["insufficient_quota", "server_error"]
