"""LangChain's two strings (`prompt`, `llm_string`) as a neutral request. Parsed by hand: reviving objects from a prompt
would instantiate classes, warn on every call and fail on some messages. What cannot be parsed is opaque text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmcache_plugins.keys.fingerprint import canonical_json
from llmcache_plugins.keys.messages import ChatTurn, request_from_messages, request_from_prompt
from llmcache_plugins.keys.params import hidden_params
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.langchain.anthropic_wire import WireSettings, wire_request, wire_settings
from llmcache_plugins.types import JsonValue, Request

__all__ = ["HIDDEN", "ModelCall", "parse_llm_string", "parse_prompt", "request_of"]

_ROLES = {
    "SystemMessage": "system",
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "ToolMessage": "tool",
    "FunctionMessage": "function",
}
_MODEL_PARAMS = ("model", "model_name", "model_id", "deployment_name")
_LOOKS_LIKE_MESSAGES = re.compile(r'\s*\[\s*(?:\]\s*\Z|\{\s*"lc")')
# What json and ast may raise on hostile input.
_UNREADABLE = (ValueError, SyntaxError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MemoryError)
# A string literal of Python (kept), or the repr of an object, `<Foo at 0x7f..>`, which no parser reads (quoted).
_LITERAL_OR_REPR = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(<[^<>]*(?:<[^<>]*>[^<>]*)*>)""", re.DOTALL)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)
# LangChain's own mark of a value that it hides: nothing is answered or stored for such a call.
HIDDEN: dict[str, JsonValue] = {"lc": 1, "type": "secret"}
# The answer depends on what the provider remembers, or finds at that moment.
_STATEFUL = (
    "container",
    "conversation",
    "fallback_credit_token",
    "mcp_servers",
    "previous_response_id",
    "reuse_last_container",
    "thread",
    "use_previous_response_id",
    "web_search_options",
)
_NESTED = ("model_kwargs", "extra_body")


@dataclass(frozen=True, slots=True)
class ModelCall:
    """Which model is called, and how: everything `llm_string` says.

    `is_readable` is False when it is opaque text. `hidden` names parameters of which LangChain tells no cache the
    value: two calls that differ there cannot be told apart. `is_stateful`: the answer depends on more than the call.
    `wire` is set where it is known what is sent to Anthropic.
    """

    provider: str
    model: str
    params: Mapping[str, JsonValue] = field(repr=False)
    is_readable: bool = True
    hidden: tuple[str, ...] = ()
    is_stateful: bool = False
    wire: WireSettings | None = field(default=None, repr=False)


def request_of(prompt: str, call: ModelCall, extractor: Extractor) -> Request:
    """The request that a prompt makes of a model. Text that only looks like serialised messages is matched exactly."""
    messages = parse_prompt(prompt)
    if messages is not None:
        known = wire_request(call.wire, messages, extractor) if call.wire is not None else None
        if known is not None:
            return known
        return request_from_messages(
            messages,
            provider=call.provider,
            model=call.model,
            params=call.params,
            extractor=extractor,
            operation="langchain.chat",
        )
    return request_from_prompt(
        prompt,
        provider=call.provider,
        model=call.model,
        params=call.params,
        extractor=extractor,
        operation="langchain.llm",
        exact_only="opaque" if _LOOKS_LIKE_MESSAGES.match(prompt) else None,
    )


def parse_prompt(prompt: str) -> list[ChatTurn] | None:
    """The messages of a chat model's prompt; None when it is not that, but a plain prompt or something unreadable."""
    if not _LOOKS_LIKE_MESSAGES.match(prompt):
        return None
    try:
        return [_message(raw) for raw in json.loads(prompt)]
    except _UNREADABLE:
        return None


def _message(raw: JsonValue) -> ChatTurn:
    if not isinstance(raw, dict) or raw["lc"] != 1 or raw["type"] != "constructor":
        raise ValueError("not a serialised message")
    name = raw["id"][-1].removesuffix("Chunk")
    if not name.endswith("Message"):
        raise ValueError("not a message class")
    extra = {key: _unwrapped(value) for key, value in raw["kwargs"].items()}
    content = extra.pop("content", "")
    role = _ROLES.get(name) or (extra.pop("role", None) if name == "ChatMessage" else None) or name
    if not isinstance(role, str):
        raise ValueError("a role is a string")
    return ChatTurn(role, content, extra)


