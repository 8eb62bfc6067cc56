"""Messages, answers and values of LlamaIndex in canonical form, and back."""

from __future__ import annotations

import copy
import io
import json
import math
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    CitationBlock,
    CompletionResponse,
    DocumentBlock,
    ImageBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from llmcache_plugins import Hit
from llmcache_plugins.canonical.answer import ChatAnswer, answer_from, stored_answers
from llmcache_plugins.errors import CodecError
from llmcache_plugins.llama_index.answers import Heard, Reel, answer_of
from llmcache_plugins.llama_index.plain import Attributes, IndistinctCall, as_json, qualified_name
from llmcache_plugins.llama_index.replay import Form, pieces_of, response_of
from llmcache_plugins.llama_index.turns import turn_of
from llmcache_plugins.types import Answer, Entry, JsonValue, Usage


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    x: int = 1


# ---------------------------------------------------------------- values
def test_json_is_left_as_it_is() -> None:
    value = {"a": [1, 2.5, True, None, "x"], "b": {"c": []}}
    assert as_json(value) == value
    assert as_json((1, Colour.RED)) == [1, "red"]
    assert as_json(b"abc") == as_json(b"abc") != as_json(b"abd")
    assert as_json({"p": Point()}, with_models=True) == {"p": {"x": 1}}


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {1, 2}, math.nan, Point(), lambda: None], ids=lambda value: type(value).__name__
)
def test_what_is_no_json_is_no_guess(value: Any) -> None:
    with pytest.raises(IndistinctCall):
        as_json({"deep": [value]})


def test_only_what_is_defined_in_a_module_has_a_name() -> None:
    assert qualified_name(json.dumps).startswith("json.dumps:")
    assert qualified_name(json.dumps).rpartition(":")[2] != qualified_name(json.dump).rpartition(":")[2]
    assert qualified_name(Colour).endswith(".Colour")
    captured = 1

    def inner() -> int:
        return captured

    for unnamed in (lambda: None, inner, "".join, Point().model_dump, Point()):
        with pytest.raises(IndistinctCall):
            qualified_name(unnamed)


def test_attributes_are_had_both_ways_and_copied_deeply() -> None:
    value = Attributes({"usage": {"n": 1}, "choices": [{"text": "x"}]})
    assert value.usage["n"] == value["usage"].n == 1
    assert value.choices[0].text == "x"
    assert not hasattr(value, "missing")
    other = copy.deepcopy(value)
    other.usage["n"] = 2
    assert value.usage.n == 1
    assert json.loads(json.dumps(value)) == value


# ---------------------------------------------------------------- messages
def test_equal_turns_have_one_form() -> None:
    call = ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs={"a": 1})
    as_text = ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs='{"a": 1}')
    spent = {"usage": {"input_tokens": 3}, "stop_reason": "end_turn", "thinking_delta": "", "llmcache": {}}
    one = ChatMessage(role="assistant", blocks=[TextBlock(text="x"), call])
    other = ChatMessage(role="assistant", blocks=[TextBlock(text="x"), as_text, TextBlock(text="")])
    other.additional_kwargs = spent
    other.blocks.append(CachePoint(cache_control=CacheControl(type="ephemeral")))
    assert turn_of(one) == turn_of(other)


def test_different_turns_differ() -> None:
    def image(picture: bytes) -> ChatMessage:
        return ChatMessage(blocks=[ImageBlock(image=picture, image_mimetype="image/png")])

    turns = [
        turn_of(message)
        for message in (
            ChatMessage("x"),
            ChatMessage("y"),
            ChatMessage("x", role="system"),
            ChatMessage("x", additional_kwargs={"name": "Ada"}),
            ChatMessage("x", role="tool", additional_kwargs={"tool_call_id": "1"}),
            image(b"one"),
            image(b"two"),
            ChatMessage(blocks=[ImageBlock(url="http://a.example/1.png")]),
            ChatMessage(blocks=[ThinkingBlock(content="x")]),
            ChatMessage(blocks=[DocumentBlock(data=b"x", title="a")]),
            ChatMessage(blocks=[DocumentBlock(data=b"x", title="b")]),
        )
    ]
    assert all(turns.count(turn) == 1 for turn in turns)


def test_a_file_is_compared_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / f"{name}.png").write_bytes(content)
    a, b, c = (turn_of(ChatMessage(blocks=[ImageBlock(path=tmp_path / f"{name}.png")])) for name in "abc")
    assert a == b != c
    gone = ChatMessage(blocks=[ImageBlock(path=tmp_path / "a.png")])
    (tmp_path / "a.png").unlink()
    with pytest.raises(IndistinctCall):
        turn_of(gone)


def test_a_file_in_what_is_citable_is_compared_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    turns = []
    for content in (b"one", b"one", b"two"):
        path.write_bytes(content)
        block = CitableBlock(title="t", source="s", content=[ImageBlock(path=path)])
        turns.append(turn_of(ChatMessage(blocks=[block])))
    assert turns[0] == turns[1] != turns[2]


