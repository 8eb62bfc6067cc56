"""A stored answer in pieces: their sum is the answer, whatever it looks like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, ChatMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llmcache_plugins.errors import CodecError
from llmcache_plugins.langchain.pieces import chat_pieces, text_pieces

CALL = {"name": "f", "args": {"a": "ä", "b": [1.5, None]}, "id": "toolu_1", "type": "tool_call"}


def summed(message: Any, **fields: Any) -> Any:
    chunks = chat_pieces(ChatGeneration(message=message, **fields))
    return chunks[0] if len(chunks) == 1 else chunks[0] + chunks[1:]


@given(st.text())
def test_any_text_is_put_together_again(text: str) -> None:
    assert summed(AIMessage(text)).message.content == text
    pieces = text_pieces(Generation(text=text, generation_info={"a": 1}))
    whole = GenerationChunk(text="")
    for piece in pieces:
        whole += piece
    assert (whole.text, whole.generation_info) == (text, {"a": 1})


def test_words_come_one_by_one_and_long_texts_in_a_few_dozen_pieces() -> None:
    short, long = (chat_pieces(ChatGeneration(message=AIMessage("word " * count))) for count in (5, 5000))
    assert [piece.text for piece in short] == ["word "] * 5 + [""]
    assert 20 < len(long) < 100


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("so", tool_calls=[CALL, {**CALL, "id": "toolu_2"}]),
        AIMessage("", tool_calls=[CALL]),
        AIMessage([{"type": "tool_use", "id": "toolu_1", "name": "f", "input": CALL["args"]}], tool_calls=[CALL]),
        AIMessage(
            [{"type": "reasoning", "reasoning": "because of it"}, {"type": "tool_call", **CALL}], tool_calls=[CALL]
        ),
        AIMessage("x", additional_kwargs={"a": {"b": "c"}}, name="bob"),
    ],
)
def test_tool_calls_and_the_rest_come_back(message: AIMessage) -> None:
    whole = summed(message).message
    assert isinstance(whole, AIMessageChunk)
    assert whole.tool_calls == message.tool_calls
    assert whole.additional_kwargs == message.additional_kwargs
    assert [strip(block) for block in whole.content] == [strip(block) for block in message.content]


def strip(block: Any) -> Any:
    return {name: value for name, value in block.items() if name != "index"} if isinstance(block, dict) else block


def test_metadata_usage_and_info_are_there_once() -> None:
    usage: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    metadata = {"model_name": "m", "model_provider": "p", "output_version": "v1", "n": 1, "text": "t"}
    message = AIMessage("one two", response_metadata=metadata, usage_metadata=usage)
    whole = summed(message, generation_info={"finish_reason": "stop"})
    assert whole.message.response_metadata == metadata
    assert whole.message.usage_metadata == usage
    assert whole.generation_info == {"finish_reason": "stop"}
    assert whole.message.chunk_position == "last"


def test_calls_with_broken_arguments_stay_broken() -> None:
    broken = {"name": "f", "args": "[1", "id": "toolu_1", "error": None, "type": "invalid_tool_call"}
    whole = summed(AIMessage("", invalid_tool_calls=[broken])).message
    assert whole.tool_calls == []
    assert [(call["id"], call["args"]) for call in whole.invalid_tool_calls] == [("toolu_1", "[1")]


def test_a_message_of_another_role_keeps_it() -> None:
    for content in ("one two", ["one", {"type": "text", "text": "two"}]):
        chunks = chat_pieces(ChatGeneration(message=ChatMessage(content, role="critic")))
        whole: ChatGenerationChunk = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        assert (whole.message.content, whole.message.role) == (content, "critic")  # type: ignore[attr-defined]  # a role


def test_what_no_model_says_is_refused() -> None:
    with pytest.raises(CodecError):
        chat_pieces(ChatGeneration(message=HumanMessage("x")))


def test_the_pieces_share_nothing_with_what_was_stored() -> None:
    block = {"type": "text", "text": "one two", "citations": [{"a": 1}]}
    before = json.dumps(block)
    for chunk in chat_pieces(ChatGeneration(message=AIMessage([block]))):
        for piece in chunk.message.content:
            if isinstance(piece, dict):
                piece["text"] = "HACKED"
    assert json.dumps(block) == before
