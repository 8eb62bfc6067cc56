"""A stored answer as the pieces of a stream. Their sum is the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessageChunk, ChatMessage, ChatMessageChunk
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llmcache_plugins.errors import CodecError
from llmcache_plugins.types import JsonValue

__all__ = ["chat_pieces", "text_pieces"]

_WORD = re.compile(r"\S+\s*|\s+")
_MOST_PIECES = 64  # of one text: what a framework does for each of them costs more than all the rest of a hit
_IN_EACH = ("model_provider", "output_version")  # a piece alone is read by them; LangChain's sum knows them
_IN_FIRST = ("model_name",)
_SPLIT = {"text": "text", "thinking": "thinking", "reasoning": "reasoning"}  # type of a block -> its words
_AT_THE_END = ("signature",)
_CALLS = ("tool_use", "tool_call", "function_call")


def text_pieces(generation: Generation) -> list[GenerationChunk]:
    """The pieces of a completion; `generation_info` is in the last."""
    pieces = [GenerationChunk(text=words) for words in _split(generation.text)] or [GenerationChunk(text="")]
    pieces[-1].generation_info = generation.generation_info
    return pieces


def chat_pieces(generation: ChatGeneration) -> list[ChatGenerationChunk]:
    """The pieces of a chat answer: words, tool calls, and at the end what is said of the whole.

    Raises:
        CodecError: no answer of a model can look like this.
    """
    message = generation.message
    if isinstance(message, ChatMessage):
        content = message.content
        texts: list[Any] = (_split(content) or [""]) if isinstance(content, str) else [content]
        pieces: list[BaseMessageChunk] = [ChatMessageChunk(content=text, role=message.role) for text in texts]
        pieces[-1].response_metadata = message.response_metadata
        pieces[-1].additional_kwargs = message.additional_kwargs
    elif isinstance(message, AIMessage):
        pieces = list(_pieces(message))
    else:
        raise CodecError(f"a {type(message).__name__} cannot be streamed")
    chunks = [ChatGenerationChunk(message=piece) for piece in pieces]
    chunks[-1].generation_info = generation.generation_info
    return chunks


def _pieces(message: AIMessage) -> Iterator[AIMessageChunk]:
    metadata = message.response_metadata
    each = {name: metadata[name] for name in _IN_EACH if name in metadata}
    first = {name: metadata[name] for name in _IN_FIRST if name in metadata}
    last = {name: value for name, value in metadata.items() if name not in first}
    is_first = True
    for content, calls in _contents(message):
        yield AIMessageChunk(
            content=content,
            tool_call_chunks=calls,
            response_metadata={**each, **first} if is_first else dict(each),
            additional_kwargs=message.additional_kwargs if is_first else {},
        )
        is_first = False
    yield AIMessageChunk(
        content="" if isinstance(message.content, str) else [],
        response_metadata={**last, **first} if is_first else last,
        additional_kwargs=message.additional_kwargs if is_first else {},
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )


def _contents(message: AIMessage) -> Iterator[tuple[Any, list[ToolCallChunk]]]:
    """Content and tool calls of each piece. A call that stands in the content too comes with its block."""
    calls = {call["id"]: tool_call_chunk(**_words(call)) for call in message.tool_calls}
    used = 0
    if isinstance(message.content, str):
        for words in _split(message.content):
            yield words, []
    else:
        for place, block in enumerate(message.content):
            for piece in _block_pieces(block, place):
                yield [piece], _call_of(piece, calls)
            used = place + 1
    empty: str | list[Any] = "" if isinstance(message.content, str) else []
    for place, call in enumerate(calls.values(), used):
        yield empty, [{**call, "index": place}]
    for place, invalid in enumerate(message.invalid_tool_calls, used + len(calls)):
        named = {name: invalid[name] for name in ("id", "name", "args")}
        yield empty, [tool_call_chunk(**named, index=place)]


def _words(call: Any) -> dict[str, Any]:
    return {"id": call["id"], "name": call["name"], "args": json.dumps(call["args"], ensure_ascii=False)}


def _call_of(block: JsonValue, calls: dict[str | None, ToolCallChunk]) -> list[ToolCallChunk]:
    if not isinstance(block, dict) or block.get("type") not in _CALLS:
        return []
    call = calls.pop(block.get("call_id") or block.get("id"), None)
    return [] if call is None else [{**call, "index": block["index"] if isinstance(block["index"], int) else None}]


def _block_pieces(block: JsonValue, place: int) -> list[JsonValue]:
    """A block with its place, by which LangChain puts the pieces together again."""
    if not isinstance(block, dict):
        return [block]
    block = {"index": place, **block}
    name = _SPLIT.get(block.get("type", ""), "")
    words = _split(block[name]) if isinstance(block.get(name), str) else []
    if len(words) < 2:
        return [block]
    same = {"type": block["type"], "index": block["index"]}
    pieces = [{**same, name: piece} for piece in words]
    for field, value in block.items():
        if field not in (*same, name):
            pieces[-1 if field in _AT_THE_END else 0][field] = value
    return pieces


def _split(text: str) -> list[str]:
    """At the borders of words, into a few dozen parts at most."""
    words = _WORD.findall(text)
    step = -(-len(words) // _MOST_PIECES) or 1
    return ["".join(words[start : start + step]) for start in range(0, len(words), step)]
