from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator

from llmcache_plugins.canonical.answer import ChatAnswer, answer_from, stored_answers
from llmcache_plugins.errors import CodecError
from llmcache_plugins.langchain.answers import answer_of
from llmcache_plugins.langchain.replay import generations_of
from llmcache_plugins.types import Entry, Hit, Usage


def hit_of(content: Any) -> Hit:
    entry = Entry("s", "k" * 40, "n", (), "q", json.dumps(content), created_at=0.0, expires_at=None)
    return Hit(entry, "exact", "hot", 1.0, 1.0, age=2.0, access_count=1, latency=0.0)


def replayed(*generations: Generation) -> list[Generation]:
    return generations_of(hit_of(answer_of(generations).content))


def chat(message: Any, **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=message, **fields)


def test_a_chat_answer_comes_back_whole() -> None:
    message = AIMessage(
        [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "hi"}],
        name="bob",
        additional_kwargs={"reasoning": "r"},
        invalid_tool_calls=[{"name": "f", "args": "{", "id": "bad_12345678", "error": None}],
        response_metadata={"model_name": "m", "llmcache": {"hit": True}},
    )
    (found,) = replayed(chat(message, generation_info={"a": [1, None]}))
    assert isinstance(found, ChatGeneration)
    back = found.message
    assert isinstance(back, AIMessage)
    assert (back.content, back.name, back.additional_kwargs) == (message.content, "bob", {"reasoning": "r"})
    assert back.invalid_tool_calls[0]["args"] == "{"
    assert back.response_metadata["model_name"] == "m"
    mark = back.response_metadata["llmcache"]
    assert (mark["hit"], mark["tier"], mark["age"]) == (True, "hot", 2.0)
    assert found.generation_info == {"a": [1, None]}
    assert found.text == "hi"


def test_ids_are_new_on_every_hit() -> None:
    call = {"name": "f", "args": {}, "id": "toolu_0123456789"}
    content = answer_of([chat(AIMessage("x", id="msg_1", tool_calls=[call]))]).content
    one, other = (generations_of(hit_of(content))[0].message for _ in range(2))  # type: ignore[attr-defined]  # chat
    assert len({"msg_1", one.id, other.id}) == 3
    assert len({"toolu_0123456789", one.tool_calls[0]["id"], other.tool_calls[0]["id"]}) == 3


def test_chunks_come_back_as_messages() -> None:
    (found,) = replayed(ChatGenerationChunk(message=AIMessageChunk("x")))
    assert type(found) is ChatGeneration
    assert type(found.message) is AIMessage
    assert replayed(GenerationChunk(text="x")) == [Generation(text="x")]


def test_a_chat_message_keeps_its_role() -> None:
    (found,) = replayed(chat(ChatMessage("x", role="critic")))
    assert isinstance(found, ChatGeneration)
    assert isinstance(found.message, ChatMessage)
    assert found.message.role == "critic"


def test_a_parsed_object_comes_back_as_its_dict() -> None:
    class Parsed(BaseModel):
        a: int

    (found,) = replayed(chat(AIMessage("x", additional_kwargs={"parsed": Parsed(a=1)})))
    assert isinstance(found, ChatGeneration)
    assert found.message.additional_kwargs == {"parsed": {"a": 1}}


class Told(BaseModel):
    """As a structured answer may be described: names that Python cannot have, and fields that are worked out."""

    model_config = ConfigDict(extra="forbid")
    city: str = Field(alias="City-Name")

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def shouted(self) -> str:
        return self.city.upper()


def test_a_parsed_object_comes_back_as_what_its_class_takes() -> None:
    parsed = Told(**{"City-Name": "Rome"})
    (found,) = replayed(chat(AIMessage("x", additional_kwargs={"parsed": parsed})))
    assert isinstance(found, ChatGeneration)
    assert Told(**found.message.additional_kwargs["parsed"]) == parsed


def test_a_parsed_object_that_its_class_would_not_take_again_is_not_stored() -> None:
    class Doubled(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def double(cls, number: int) -> int:
            return 2 * number

    with pytest.raises(CodecError, match="does not come back equal"):
        answer_of([chat(AIMessage("x", additional_kwargs={"parsed": Doubled(number=1)}))])


@pytest.mark.parametrize("kind", ["web_search_call", "code_interpreter_call", "mcp_call"])
def test_an_answer_made_with_a_tool_at_openais_has_not_ended(kind: str) -> None:
    found = {"type": kind, "id": "x_1", "status": "completed"}
    for message in (
        AIMessage([found, {"type": "text", "text": "x"}]),
        AIMessage("x", additional_kwargs={"tool_outputs": [found]}),
    ):
        assert answer_of([chat(message)]).finish_reason == "pause_turn"


def test_metadata_that_is_not_json_is_left_out() -> None:
    (found,) = replayed(chat(AIMessage("x", response_metadata={"headers": object(), "model_name": "m"})))
    assert isinstance(found, ChatGeneration)
    assert set(found.message.response_metadata) == {"model_name", "llmcache"}


@pytest.mark.parametrize("info", [{"a": object()}, {"a": (1, 2)}, {"a": {1: 2}}])
def test_generation_info_that_would_not_come_back_equal_is_refused(info: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        answer_of([Generation(text="x", generation_info=info)])


def test_cached_input_tokens_are_counted_once() -> None:
    message = AIMessage(
        "x",
        usage_metadata={
            "input_tokens": 100,
            "output_tokens": 7,
            "total_tokens": 107,
            "input_token_details": {"cache_creation": 30, "cache_read": 50},
        },
    )
    assert answer_of([chat(message)]).usage == Usage(20, 7, 30, 50)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (AIMessage("x", response_metadata={"stop_reason": "end_turn"}), "end_turn"),
        (AIMessage("x", response_metadata={"finish_reason": "length", "stop_reason": "end_turn"}), "length"),
        (AIMessage("x", additional_kwargs={"refusal": "no"}), "refusal"),
        (AIMessage([{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]), "pause_turn"),
        (AIMessage("x"), None),
    ],
)
def test_the_finish_reason_is_found_and_a_bad_one_wins(message: AIMessage, reason: str | None) -> None:
    assert answer_of([chat(message)]).finish_reason == reason


@pytest.mark.parametrize("empty", [AIMessage(""), AIMessage([]), AIMessage(" \n")])
def test_an_empty_answer_has_no_content(empty: AIMessage) -> None:
    assert answer_of([chat(empty)]).content is None
    assert answer_of([chat(empty), chat(AIMessage("x"))]).content is not None


def test_an_answer_of_tool_calls_alone_is_not_empty() -> None:
    assert answer_of([chat(AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "a"}]))]).content is not None


