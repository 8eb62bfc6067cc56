"""Server-sent events of the Messages API: put together while they pass, and made again from a stored answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llmcache_plugins.types import JsonValue

__all__ = ["StreamedMessage", "frames_of"]

_PIECE = 16  # characters in one delta of a replayed stream
_OF_THE_END = ("container", "stop_details")  # fields of a message that a stream tells last


class Unclear(Exception):
    """An event that we do not know, or in the wrong place: what the message is, cannot be said."""


class StreamedMessage:
    """The message that a stream tells, put together from its bytes.

    Attributes:
        is_whole: its last event was heard.
        is_unclear: it failed, or something in it is not known; whatever follows, nothing comes of it.
    """

    def __init__(self) -> None:
        self.is_whole = False
        self.is_unclear = False
        self._rest = b""
        self._name = ""
        self._lines: list[str] = []
        self._message: dict[str, Any] | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}

    @property
    def is_over(self) -> bool:
        return self.is_whole or self.is_unclear

    @property
    def message(self) -> dict[str, JsonValue]:
        """The message as a call without streaming gives it; only when it `is_whole`."""
        assert self.is_whole
        assert self._message is not None
        return {**self._message, "content": [block for _, block in sorted(self._blocks.items())]}

    def feed(self, piece: bytes) -> None:
        """The next bytes, cut anywhere."""
        if self.is_over:
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        try:
            for line in lines:
                self._hear(line.removesuffix(b"\r").decode())
        except (Unclear, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.is_unclear = True

    # ---------------------------------------------------------------- inside
    def _hear(self, line: str) -> None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._name = value
            elif name == "data":
                self._lines.append(value)
            return
        text, self._lines = "\n".join(self._lines), []
        name, self._name = self._name, ""
        if name and name != "ping" and text:  # as the SDK does, which ignores what has no name
            self._take(json.loads(text))

    def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "ping":
                pass
            case "message_start" if self._message is None:
                self._message = dict(event["message"])
            case "content_block_start" if event["index"] == len(self._blocks) and self._message is not None:
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                self._add(event["index"], event["delta"])
            case "content_block_stop":
                self._close(event["index"])
            case "message_delta" if self._message is not None:
                self._end(self._message, event)
            case "message_stop" if self._message is not None:
                self.is_whole = True
            case _:
                raise Unclear

    def _add(self, index: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                block["text"] += delta["text"]
            case "thinking_delta":
                block["thinking"] += delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case "input_json_delta":
                self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
            case _:
                raise Unclear

    def _close(self, index: int) -> None:
        block, text = self._blocks[index], self._inputs.pop(index, "")
        if text:
            block["input"] = json.loads(text)

    @staticmethod
    def _end(message: dict[str, Any], event: Mapping[str, Any]) -> None:
        message |= {name: value for name, value in event.items() if name not in ("type", "delta", "usage")}
        message |= event["delta"]
        spent = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
        message["usage"] = {**(message.get("usage") or {}), **spent}


def frames_of(message: Mapping[str, JsonValue]) -> Iterator[bytes]:
    """The stream that tells a message, in the API's order of events."""
    usage = dict(message["usage"])
    last = {name: message[name] for name in _OF_THE_END if name in message}
    further = {"context_management": message["context_management"]} if message.get("context_management") else {}
    kept = {name: value for name, value in message.items() if name not in last and name not in further}
    opened = {**kept, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _frame("message_start", message={**opened, "usage": {**usage, "output_tokens": 0}})
    for index, block in enumerate(message["content"]):
        start, deltas = _told(block)
        yield _frame("content_block_start", index=index, content_block=start)
        for delta in deltas:
            yield _frame("content_block_delta", index=index, delta=delta)
        yield _frame("content_block_stop", index=index)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"], **last}
    yield _frame("message_delta", delta=delta, usage=usage, **further)
    yield _frame("message_stop")


def _told(block: Mapping[str, JsonValue]) -> tuple[JsonValue, list[JsonValue]]:
    """How a block starts, and what follows; kinds that are not known come whole, as the API's rare ones do."""
    match block.get("type"):
        case "text":
            citations = block.get("citations") or []
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
            deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
            return {**block, "text": "", **({"citations": []} if citations else {})}, deltas
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            signature = block.get("signature", "")
            return {**block, "thinking": "", "signature": ""}, [*deltas, _signed(signature)]
        case "tool_use":
            text = json.dumps(block["input"], ensure_ascii=False)
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *_pieces(text))]
            return {**block, "input": {}}, deltas
        case _:
            return dict(block), []


def _signed(signature: JsonValue) -> JsonValue:
    return {"type": "signature_delta", "signature": signature}


def _pieces(text: str) -> list[str]:
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]


def _frame(event: str, **fields: JsonValue) -> bytes:
    return f"event: {event}\ndata: {json.dumps({'type': event, **fields})}\n\n".encode()
