"""The canonical answer of a chat model: what all plugins store, and read whoever wrote it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmcache_plugins.errors import CodecError
from llmcache_plugins.keys.renew import has_tool_ids, renew_tool_ids
from llmcache_plugins.types import Answer, JsonValue, Usage

__all__ = [
    "FORM",
    "SERVER_SIDE",
    "ChatAnswer",
    "answer_from",
    "as_blocks",
    "is_said",
    "is_server_side",
    "new_id",
    "stored_answers",
]

FORM = "chat/1"
_CALL_BLOCKS = ("tool_use", "tool_call", "function_call")
# Made with a tool that ran at the provider's: such an answer is of its moment.
SERVER_SIDE = (
    "server_tool",
    "mcp_tool",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    # Of OpenAI's Responses API.
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_approval_request",
    "mcp_call",
    "mcp_list_tools",
    "web_search_call",
)
_FIELDS = ("content", "tool_calls", "stop_reason", "stop_sequence", "model", "extra")


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """One answer, in a form that no framework owns.

    Args:
        content: text, or a list of blocks with a `type`, as the model gave them; JSON.
        tool_calls: `{"id", "name", "args"}` of each call that the framework reports beside the content. The same call
            may stand in the content as a block.
        stop_reason: why the model stopped, in the provider's word.
        stop_sequence: the sequence it stopped at, if any.
        model: the model's name as the answer gives it.
        usage: what the call cost.
        extra: what a plugin needs besides, to give back what it got, under the plugin's name; JSON.
    """

    content: JsonValue = field(default="", repr=False)
    tool_calls: Sequence[Mapping[str, JsonValue]] = field(default=(), repr=False)
    stop_reason: str | None = None
    stop_sequence: str | None = field(default=None, repr=False)
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    extra: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)

    @property
    def blocks(self) -> list[dict[str, JsonValue]]:
        """The content as blocks, each tool call among them (`tool_use`), without what streaming left in them."""
        return as_blocks(self.content, self.tool_calls)

    @property
    def text(self) -> str:
        """The text of the answer: all of its text blocks."""
        if isinstance(self.content, str):
            return self.content
        texts = (block.get("text") for block in self.blocks if block.get("type") == "text")
        return "".join(text for text in texts if isinstance(text, str))


def as_blocks(content: JsonValue, tool_calls: Sequence[Mapping[str, JsonValue]] = ()) -> list[dict[str, JsonValue]]:
    """`ChatAnswer.blocks` of these."""
    items = [content] if isinstance(content, str) else content or []
    blocks = [_block(item) for item in items if item != ""]
    known = {block.get("id") for block in blocks if block.get("type") == "tool_use"}
    for call in tool_calls:
        if call.get("id") not in known:
            blocks.append(
                {"type": "tool_use", "id": call.get("id"), "name": call.get("name"), "input": call.get("args")}
            )
    return blocks


def _block(item: JsonValue) -> dict[str, JsonValue]:
    if isinstance(item, str):
        return {"type": "text", "text": item}
    if not isinstance(item, Mapping):
        raise CodecError("a block of an answer is text or an object")
    block = {name: value for name, value in item.items() if name != "index"}
    if block.get("type") in _CALL_BLOCKS:
        streamed = block.pop("partial_json", None)
        given = block.get("input", block.pop("args", None))
        if isinstance(streamed, str) and streamed and not given:
            try:
                given = json.loads(streamed)
            except (ValueError, RecursionError) as error:
                raise CodecError("the arguments of a tool call are not JSON") from error
        block |= {"type": "tool_use", "input": {} if given is None else given}
    return block


def answer_from(answers: Sequence[ChatAnswer], *, is_said_elsewhere: bool = False) -> Answer:
    """What to store for one answer, or for several of one call (`n`). Nothing that was said is no content: the engine
    refuses it as empty. The finish reason is that of the first; a plugin that knows better replaces it.

    Args:
        is_said_elsewhere: something is said outside of content and tool calls, in a field of `extra`.
    """
    stored = [_stored(answer) for answer in answers]
    # Noted once, so that a hit without tool calls need not search its answer for their ids.
    content: JsonValue = {"form": FORM, "answers": stored, "has_tool_ids": has_tool_ids(stored)}
    if not is_said_elsewhere and not any(is_said(answer.content) or answer.tool_calls for answer in answers):
        content = None
    reason = next((answer.stop_reason for answer in answers if answer.stop_reason), None)
    if any(is_server_side(answer.content) for answer in answers):
        reason = "pause_turn"  # refused, as what has not ended
    totals = [answer.usage for answer in answers]
    usage = Usage(
        sum(one.input_tokens for one in totals),
        sum(one.output_tokens for one in totals),
        sum(one.cache_creation_input_tokens for one in totals),
        sum(one.cache_read_input_tokens for one in totals),
    )
    return Answer(content, finish_reason=reason, usage=usage)


def is_said(content: JsonValue) -> bool:
    """Is there anything but white space in it?"""
    if isinstance(content, str):
        return bool(content.strip())
    return any(not _is_blank(item) for item in content or [])


def _is_blank(item: JsonValue) -> bool:
    text = item.get("text", "") if isinstance(item, Mapping) and item.get("type") == "text" else item
    return isinstance(text, str) and not text.strip()


def is_server_side(content: JsonValue) -> bool:
    """Did a tool of the provider's have a part in it?"""
    items = content if isinstance(content, list) else []
    kinds = [str(item.get("type", "")) for item in items if isinstance(item, Mapping)]
    # The results of all tools that run there end in this word; those of the caller's own are no part of an answer.
    return any(kind.startswith(SERVER_SIDE) or kind.endswith("_tool_result") for kind in kinds)


