"""Streams of the Messages API, put together and told again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.anthropic.stream import StreamedMessage, frames_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
ARGUMENTS = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT), max_size=4)
BLOCK = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda text, cites: {"type": "text", "text": text, "citations": cites}, TEXT,
              st.lists(st.builds(lambda text: {"type": "char_location", "cited_text": text}, TEXT), min_size=1)),
    st.builds(lambda text, sign: {"type": "thinking", "thinking": text, "signature": sign}, TEXT, TEXT),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, TEXT),
    st.builds(lambda name, given: {"type": "tool_use", "id": "t", "name": name, "input": given}, TEXT, ARGUMENTS),
)  # fmt: skip
MESSAGE = st.builds(
    lambda content, further: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 9, "cache_read_input_tokens": 1},
        **further,
    },
    st.lists(BLOCK, max_size=5),
    st.dictionaries(st.sampled_from(["stop_details", "context_management", "a_new_field"]), ARGUMENTS.filter(bool)),
)


def message(*blocks: dict[str, Any]) -> dict[str, Any]:
    content = list(blocks) or [{"type": "text", "text": "It reflects routes."}]
    return {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": content,
            "stop_reason": "end_turn", "stop_sequence": None, "usage": {"output_tokens": 4}}  # fmt: skip


def heard(*pieces: bytes) -> StreamedMessage:
    stream = StreamedMessage()
    for piece in pieces:
        stream.feed(piece)
    return stream


def events(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]


def frame(event: str, **fields: Any) -> bytes:
    return f"event: {event}\ndata: {json.dumps({'type': event, **fields})}\n\n".encode()


@given(MESSAGE, st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=20), st.booleans())
def test_what_is_told_is_heard_however_it_is_cut(told: dict[str, Any], cuts: list[int], has_returns: bool) -> None:
    raw = b"".join(frames_of(told))
    raw = raw.replace(b"\n", b"\r\n") if has_returns else raw
    pieces, start = [], 0
    while start < len(raw):
        length = cuts[len(pieces) % len(cuts)]
        pieces.append(raw[start : start + length])
        start += length
    stream = heard(*pieces)
    assert (stream.is_whole, stream.is_unclear) == (True, False)
    assert stream.message == told


@given(MESSAGE, st.data())
def test_a_stream_that_ends_early_is_not_whole(told: dict[str, Any], data: st.DataObject) -> None:
    raw = b"".join(frames_of(told))
    cut = data.draw(st.integers(min_value=0, max_value=len(raw) - 2))
    stream = heard(raw[:cut])
    assert not stream.is_over


def test_a_replay_has_the_events_of_the_api_in_its_order() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "ping", "input": {"host": "rtr-001"}}
    thought = {"type": "thinking", "thinking": "", "signature": "s"}
    told = events(b"".join(frames_of(message(thought, {"type": "text", "text": "I ask."}, call))))
    kinds = [(event["type"], event.get("delta", {}).get("type")) for event in told]
    assert kinds == [
        ("message_start", None),
        ("content_block_start", None),
        ("content_block_delta", "signature_delta"),
        ("content_block_stop", None),
        ("content_block_start", None),
        ("content_block_delta", "text_delta"),
        ("content_block_stop", None),
        ("content_block_start", None),
        ("content_block_delta", "input_json_delta"),
        ("content_block_delta", "input_json_delta"),
        ("content_block_delta", "input_json_delta"),
        ("content_block_stop", None),
        ("message_delta", None),
        ("message_stop", None),
    ]
    opened = told[0]["message"]
    assert (opened["content"], opened["stop_reason"]) == ([], None)
    assert told[7]["content_block"] == {**call, "input": {}}
    assert told[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_long_text_comes_in_pieces() -> None:
    told = events(b"".join(frames_of(message({"type": "text", "text": "words " * 50}))))
    pieces = [event["delta"]["text"] for event in told if event["type"] == "content_block_delta"]
    assert len(pieces) > 10
    assert "".join(pieces) == "words " * 50


def test_pings_and_events_without_a_name_are_nothing() -> None:
    first, *others = frames_of(message())
    noise = [b"event: ping\ndata: {}\n\n", b'data: {"type": "message_stop"}\n\n', b": a comment\n\n", b"event: x\n\n"]
    assert heard(first, *noise, *others).message == message()


START = frame("message_start", message=message())
BLOCK_START = frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
CALL_START = frame("content_block_start", index=0, content_block={"type": "tool_use", "input": {}})
UNCLEAR = {
    "error": [START, frame("error", error={"type": "overloaded_error"})],
    "new event": [START, frame("a_new_event")],
    "new delta": [START, BLOCK_START, frame("content_block_delta", index=0, delta={"type": "a_new_delta"})],
    "delta of no block": [START, frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})],
    "block left out": [START, frame("content_block_start", index=1, content_block={"type": "text", "text": ""})],
    "no start": [BLOCK_START],
    "two starts": [START, START],
    "no JSON": [START, b"event: message_delta\ndata: {\n\n"],
    "no UTF-8": [START, b"event: message_delta\ndata: \xff\n\n"],
    "no object": [START, b"event: message_delta\ndata: 17\n\n"],
    "broken arguments": [
        START,
        CALL_START,
        frame("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": '{"a": '}),
        frame("content_block_stop", index=0),
    ],
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_is_not_known_is_unclear_and_stays_so(name: str) -> None:
    stream = heard(*UNCLEAR[name], *frames_of(message()))
    assert (stream.is_whole, stream.is_unclear) == (False, True)


def test_what_comes_after_the_end_is_not_heard() -> None:
    assert heard(*frames_of(message()), frame("error")).message == message()
