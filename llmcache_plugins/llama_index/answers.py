"""What an LLM of LlamaIndex answered, as the canonical answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
)
from pydantic import BaseModel

from llmcache_plugins.canonical.answer import ChatAnswer, answer_from
from llmcache_plugins.canonical.anthropic import answer_of_message
from llmcache_plugins.errors import CodecError
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json
from llmcache_plugins.llama_index.turns import MARK, VOLATILE, blocks_of, content_of
from llmcache_plugins.types import Answer, JsonValue, Usage

__all__ = ["PLUGIN", "Heard", "Reel", "answer_of"]

PLUGIN = "llama_index"
_REASONS = ("stop_reason", "finish_reason", "done_reason", "stopReason", "finishReason")
_INPUT = ("input_tokens", "prompt_tokens", "prompt_token_count", "prompt_eval_count")
_OUTPUT = ("output_tokens", "completion_tokens", "candidates_token_count", "eval_count")
_FIELDS = {"message", "text", "raw", "delta", "logprobs", "additional_kwargs"}


class Heard:
    """What an answer says beside its text, gathered over its pieces: why it ended, what it cost, which model spoke."""

    def __init__(self, *, is_stream: bool = False) -> None:
        self.model = ""
        self.usage = Usage()
        self.stop_sequence: str | None = None
        self._is_stream = is_stream
        self._reason: str | None = None
        self._is_reason_named = False

    @property
    def stop_reason(self) -> str | None:
        """Why it ended; `in_progress` for a stream whose provider says such things and has not said one."""
        return self._reason or ("in_progress" if self._is_stream and self._is_reason_named else None)

    def hear(self, response: Any) -> None:
        for source in _sources(response):
            self._hear_reason(source)
            model = _get(source, "model") or _get(source, "model_name")
            self.model = self.model or (model if isinstance(model, str) else "")
            met = _get(source, "stop_sequence")
            self.stop_sequence = met if isinstance(met, str) else self.stop_sequence
        now, before = _usage(response), self.usage  # the pieces of a stream count up
        self.usage = Usage(
            max(before.input_tokens, now.input_tokens),
            max(before.output_tokens, now.output_tokens),
            max(before.cache_creation_input_tokens, now.cache_creation_input_tokens),
            max(before.cache_read_input_tokens, now.cache_read_input_tokens),
        )

    def _hear_reason(self, source: Any) -> None:
        for name in _REASONS:
            if not _has(source, name):
                continue
            self._is_reason_named = True
            word = _get(source, name)
            if isinstance(word, Enum):
                word = word.value if isinstance(word.value, str) else word.name
            if isinstance(word, str) and word:
                self._reason = word


def _usage(response: Any) -> Usage:
    """The tokens, by the first that tells of any: the provider itself, or where integrations put them."""
    raw, message = response.raw, getattr(response, "message", None)
    told = [_get(raw, "usage"), _get(raw, "usage_metadata"), _get(raw, "usageMetadata")]
    told += [_get(getattr(message, "additional_kwargs", None), "usage"), response.additional_kwargs, raw]
    for usage in told:
        given, said = _number(usage, *_INPUT), _number(usage, *_OUTPUT)
        written, read = (_number(usage, name) for name in ("cache_creation_input_tokens", "cache_read_input_tokens"))
        cached = _number(_get(usage, "prompt_tokens_details"), "cached_tokens")
        if 0 < cached <= given and not read:  # a provider that counts them among the others
            given, read = given - cached, cached
        if given or said or written or read:
            return Usage(given, said, written, read)
    return Usage()


def _sources(response: Any) -> Iterator[Any]:
    """Where integrations put what a provider says of an answer."""
    message = getattr(response, "message", None)
    raw = response.raw
    yield from (getattr(message, "additional_kwargs", None), response.additional_kwargs, raw, _get(raw, "delta"))
    for name in ("choices", "candidates"):
        several = _get(raw, name)
        if isinstance(several, list) and several:
            yield several[0]


def _has(source: Any, name: str) -> bool:
    if isinstance(source, Mapping):
        return name in source
    return isinstance(source, BaseModel) and hasattr(source, name)


def _get(source: Any, name: str) -> Any:
    if isinstance(source, Mapping):
        return source.get(name)
    return getattr(source, name, None) if isinstance(source, BaseModel) else None


def _number(source: Any, *names: str) -> int:
    for name in names:
        value = _get(source, name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0


class Reel:
    """The pieces of one stream, as far as they are needed to store the whole."""

    def __init__(self) -> None:
        self.heard = Heard(is_stream=True)
        self._said: list[str] = []
        self._longest = ""
        self._has_newest_only = False
        self._last: Any = None
        self._ended_blocks = 0
        self._is_cited = False

    def add(self, piece: Any) -> None:
        self.heard.hear(piece)
        self._ended_blocks += _get(piece.raw, "type") == "content_block_stop"
        self._is_cited = self._is_cited or _get(_get(piece.raw, "delta"), "type") == "citations_delta"
        self._said.append(piece.delta or "")
        text = _text(piece)
        self._has_newest_only |= bool(self._longest and piece.delta) and text == piece.delta
        self._longest = max(self._longest, text, key=len)
        # A copy: the consumer may change what it was handed before the stream has ended.
        self._last = piece.model_copy(update={"additional_kwargs": dict(piece.additional_kwargs)})
        if isinstance(piece, ChatResponse):
            message = piece.message
            update = {"blocks": list(message.blocks), "additional_kwargs": dict(message.additional_kwargs)}
            self._last.message = message.model_copy(update=update)

    @property
    def is_lossy(self) -> bool:
        """Of Anthropic's streams the integration keeps no hidden thoughts, and no place of a citation: what is put
        together from its pieces is then less than what a plain call gives."""
        blocks = self._last.message.blocks if isinstance(self._last, ChatResponse) else []
        return self._is_cited or (bool(blocks) and 0 < self._ended_blocks != len(blocks))

    @property
    def whole(self) -> ChatResponse | CompletionResponse | None:
        """The last piece, which holds all of the answer; None when there was none."""
        last = self._last
        text = self._text_of_all
        if isinstance(last, CompletionResponse):
            return last if text is None else last.model_copy(update={"text": text})
        if isinstance(last, ChatResponse) and text is not None:
            others = [block for block in last.message.blocks if not isinstance(block, TextBlock)]
            last.message.blocks = [TextBlock(text=text), *others]
        return last if isinstance(last, ChatResponse) else None

    @property
    def _text_of_all(self) -> str | None:
        """The text, where the last piece does not have it: some LLMs put only the newest words into each piece, or
        nothing into the last one. Others have thoughts among their new words, which are no part of the text."""
        if self._has_newest_only:
            return "".join(self._said)
        if self._last is None or _text(self._last).strip():
            return None
        is_thinking = isinstance(self._last, ChatResponse) and any(
            isinstance(block, ThinkingBlock) for block in self._last.message.blocks
        )
        return self._longest or (None if is_thinking else "".join(self._said)) or None


def _text(piece: Any) -> str:
    if isinstance(piece, CompletionResponse):
        return piece.text
    blocks = piece.message.blocks if isinstance(piece, ChatResponse) else []
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def answer_of(response: Any, heard: Heard, *, model: str, is_wire: bool) -> Answer:
    """What to store for an answer.

    Args:
        response: a whole one.
        heard: all that was heard of it.
        model: the model's name, where the answer does not say it.
        is_wire: other plugins ask for it too, in the provider's wire format.

    Raises:
        CodecError: it holds something that cannot be given back.
    """
    try:
        canonical = _canonical(response, heard, model, is_wire=is_wire)
    except IndistinctCall as error:
        raise CodecError(f"this answer cannot be stored: it holds {error}") from error
    return answer_from([canonical])


def _canonical(response: Any, heard: Heard, model: str, *, is_wire: bool) -> ChatAnswer:
    extra = _of_response(response)
    raw = _raw(response.raw)
    if is_wire and isinstance(raw, dict) and raw.get("type") == "message" and isinstance(raw.get("content"), list):
        answer = answer_of_message(_without_none(raw))
    else:
        reason = heard.stop_reason
        blocks = response.message.blocks if isinstance(response, ChatResponse) else [TextBlock(text=response.text)]
        answer = ChatAnswer(content_of(blocks), (), reason, heard.stop_sequence, heard.model or model, heard.usage)
        if raw is not None and not is_wire:
            extra["raw"] = _whole_raw(raw, response, heard)
    if isinstance(response, ChatResponse):
        extra |= _of_message(response.message, answer)
    return replace(answer, extra={**answer.extra, PLUGIN: extra} if extra else answer.extra)


def _of_response(response: Any) -> dict[str, JsonValue]:
    kept: dict[str, JsonValue] = {}
    more = {name: value for name, value in response.additional_kwargs.items() if name != MARK}
    if more:
        kept["response"] = {"additional_kwargs": as_json(more, with_models=True)}
    if response.logprobs:
        kept["logprobs"] = as_json(response.logprobs, with_models=True)
    own = {name: getattr(response, name) for name in type(response).model_fields if name not in _FIELDS}
    own = {name: value for name, value in own.items() if value not in (None, [], {}, "")}
    return {**kept, **({"fields": as_json(own, with_models=True)} if own else {})}


def _of_message(message: ChatMessage, answer: ChatAnswer) -> dict[str, JsonValue]:
    """What the canonical answer does not say of a message."""
    kept: dict[str, JsonValue] = {}
    more = {name: value for name, value in message.additional_kwargs.items() if name not in VOLATILE}
    if more:
        kept["message"] = {"additional_kwargs": as_json(more, with_models=True)}
    if message.role != MessageRole.ASSISTANT:
        kept["role"] = str(message.role.value)
    if blocks_of(answer.blocks) != message.blocks:
        kept["blocks"] = [block.model_dump(mode="json", warnings=False) for block in message.blocks]
    return kept


def _raw(raw: Any) -> JsonValue:
    """The provider's own answer as JSON; None where it is not to be had: an LLM need not give it."""
    try:
        return as_json(raw, with_models=True)
    except IndistinctCall:
        return None


