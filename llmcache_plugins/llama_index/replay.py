"""Stored answers as responses of LlamaIndex, whole or in pieces."""

from __future__ import annotations

import re
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, TextBlock, ThinkingBlock

from llmcache_plugins.canonical.answer import ChatAnswer, stored_answers
from llmcache_plugins.canonical.anthropic import message_of_answer, wire_usage
from llmcache_plugins.errors import CodecError
from llmcache_plugins.llama_index.answers import PLUGIN
from llmcache_plugins.llama_index.plain import Attributes
from llmcache_plugins.llama_index.turns import MARK, block_from, blocks_of, tokens_of
from llmcache_plugins.types import Hit, JsonValue, Usage

__all__ = ["Form", "mark_of", "pieces_of", "response_class", "response_of"]

_MOST_PIECES = 64
_WORD = re.compile(r"\S+\s*|\s+")
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
R = TypeVar("R", ChatResponse, CompletionResponse)


@dataclass(frozen=True, slots=True)
class Form:
    """In which form an answer is given back.

    Args:
        chat: the class of a chat response, which comes from the live LLM, never from what is stored.
        completion: the class of a completion.
        is_wire: the answer is that of a provider's wire format.
    """

    chat: type[ChatResponse] = ChatResponse
    completion: type[CompletionResponse] = CompletionResponse
    is_wire: bool = False


def mark_of(hit: Hit) -> dict[str, JsonValue]:
    """Why this was answered from the cache; it stands in `response.additional_kwargs["llmcache"]`."""
    return {**hit.evidence, "hit": True, "tier": hit.tier, "saved_usage": tokens_of(hit.entry.usage)}


def response_of(hit: Hit, form: Form, *, is_chat: bool, is_stream: bool) -> ChatResponse | CompletionResponse:
    """The stored answer as one response. Its tool-call ids are new, and its tokens are zero.

    Raises:
        CodecError: what is stored is not of a form that can be read.
    """
    try:
        answer = stored_answers(hit.answer)[0]
        chat = _chat_response(answer, hit, form, is_stream=is_stream)
        return chat if is_chat else _completion(chat, answer, form)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the stored answer cannot be read: {type(error).__name__}") from error


def _chat_response(answer: ChatAnswer, hit: Hit, form: Form, *, is_stream: bool) -> ChatResponse:
    kept = answer.extra.get(PLUGIN, {})
    blocks = [block_from(block) for block in kept["blocks"]] if "blocks" in kept else blocks_of(answer.blocks)
    more = Attributes(kept.get("message", {}).get("additional_kwargs", {}))
    if is_stream and form.is_wire:  # where this integration puts them, and only when it streams
        more |= {"usage": Attributes({"input_tokens": 0, "output_tokens": 0}), "stop_reason": _reason(answer)}
    message = ChatMessage(role=kept.get("role", "assistant"), blocks=blocks, additional_kwargs=dict(more))
    said = kept.get("response", {}).get("additional_kwargs", {})
    fields: dict[str, Any] = {
        "message": message,
        "raw": _raw(answer, kept, form),
        "logprobs": kept.get("logprobs"),
        "additional_kwargs": {**Attributes(_with_zeros(said)), MARK: mark_of(hit)},
    }
    return _made(form.chat, fields, {**_citations(answer), **kept.get("fields", {})})


def _completion(chat: ChatResponse, answer: ChatAnswer, form: Form) -> CompletionResponse:
    own = {name: getattr(chat, name) for name in type(chat).model_fields if name not in ChatResponse.model_fields}
    own |= answer.extra.get(PLUGIN, {}).get("fields", {})
    fields = {
        "text": chat.message.content or "",
        "raw": chat.raw,
        "logprobs": chat.logprobs,
        "additional_kwargs": chat.additional_kwargs,
    }
    return _made(form.completion, fields, own)


def _made(kind: type[R], fields: dict[str, Any], own: Mapping[str, JsonValue]) -> R:
    return kind(**fields, **{name: value for name, value in own.items() if name in kind.model_fields})


def _raw(answer: ChatAnswer, kept: Mapping[str, JsonValue], form: Form) -> Any:
    if form.is_wire:
        return Attributes(message_of_answer(answer, usage=wire_usage(Usage())))
    raw = kept.get("raw")
    if not isinstance(raw, dict):
        return raw
    return Attributes({name: _zeros(value) if name.startswith("usage") else value for name, value in raw.items()})


def _citations(answer: ChatAnswer) -> dict[str, JsonValue]:
    """Those that stand in the text blocks of the wire format."""
    found = [citation for block in answer.blocks for citation in block.get("citations") or []]
    return {"citations": found} if found else {}


def _reason(answer: ChatAnswer) -> str:
    return answer.stop_reason or "end_turn"


def _with_zeros(said: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Nothing was spent now; what was, stands under `saved_usage`."""
    return {name: _zeros(value) if name in (*_TOKENS, "usage") else value for name, value in said.items()}


def _zeros(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _zeros(item) for name, item in value.items()}
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value


# ---------------------------------------------------------------- pieces
def pieces_of(response: ChatResponse | CompletionResponse) -> Iterator[Any]:
    """The response as a stream gives it: each piece holds what was said so far, and in `delta` what is new. The last
    one is whole."""
    if isinstance(response, CompletionResponse):
        yield from _completion_pieces(response)
    else:
        yield from _chat_pieces(response)


def _completion_pieces(response: CompletionResponse) -> Iterator[CompletionResponse]:
    said = ""
    pieces = _cut(response.text)
    for piece in pieces[:-1]:
        said += piece
        yield response.model_copy(update={"text": said, "delta": piece, "raw": None, "logprobs": None})
    yield response.model_copy(update={"delta": pieces[-1] if pieces else ""})


def _chat_pieces(response: ChatResponse) -> Iterator[ChatResponse]:
    done: list[Any] = []
    for block in response.message.blocks:
        if isinstance(block, ThinkingBlock) and block.content:
            yield _partial(response, [*done, block], "", block.content)
        if isinstance(block, TextBlock):
            text = ""
            for piece in _cut(block.text):
                text += piece
                yield _partial(response, [*done, TextBlock(text=text)], piece)
        done.append(block)
    yield response.model_copy(update={"delta": ""})


def _partial(response: ChatResponse, blocks: list[Any], delta: str, thought: str = "") -> ChatResponse:
    message = response.message
    more = {**message.additional_kwargs, "thinking_delta": thought} if thought else dict(message.additional_kwargs)
    more.pop("tool_calls", None)  # they come with the last piece
    said = {**response.additional_kwargs, **({"thinking_delta": thought} if thought else {})}
    update = {"blocks": blocks, "additional_kwargs": more}
    return response.model_copy(
        update={
            "message": message.model_copy(update=update),
            "delta": delta,
            "raw": None,
            "logprobs": None,
            "additional_kwargs": said,
        }
    )


def _cut(text: str) -> list[str]:
    """The text in words, or in groups of them where it is long."""
    words = _WORD.findall(text)
    size = -(-len(words) // _MOST_PIECES) or 1
    return ["".join(words[start : start + size]) for start in range(0, len(words), size)]


def response_class(function: Any, base: type[R]) -> type[R]:
    """The class that a live method says it returns, or whose pieces it yields; `base` where it does not say."""
    try:
        module = vars(sys.modules[function.__module__])
        said: Any = typing.get_type_hints(function, globalns=module).get("return")
    except Exception:
        return base
    for candidate in (said, *typing.get_args(said)):
        if isinstance(candidate, type) and issubclass(candidate, base):
            return candidate
    return base
