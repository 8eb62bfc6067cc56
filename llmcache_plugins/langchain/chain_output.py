"""What chains give back, as JSON, and from JSON; whole, and in the pieces of a stream.

What JSON lacks stands under one of a few words: `document`, `message`, `dict`, `model`. Classes come from LangChain and
from the `output` class that the user names, never from what is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import reduce
from operator import add
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.runnables.utils import AddableDict
from pydantic import TypeAdapter

from llmcache_plugins.canonical.answer import is_said, new_id
from llmcache_plugins.errors import CodecError
from llmcache_plugins.keys.renew import has_tool_ids, renew_tool_ids
from llmcache_plugins.langchain.answers import MARK
from llmcache_plugins.types import Hit, JsonValue

__all__ = ["is_blank", "output_of", "pieces_of", "stored_of", "whole_of"]

_FORM = "chain/1"
_MESSAGES: dict[str, type[BaseMessage]] = {
    "ai": AIMessage,
    "human": HumanMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
    "chat": ChatMessage,
}
_FIELDS = ("name", "tool_calls", "invalid_tool_calls", "additional_kwargs", "usage_metadata", "role")
_ARTIFACT = "artifact"  # of a tool: any object, documents for example
_TOOL_FIELDS = ("tool_call_id", "status", _ARTIFACT)
_WORDS = re.compile(r"\S+\s*|\s+")


def stored_of(output: Any, cls: Any = None) -> JsonValue:
    """
    Args:
        cls: the class of outputs, or of parts of them, that are neither JSON nor LangChain's.

    Raises:
        CodecError: something in it is none of these.
    """
    encoded = _encoded(output, cls)
    return {"form": _FORM, "output": encoded, "has_tool_ids": has_tool_ids(encoded)}


def output_of(hit: Hit, cls: Any = None) -> Any:
    """The output as it was. Answers of models have new ids, no usage, and the mark of a hit.

    Raises:
        CodecError: what is stored is not of our making, or is not of this class.
    """
    try:
        content = hit.answer
        if content["form"] != _FORM:
            raise CodecError("the stored output is of another form")
        encoded = renew_tool_ids(content["output"]) if content["has_tool_ids"] else content["output"]
        return _decoded(encoded, cls, hit)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the stored output cannot be read: {type(error).__name__}") from error


def is_blank(output: Any) -> bool:
    """Is there nothing in it?"""
    if isinstance(output, AIMessage):
        return not (is_said(output.content) or output.tool_calls or output.invalid_tool_calls)
    return output is None or (isinstance(output, str) and not output.strip()) or output in ([], {})


# ------------------------------------------------------------------------------------------------------------- in
def _encoded(value: Any, cls: Any) -> JsonValue:
    if isinstance(cls, type) and type(value) is cls:
        return {"model": _of_class(value, cls)}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str | float) and not isinstance(value, Enum):
        return str(value) if isinstance(value, str) else float(value)  # LangChain's `TextAccessor`, numpy's numbers
    if type(value) is list:
        return [_encoded(item, cls) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {"dict": {key: _encoded(item, cls) for key, item in value.items()}}
    if type(value) is Document:
        metadata = _json(value.metadata, "metadata of a document")
        return {"document": {"id": value.id, "page_content": value.page_content, "metadata": metadata}}
    if isinstance(value, BaseMessage):
        return {"message": _message(value)}
    raise CodecError(f"an output with a {type(value).__name__} cannot be stored; if it is its class, give output=")


def _of_class(value: Any, cls: Any) -> JsonValue:
    try:
        adapter = TypeAdapter(cls)
        dumped = adapter.dump_python(value, mode="json")
        is_equal = adapter.validate_python(dumped) == value
    except Exception as error:
        raise CodecError(f"a {cls.__name__} cannot be made to JSON and back: {type(error).__name__}") from error
    if not is_equal:
        raise CodecError(f"a {cls.__name__} does not come back equal from JSON")
    return dumped


def _message(message: BaseMessage) -> JsonValue:
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    kind = next((kind for kind, cls in _MESSAGES.items() if type(message) is cls), None)
    if kind is None:
        raise CodecError(f"an output with a {type(message).__name__} cannot be stored")
    stored: dict[str, JsonValue] = {"kind": kind, "content": _json(message.content, "content")}
    for name in (*_FIELDS, *(_TOOL_FIELDS if kind == "tool" else ())):
        value = getattr(message, name, None)
        if value:
            stored[name] = _encoded(value, None) if name == _ARTIFACT else _json(value, name)
    # A header or a date among a provider's metadata is no reason to pay twice.
    metadata = {name: value for name, value in message.response_metadata.items() if name != MARK and _is_json(value)}
    return {**stored, "response_metadata": metadata}


def _json(value: Any, where: str) -> JsonValue:
    if not _is_json(value):
        raise CodecError(f"the {where} of an output is not JSON and cannot be stored")
    return value


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


# ------------------------------------------------------------------------------------------------------------ out
def _decoded(encoded: JsonValue, cls: Any, hit: Hit) -> Any:
    if isinstance(encoded, list):
        return [_decoded(item, cls, hit) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((word, value),) = encoded.items()
    if word == "dict":
        return {key: _decoded(item, cls, hit) for key, item in value.items()}
    if word == "document":
        return Document(id=value["id"], page_content=value["page_content"], metadata=value["metadata"])
    if word == "message":
        return _message_again(value, hit)
    if word == "model" and cls is not None:
        return TypeAdapter(cls).validate_python(value)
    raise CodecError(f"the stored output needs a class, and no output= is given: {word}")


def _message_again(stored: Mapping[str, JsonValue], hit: Hit) -> BaseMessage:
    fields = {
        name: _decoded(value, None, hit) if name == _ARTIFACT else value
        for name, value in stored.items()
        if name != "kind"
    }
    cls = _MESSAGES[stored["kind"]]
    if cls is AIMessage:
        spent = fields.pop("usage_metadata", None)
        mark = {**hit.evidence, "hit": True, "tier": hit.tier, "saved_usage": spent or {}}
        fields["response_metadata"] = {**fields.get("response_metadata", {}), MARK: mark}
        fields["usage_metadata"] = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
        fields["id"] = new_id("llmcache-")  # a thread may hold the stored one already
    return cls(**fields)


# ------------------------------------------------------------------------------------------------------ in pieces
def whole_of(pieces: Sequence[Any]) -> Any:
    """What the pieces of a stream amount to: text and messages add up, dicts by their keys; of what cannot be added
    (a parser's dict that grows) the last is the whole.

    Raises:
        CodecError: they may add up or replace each other (lists, numbers): nobody can tell.
    """
    last = pieces[-1] if pieces else None
    if len(pieces) < 2:
        return _settled(last)
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if all(isinstance(piece, BaseMessageChunk) for piece in pieces):
        return _settled(reduce(add, pieces))
    if all(isinstance(piece, AddableDict) for piece in pieces):
        keys = dict.fromkeys(key for piece in pieces for key in piece)
        parts = {key: [piece[key] for piece in pieces if piece.get(key) is not None] for key in keys}
        return {key: whole_of(part) for key, part in parts.items()}
    if isinstance(last, list | tuple | int | float) or any(type(piece) is not type(last) for piece in pieces):
        raise CodecError(f"a stream of {type(last).__name__} cannot be stored: nobody can tell what its pieces make")
    return last


def _settled(value: Any) -> Any:
    """A message in place of its last piece."""
    if isinstance(value, BaseMessageChunk):
        return message_chunk_to_message(value)
    return {key: _settled(item) for key, item in value.items()} if type(value) is AddableDict else value


def pieces_of(output: Any, given: Any, *, by_key: bool) -> Iterator[Any]:
    """The pieces in which a stream gives a stored output: text by words.

    Args:
        given: the input. What is handed on from it comes whole.
        by_key: the chain streams a dict key by key.
    """
    if isinstance(output, str):
        yield from _words(output)
    elif type(output) is AIMessage:
        yield from _chunks(output)
    elif by_key and type(output) is dict and output:
        handed_on = given if isinstance(given, Mapping) else {}
        for key, value in output.items():
            is_whole = isinstance(value, str) and handed_on.get(key) == value
            for piece in [value] if is_whole else pieces_of(value, None, by_key=False):
                yield AddableDict({key: piece})
    else:
        yield output


def _words(text: str) -> list[str]:
    return _WORDS.findall(text) or [text]


def _chunks(message: AIMessage) -> Iterator[AIMessageChunk]:
    """The content, then what is known at its end."""
    words: list[Any] = _words(message.content) if isinstance(message.content, str) else [message.content]
    for word in words:
        yield AIMessageChunk(content=word, id=message.id)
    calls = [
        tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=number)
        for number, call in enumerate(message.tool_calls)
    ]
    yield AIMessageChunk(
        content="" if isinstance(message.content, str) else [],
        id=message.id,
        name=message.name,
        tool_call_chunks=calls,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )
