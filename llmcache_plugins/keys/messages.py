"""Canonical messages: what two equal conversations have in common, and the request made from them.

Adapters translate a framework's messages into `ChatTurn`s; which parts of them matter is decided here, once for all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from llmcache_plugins.keys.params import canonical_params
from llmcache_plugins.keys.question import Extractor, FramedQuestion, QuestionExtractor, looks_framed
from llmcache_plugins.types import JsonValue, Namespace, Request

__all__ = ["ChatTurn", "canonical_messages", "request_from_messages", "request_from_prompt"]


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message in neutral form.

    Args:
        role: `system`, `user`, `assistant`, `tool`, or a framework's own word.
        content: a string, or a list of strings and blocks (dicts with a `type`); JSON.
        extra: everything else the message carries (`tool_calls`, `tool_call_id`, `name`, ...); JSON.
    """

    role: str
    content: JsonValue = field(repr=False)
    extra: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)


# Differ from run to run, or say what a call cost: they never shape the next answer.
_VOLATILE = {
    "id",
    "usage_metadata",
    "response_metadata",
    "artifact",
    "tool_call_chunks",
    "chunk_position",
    "example",
    "type",
}
_VOLATILE_IN_BLOCK = {"index", "cache_control"}
_TOOL_BLOCKS = {"tool_use", "tool_call", "function_call", "server_tool_use", "server_tool_call", "mcp_tool_use"}
_TOOL_REFERENCES = ("tool_use_id", "tool_call_id", "call_id")