def _unwrapped(value: JsonValue) -> JsonValue:
    """The value without the serialiser's escapes, so that a user's own dict is itself again."""
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and "__lc_escaped__" in value:
        return value["__lc_escaped__"]
    return {key: _unwrapped(item) for key, item in value.items()}


def parse_llm_string(llm_string: str) -> ModelCall:
    """Model and parameters. Never raises: what is not understood becomes one opaque parameter."""
    hidden: tuple[str, ...] = ()
    try:
        fixed, class_id, rest = _serialised_model(llm_string)
        hidden = hidden_params(fixed)  # holds even when the rest turns out to be unreadable
        call = _call_arguments(rest)
        params = _json(_merged(fixed, call) if class_id else _identifying(call))
        model = next((name for source in (call, fixed) for name in _model_names(source)), "")
        provider = class_id[-2] if len(class_id) > 2 else call.get("_type")
        if class_id:
            params["__class__"] = class_id
        canonical_json(params)
        hidden = hidden_params(params)
    except _UNREADABLE:
        hidden = hidden or _addresses(llm_string)
        return ModelCall("", "", {"opaque": llm_string}, is_readable=False, hidden=hidden)
    return ModelCall(
        provider if isinstance(provider, str) else "",
        model,
        params,
        hidden=hidden,
        is_stateful=_is_stateful(params),
        wire=wire_settings(class_id, fixed, call),
    )


def _addresses(llm_string: str) -> tuple[str, ...]:
    """Objects in a string that cannot be read."""
    return ("an object",) if _ADDRESS.search(_LITERAL_OR_REPR.sub(lambda m: m[2] or "", llm_string)) else ()


def _is_stateful(params: Mapping[str, JsonValue]) -> bool:
    nested = [params[name] for name in _NESTED if isinstance(params.get(name), dict)]
    return any(given.get(name) for given in (params, *nested) for name in _STATEFUL)


def _model_names(source: Mapping[str, JsonValue]) -> list[str]:
    return [source[name] for name in _MODEL_PARAMS if isinstance(source.get(name), str)]


def _merged(fixed: dict[str, JsonValue], call: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The model's own parameters under those of the call. `stop=None` is in every call and takes nothing away; another
    None may unset what the model was made with."""
    unset = [name for name, value in call.items() if value is None and name in fixed and name != "stop"]
    merged = {**fixed, **{name: value for name, value in call.items() if value is not None}}
    return {**merged, "__unset__": sorted(unset)} if unset else merged


def _identifying(call: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Of a model that names its own identifying parameters: there a `name` is no run's name and has to count."""
    return {f"identifying:{name}" if name == "name" else name: value for name, value in call.items()}


def _serialised_model(llm_string: str) -> tuple[dict[str, JsonValue], list[str], str]:
    """Constructor arguments, class id and the rest behind `---`, of a model that LangChain can serialise; or nothing,
    no id and all of the string."""
    if not llm_string.startswith("{"):
        return {}, [], llm_string
    # `---` may stand inside the JSON too, so the string is never split there.
    model, end = json.JSONDecoder().raw_decode(llm_string)
    if llm_string[end : end + 3] != "---":
        raise ValueError("no call arguments")
    class_id = [str(part) for part in model["id"]]
    return dict(model.get("kwargs") or {}), class_id, llm_string[end + 3 :]


def _call_arguments(text: str) -> dict[str, JsonValue]:
    """`str(sorted(arguments.items()))` read back."""
    try:
        pairs = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pairs = ast.literal_eval(_LITERAL_OR_REPR.sub(lambda m: m[1] or repr(_object(m[2])), text))
    arguments = dict(pairs)
    if len(arguments) != len(pairs) or not all(isinstance(name, str) for name in arguments):
        raise ValueError("not the items of a dict")
    return arguments


def _object(shown: str) -> dict[str, JsonValue]:
    """An object, by its repr. An address says nothing of it: when the object is gone, another one gets it."""
    return HIDDEN if _ADDRESS.search(shown) else {"__repr__": shown}


def _json(value: JsonValue) -> JsonValue:
    """Python literals as JSON; what JSON lacks is tagged, so that two values that differ stay different."""
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _json(item) for key, item in value.items()}
        return {"__pairs__": [[_json(key), _json(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, set | frozenset):
        return {"__set__": sorted((_json(item) for item in value), key=repr)}
    if value is None or isinstance(value, str | int | float):
        return value
    return {"__literal__": repr(value)}  # bytes, complex, Ellipsis
