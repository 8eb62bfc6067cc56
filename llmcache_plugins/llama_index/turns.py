"""Messages of LlamaIndex as `ChatTurn`s and as blocks of the canonical answer, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from io import IOBase
from pathlib import Path
from typing import Any

from llama_index.core.base.llms import types as llama_types
from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitationBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from llmcache_plugins.errors import CodecError
from llmcache_plugins.keys.messages import ChatTurn
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json
from llmcache_plugins.types import JsonValue, Usage

__all__ = ["MARK", "VOLATILE", "block_from", "blocks_of", "content_of", "tokens_of", "turn_of"]

MARK = "llmcache"
# What a call cost, and what streaming left: no part of what was said.
VOLATILE = {"usage", "stop_reason", "thinking_delta", "prompt_tokens", "completion_tokens", "total_tokens", MARK}
# Classes by the name of their kind. What is stored says a kind; it never names a class.
_KINDS: dict[str, type[BaseModel]] = {
    kind.model_fields["block_type"].default: kind
    for kind in vars(llama_types).values()
    if isinstance(kind, type) and issubclass(kind, BaseModel) and "block_type" in kind.model_fields
}
_KINDS.pop("cache", None)


_TOKENS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def tokens_of(usage: Usage) -> dict[str, int]:
    """The tokens as JSON."""
    return {name: getattr(usage, name) for name in _TOKENS}


# ---------------------------------------------------------------- for the key
def turn_of(message: ChatMessage) -> ChatTurn:
    """One message as it is compared with others.

    Raises:
        IndistinctCall: it holds something that nobody can compare.
    """
    blocks = [_turn_block(block) for block in message.blocks if not isinstance(block, CachePoint)]
    extra = {
        name: as_json(value, with_models=True)
        for name, value in message.additional_kwargs.items()
        if name not in VOLATILE and name != "cache_control"
    }
    role = getattr(message.role, "value", message.role)
    return ChatTurn(str(role), [block for block in blocks if block != _NOTHING], extra)


_NOTHING = {"type": "text", "text": ""}  # what some streams leave beside a tool call


def _turn_block(block: Any) -> JsonValue:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    if isinstance(block, ToolCallBlock):
        return {
            "type": "tool_use",
            "id": block.tool_call_id,
            "name": block.tool_name,
            "input": _arguments(block.tool_kwargs),
        }
    if isinstance(block, ThinkingBlock):
        more = {name: value for name, value in block.additional_information.items() if name != "type"}
        return {"type": "thinking", "thinking": block.content or "", **as_json(more, with_models=True)}
    return _other_block(block)


def _arguments(given: Any) -> JsonValue:
    """Some providers give the arguments of a call as text."""
    if isinstance(given, str):
        try:
            return json.loads(given or "{}")
        except (ValueError, RecursionError):
            return given
    return as_json(given)


def _other_block(block: Any) -> JsonValue:
    """An image, a document, a citation: what it shows, a file by its content."""
    if not isinstance(block, BaseModel) or any(isinstance(value, IOBase) for value in vars(block).values()):
        raise IndistinctCall(f"a block of the class {type(block).__name__}")
    shown: dict[str, JsonValue] = {"type": getattr(block, "block_type", type(block).__name__)}
    dumped = as_json(block, with_models=True)
    for name, value in dumped.items():
        if name == "path" and value is not None:
            shown["path"] = _digest_of_file(value)
        elif name != "block_type" and value is not None:
            shown[name] = _inner(getattr(block, name, None), value)
    return shown


def _inner(given: Any, dumped: JsonValue) -> JsonValue:
    """What is citable holds blocks itself."""
    if isinstance(given, BaseModel):
        return _turn_block(given)
    if isinstance(given, list) and len(given) == len(dumped):
        return [_inner(one, shown) for one, shown in zip(given, dumped, strict=True)]
    return dumped


def _digest_of_file(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise IndistinctCall("a file that cannot be read") from error


# ---------------------------------------------------------------- for the answer
def content_of(blocks: Iterable[Any]) -> JsonValue:
    """The blocks of an answer in canonical form: a plain text where it is no more than that.

    Raises:
        CodecError: a block cannot be written so that every plugin reads it.
    """
    blocks = list(blocks)
    if len(blocks) == 1 and isinstance(blocks[0], TextBlock):
        return blocks[0].text
    return [_answer_block(block) for block in blocks if not isinstance(block, CitationBlock)]


def _answer_block(block: Any) -> dict[str, JsonValue]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    if isinstance(block, ToolCallBlock):
        arguments = _arguments(block.tool_kwargs)
        if not isinstance(arguments, Mapping):
            raise CodecError("the arguments of a tool call are not JSON")
        return {"type": "tool_use", "id": block.tool_call_id, "name": block.tool_name, "input": arguments}
    if isinstance(block, ThinkingBlock):
        signature = block.additional_information.get("signature", "")
        return {"type": "thinking", "thinking": block.content or "", "signature": signature}
    return {"type": str(getattr(block, "block_type", "unknown"))}  # the plugin keeps it whole beside the content


def blocks_of(content: Sequence[Mapping[str, JsonValue]]) -> list[Any]:
    """LlamaIndex's blocks of a canonical content, whoever wrote it; what LlamaIndex has no block for is left out."""
    blocks: list[Any] = []
    seen: list[JsonValue] = []
    for block in content:
        kind = block.get("type")
        if kind == "text":
            blocks.append(TextBlock(text=block["text"]))
            for citation in block.get("citations") or []:
                if citation.get("type") == "search_result_location" and citation not in seen:
                    seen.append(citation)
                    blocks.append(_citation_block(citation))
        elif kind == "tool_use":
            blocks.append(
                ToolCallBlock(tool_call_id=block.get("id"), tool_name=block["name"], tool_kwargs=block["input"])
            )
        elif kind == "thinking":
            more = {name: value for name, value in block.items() if name != "thinking"}
            blocks.append(ThinkingBlock(content=block["thinking"], additional_information=more))
    return blocks


def _citation_block(citation: Mapping[str, JsonValue]) -> CitationBlock:
    places = ("start_block_index", "end_block_index", "search_result_index")
    return CitationBlock(
        cited_content=TextBlock(text=citation["cited_text"]),
        source=citation["source"],
        title=citation.get("title") or "",
        additional_location_info={name: citation[name] for name in places},
    )


def block_from(stored: Mapping[str, JsonValue]) -> Any:
    """A block that this plugin stored as it was.

    Raises:
        CodecError: its kind is not known.
    """
    kind = _KINDS.get(str(stored.get("block_type")))
    if kind is None:
        raise CodecError("the stored answer holds a block of an unknown kind")
    return kind.model_validate(stored)