def _whole_raw(raw: JsonValue, response: Any, heard: Heard) -> JsonValue:
    """Of a stream in the chat-completions format the last piece says little: what the plain call would have given."""
    if not isinstance(raw, dict) or raw.get("object") != "chat.completion.chunk":
        return raw
    is_chat = isinstance(response, ChatResponse)
    calls = response.message.additional_kwargs.get("tool_calls") if is_chat else None
    message: dict[str, JsonValue] = {
        "role": "assistant",
        "content": response.message.content if is_chat else response.text,
        **({"tool_calls": as_json(calls, with_models=True)} if calls else {}),
    }
    choice = {"index": 0, "finish_reason": heard.stop_reason, "message": message}
    usage = heard.usage
    given = usage.input_tokens + usage.cache_read_input_tokens
    counted = {"prompt_tokens": given, "completion_tokens": usage.output_tokens}
    counted["total_tokens"] = given + usage.output_tokens
    return {**raw, "object": "chat.completion", "choices": [choice], "usage": raw.get("usage") or counted}


def _without_none(value: JsonValue) -> JsonValue:
    """The SDK's objects say None where the wire says nothing. The model's own words stay."""
    if isinstance(value, dict):
        return {
            name: item if name == "input" else _without_none(item) for name, item in value.items() if item is not None
        }
    return [_without_none(item) for item in value] if isinstance(value, list) else value