def test_a_legacy_function_call_alone_is_not_empty() -> None:
    call = {"function_call": {"name": "f", "arguments": "{}"}}
    (found,) = replayed(chat(AIMessage("", additional_kwargs=call)))
    assert isinstance(found, ChatGeneration)
    assert found.message.additional_kwargs == call


FULL_USAGE: Any = {
    "input_tokens": 100,
    "output_tokens": 7,
    "total_tokens": 107,
    "input_token_details": {"cache_creation": 30, "cache_read": 50},
}


def test_the_canonical_fields_are_filled_and_nothing_is_stored_twice() -> None:
    message = AIMessage(
        "x",
        response_metadata={
            "model_name": "m",
            "model": "m",
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "id": "a",
        },
        usage_metadata=FULL_USAGE,
    )
    (stored,) = stored_answers(json.loads(json.dumps(answer_of([chat(message)]).content)))
    assert (stored.model, stored.stop_reason, stored.usage) == ("m", "end_turn", Usage(20, 7, 30, 50))
    echoes = ["model_name", "model", "stop_reason", "stop_sequence"]
    assert stored.extra == {"langchain": {"kind": "chat", "echoes": echoes, "response_metadata": {"id": "a"}}}
    (found,) = replayed(chat(message))
    assert isinstance(found, ChatGeneration)
    mark = found.message.response_metadata.pop("llmcache")
    assert found.message.response_metadata == message.response_metadata
    assert mark["saved_usage"] == FULL_USAGE


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4, "output_token_details": {"reasoning": 1}},
        {
            "input_tokens": 9,
            "output_tokens": 1,
            "total_tokens": 10,
            "input_token_details": {"cache_creation": 0, "cache_read": 0, "ephemeral_5m_input_tokens": 4},
        },
    ],
)
def test_any_count_of_tokens_comes_back_equal(usage: Any) -> None:
    hit = hit_of(answer_of([chat(AIMessage("x", usage_metadata=usage))]).content)
    (found,) = generations_of(hit, "keep")
    assert isinstance(found, ChatGeneration)
    assert isinstance(found.message, AIMessage)
    assert found.message.usage_metadata == usage


def test_tokens_written_for_a_time_are_tokens_written() -> None:
    usage: Any = {
        "input_tokens": 9,
        "output_tokens": 1,
        "total_tokens": 10,
        "input_token_details": {"cache_creation": 0, "cache_read": 2, "ephemeral_1h_input_tokens": 4},
    }
    assert answer_of([chat(AIMessage("x", usage_metadata=usage))]).usage == Usage(3, 1, 4, 2)


def foreign(*blocks: dict[str, Any], **fields: Any) -> AIMessage:
    (found,) = generations_of(hit_of(answer_from([ChatAnswer(list(blocks), **fields)]).content))
    assert isinstance(found, ChatGeneration)
    assert isinstance(found.message, AIMessage)
    return found.message


def test_text_that_another_plugin_stored_is_read() -> None:
    message = foreign(
        {"type": "text", "text": "hi", "citations": None},
        stop_reason="end_turn",
        model="claude-haiku-4-5",
        usage=Usage(3, 4),
        extra={"anthropic": {"stop_details": {"type": "x"}}},
    )
    assert message.content == "hi"
    mark = message.response_metadata.pop("llmcache")
    assert message.response_metadata == {
        "model_provider": "anthropic",
        "model": "claude-haiku-4-5",
        "model_name": "claude-haiku-4-5",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": {"type": "x"},
    }
    assert mark["saved_usage"]["total_tokens"] == 7
    assert message.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


def test_tool_calls_that_another_plugin_stored_are_read() -> None:
    block = {"type": "tool_use", "id": "toolu_0123456789", "name": "f", "input": {"a": 1}}
    message = foreign({"type": "text", "text": "so"}, block, stop_reason="tool_use")
    (call,) = message.tool_calls
    assert (call["name"], call["args"], call["type"]) == ("f", {"a": 1}, "tool_call")
    assert call["id"] != "toolu_0123456789"
    assert message.content == [{"type": "text", "text": "so"}, {**block, "id": call["id"]}]
    beside = foreign(tool_calls=[{"id": "toolu_0123456789", "name": "f", "args": {"a": 1}}])
    assert beside.tool_calls[0]["args"] == {"a": 1}
    assert beside.response_metadata["stop_reason"] == "tool_use"