def test_what_can_be_read_but_once_is_not_read() -> None:
    stream = io.BytesIO(b"picture")
    block = ImageBlock.model_construct(image=stream, image_mimetype="image/png")
    with pytest.raises(IndistinctCall):
        turn_of(ChatMessage.model_construct(role=MessageRole.USER, blocks=[block], additional_kwargs={}))
    assert stream.tell() == 0


# ---------------------------------------------------------------- answers
def stored(response: Any, *, is_wire: bool = False, model: str = "m") -> Answer:
    heard = Heard()
    heard.hear(response)
    return answer_of(response, heard, model=model, is_wire=is_wire)


def hit_of(content: JsonValue, usage: Usage | None = None) -> Hit:
    entry = Entry("s", "k", "n", (), "q", json.dumps(content), 0.0, None, usage=usage or Usage())
    return Hit(entry, "exact", "hot", 1.0, 1.0, 0.0, 1, 0.0)


def back(answer: Answer, **shape: bool) -> Any:
    given = {"is_chat": True, "is_stream": False, **shape}
    return response_of(hit_of(answer.content, answer.usage), Form(), **given)


BLOCKS = [
    [TextBlock(text="hello")],
    [TextBlock(text="a"), TextBlock(text="b")],
    [TextBlock(text=" "), ToolCallBlock(tool_call_id=None, tool_name="add", tool_kwargs={"a": 1})],
    [ToolCallBlock(tool_call_id=None, tool_name="add", tool_kwargs='{"a": 1}')],
    [ThinkingBlock(content="hm", additional_information={"signature": "s"}, num_tokens=4), TextBlock(text="x")],
    [ImageBlock(image=b"cGljdHVyZQ==", image_mimetype="image/png"), TextBlock(text="see")],
    [
        TextBlock(text="x"),
        CitationBlock(cited_content="said", source="book", title="t", additional_location_info={"page": 1}),
    ],
]


@pytest.mark.parametrize("blocks", BLOCKS, ids=lambda blocks: "-".join(block.block_type for block in blocks))
def test_every_kind_of_block_comes_back(blocks: list[Any]) -> None:
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs={"refusal": None, "own": [1]})
    response = ChatResponse(
        message=message,
        raw={"id": 1},
        logprobs=[[LogProb(token="x", logprob=-1.0, bytes=[120])]],
        additional_kwargs={"more": {"deep": 1}},
    )
    given = back(stored(response))
    assert given.message == message
    assert (given.raw, given.logprobs) == (response.raw, response.logprobs)
    assert given.additional_kwargs.pop("llmcache")["hit"] is True
    assert given.additional_kwargs == response.additional_kwargs


def test_ids_of_tool_calls_are_new_and_the_same_everywhere() -> None:
    call = ToolCallBlock(tool_call_id="call_abcdefghij", tool_name="add", tool_kwargs="{}")
    more = {"tool_calls": [{"id": "call_abcdefghij", "function": {"name": "add", "arguments": "{}"}}]}
    message = ChatMessage(role="assistant", blocks=[call], additional_kwargs=more)
    answer = stored(ChatResponse(message=message, raw={"choices": [{"message": {"tool_calls": more["tool_calls"]}}]}))
    first, second = back(answer), back(answer)
    ids = {given.message.blocks[0].tool_call_id for given in (first, second)}
    assert len(ids | {"call_abcdefghij"}) == 3
    assert first.message.additional_kwargs["tool_calls"][0].id == first.message.blocks[0].tool_call_id
    assert first.raw.choices[0].message.tool_calls[0].id == first.message.blocks[0].tool_call_id


def test_a_completion_comes_back() -> None:
    response = CompletionResponse(text="hello", raw={"usage": {"total": 3}}, additional_kwargs={"total_tokens": 3})
    given = back(stored(response), is_chat=False)
    assert (given.text, given.raw, given.additional_kwargs["total_tokens"]) == ("hello", {"usage": {"total": 0}}, 0)


@pytest.mark.parametrize(
    "raw",
    [
        {"usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 2}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}},
    ],
)
def test_tokens_of_several_dialects(raw: Any) -> None:
    more = {"prompt_tokens": 5, "completion_tokens": 4}  # where integrations repeat what the provider said
    response = ChatResponse(message=ChatMessage("x", role="assistant"), raw=raw, additional_kwargs=more)
    assert stored(response).usage == Usage(3, 4, 0, 2)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"choices": [{"finish_reason": "length"}]}, "length"),
        ({"stop_reason": "end_turn"}, "end_turn"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "SAFETY"),
        ({"done_reason": "stop"}, "stop"),
        ({"finish_reason": None}, None),
        (None, None),
    ],
)
def test_why_it_ended_in_several_dialects(raw: Any, reason: str | None) -> None:
    assert stored(ChatResponse(message=ChatMessage("x", role="assistant"), raw=raw)).finish_reason == reason


def test_a_stream_whose_provider_says_how_it_ends_has_to_end() -> None:
    def reel(*reasons: Any) -> Reel:
        made = Reel()
        for reason in reasons:
            raw = {"choices": [{"finish_reason": reason}]}
            made.add(ChatResponse(message=ChatMessage("x", role="assistant"), raw=raw, delta="x"))
        return made

    assert reel(None, None).heard.stop_reason == "in_progress"
    assert reel(None, "stop", None).heard.stop_reason == "stop"
    assert Reel().whole is None


