"""Stored answers as fresh generations, in LangChain's classes.

Validating a message costs more than all the rest of a hit, and its result is the same each time: a small answer is
validated once, and every hit gets a copy of that prototype in which nothing mutable is shared.
"""

from __future__ import annotations

import json
import os
import random
from functools import lru_cache
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation

from llmcache_plugins.canonical.answer import ChatAnswer, stored_answers
from llmcache_plugins.errors import CodecError
from llmcache_plugins.langchain.answers import ECHOES, MARK, PLUGIN, UsageMode, usage_metadata_of
from llmcache_plugins.langchain.foreign import message_of_answer
from llmcache_plugins.types import Hit, JsonValue, Usage

__all__ = ["generations_of", "mark_of"]

_MEMO_CHARS = 8192  # larger answers are decoded each time, so that the prototypes stay within a few megabytes
# Ids have to be unique, not secret, and asking the system for random bytes is a system call on every hit. A generator
# of our own, for the common one repeats itself when a user seeds it; a forked child must not repeat its parent.
_random = random.Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


class _Prototype(NamedTuple):
    """A validated generation, never handed out itself, and the usage that was stored with it."""

    generation: Generation
    usage: JsonValue


def generations_of(hit: Hit, usage: UsageMode = "zero", *, with_ids: bool = True) -> list[Generation]:
    """Fresh generations from a stored answer, with new message and tool-call ids (or without message ids).

    A list, for LangChain takes nothing else for a hit. Chat messages say in `response_metadata["llmcache"]` where they
    come from, with the hit's whole `evidence`; `generation_info` comes back as it was.

    Raises:
        CodecError: what is stored is not of our making.
    """
    answer_json = hit.entry.answer_json
    try:
        prototypes = _memoised(answer_json) if len(answer_json) <= _MEMO_CHARS else None
        if prototypes is None:
            prototypes = _prototypes(json.loads(answer_json))
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the stored answer cannot be read: {type(error).__name__}") from error
    return [_copy(prototype, hit, usage, with_ids) for prototype in prototypes]


@lru_cache(maxsize=512)
def _memoised(answer_json: str) -> tuple[_Prototype, ...] | None:
    """None for an answer with tool calls: their ids are woven into content and calls, and have to be new each time."""
    content = json.loads(answer_json)
    if isinstance(content, dict) and content.get("has_tool_ids"):
        return None
    return _prototypes(content)


def _prototypes(content: JsonValue) -> tuple[_Prototype, ...]:
    return tuple(_prototype(answer) for answer in stored_answers(content))


def _prototype(answer: ChatAnswer) -> _Prototype:
    own = answer.extra.get(PLUGIN)
    if own is None:  # another plugin wrote it
        return _Prototype(ChatGeneration(message=message_of_answer(answer)), _spent(answer, {}))
    info = own.get("info")
    if own["kind"] == "text":
        return _Prototype(Generation(text=answer.content, generation_info=info), None)
    if own["kind"] != "chat":
        raise CodecError("the stored answer is of an unknown kind")
    return _Prototype(ChatGeneration(message=_message(answer, own), generation_info=info), _spent(answer, own))


def _spent(answer: ChatAnswer, own: dict[str, JsonValue]) -> JsonValue:
    if "usage_metadata" in own:
        return own["usage_metadata"]
    return None if answer.usage == Usage() else usage_metadata_of(answer.usage)


def _message(answer: ChatAnswer, own: dict[str, JsonValue]) -> BaseMessage:
    fields: dict[str, Any] = {name: own[name] for name in ("additional_kwargs", "name") if name in own}
    echoed = {name: getattr(answer, ECHOES[name]) for name in own.get("echoes", ())}
    fields["content"] = answer.content
    fields["response_metadata"] = {**own.get("response_metadata", {}), **echoed}
    if "role" in own:
        return ChatMessage(role=own["role"], **fields)
    if "invalid_tool_calls" in own:
        fields["invalid_tool_calls"] = own["invalid_tool_calls"]
    return AIMessage(tool_calls=answer.tool_calls, **fields)


def _copy(prototype: _Prototype, hit: Hit, usage: UsageMode, with_ids: bool) -> Generation:
    generation, spent = prototype
    info = _fresh(generation.generation_info)
    if not isinstance(generation, ChatGeneration):
        return generation.model_copy(update={"generation_info": info})
    message = generation.message
    changes: dict[str, JsonValue] = {
        # Never the stored id: a thread that holds it already would replace the earlier message by this one.
        "id": f"llmcache-{_random.getrandbits(128):032x}" if with_ids else None,
        "content": _fresh(message.content),
        "additional_kwargs": _fresh(message.additional_kwargs),
        "response_metadata": {**_fresh(message.response_metadata), MARK: mark_of(hit, spent)},
    }
    if isinstance(message, AIMessage):
        changes["tool_calls"] = _fresh(message.tool_calls)
        changes["invalid_tool_calls"] = _fresh(message.invalid_tool_calls)
        # Zeros rather than nothing: the framework adds a cost of 0 and would leave the required keys out.
        zero = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
        changes["usage_metadata"] = _fresh(spent) if spent and usage == "keep" else zero
    return generation.model_copy(update={"message": message.model_copy(update=changes), "generation_info": info})


def mark_of(hit: Hit, spent: JsonValue) -> dict[str, JsonValue]:
    """What a hit says of itself.

    Args:
        spent: the stored `usage_metadata`; None when there is none.
    """
    return {
        **hit.evidence,
        "hit": True,
        "tier": hit.tier,
        "saved_usage": _fresh(spent) or {},
    }


def _fresh(value: JsonValue) -> JsonValue:
    """A copy of JSON that shares no list and no dict with the original."""
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in value.items()} if value else {}
    if isinstance(value, list):
        return [_fresh(item) for item in value]
    return value
