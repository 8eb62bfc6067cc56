"""LangChain's messages as `ChatAnthropic` writes them into a body of Anthropic's Messages API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from llmcache_plugins.keys.messages import ChatTurn
from llmcache_plugins.types import JsonValue

__all__ = ["UnknownKind", "wire_messages"]

_DATA_URL = re.compile(r"^data:(image/.+);base64,(.+)$")
_WEB_URL = re.compile(r"^https?://.*$")
_FIELDS = {
    "text": ("type", "text", "cache_control", "citations"),
    "thinking": ("type", "thinking", "cache_control", "signature"),
    "redacted_thinking": ("type", "cache_control", "data"),
}
_OF_DATA_BLOCK = ("cache_control", "citations", "title", "context")
_NOT_PLAIN = ("source_type", "extras", "metadata", "url", "base64", "file_id", "text")


class UnknownKind(Exception):
    """Something we cannot say how it is sent."""


def wire_messages(turns: Sequence[ChatTurn]) -> tuple[JsonValue, list[dict[str, JsonValue]]]:
    """System prompt (or None) and messages.

    Raises:
        UnknownKind: one of them is of a kind that we do not know.
    """
    merged = list(_merged(turns))
    system = _system(merged.pop(0).content) if merged and merged[0].role == "system" else None
    if any(turn.role == "system" for turn in merged):
        raise UnknownKind  # moved or left in place, as the model's profile says
    messages = []
    for place, turn in enumerate(merged):
        content = _content(turn)
        if turn.role == "assistant":
            if place == len(merged) - 1:
                raise UnknownKind  # a begun answer; what is cut off at its end, changes with the version
            content = _with_calls(turn, content)
            if not content:
                continue
        messages.append({"role": turn.role, "content": content})
    return system, messages


def _merged(turns: Sequence[ChatTurn]) -> Iterator[ChatTurn]:
    """Tool results as user turns, and runs of user and of system turns as one."""
    last: ChatTurn | None = None
    for turn in turns:
        _refuse_unknown(turn)
        if turn.role == "tool":
            turn = ChatTurn("user", _tool_results(turn))
        if last is not None and last.role == turn.role and turn.role != "assistant":
            last = replace(last, content=[*_as_list(last.content), *_as_list(turn.content)])
            continue
        if last is not None:
            yield last
        last = turn
    if last is not None:
        yield last


def _refuse_unknown(turn: ChatTurn) -> None:
    if turn.role not in ("system", "user", "assistant", "tool") or not isinstance(turn.content, str | list):
        raise UnknownKind
    if turn.extra.get("name") and turn.role != "tool":
        raise UnknownKind  # is not sent; but who names speakers wants them told apart
    if turn.extra.get("invalid_tool_calls"):
        raise UnknownKind
    if (turn.extra.get("response_metadata") or {}).get("output_version"):
        raise UnknownKind


def _tool_results(turn: ChatTurn) -> list[JsonValue]:
    content = turn.content
    if isinstance(content, list) and content and all(_kind(block) == "tool_result" for block in content):
        return content
    is_error = turn.extra.get("status") == "error"
    tool_use_id = turn.extra["tool_call_id"]
    return [{"type": "tool_result", "content": content, "tool_use_id": tool_use_id, "is_error": is_error}]


def _kind(block: JsonValue) -> JsonValue:
    return block.get("type") if isinstance(block, Mapping) else None


def _as_list(content: JsonValue) -> list[JsonValue]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _system(content: JsonValue) -> JsonValue:
    if isinstance(content, str):
        return content
    if any(isinstance(block, Mapping) and _kind(block) != "text" for block in content):
        raise UnknownKind
    return [{"type": "text", "text": block} if isinstance(block, str) else _text(block) for block in content]


def _content(turn: ChatTurn) -> JsonValue:
    if isinstance(turn.content, str):
        return turn.content
    return [written for block in turn.content for written in _block(block, turn)]


def _block(block: JsonValue, turn: ChatTurn) -> list[dict[str, JsonValue]]:
    """The block as it is sent; none for text without words."""
    if isinstance(block, str):
        return [{"type": "text", "text": block}]
    kind = _kind(block)
    if kind == "text":
        return [_text(block)] if block.get("text", "").strip() else []
    if kind == "thinking":
        thought = _fields(block)
        return [{**thought, "thinking": thought.get("thinking", "")} if "signature" in thought else thought]
    if kind == "redacted_thinking":
        return [_fields(block)]
    if kind == "image_url":
        return [{"type": "image", "source": _image(block["image_url"]["url"])}]
    if kind in ("image", "document"):
        return [_media(block)]
    if kind == "tool_use" and turn.role == "assistant":
        return [_call(block, turn)]
    if kind == "tool_result" and turn.role == "user":
        return [_result(block)]
    raise UnknownKind


def _fields(block: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in block.items() if name in _FIELDS[block["type"]]}


def _text(block: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    if "source_type" in block:
        raise UnknownKind
    written = _fields(block)
    if written.get("citations"):
        written["citations"] = [
            {name: value for name, value in citation.items() if name != "file_id" or value is not None}
            for citation in written["citations"]
        ]
    return written


def _image(url: str) -> dict[str, JsonValue]:
    found = _DATA_URL.match(url)
    if found:
        return {"type": "base64", "media_type": found[1], "data": found[2]}
    if _WEB_URL.match(url):
        return {"type": "url", "url": url}
    raise UnknownKind


def _media(block: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Anthropic's own blocks as they are; of LangChain's, images by address or in base64."""
    if "source" in block and not any(name in block for name in _NOT_PLAIN):
        return dict(block)
    if block["type"] != "image" or any(name in block for name in ("source_type", "extras", "metadata")):
        raise UnknownKind
    if "url" in block:
        source = _image(block["url"])
    elif block.get("base64"):
        source = {"type": "base64", "media_type": block["mime_type"], "data": block["base64"]}
    else:
        raise UnknownKind
    return {"type": "image", "source": source} | {name: block[name] for name in _OF_DATA_BLOCK if name in block}


def _result(block: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    content = block["content"]
    if isinstance(content, list):
        if any(_kind(item) == "tool_reference" for item in content):
            raise UnknownKind
        inner = ChatTurn("user", [_without_mark(item) for item in content])
        return {**block, "content": _content(inner)}
    if not isinstance(content, str):
        raise UnknownKind
    return dict(block)


def _without_mark(block: JsonValue) -> JsonValue:
    """Parts of a tool result carry no `cache_control`."""
    if isinstance(block, Mapping):
        return {name: value for name, value in block.items() if name != "cache_control"}
    return block


def _call(block: Mapping[str, JsonValue], turn: ChatTurn) -> dict[str, JsonValue]:
    """A call in the content. Where the message lists it beside the content too, that counts."""
    if block.get("caller") or block.get("toolset_name"):
        raise UnknownKind
    same = [call for call in turn.extra.get("tool_calls") or () if call["id"] == block["id"]]
    if len(same) > 1:
        raise UnknownKind
    if same:
        return _tool_use(same[0])
    given = block.get("input")
    if not given and "partial_json" in block:
        given = json.loads(block["partial_json"] or "{}")  # broken JSON is a ValueError: not known
    return {"type": "tool_use", "name": block["name"], "input": given or {}, "id": block["id"]}


def _tool_use(call: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {"type": "tool_use", "name": call["name"], "input": call["args"], "id": call["id"]}


def _with_calls(turn: ChatTurn, content: JsonValue) -> JsonValue:
    """With the calls that stand beside the content alone."""
    calls = turn.extra.get("tool_calls") or ()
    if not calls:
        return content
    blocks = _as_list(content) if content else []
    known = {block["id"] for block in blocks if block["type"] == "tool_use"}
    return [*blocks, *(_tool_use(call) for call in calls if call["id"] not in known)]