THOUGHT = ThinkingBlock(content="let me think of it")


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([(["a"], "a"), (["ab"], "b")], "ab"),
        ([(["a"], "a"), (["b"], "b")], "ab"),
        ([(["ha"], "ha"), (["ha"], "ha")], "haha"),
        ([([], "a"), ([], "b")], "ab"),
        ([(["a"], "a"), (["ab"], "b"), ([], "")], "ab"),
        ([([" a"], " a"), ([" ab "], "b "), (["ab"], "")], "ab"),
        ([(["a"], None), (["ab"], None)], "ab"),
        ([([THOUGHT], "let me think of it"), ([THOUGHT, "ab"], "ab")], "ab"),
        ([([THOUGHT], "let me think of it")], None),
    ],
)
def test_a_whole_is_made_of_pieces_of_every_kind(pieces: list[tuple[list[Any], str | None]], text: str | None) -> None:
    reel = Reel()
    for said, delta in pieces:
        blocks = [TextBlock(text=block) if isinstance(block, str) else block for block in said]
        reel.add(ChatResponse(message=ChatMessage(blocks=blocks, role="assistant"), delta=delta))
    assert reel.whole is not None
    assert reel.whole.message.content == text


def test_what_has_no_arguments_that_are_json_is_not_stored() -> None:
    call = ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs='{"a": ')
    with pytest.raises(CodecError):
        stored(ChatResponse(message=ChatMessage(role="assistant", blocks=[call])))


def test_what_others_stored_is_read() -> None:
    written = ChatAnswer(
        [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "hello"}, {"type": "odd"}],
        [{"id": "toolu_abcdefghij", "name": "add", "args": {"a": 1}}],
        "tool_use",
        model="claude",
        usage=Usage(3, 4),
        extra={"langchain": {"kind": "chat"}},
    )
    answer = answer_from([written])
    given = back(answer)
    thought, text, call = given.message.blocks
    assert (thought.content, thought.additional_information["signature"], text.text) == ("hm", "s", "hello")
    assert (call.tool_name, call.tool_kwargs) == ("add", {"a": 1})
    assert given.additional_kwargs["llmcache"]["saved_usage"]["input_tokens"] == 3
    wire = response_of(hit_of(answer.content), Form(is_wire=True), is_chat=True, is_stream=True)
    assert wire.raw.stop_reason == "tool_use"
    assert back(answer, is_chat=False).text == "hello"


def test_others_read_what_is_stored() -> None:
    blocks = [TextBlock(text="a"), ToolCallBlock(tool_call_id="call_1", tool_name="add", tool_kwargs='{"a": 1}')]
    raw = {"stop_reason": "tool_use", "model": "m-1", "usage": {"input_tokens": 3, "output_tokens": 4}}
    answer = stored(ChatResponse(message=ChatMessage(role="assistant", blocks=blocks), raw=raw))
    (read,) = stored_answers(answer.content)
    assert (read.text, read.stop_reason, read.model, read.usage) == ("a", "tool_use", "m-1", Usage(3, 4))
    assert read.blocks[1]["input"] == {"a": 1}


@pytest.mark.parametrize(
    "content",
    [
        "text",
        {"form": "chat/1"},
        {"form": "chat/1", "has_tool_ids": False, "answers": [{"content": [{"type": "text"}]}]},
    ]
    + [
        {"form": "chat/1", "has_tool_ids": False, "answers": [{"content": "x", "extra": {"llama_index": extra}}]}
        for extra in ({"blocks": [{"block_type": "os.system"}]}, {"blocks": 7}, {"role": "nobody"}, [])
    ],
)
def test_what_is_stored_badly_is_a_codec_error(content: Any) -> None:
    with pytest.raises(CodecError):
        response_of(hit_of(content), Form(), is_chat=True, is_stream=False)


# ---------------------------------------------------------------- pieces
def test_pieces_add_up_and_the_last_is_whole() -> None:
    blocks = [
        ThinkingBlock(content="hm"),
        TextBlock(text="one two  three\n"),
        TextBlock(text="four"),
        ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs={}),
    ]
    whole = ChatResponse(message=ChatMessage(role="assistant", blocks=blocks), raw={"id": 1})
    pieces = list(pieces_of(whole))
    assert "".join(piece.delta for piece in pieces) == "one two  three\nfour"
    assert pieces[-1].message == whole.message
    assert pieces[-1].raw == {"id": 1}
    assert [piece.raw for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert [piece.additional_kwargs.get("thinking_delta") for piece in pieces] == ["hm"] + [None] * (len(pieces) - 1)


@pytest.mark.parametrize("text", ["", "one", "a b", "word " * 1000])
def test_pieces_of_a_completion_add_up(text: str) -> None:
    pieces = list(pieces_of(CompletionResponse(text=text)))
    assert "".join(piece.delta or "" for piece in pieces) == pieces[-1].text == text
    assert len(pieces) <= 64