def _stored(answer: ChatAnswer) -> dict[str, JsonValue]:
    fields = {name: getattr(answer, name) for name in _FIELDS}
    fields["tool_calls"], fields["extra"] = [dict(call) for call in answer.tool_calls], dict(answer.extra)
    usage = answer.usage
    numbers = [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
    ]
    fields["usage"] = numbers if any(numbers) else None
    return {name: value for name, value in fields.items() if value or name == "content"}


def stored_answers(content: JsonValue) -> list[ChatAnswer]:
    """The answers of a stored content, with new tool-call ids: the stored ones may stand in the conversation already,
    and a provider refuses an id that is there twice.

    Raises:
        CodecError: it is not of this form.
    """
    try:
        if content["form"] != FORM:
            raise CodecError("the stored answer is of another form")
        stored = content["answers"]
        if not isinstance(stored, list) or not stored:
            raise CodecError("the stored content holds no answer")
        if content["has_tool_ids"]:
            stored = renew_tool_ids(stored)
        return [_answer(one) for one in stored]
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the stored answer cannot be read: {type(error).__name__}") from error


def _answer(stored: Mapping[str, Any]) -> ChatAnswer:
    content, calls, extra = stored["content"], stored.get("tool_calls", []), stored.get("extra", {})
    numbers = stored.get("usage") or [0, 0, 0, 0]
    if not isinstance(content, str | list) or not isinstance(calls, list) or not isinstance(extra, dict):
        raise CodecError("a field of the stored answer is of another type")
    if not all(isinstance(call, dict) for call in calls) or len(numbers) != 4:
        raise CodecError("a field of the stored answer is of another type")
    return ChatAnswer(
        content,
        calls,
        stored.get("stop_reason"),
        stored.get("stop_sequence"),
        str(stored.get("model", "")),
        Usage(*map(int, numbers)),
        extra,
    )


def new_id(prefix: str) -> str:
    """An id for what is replayed, of which no conversation holds a copy already.

    >>> new_id("msg_llmcache_").startswith("msg_llmcache_")
    True
    """
    return prefix + secrets.token_hex(12)
