"""LangChain's generations as neutral JSON (`replay` is the way back).

The stored form names two kinds of generation and two kinds of message; no class name is stored, and none is revived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from llmcache_plugins.errors import CodecError
from llmcache_plugins.keys.renew import has_tool_ids
from llmcache_plugins.types import Answer, JsonValue, Usage

__all__ = ["FORM", "MARK", "MESSAGE_FIELDS", "UsageMode", "answer_of"]

UsageMode: TypeAlias = Literal["zero", "keep"]
FORM = "langchain/1"
MARK = "llmcache"  # in `response_metadata`; never part of a key

_FINISH_FIELDS = (
    "stop_reason",
    "finish_reason",
    "done_reason",
    "stopReason",
    "finishReason",
    "completion_reason",
    "completionReason",
)
_GOOD_ENDS = {
    "stop",
    "end_turn",
    "tool_use",
    "tool_calls",
    "function_call",
    "stop_sequence",
    "eos",
    "eos_token",
    "complete",
    "completed",
    "finished",
    "end",
}
MESSAGE_FIELDS = ("tool_calls", "invalid_tool_calls", "additional_kwargs", "name")


def answer_of(generations: Sequence[Generation]) -> Answer:
    """What to store for these generations.

    Raises:
        CodecError: they hold something that is not JSON, or a class of message we could not give back.
    """
    stored = [_stored(generation) for generation in generations]
    # Noted once, so that a hit without tool calls need not search its answer for their ids.
    content: JsonValue = {"form": FORM, "generations": stored, "has_tool_ids": has_tool_ids(stored)}
    if all(_is_empty(generation) for generation in generations):
        content = None  # nothing was said: the engine refuses it as empty
    return Answer(content, finish_reason=_finish_reason(generations), usage=_usage(generations))


def _stored(generation: Generation) -> dict[str, JsonValue]:
    stored: dict[str, JsonValue] = {}
    if generation.generation_info is not None:
        stored["info"] = _json(generation.generation_info, "generation_info")
    if not isinstance(generation, ChatGeneration):
        return {"kind": "text", "text": generation.text, **stored}
    return {"kind": "chat", "message": _stored_message(generation.message), **stored}


def _stored_message(message: BaseMessage) -> dict[str, JsonValue]:
    stored: dict[str, JsonValue] = {"content": _json(message.content, "content")}
    kind = type(message).__name__.removesuffix("Chunk")
    if kind == "ChatMessage" and isinstance(message, ChatMessage):
        stored["role"] = message.role
    elif kind != "AIMessage" or not isinstance(message, AIMessage):
        raise CodecError(f"answers of the class {type(message).__name__} cannot be stored")
    for name in MESSAGE_FIELDS:
        value = getattr(message, name, None)
        if value:
            stored[name] = _json(value, name)
    if message.response_metadata:
        stored["response_metadata"] = _portable(message.response_metadata)
    usage = getattr(message, "usage_metadata", None)
    if usage:
        stored["usage"] = _json(usage, "usage_metadata")
    return stored


def _json(value: object, where: str) -> JsonValue:
    """`value` as plain JSON that comes back equal; a pydantic object (`parsed`) becomes its dict."""
    if value is None or isinstance(value, str | int | float):  # bool is an int
        return value
    if isinstance(value, list):
        return [_json(item, where) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise CodecError(f"{where} of this answer cannot be stored: a key is not a string")
        return {key: _json(item, where) for key, item in value.items()}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise CodecError(f"{where} of this answer cannot be stored: it holds a {type(value).__name__}")


def _portable(metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """The entries of a provider's metadata that are JSON: a header or date object is no reason to pay twice."""
    kept: dict[str, JsonValue] = {}
    for name, value in metadata.items():
        if name == MARK:
            continue
        try:
            kept[name] = _json(value, name)
        except CodecError:
            continue
    return kept


def _is_empty(generation: Generation) -> bool:
    if not isinstance(generation, ChatGeneration):
        return not generation.text.strip()
    message = generation.message
    calls = getattr(message, "tool_calls", None) or getattr(message, "invalid_tool_calls", None)
    content: object = message.content
    if isinstance(content, str):
        content = content.strip()
    elif all(_is_blank(block) for block in message.content):
        content = None
    return not content and not calls and not message.additional_kwargs


def _is_blank(block: object) -> bool:
    text = block.get("text", "") if isinstance(block, Mapping) and block.get("type") == "text" else block
    return isinstance(text, str) and not text.strip()


def _finish_reason(generations: Iterable[Generation]) -> str | None:
    """Why the model stopped: the first word that is no good end, else the first word there is."""
    first = None
    for generation in generations:
        for word in _finish_words(generation):
            if word.lower() not in _GOOD_ENDS:
                return word
            first = first or word
    return first


def _finish_words(generation: Generation) -> Iterable[str]:
    sources: list[Mapping[str, object]] = [generation.generation_info or {}]
    if isinstance(generation, ChatGeneration):
        message = generation.message
        sources.append(message.response_metadata)
        if message.additional_kwargs.get("refusal"):
            yield "refusal"
        if isinstance(message.content, list) and any(_is_server_side(block) for block in message.content):
            yield "pause_turn"  # made with a tool that ran at the provider's: such an answer is of its moment
    for source in sources:
        for name in _FINISH_FIELDS:
            word = source.get(name)
            if isinstance(word, str) and word:
                yield word
        details = source.get("incomplete_details")
        if isinstance(details, Mapping):
            yield str(details.get("reason") or "incomplete")


def _is_server_side(block: object) -> bool:
    return isinstance(block, Mapping) and str(block.get("type", "")).startswith(
        ("server_tool", "mcp_tool", "web_search_tool_result", "code_execution_tool_result")
    )


def _usage(generations: Iterable[Generation]) -> Usage:
    total = [0, 0, 0, 0]
    for generation in generations:
        found = getattr(generation.message, "usage_metadata", None) if isinstance(generation, ChatGeneration) else None
        if not found:
            continue
        details = found.get("input_token_details") or {}
        written, read = (int(details.get(name) or 0) for name in ("cache_creation", "cache_read"))
        # LangChain counts tokens written to and read from the provider's cache as input tokens too.
        total[0] += max(0, int(found.get("input_tokens") or 0) - written - read)
        total[1] += int(found.get("output_tokens") or 0)
        total[2] += written
        total[3] += read
    return Usage(*total)
