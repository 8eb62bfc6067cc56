"""What `ChatAnthropic` sends: LangChain's two strings as a body of Anthropic's Messages API.

Where every parameter and every message is of a known kind, the call is described by that body, and shares its entries
with the SDK and with other frameworks. Where one is not, nothing is guessed: the call keeps LangChain's own form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmcache_plugins.canonical.anthropic import request_of_body
from llmcache_plugins.keys.messages import ChatTurn
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.langchain.anthropic_messages import UnknownKind, wire_messages
from llmcache_plugins.types import JsonValue, Request

__all__ = ["WireSettings", "wire_request", "wire_settings"]

_CLASS = ["langchain", "chat_models", "anthropic", "ChatAnthropic"]
# Of transport and tracing, or credentials: they are no part of the body.
_NOT_SENT = {
    "anthropic_api_key",
    "anthropic_proxy",
    "default_request_timeout",
    "disable_streaming",
    "max_retries",
    "name",
    "stream",
    "stream_usage",
    "streaming",
    "timeout",
    "verbose",
}
_SENT_BY_MODEL = ("model", "max_tokens", "temperature", "top_k", "top_p", "betas", "context_management")
_FURTHER_OF_MODEL = {
    "anthropic_api_url",
    "model_kwargs",
    "stop_sequences",
    "thinking",
}
_SENT_BY_CALL = {
    *_SENT_BY_MODEL,
    "cache_control",
    "metadata",
    "service_tier",
    "stop_sequences",
    "thinking",
    "tool_choice",
    "tools",
}
# LangChain's marks in what it serialises, and ours in what we read back.
_NO_JSON = {"lc", "__lc_escaped__", "__repr__"}
# `ChatAnthropic` leaves sampling parameters out for these.
_TAKES_NO_SAMPLING = "claude-fable-5"


@dataclass(frozen=True, slots=True)
class WireSettings:
    """All of a body but its messages and system prompt, and where it is sent."""

    body: Mapping[str, JsonValue] = field(repr=False)
    base_url: str = field(repr=False)


def wire_settings(
    class_id: Sequence[str], fixed: Mapping[str, JsonValue], call: Mapping[str, JsonValue]
) -> WireSettings | None:
    """The settings of a call; None when it is no call of `ChatAnthropic`, or one with parameters we do not know.

    Args:
        class_id: the serialised model's `id`.
        fixed: its constructor arguments.
        call: the arguments of this call, `stop` among them.
    """
    try:
        return _settings(fixed, call) if list(class_id) == _CLASS else None
    except (UnknownKind, TypeError, KeyError):
        return None


def wire_request(settings: WireSettings, turns: Sequence[ChatTurn], extractor: Extractor) -> Request | None:
    """The request that these messages make; None when one of them is of a kind that we do not know."""
    try:
        system, messages = wire_messages(turns)
        body = {**settings.body, "messages": messages, **({"system": system} if system else {})}
        is_beta = "betas" in settings.body
        return request_of_body(body, base_url=settings.base_url, is_beta=is_beta, extractor=extractor)
    except (UnknownKind, TypeError, KeyError, ValueError, AttributeError):
        return None


def _settings(fixed: Mapping[str, JsonValue], call: Mapping[str, JsonValue]) -> WireSettings:
    model_kwargs = fixed.get("model_kwargs") or {}
    _refuse_unknown(fixed, {*_SENT_BY_MODEL, *_FURTHER_OF_MODEL})
    _refuse_unknown(call, {*_SENT_BY_CALL, "stop"})
    _refuse_unknown(model_kwargs, _SENT_BY_CALL)
    body = {name: fixed.get(name) for name in _SENT_BY_MODEL}
    body["stop_sequences"] = call.get("stop") or fixed.get("stop_sequences")
    body |= model_kwargs
    body |= {name: value for name, value in call.items() if name not in _NOT_SENT and name != "stop"}
    if fixed.get("thinking") is not None:
        body["thinking"] = fixed["thinking"]  # what is set at the model wins
    _refuse_what_adds_betas(body)
    if str(fixed["model"]).startswith(_TAKES_NO_SAMPLING):
        raise UnknownKind
    kept = {name: _plain(value) for name, value in body.items() if value is not None}
    return WireSettings(kept, str(fixed["anthropic_api_url"]))


def _refuse_unknown(given: Mapping[str, JsonValue], known: set[str]) -> None:
    for name, value in given.items():
        if name not in known and name not in _NOT_SENT and value not in (None, {}, []):
            raise UnknownKind


def _refuse_what_adds_betas(body: Mapping[str, JsonValue]) -> None:
    """Some tools and options make `ChatAnthropic` ask for a beta; which, changes with its version. For the same reason
    effort and output formats are not among what we know."""
    for tool in body.get("tools") or ():
        if not isinstance(tool, Mapping) or tool.get("type") not in (None, "custom"):
            raise UnknownKind
        if tool.get("input_examples") or tool.get("strict"):
            raise UnknownKind
    thinking = body.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("display") == "updates":
        raise UnknownKind


def _plain(value: JsonValue) -> JsonValue:
    """JSON as it is sent; refuses what stands for an object."""
    if isinstance(value, Mapping):
        if not _NO_JSON.isdisjoint(value) or not all(isinstance(name, str) for name in value):
            raise UnknownKind
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise UnknownKind
