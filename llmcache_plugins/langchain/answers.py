"""LangChain's generations as canonical answers (`replay` is the way back).

What only LangChain needs stands under its own name in the answer's `extra`: which kind of generation it was, and the
fields that the canonical answer lacks. No class name is stored, and none is revived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from llmcache_plugins.canonical.answer import ChatAnswer, answer_from, is_server_side
from llmcache_plugins.errors import CodecError
from llmcache_plugins.types import Answer, JsonValue, Usage

__all__ = ["ECHOES", "MARK", "PLUGIN", "UsageMode", "answer_of", "portable", "usage_metadata_of"]

UsageMode: TypeAlias = Literal["zero", "keep"]
PLUGIN = "langchain"  # the name under `extra`
MARK = "llmcache"  # in `response_metadata`; never part of a key
# Entries of `response_metadata` that may repeat a field of the canonical answer.
ECHOES = {
    "model_name": "model",
    "model": "model",
    "stop_reason": "stop_reason",
    "finish_reason": "stop_reason",
    "stop_sequence": "stop_sequence",
}

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
_FURTHER_FIELDS = ("invalid_tool_calls", "additional_kwargs", "name")
_TIMED_WRITES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
_MODEL_NAMES = ("model_name", "model", "model_id")


def answer_of(generations: Sequence[Generation]) -> Answer:
    """What to store for these generations.

    Raises:
        CodecError: they hold something that is not JSON, or a class of message we could not give back.
    """
    answers = [_canonical(generation) for generation in generations]
    answer = answer_from(answers, is_said_elsewhere=any(map(_is_said_elsewhere, generations)))
    return replace(answer, finish_reason=_finish_reason(generations))


def _canonical(generation: Generation) -> ChatAnswer:
    extra: dict[str, JsonValue] = {}
    if generation.generation_info is not None:
        extra["info"] = _json(generation.generation_info, "generation_info")
    if not isinstance(generation, ChatGeneration):
        return ChatAnswer(generation.text, extra={PLUGIN: {"kind": "text", **extra}})
    message = generation.message
    kind = type(message).__name__.removesuffix("Chunk")
    if kind == "ChatMessage" and isinstance(message, ChatMessage):
        extra["role"] = message.role
    elif kind != "AIMessage" or not isinstance(message, AIMessage):
        raise CodecError(f"answers of the class {type(message).__name__} cannot be stored")
    for name in _FURTHER_FIELDS:
        value = getattr(message, name, None)
        if value:
            extra[name] = _json(value, name)
    metadata = portable(message.response_metadata)
    answer = ChatAnswer(
        _json(message.content, "content"),
        [_call(call) for call in getattr(message, "tool_calls", [])],
        _finish_reason([generation]),
        _text(metadata.get("stop_sequence")),
        next((name for name in map(metadata.get, _MODEL_NAMES) if isinstance(name, str)), ""),
        _usage(generation),
    )
    extra |= _metadata(metadata, answer) | _spent(message, answer)
    return replace(answer, extra={PLUGIN: {"kind": "chat", **extra}})


def _call(call: Mapping[str, object]) -> dict[str, JsonValue]:
    return {name: _json(call.get(name), "tool_calls") for name in ("id", "name", "args")}


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _metadata(metadata: dict[str, JsonValue], answer: ChatAnswer) -> dict[str, JsonValue]:
    """The provider's metadata, less what the canonical answer says already; of that only the names are noted."""
    echoes = [name for name, said in ECHOES.items() if name in metadata and metadata[name] == getattr(answer, said)]
    rest = {name: value for name, value in metadata.items() if name not in echoes}
    return {**({"echoes": echoes} if echoes else {}), **({"response_metadata": rest} if rest else {})}


def _spent(message: BaseMessage, answer: ChatAnswer) -> dict[str, JsonValue]:
    """LangChain's count of the tokens, where it says more than the canonical one."""
    spent = getattr(message, "usage_metadata", None)
    if not spent or (answer.usage != Usage() and spent == usage_metadata_of(answer.usage)):
        return {}
    return {"usage_metadata": _json(spent, "usage_metadata")}


def usage_metadata_of(usage: Usage) -> UsageMetadata:
    """What LangChain would say of these tokens: those of the provider's cache are input tokens too."""
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    given = usage.input_tokens + read + written
    return UsageMetadata(
        input_tokens=given,
        output_tokens=usage.output_tokens,
        total_tokens=given + usage.output_tokens,
        input_token_details=InputTokenDetails(cache_read=read, cache_creation=written),
    )


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
        return _fields(value, where)
    raise CodecError(f"{where} of this answer cannot be stored: it holds a {type(value).__name__}")


def _fields(parsed: BaseModel, where: str) -> JsonValue:
    """What its class takes again: names as the model gave them, and nothing that the class computes."""
    try:
        fields = parsed.model_dump(mode="json", by_alias=True, round_trip=True)
        is_equal = type(parsed)(**fields) == parsed
    except Exception as error:  # pydantic raises errors of many kinds, and validators of the user's any
        raise CodecError(f"{where} of this answer cannot be stored: {type(error).__name__}") from error
    if not is_equal:
        raise CodecError(f"{where} of this answer cannot be stored: it does not come back equal from JSON")
    return fields


def portable(metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """The entries of such metadata that are JSON: a header or date object is no reason to pay twice."""
    kept: dict[str, JsonValue] = {}
    for name, value in metadata.items():
        if name == MARK:
            continue
        try:
            kept[name] = _json(value, name)
        except CodecError:
            continue
    return kept


def _is_said_elsewhere(generation: Generation) -> bool:
    """A legacy function call, or a call whose arguments are no JSON, is something too."""
    message = getattr(generation, "message", None)
    return bool(getattr(message, "additional_kwargs", None) or getattr(message, "invalid_tool_calls", None))


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
        if is_server_side(message.content) or is_server_side(message.additional_kwargs.get("tool_outputs")):
            yield "pause_turn"  # made with a tool that ran at the provider's: such an answer is of its moment
    for source in sources:
        for name in _FINISH_FIELDS:
            word = source.get(name)
            if isinstance(word, str) and word:
                yield word
        details = source.get("incomplete_details")
        if isinstance(details, Mapping):
            yield str(details.get("reason") or "incomplete")


def _usage(generation: ChatGeneration) -> Usage:
    found = getattr(generation.message, "usage_metadata", None)
    if not found:
        return Usage()
    details = found.get("input_token_details") or {}
    read = int(details.get("cache_read") or 0)
    # By how long the provider keeps them, where it says so; then the sum is left out, or 0.
    timed = sum(int(details.get(name) or 0) for name in _TIMED_WRITES)
    written = int(details.get("cache_creation") or 0) or timed
    # LangChain counts tokens written to and read from the provider's cache as input tokens too.
    given = max(0, int(found.get("input_tokens") or 0) - written - read)
    return Usage(given, int(found.get("output_tokens") or 0), written, read)
