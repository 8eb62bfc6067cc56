"""What a row of a log says, whoever wrote it: plain fields, requests of OpenAI and Anthropic, runs of LangSmith. Pure.

Sources of the field names: the API references of OpenAI (chat completions, responses, the batch file's `custom_id` and
`body`) and of Anthropic (messages), and LangSmith's run format (docs.smith.langchain.com, run data format).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from llmcache_plugins.keys.messages import ChatTurn, request_from_messages
from llmcache_plugins.logs.rows import LoggedCall
from llmcache_plugins.types import Request, Usage

__all__ = ["NotACall", "call_of"]

_QUESTIONS = ("question", "query", "asked", "prompt", "text", "user_message", "input")
_ANSWERS = ("answer", "response", "completion", "output", "outputs", "choices", "content")
_TIMES = ("at", "time", "timestamp", "ts", "t", "start_time", "created_at", "created")
_SECONDS = ("seconds", "latency", "duration", "latency_s", "duration_s", "elapsed")
_MILLISECONDS = ("latency_ms", "duration_ms", "elapsed_ms")
_INPUT = ("input_tokens", "prompt_tokens", "tokens_in")
_OUTPUT = ("output_tokens", "completion_tokens", "tokens_out")
_ROLES = {"human": "user", "ai": "assistant", "HumanMessage": "user", "AIMessage": "assistant"}
_ROLES |= {"SystemMessage": "system", "ToolMessage": "tool", "developer": "system"}
_PARAMS = ("temperature", "top_p", "top_k", "max_tokens", "stop", "tools", "tool_choice", "response_format", "seed")
_LONGEST = 1e12  # seconds: a time above this is in milliseconds (it would be the year 33658)
_MOST_TOKENS = 10**9  # of one call: more is a broken log, and would drown every other


class NotACall(Exception):
    """The row is none; its message is a fixed word for the kind of trouble, never what the row holds."""


def call_of(row: Mapping[str, Any]) -> LoggedCall:
    """The call that a row tells of.

    Raises:
        NotACall: it tells of none.
    """
    if "run_type" in row:
        if row["run_type"] != "llm":
            raise NotACall("another kind of run than llm")
        return _langsmith(row)
    body = _request_body(row)
    messages = body.get("messages")
    if isinstance(messages, str):
        messages = _decoded(messages)
    if not messages and isinstance(body.get("input"), list):
        messages = body["input"]  # OpenAI's responses
    reply = _reply(row)
    if isinstance(messages, list) and messages:
        request = _chat(messages, body)
        shape = "messages" if body is row else "openai"
    else:
        request = _single(body)
        shape = "fields" if body is row else "openai"
    return LoggedCall(
        request=request,
        at=_instant(_first(row, _TIMES) if _first(row, _TIMES) is not None else reply.get("created")),
        usage=_usage(row, reply),
        answer_bytes=_answer_bytes(_first(row, _ANSWERS)),
        seconds=_seconds(row),
        shape=shape,
    )


# ---------------------------------------------------------------- requests
def _request_body(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the request stands: in the row itself, in its `body` (OpenAI's batches) or in its `request`."""
    for name in ("request", "body"):  # a request may have a body
        inner = row.get(name)
        if isinstance(inner, str):
            inner = _decoded(inner)
        if isinstance(inner, Mapping):
            row = inner
    return row


def _reply(row: Mapping[str, Any]) -> Mapping[str, Any]:
    reply = row.get("response")
    if isinstance(reply, Mapping) and isinstance(reply.get("body"), Mapping):
        reply = reply["body"]
    return reply if isinstance(reply, Mapping) else {}


def _single(body: Mapping[str, Any]) -> Request:
    text = _first(body, _QUESTIONS)
    if not isinstance(text, str) or not text.strip():
        raise NotACall("no question")
    system = body.get("system") or body.get("system_prompt")
    model = _text(body.get("model"))
    if system:
        return _conversation([ChatTurn("system", system), ChatTurn("user", text)], model, {})
    return Request(text, model=model)


def _chat(messages: list[Any], body: Mapping[str, Any]) -> Request:
    turns = [_turn(message) for message in messages]
    if body.get("system"):  # Anthropic's stands beside the messages
        turns.insert(0, ChatTurn("system", body["system"]))
    while turns and turns[-1].role == "assistant":  # a log of whole conversations holds the answer too
        turns.pop()
    return _conversation(turns, _text(body.get("model")), {name: body[name] for name in _PARAMS if name in body})


def _conversation(turns: list[ChatTurn], model: str, params: Mapping[str, Any]) -> Request:
    try:
        request = request_from_messages(turns, provider="", model=model, params=params)
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise NotACall("messages of an unknown form") from error
    if not request.text.strip():
        raise NotACall("no question")
    return request


