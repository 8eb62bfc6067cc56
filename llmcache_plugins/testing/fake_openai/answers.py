"""What the fake model says, and the chunks in which a streamed answer travels. Pure but for the random ids."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import zip_longest

from llmcache_plugins.testing.fake_model import Hints, count_tokens, cut_at_stop, fit_schema, pieces_of
from llmcache_plugins.testing.fake_openai.wire import Json, new_id, text_of

__all__ = ["MODELS", "default_answer", "stream_chunks", "usage_of", "wire_tool_calls"]

MODELS: tuple[Json, ...] = tuple(
    {"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "openai"}
    for name in ("gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini", "text-embedding-3-large", "text-embedding-3-small")
)
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_CHARACTERS_A_TOKEN = 4  # as `count_tokens` has it


def default_answer(body: Json, index: int = 0) -> Json:
    """What the model says when no script and no handler does.

    Tool calls, if tools are given and the last message is no tool message: of the tool that `tool_choice` names, else
    of each tool that the question names (only the first without `parallel_tool_calls`), else of the first tool.
    Arguments come from the schema and the question's numbers and quoted strings. Else JSON that fits the wanted schema,
    filled in the same way; else `tool said: ...` or `echo: ...`.

    Args:
        index: the position among `n` choices; those after the first say so.
    """
    results = _tool_results(body["messages"])
    question = text_of(body["messages"][-1].get("content"))
    called = _called_tools(body, question, is_answered=bool(results))
    if called:
        hints = Hints.of(question)
        calls = [{"name": tool["name"], "arguments": _arguments(tool, hints)} for tool in called]
        is_named = isinstance(body.get("tool_choice"), dict)  # a call that the client chose ends with "stop"
        return {"content": None, "tool_calls": calls, "finish_reason": "stop" if is_named else "tool_calls"}
    text = _json_reply(body, question) or _text_reply(question, results)
    text += f" ({index + 1})" if index and not body.get("response_format") else ""
    stops = body.get("stop") or []
    text, _ = cut_at_stop(text, [stops] if isinstance(stops, str) else stops)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is not None and count_tokens(text) > limit:
        return {"content": text[: limit * _CHARACTERS_A_TOKEN], "finish_reason": "length"}
    return {"content": text, "finish_reason": "stop"}


def wire_tool_calls(calls: Sequence[Json]) -> list[Json]:
    """Tool calls in the API's form; `{"name": ..., "arguments": {...}}` is enough, those in full stay as they are."""
    return [
        call
        if "function" in call
        else {
            "id": call.get("id") or new_id("call_"),
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))},
        }
        for call in calls
    ]


def usage_of(body: Json, choices: Sequence[Json]) -> Json:
    """The tokens of a request and of all its choices."""
    prompt = {name: body[name] for name in ("messages", "tools", "response_format") if body.get(name)}
    prompt_tokens = count_tokens(prompt)
    completion_tokens = 0
    for choice in choices:
        message = choice["message"]
        functions = [call.get("function") for call in message.get("tool_calls") or []]
        said = message["content"] or message["refusal"] or ""
        completion_tokens += count_tokens([functions, said]) if functions else count_tokens(said)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def stream_chunks(completion: Json, *, chunk: int, include_usage: bool) -> list[Json]:
    """The chunks of a streamed completion, text cut into pieces of `chunk` characters; choices take turns."""
    head = {name: completion[name] for name in ("id", "created", "model", "service_tier", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    no_usage = {"usage": None} if include_usage else {}
    lanes = []
    for choice in completion["choices"]:
        ends: list[tuple[Json, str | None]] = [(delta, None) for delta in _deltas(choice["message"], chunk)]
        ends.append(({}, choice["finish_reason"]))
        lanes.append(
            [
                {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": reason}
                for delta, reason in ends
            ]
        )
    turns = [piece for row in zip_longest(*lanes) for piece in row if piece is not None]
    chunks = [{**head, "choices": [piece], **no_usage} for piece in turns]
    if include_usage:
        chunks.append({**head, "choices": [], "usage": completion["usage"]})
    return chunks


def _tool_results(messages: Sequence[Json]) -> list[str]:
    """What the tool messages at the end say, in order."""
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.insert(0, text_of(message.get("content")))
    return results


def _called_tools(body: Json, question: str, *, is_answered: bool) -> list[Json]:
    """The functions that the model calls now."""
    functions = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    choice = body.get("tool_choice") or "auto"
    if choice == "none" or not functions or (choice == "auto" and is_answered):
        return []
    if isinstance(choice, dict) and choice.get("function"):
        return [function for function in functions if function["name"] == choice["function"]["name"]]
    words = set(_NAME.findall(question))
    named = [function for function in functions if function["name"] in words]
    if body.get("parallel_tool_calls") is False:
        named = named[:1]
    return named or functions[:1]


def _arguments(function: Json, hints: Hints) -> Json:
    arguments: Json = fit_schema(function.get("parameters") or {"type": "object"}, "x", hints)
    return arguments


def _json_reply(body: Json, question: str) -> str | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return json.dumps(fit_schema(wanted["json_schema"].get("schema") or {}, "x", Hints.of(question)))
    if wanted.get("type") == "json_object":
        return json.dumps({"echo": question})
    return None


def _text_reply(question: str, results: Sequence[str]) -> str:
    return "tool said: " + "; ".join(results) if results else "echo: " + question


def _deltas(message: Json, chunk: int) -> list[Json]:
    calls = message.get("tool_calls") or []
    deltas: list[Json]
    if message["refusal"] is not None:
        deltas = [{"refusal": piece} for piece in pieces_of(message["refusal"], chunk)]
    else:
        deltas = [{"content": piece} for piece in pieces_of(message["content"] or "", chunk)]
    opening = {"role": "assistant", "content": None if calls and not deltas else "", "refusal": None}
    for index, call in enumerate(calls):
        function = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, **call, "function": function}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in pieces_of(call["function"]["arguments"], chunk)
        ]
    return [opening, *deltas]
