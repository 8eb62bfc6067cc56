"""`llama_index.llms.anthropic.Anthropic` by the body that it would send, so that its entries are shared with whoever
sends the same body."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from llmcache_plugins.canonical.anthropic import request_of_body
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json
from llmcache_plugins.types import JsonValue, Request

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

    from llmcache_plugins.llama_index.requests import Spoken

__all__ = ["STATEFUL", "destination", "is_wire_llm", "wire_request"]

_MODULE = "llama_index.llms.anthropic.base"
_LEAVES = (
    "chat",
    "achat",
    "stream_chat",
    "astream_chat",
    "complete",
    "acomplete",
    "stream_complete",
    "astream_complete",
)
_CLIENTS = ("Anthropic", "AsyncAnthropic")  # not those of Vertex and Bedrock: other servers, other names of models
_BETAS, _WORKSPACE = "anthropic-beta", "anthropic-workspace-id"
# What is asked then is not all in the call. `mcp_servers` holds credentials besides.
STATEFUL = ("container", "thread", "mcp_servers", "fallback_credit_token")
_HARMLESS_HEADERS = {"user-agent", _BETAS, _WORKSPACE}


def is_wire_llm(llm: LLM, original: type[LLM]) -> bool:
    """Does it send what the integration's own class sends? A subclass with methods of its own may not."""
    known = _integration(original)
    if known is None:
        return False
    return all(getattr_static(original, name) is getattr_static(known, name) for name in _LEAVES)


def _integration(original: type[LLM]) -> type[Any] | None:
    """The integration's own class, where the LLM is one of it."""
    known = getattr(sys.modules.get(_MODULE), "Anthropic", None)
    return known if isinstance(known, type) and issubclass(original, known) else None


def destination(llm: Any, original: type[LLM], *, is_async: bool) -> dict[str, JsonValue]:
    """Where it sends its calls, and what goes with each: in this integration only the client knows. Empty for others.

    Raises:
        IndistinctCall: the client does not say.
    """
    if _integration(original) is None:
        return {}
    try:
        client = llm._aclient if is_async else llm._client
        headers = {name: value for name, value in _lowered(client._custom_headers).items() if name != "user-agent"}
        return {
            "client:class": type(client).__name__.removeprefix("Async"),
            "client:url": str(client.base_url),
            "client:query": {str(name): str(value) for name, value in client._custom_query.items()},
            "client:headers": as_json(headers),  # less the credentials, as everything that is called headers
            "client:project": str(getattr(client, "project_id", "")),
        }
    except Exception as error:
        raise IndistinctCall("a client that does not say where it sends") from error


def wire_request(llm: Any, spoken: Spoken, *, extractor: Extractor, is_async: bool) -> Request | None:
    """The request that its body makes; None for what is unusual about it: then the LLM's own form of request tells its
    calls apart.

    Raises:
        IndistinctCall: what is asked depends on a state at the provider's.
    """
    if spoken.operation == "structured":
        return None
    try:
        client = llm._aclient if is_async else llm._client
        if type(client).__name__ not in _CLIENTS or type(client).__module__.partition(".")[0] != "anthropic":
            return None
        body, headers, query = _sent(llm, client, spoken)
        is_stateful = any(body.get(name) for name in STATEFUL)
        request = request_of_body(
            body,
            base_url=str(client.base_url),
            betas=[name.strip() for name in str(headers.get(_BETAS, "")).split(",") if name.strip()],
            workspace=str(headers.get(_WORKSPACE, "")),
            query=query,
            extractor=extractor,
        )
    except Exception:  # whatever surprises here
        return None
    if is_stateful:
        raise IndistinctCall("a state at the provider's")
    # A completion loses what is no text, and must not stand for the whole answer.
    is_lossy = spoken.operation == "complete" and bool(body.get("thinking") or body.get("tools"))
    return None if is_lossy or not headers.keys() <= _HARMLESS_HEADERS else request


def _sent(llm: Any, client: Any, spoken: Spoken) -> tuple[dict[str, JsonValue], dict[str, Any], dict[str, str]]:
    """Body, headers and query of the call, by the integration's own functions."""
    convert = sys.modules[_MODULE].messages_to_anthropic_messages
    # Copies: with `cache_idx` the messages are marked, which is for the call alone to do.
    messages = [_without_urls(message.model_copy(deep=True)) for message in spoken.as_messages]
    converted, system = convert(messages, llm.cache_idx, llm.model)
    arguments = dict(llm._get_all_kwargs(**spoken.kwargs))
    headers = {**_lowered(client._custom_headers), **_lowered(arguments.pop("extra_headers", None) or {})}
    query = {**client._custom_query, **(arguments.pop("extra_query", None) or {})}
    further = arguments.pop("extra_body", None) or {}
    arguments.pop("timeout", None)
    body = {"messages": converted, "system": system, **arguments, **_mapping(further)}
    return as_json(body), headers, {str(name): str(value) for name, value in query.items()}


def _lowered(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in headers.items() if value is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise IndistinctCall("a body that is no object")
    return value


def _without_urls(message: Any) -> Any:
    """The integration would fetch them, which a look-up must not do."""
    if any(getattr(block, "url", None) for block in message.blocks):
        raise IndistinctCall("something to be fetched")
    return message
