"""The Messages API of Anthropic as canonical request and canonical answer.

Every plugin that ends in this API describes its call by the body that it would send: calls with equal bodies share
their entries, whoever makes them, and a default that differs is a miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from llmcache_plugins.canonical.answer import ChatAnswer, new_id
from llmcache_plugins.keys.messages import ChatTurn, request_from_messages
from llmcache_plugins.keys.params import canonical_params, is_irrelevant
from llmcache_plugins.keys.question import Extractor, QuestionExtractor
from llmcache_plugins.types import JsonValue, Request, Usage

__all__ = [
    "OFFICIAL",
    "answer_of_message",
    "message_of_answer",
    "request_of_body",
    "saved_usage",
    "usage_of",
    "wire_usage",
]

OFFICIAL = "https://api.anthropic.com"
_OPERATION = "anthropic.messages"
# Of transport, accounting and billing: none of them shapes the answer.
_IRRELEVANT = {"messages", "system", "model", "stream", "metadata", "service_tier", "user_profile_id", "diagnostics"}
_ADDED = {"is_beta", "workspace", "extra_query", "client_headers", "base_url"}
_PORTS = {"https": 443, "http": 80}
_OWN = {"content", "stop_reason", "stop_sequence", "model", "usage", "id", "type", "role"}
_ORDINARY = QuestionExtractor()
_USAGE = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def request_of_body(
    body: Mapping[str, JsonValue],
    *,
    base_url: str = OFFICIAL,
    betas: Iterable[str] = (),
    is_beta: bool = False,
    workspace: str = "",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    extractor: Extractor = _ORDINARY,
) -> Request:
    """The request that a body of `POST /v1/messages` makes.

    Args:
        body: what is sent, `extra_body` merged into it.
        base_url: where it is sent to; another server is another provider of the same name.
        betas: values of the `anthropic-beta` header.
        is_beta: is it sent to the beta endpoint?
        workspace: the `anthropic-workspace-id`.
        query: further parameters of the address, for servers that take some.
        headers: what a client adds to each of its calls: gateways choose the model's server by them. Credentials among
            them, and in `query`, are dropped.
        extractor: finds the question inside a turn.

    Raises:
        TypeError, ValueError, KeyError, AttributeError: it is no such body.
    """
    sent = {name: _number(value) for name, value in body.items() if name not in _IRRELEVANT}
    params = {name: value for name, value in sent.items() if not _is_misread(name)}
    params |= {"body:further": {name: sent[name] for name in sent.keys() - params.keys()}} if params != sent else {}
    if not params.get("stop_sequences"):
        params.pop("stop_sequences", None)
    betas = sorted({*betas, *(params.pop("betas", None) or ())})
    params |= {"betas": betas} if betas else {}
    params |= {"is_beta": True} if is_beta or betas else {}
    params |= {"workspace": workspace} if workspace else {}
    around = {"extra_query": dict(query or {}), "client_headers": dict(headers or {})}
    params |= {name: shown for name, shown in canonical_params(around).items() if shown}
    address = _address(base_url)
    params |= {"base_url": address} if address != _address(OFFICIAL) else {}
    turns = [_turn(message) for message in body["messages"]]
    if body.get("system"):
        turns.insert(0, ChatTurn("system", body["system"]))
    return request_from_messages(
        turns,
        provider="anthropic",
        model=body["model"],
        params=params,
        extractor=extractor,
        operation=_OPERATION,
    )


def _is_misread(name: str) -> bool:
    """Names that mean something else to the key: what stands in a body is sent, so it counts."""
    return name in _ADDED or is_irrelevant(name)


def _number(value: JsonValue) -> JsonValue:
    """1.0 says the same as 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _address(url: str) -> str:
    """Host, port and path, as they are written in a key: case and a slash at the end make no other server."""
    parts = urlsplit(str(url))
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return f"{(parts.hostname or '').lower()}:{port}{parts.path.rstrip('/')}"


def _turn(message: Mapping[str, JsonValue]) -> ChatTurn:
    content = message["content"]
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = [_without_defaults(block) for block in content]
    extra = {name: value for name, value in message.items() if name not in ("role", "content")}
    return ChatTurn(message["role"], content, extra)


def _without_defaults(block: JsonValue) -> JsonValue:
    """`is_error: false` says the same as nothing."""
    if isinstance(block, Mapping) and block.get("is_error") is False:
        return {name: value for name, value in block.items() if name != "is_error"}
    return block


def answer_of_message(message: Mapping[str, JsonValue]) -> ChatAnswer:
    """The canonical answer of a response's JSON; fields that only this API knows are kept beside it."""
    rest = {name: value for name, value in message.items() if name not in _OWN and value is not None}
    usage = message.get("usage")
    if usage and not set(usage) <= set(_USAGE):
        rest["usage"] = usage  # it says more than the four numbers
    return ChatAnswer(
        content=message["content"],
        stop_reason=message.get("stop_reason"),
        stop_sequence=message.get("stop_sequence"),
        model=message.get("model", ""),
        usage=usage_of(usage),
        extra={"anthropic": rest} if rest else {},
    )


def message_of_answer(answer: ChatAnswer, *, usage: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A response's JSON with a new id.

    Args:
        usage: what it says of the tokens; see `wire_usage`.
    """
    further = answer.extra.get("anthropic") or {}
    return {
        "id": new_id("msg_llmcache_"),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": answer.blocks,
        "stop_reason": answer.stop_reason or ("tool_use" if answer.tool_calls else "end_turn"),
        "stop_sequence": answer.stop_sequence,
        "usage": dict(usage),
        **{name: value for name, value in further.items() if name not in _OWN},
    }


def usage_of(usage: Mapping[str, JsonValue] | None) -> Usage:
    """The tokens of a response's `usage`."""
    return Usage(*(int((usage or {}).get(name) or 0) for name in _USAGE))


def saved_usage(answer: ChatAnswer) -> dict[str, JsonValue]:
    """The `usage` that the answer came with; of answers that other plugins stored, its four numbers."""
    told = (answer.extra.get("anthropic") or {}).get("usage")
    return dict(told) if isinstance(told, Mapping) else wire_usage(answer.usage)


def wire_usage(usage: Usage) -> dict[str, JsonValue]:
    """A response's `usage` of these tokens."""
    return {name: getattr(usage, name) for name in _USAGE}