class _Aliases:
    """Tool-call ids by order of appearance: random ids become equal, while swapped ones still differ."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __call__(self, tool_id: JsonValue) -> JsonValue:
        if not isinstance(tool_id, str):
            return tool_id
        return self._names.setdefault(tool_id, f"call_{len(self._names)}")


def canonical_messages(messages: Iterable[ChatTurn]) -> list[dict[str, JsonValue]]:
    """JSON of the messages without what varies between equal conversations.

    Dropped: message ids, usage, response metadata, artifacts, chunk fields, empty values, `cache_control` and block
    indexes. Tool-call ids are numbered by order of appearance. A string is the same as one text block.
    """
    alias = _Aliases()
    return [_canonical(message, alias) for message in messages]


def _canonical(message: ChatTurn, alias: _Aliases) -> dict[str, JsonValue]:
    canonical: dict[str, JsonValue] = {"role": message.role, "content": _blocks(message.content, alias)}
    for name, value in message.extra.items():
        if name in _VOLATILE or _is_empty(value) or (name == "status" and value == "success"):
            continue
        if name in ("tool_calls", "invalid_tool_calls") and isinstance(value, list):
            canonical[name] = [_tool_call(call, alias) for call in value]
        elif name == "tool_call_id":
            canonical[name] = alias(value)
        elif name == "additional_kwargs" and isinstance(value, Mapping):
            kept = {key: _provider_extra(key, item, alias) for key, item in value.items() if not _is_empty(item)}
            if kept:
                canonical[name] = kept
        else:
            canonical[f"extra:{name}" if name in ("role", "content") else name] = value
    return canonical


def _is_empty(value: JsonValue) -> bool:
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)


def _tool_call(call: JsonValue, alias: _Aliases) -> JsonValue:
    if not isinstance(call, Mapping):
        return call
    kept = {key: value for key, value in call.items() if key not in ("type", "index") and value is not None}
    if "id" in kept:
        kept["id"] = alias(kept["id"])
    return kept


def _provider_extra(name: str, value: JsonValue, alias: _Aliases) -> JsonValue:
    if name == "tool_calls" and isinstance(value, list):
        return [_tool_call(call, alias) for call in value]
    return value


def _blocks(content: JsonValue, alias: _Aliases) -> list[JsonValue]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list | tuple):
        return [] if content is None else [{"type": "unknown", "value": content}]
    return [_block(block, alias) for block in content]


def _block(block: JsonValue, alias: _Aliases) -> JsonValue:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if not isinstance(block, Mapping):
        return {"type": "unknown", "value": block}
    kept = {key: value for key, value in block.items() if key not in _VOLATILE_IN_BLOCK and value is not None}
    kind = kept.get("type")
    if kind == "text":
        kept.pop("id", None)  # numbered by the framework or the provider, anew in every response
    elif isinstance(kind, str) and kind in _TOOL_BLOCKS:
        if "id" in kept:
            kept["id"] = alias(kept["id"])
        _join_streamed_arguments(kept)
    for name in _TOOL_REFERENCES:
        if name in kept:
            kept[name] = alias(kept[name])
    if kind in ("tool_result", "mcp_tool_result") and isinstance(kept.get("content"), str | list):
        kept["content"] = _blocks(kept["content"], alias)
    return kept


def _join_streamed_arguments(block: dict[str, JsonValue]) -> None:
    """A streamed tool call holds its arguments as text beside an empty `input`: make it look like one made at once."""
    streamed = block.get("partial_json")
    if isinstance(streamed, str) and not block.get("input"):
        try:
            block["input"] = json.loads(streamed) if streamed else {}
        except (ValueError, RecursionError):
            return
        del block["partial_json"]


_ORDINARY = QuestionExtractor()
_UNCLEAR = "unclear_question"


def request_from_messages(
    messages: Sequence[ChatTurn],
    *,
    provider: str,
    model: str,
    params: Mapping[str, JsonValue],
    namespace: Namespace = (),
    extractor: Extractor = _ORDINARY,
    operation: str = "chat",
) -> Request:
    """The request that a conversation makes.

    The text is the question in the last user turn; earlier turns, the system prompt and the frame around the question
    are the context. When the last message is not a user's text alone, or shows documents but no certain question, the
    context holds all of it and the request is matched exactly only; the text is then for people to read.

    Args:
        messages: the conversation, oldest first.
        provider: who serves the model.
        model: the model's name.
        params: passed through `canonical_params`.
        namespace: tenant, application, ...
        extractor: finds the question inside a turn.
        operation: what kind of answer is stored; requests of two operations never share an entry.
    """
    canonical = canonical_messages(messages)
    exact_only = _why_exact_only(canonical)
    found = None if exact_only else _framed(canonical[-1]["content"][-1]["text"], extractor)
    context: dict[str, JsonValue] = {"operation": operation}
    if found is None:
        exact_only = exact_only or _UNCLEAR
        context["messages"] = canonical
        text = _last_user_text(canonical)
    else:
        *context["history"], turn = canonical
        *blocks, last = turn["content"]
        text = found.question
        context["turn"] = {**turn, "content": [*blocks, {**last, "text": [found.before, found.after]}]}
    return Request(
        text=text,
        provider=provider,
        model=model,
        params=canonical_params(params),
        context=context,
        namespace=namespace,
        exact_only=exact_only,
    )


def request_from_prompt(
    prompt: str,
    *,
    provider: str,
    model: str,
    params: Mapping[str, JsonValue],
    namespace: Namespace = (),
    extractor: Extractor = _ORDINARY,
    operation: str = "completion",
    exact_only: str | None = None,
) -> Request:
    """The request that a plain prompt makes; the arguments are those of `request_from_messages`."""
    if not prompt.strip():
        exact_only = exact_only or "empty"
    found = None if exact_only else _framed(prompt, extractor)
    if found is None:
        exact_only, found = exact_only or _UNCLEAR, FramedQuestion(prompt, "", "")
    return Request(
        text=found.question,
        provider=provider,
        model=model,
        params=canonical_params(params),
        context={"operation": operation, "frame": [found.before, found.after]},
        namespace=namespace,
        exact_only=exact_only,
    )


def _framed(turn: str, extractor: Extractor) -> FramedQuestion | None:
    """None when documents may stand in the turn, and nobody knows where: their words must not be matched by meaning."""
    return extractor(turn) or (None if looks_framed(turn) else FramedQuestion("", turn, ""))


def _why_exact_only(canonical: Sequence[dict[str, JsonValue]]) -> str | None:
    if not canonical:
        return "empty"
    last = canonical[-1]
    blocks = last["content"]
    if last["role"] != "user" or any(_type_of(block) == "tool_result" for block in blocks):
        return "agent_step"
    if any(_type_of(block) != "text" or not isinstance(block.get("text"), str) for block in blocks):
        return "media"
    # Several text blocks: the last one is matched by meaning, those before it are part of its frame.
    return None if blocks and blocks[-1]["text"].strip() else "empty"


def _type_of(block: JsonValue) -> JsonValue:
    return block.get("type") if isinstance(block, Mapping) else None


def _last_user_text(canonical: Sequence[dict[str, JsonValue]]) -> str:
    for message in reversed(canonical):
        if message["role"] == "user":
            texts = [block.get("text") for block in message["content"] if _type_of(block) == "text"]
            found = "\n".join(text for text in texts if isinstance(text, str))
            if found:
                return found
    return ""
