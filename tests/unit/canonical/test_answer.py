"""The canonical answer: stored and read again, whoever wrote it."""

from __future__ import annotations

import json

import pytest

from llmcache_plugins import CodecError, Usage
from llmcache_plugins.canonical.answer import ChatAnswer, answer_from, stored_answers
from llmcache_plugins.canonical.anthropic import (
    answer_of_message,
    message_of_answer,
    request_of_body,
    usage_of,
    wire_usage,
)
from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.types import JsonValue

CALL = {"type": "tool_use", "id": "toolu_01", "name": "ping", "input": {"host": "rtr-001"}}


def back(*answers: ChatAnswer) -> list[ChatAnswer]:
    """What comes back from a store."""
    return stored_answers(json.loads(json.dumps(answer_from(answers).content)))


def test_an_answer_comes_back_equal() -> None:
    answer = ChatAnswer(
        "a protocol", (), "end_turn", None, "claude", Usage(3, 4, 5, 6), {"langchain": {"info": {"a": [1]}}}
    )
    assert back(answer, ChatAnswer("another")) == [
        ChatAnswer(
            "a protocol", [], "end_turn", None, "claude", Usage(3, 4, 5, 6), {"langchain": {"info": {"a": [1]}}}
        ),
        ChatAnswer("another", []),
    ]


def test_tool_call_ids_come_back_new_and_the_same_everywhere() -> None:
    answer = ChatAnswer([CALL], [{"id": "toolu_01", "name": "ping", "args": {"host": "rtr-001"}}])
    (first,), (second,) = back(answer), back(answer)
    assert first.tool_calls[0]["id"] == first.blocks[0]["id"] != "toolu_01"
    assert first.tool_calls[0]["id"] != second.tool_calls[0]["id"]
    assert len(first.blocks) == 1


def test_a_call_that_stands_beside_the_content_is_a_block_too() -> None:
    blocks = ChatAnswer("wait", [{"id": "c1", "name": "ping", "args": {"n": 1}}]).blocks
    assert blocks == [
        {"type": "text", "text": "wait"},
        {"type": "tool_use", "id": "c1", "name": "ping", "input": {"n": 1}},
    ]


def test_what_streaming_leaves_in_blocks_is_gone() -> None:
    streamed = [
        {"type": "text", "text": "wait", "index": 0},
        {"type": "tool_use", "id": "t", "name": "ping", "input": {}, "partial_json": '{"n": 1}', "index": 1},
    ]
    assert ChatAnswer(streamed).blocks == [
        {"type": "text", "text": "wait"},
        {"type": "tool_use", "id": "t", "name": "ping", "input": {"n": 1}},
    ]


def test_broken_arguments_are_no_answer() -> None:
    with pytest.raises(CodecError):
        _ = ChatAnswer([{"type": "tool_use", "id": "t", "name": "ping", "partial_json": "{"}]).blocks


@pytest.mark.parametrize("content", ["", " \n", [], [{"type": "text", "text": " "}], [""]])
def test_an_answer_that_says_nothing_has_no_content(content: JsonValue) -> None:
    assert answer_from([ChatAnswer(content)]).content is None


@pytest.mark.parametrize(
    "kind",
    [
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "bash_code_execution_tool_result",
        "tool_search_tool_result",
    ],
)
def test_an_answer_made_with_tools_of_the_provider_counts_as_unfinished(kind: str) -> None:
    answer = ChatAnswer([{"type": kind}, {"type": "text", "text": "It rains."}], stop_reason="end_turn")
    assert answer_from([answer]).finish_reason == "pause_turn"


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "text",
        {"form": "other"},
        {"form": "chat/1", "answers": [], "has_tool_ids": False},
        {"form": "chat/1", "answers": [{"content": 3}], "has_tool_ids": False},
        {"form": "chat/1", "answers": [{"content": "a", "tool_calls": "b"}], "has_tool_ids": False},
        {"form": "chat/1", "answers": [{"content": "a", "tool_calls": ["b"]}], "has_tool_ids": False},
        {"form": "chat/1", "answers": [{"content": "a", "usage": [1]}], "has_tool_ids": False},
        {"form": "chat/1", "answers": [{"content": "a", "extra": []}], "has_tool_ids": True},
        {"form": "chat/1", "answers": [{}], "has_tool_ids": False},
    ],
)
def test_what_is_not_of_the_form_is_refused(content: JsonValue) -> None:
    with pytest.raises(CodecError):
        stored_answers(content)


def test_a_response_of_anthropic_comes_back_but_for_its_ids_and_usage() -> None:
    message = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "yes"}, CALL],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 2, "service_tier": "standard"},
        "a_new_field": {"kept": True},
    }
    (answer,) = back(answer_of_message(message))
    replayed = message_of_answer(answer, usage=wire_usage(answer.usage))
    assert replayed["id"].startswith("msg_llmcache_")
    assert replayed["content"][:2] == message["content"][:2]
    assert replayed["content"][2]["input"] == CALL["input"]
    assert replayed["content"][2]["id"] != CALL["id"]
    assert usage_of(replayed["usage"]) == Usage(7, 9, 0, 2)
    for name in ("type", "role", "model", "stop_reason", "stop_sequence", "a_new_field"):
        assert replayed[name] == message[name]


BODY = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "What is BGP?"}]}


def scope_and_key(body: JsonValue, **how: JsonValue) -> object:
    return identify(request_of_body(body, **how))


@pytest.mark.parametrize(
    "more",
    [
        {"stream": True},
        {"metadata": {"user_id": "u"}},
        {"service_tier": "auto"},
        {"stop_sequences": []},
        {"system": ""},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is BGP?"}]}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "What is BGP?", "cache_control": {"type": "ephemeral"}}],
                }
            ]
        },
        {"max_tokens": 100.0},
    ],
)
def test_what_shapes_no_answer_is_not_in_the_key(more: JsonValue) -> None:
    assert scope_and_key(BODY) == scope_and_key({**BODY, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"model": "claude-sonnet-4-5"},
        {"max_tokens": 101},
        {"temperature": 0.1},
        {"system": "Be brief."},
        {"tools": [{"name": "ping", "input_schema": {}}]},
        {"tool_choice": {"type": "any"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"stop_sequences": ["."]},
        {"something_new": 1},
        {"messages": [{"role": "assistant", "content": "What is BGP?"}]},
    ],
)
def test_what_may_shape_the_answer_is_in_the_key(more: JsonValue) -> None:
    assert scope_and_key(BODY) != scope_and_key({**BODY, **more})


@pytest.mark.parametrize(
    "how",
    [
        {"is_beta": True},
        {"betas": ["context-1m"]},
        {"workspace": "w"},
        {"query": {"version": "2"}},
        {"headers": {"x-route": "2"}},
        {"base_url": "http://127.0.0.1:80/proxy"},
        {"base_url": "http://api.anthropic.com"},
        {"base_url": "https://api.anthropic.com/v1"},  # to which the clients add theirs
    ],
)
def test_where_it_goes_is_in_the_key(how: JsonValue) -> None:
    assert scope_and_key(BODY) != scope_and_key(BODY, **how)


@pytest.mark.parametrize(
    "url", ["https://api.anthropic.com/", "https://API.anthropic.com", "https://api.anthropic.com:443"]
)
def test_an_address_is_the_same_however_it_is_written(url: str) -> None:
    assert scope_and_key(BODY) == scope_and_key(BODY, base_url=url)


def test_betas_count_in_any_order() -> None:
    assert scope_and_key({**BODY, "betas": ["a", "b"]}) == scope_and_key(BODY, betas=("b", "a"), is_beta=True)