def _turn(message: Any) -> ChatTurn:
    """A message of OpenAI, Anthropic or LangChain, which writes `{"id": [..., "HumanMessage"], "kwargs": ...}`."""
    if not isinstance(message, Mapping):
        raise NotACall("messages of an unknown form")
    inner = message.get("kwargs") if isinstance(message.get("kwargs"), Mapping) else message.get("data")
    content_of: Mapping[str, Any] = inner if isinstance(inner, Mapping) else message
    role = message.get("role") or content_of.get("role")
    if role is None and isinstance(message.get("id"), list) and message["id"]:
        role = message["id"][-1]
    role = role or content_of.get("type") or message.get("type")
    if not isinstance(role, str) or "content" not in content_of:
        raise NotACall("messages of an unknown form")
    dropped = ("role", "content", "type", "id")
    extra = {name: value for name, value in content_of.items() if name not in dropped}
    return ChatTurn(_ROLES.get(role, role), content_of["content"], extra)


def _langsmith(row: Mapping[str, Any]) -> LoggedCall:
    inputs = row.get("inputs")
    inputs = _decoded(inputs) if isinstance(inputs, str) else inputs
    if not isinstance(inputs, Mapping):
        raise NotACall("no question")
    messages = inputs.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[0], list):
        messages = messages[0]  # a batch of one
    prompts = inputs.get("prompts")
    called = _called_with(row)
    if isinstance(messages, list) and messages:
        request = _chat(messages, {**called, **{name: inputs[name] for name in ("system",) if name in inputs}})
    elif isinstance(prompts, list) and prompts:
        request = _single({"prompt": prompts[0], "model": called.get("model")})
    else:
        request = _single({**inputs, "model": called.get("model")})
    start, end = _instant(row.get("start_time")), _instant(row.get("end_time"))
    outputs = row.get("outputs")
    outputs = _decoded(outputs) if isinstance(outputs, str) else outputs
    return LoggedCall(
        request=request,
        at=start,
        usage=_usage(row, outputs if isinstance(outputs, Mapping) else {}),
        answer_bytes=_answer_bytes(outputs),
        seconds=max(0.0, end - start) if start is not None and end is not None else None,
        shape="langsmith",
    )


def _called_with(row: Mapping[str, Any]) -> dict[str, Any]:
    extra = row.get("extra")
    extra = _decoded(extra) if isinstance(extra, str) else extra
    extra = extra if isinstance(extra, Mapping) else {}
    given, metadata = extra.get("invocation_params"), extra.get("metadata")
    called = dict(given) if isinstance(given, Mapping) else {}
    metadata = metadata if isinstance(metadata, Mapping) else {}
    called["model"] = called.get("model") or called.get("model_name") or metadata.get("ls_model_name") or ""
    return called


# ---------------------------------------------------------------- numbers
def _usage(row: Mapping[str, Any], reply: Mapping[str, Any]) -> Usage:
    places: list[Any] = [row.get("usage"), row.get("usage_metadata"), reply.get("usage"), reply.get("usage_metadata")]
    output = reply.get("llm_output")
    places.append(output.get("token_usage") if isinstance(output, Mapping) else None)
    for place in (*places, row):
        found = _decoded(place) if isinstance(place, str) else place
        if isinstance(found, Mapping):
            usage = Usage(
                input_tokens=_count(_first(found, _INPUT)),
                output_tokens=_count(_first(found, _OUTPUT)),
                cache_creation_input_tokens=_count(found.get("cache_creation_input_tokens")),
                cache_read_input_tokens=_count(found.get("cache_read_input_tokens")),
            )
            if usage.total_tokens:
                return usage
    return Usage()


def _count(value: Any) -> int:
    number = _number(value)
    return 0 if number is None or not 0 <= number <= _MOST_TOKENS else int(number)


def _seconds(row: Mapping[str, Any]) -> float | None:
    seconds = _number(_first(row, _SECONDS))
    if seconds is None:
        milliseconds = _number(_first(row, _MILLISECONDS))
        seconds = None if milliseconds is None else milliseconds / 1000.0
    return seconds if seconds is not None and seconds >= 0 else None


def _instant(value: Any) -> float | None:
    """Seconds; of ISO 8601 without a zone UTC; None where it is no time, for a bad clock must not cost the call."""
    number = _number(value)
    if number is not None:
        return number / 1000.0 if abs(number) > _LONGEST else number
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: Any) -> float | None:
    """Of a number, or of its digits: all cells of a CSV are strings."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _answer_bytes(answer: Any) -> int | None:
    if answer is None:
        return None
    text = _answer_text(answer, depth=0)
    return len(text.encode("utf-8", "surrogatepass")) if text else None


def _answer_text(answer: Any, depth: int) -> str:
    """The first text in what the providers wrap it in; JSON of all of it where there is none."""
    if isinstance(answer, str):
        return answer
    if depth > 8:
        return ""
    if isinstance(answer, Mapping):
        names = ("content", "text", "answer", "output", "output_text", "message", "body", "choices", "generations")
        for name in (*names, "kwargs"):
            if answer.get(name):
                return _answer_text(answer[name], depth + 1)
        return _encoded(answer) if depth == 0 else ""
    if isinstance(answer, list):
        return "".join(_answer_text(one, depth + 1) for one in answer)
    return ""


def _encoded(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _decoded(text: str) -> Any:
    """JSON inside a string, as a CSV holds it; the string itself where it is none."""
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
