"""What the fake model says, and the frames in which a streamed answer travels. Pure but for the random ids."""

from __future__ import annotations

import hashlib
import json

from llmcache_plugins.testing.fake_anthropic.wire import Json, blocks_of, new_id, text_of
from llmcache_plugins.testing.fake_model import Hints, cut_at_stop, fit_schema, pieces_of

__all__ = ["MODELS", "default_answer", "prompt_of", "sse_frames"]

MODELS: tuple[Json, ...] = tuple(
    {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2025-01-01T00:00:00Z",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }
    for name in ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-6")
)


def prompt_of(body: Json) -> Json:
    """The parts of a request that cost input tokens."""
    return {name: body[name] for name in ("system", "tools", "messages") if body.get(name)}


def default_answer(body: Json) -> Json:
    """What the model says when no script and no handler does.

    Thinking, when enabled, comes first. Then a tool call, if tools are given and the last message is no tool result
    (the tool named by `tool_choice`, else the first; arguments from its schema and the user's numbers and quoted
    strings); else JSON that fits the wanted schema; else `tool said: ...` or `echo: ...`.
    """
    content = _thinking(body)
    last = body["messages"][-1]
    results = [block for block in blocks_of(last.get("content")) if block.get("type") == "tool_result"]
    tools = [tool for tool in body.get("tools") or [] if "input_schema" in tool]  # server-side tools have no schema
    choice = body.get("tool_choice") or {"type": "auto"}
    is_forced = choice["type"] in ("any", "tool")
    if tools and choice["type"] != "none" and (is_forced or not results):
        tool = next((tool for tool in tools if tool["name"] == choice.get("name")), tools[0])
        if not is_forced:
            content.append({"type": "text", "text": f"I will call {tool['name']}."})
        arguments = fit_schema(tool["input_schema"], "x", Hints.of(text_of(last.get("content"))))
        content.append({"type": "tool_use", "id": new_id("toolu"), "name": tool["name"], "input": arguments})
        return {"content": content, "stop_reason": "tool_use"}
    text, stop_sequence = cut_at_stop(_reply(body, last, results), body.get("stop_sequences") or [])
    content.append({"type": "text", "text": text or "."})
    return {
        "content": content,
        "stop_reason": "end_turn" if stop_sequence is None else "stop_sequence",
        "stop_sequence": stop_sequence,
    }


def sse_frames(message: Json, chunk: int) -> list[tuple[str, Json]]:
    """The events of a streamed message, text cut into pieces of `chunk` characters: what the SDKs put together."""
    usage = message["usage"]
    start = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    frames: list[tuple[str, Json]] = [("message_start", {"message": start})]
    for index, block in enumerate(message["content"]):
        frames.append(("content_block_start", {"index": index, "content_block": _opening(block)}))
        if index == 0:
            frames.append(("ping", {}))
        frames += [("content_block_delta", {"index": index, "delta": delta}) for delta in _deltas(block, chunk)]
        frames.append(("content_block_stop", {"index": index}))
    final = {
        "delta": {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]},
        "usage": {name: usage[name] for name in usage if name.endswith("_tokens")},
    }
    frames += [("message_delta", final), ("message_stop", {})]
    return [(event, {"type": event, **fields}) for event, fields in frames]


def _thinking(body: Json) -> list[Json]:
    if (body.get("thinking") or {}).get("type") not in ("enabled", "adaptive"):
        return []
    digest = hashlib.sha256(json.dumps(body["messages"], sort_keys=True).encode()).hexdigest()
    return [{"type": "thinking", "thinking": "Let me think about it.", "signature": f"sig{digest[:40]}"}]


def _reply(body: Json, last: Json, results: list[Json]) -> str:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    if wanted and wanted.get("type") == "json_schema":
        return json.dumps(fit_schema(wanted["schema"], "x", Hints()))
    if results:
        return "tool said: " + "; ".join(text_of(result.get("content")) for result in results)
    return "echo: " + text_of(last.get("content"))


def _opening(block: Json) -> Json:
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use" | "server_tool_use":
            return {**block, "input": {}}
        case _:
            return block


def _deltas(block: Json, chunk: int) -> list[Json]:
    match block["type"]:
        case "text":
            pieces = [{"type": "text_delta", "text": piece} for piece in pieces_of(block["text"], chunk)]
            return pieces + [{"type": "citations_delta", "citation": cite} for cite in block.get("citations") or []]
        case "thinking":
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in pieces_of(block["thinking"], chunk)]
            return [*pieces, {"type": "signature_delta", "signature": block.get("signature", "")}]
        case "tool_use" | "server_tool_use":
            arguments = ["", *pieces_of(json.dumps(block["input"]), chunk)]  # the API's first delta is empty
            return [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
        case _:
            return []
