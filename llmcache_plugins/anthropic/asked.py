"""What a call of the SDK asks: an `APIRequest` as a canonical request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import anthropic
from anthropic._base_client import BaseClient

from llmcache_plugins.canonical.anthropic import request_of_body
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.types import JsonValue, Request

__all__ = ["UnknownClient", "asked_of", "is_messages_call"]

_PATH = "/v1/messages"
# What is asked then depends on a state at the provider's, or the body holds credentials of other servers.
_STATEFUL = ("container", "thread", "mcp_servers", "fallback_credit_token")
_BETAS, _WORKSPACE = "anthropic-beta", "anthropic-workspace-id"
_COUNTED_ELSEWHERE = (_BETAS, _WORKSPACE, "user-agent")


class UnknownClient(Exception):
    """The client behind a call cannot be found, so that nobody knows where it would be sent."""


class _Destination(NamedTuple):
    """Where a call is sent, and with what its client adds to it."""

    base_url: str
    headers: Mapping[str, Any]
    own_headers: Mapping[str, Any]  # those of them that the user gave
    query: Mapping[str, Any]


def is_messages_call(request: anthropic.APIRequest) -> bool:
    """Is it a call of the Messages API, of which the whole answer depends on what is sent? Token counts, batches and
    files have other paths."""
    if request.method.lower() != "post" or not urlsplit(request.url).path.endswith(_PATH):
        return False
    return not any(_body(request).get(name) for name in _STATEFUL)


def asked_of(request: anthropic.APIRequest, call_next: object, extractor: Extractor) -> Request:
    """The canonical request.

    Raises:
        UnknownClient: see there.
        TypeError, ValueError, KeyError, AttributeError: it is no call of the Messages API after all.
    """
    if request.options.files is not None or not isinstance(request.json, Mapping):
        raise ValueError("the body is not JSON")
    there = _destination(call_next)
    url = urlsplit(request.url)
    headers = {**_named(there.headers), **_named(request.headers)}
    own = {name: headers[name] for name in _named(there.own_headers) if name not in _COUNTED_ELSEWHERE}
    query = {**_plain(there.query), **_plain(request.query_params), **dict(parse_qsl(url.query))}
    qualifiers = getattr(request.options, "qualifiers", None) or {}  # of the SDK from 2.0 on
    is_beta = query.pop("beta", "") == "true" or qualifiers.get("beta") == "true"
    return request_of_body(
        _body(request),
        base_url=f"{url.scheme}://{url.netloc}{url.path.removesuffix(_PATH)}" if url.netloc else there.base_url,
        betas=[beta.strip() for beta in headers.get(_BETAS, "").split(",") if beta.strip()],
        is_beta=is_beta,
        workspace=headers.get(_WORKSPACE, ""),
        query=query,
        headers={name: value for name, value in own.items() if value},
        extractor=extractor,
    )


def _body(request: anthropic.APIRequest) -> Mapping[str, JsonValue]:
    """What is sent: before 2.0, `extra_body` is laid over the rest later than here."""
    body = request.json if isinstance(request.json, Mapping) else {}
    return {**body, **(request.options.extra_json or {})}


def _destination(call_next: object) -> _Destination:
    """The SDK gives its middleware neither client nor address, but `call_next` is made of closures that lead there."""
    for client in _clients(call_next):
        return _Destination(str(client.base_url), client.default_headers, client._custom_headers, client.default_query)
    raise UnknownClient("this version of the SDK hides the client from its middleware; such calls are not cached")


def _clients(call_next: object) -> Iterator[BaseClient[Any, Any]]:
    step = call_next
    while step is not None:
        names = getattr(getattr(step, "__code__", None), "co_freevars", ())
        held = dict(zip(names, getattr(step, "__closure__", None) or (), strict=False))
        if "self" in held and isinstance(held["self"].cell_contents, BaseClient):
            yield held["self"].cell_contents
        step = held["call_next"].cell_contents if "call_next" in held else None


def _named(headers: Mapping[str, Any]) -> dict[str, str]:
    """By lower-case name; what stands for a header that is left out is none."""
    return {name.lower(): value if isinstance(value, str) else "" for name, value in headers.items()}


def _plain(query: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items()}
