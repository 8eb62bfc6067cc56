"""What only the client of an LLM knows about a call: where it goes, and what is sent along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llama_index.core.llms import LLM

from llmcache_plugins.keys.params import canonical_params
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json
from llmcache_plugins.types import JsonValue

__all__ = ["told_by_clients"]

_OF_EACH_CALL = {"accept", "accept-encoding", "connection", "user-agent"}  # what an HTTP client sends by itself


def told_by_clients(llm: LLM, fields: Mapping[str, Any], *, is_async: bool) -> dict[str, JsonValue]:
    """What the clients that the LLM keeps say beyond its fields. Those that an LLM makes by itself, on its first call,
    say nothing more: the first and the second call are the same question.

    Args:
        fields: the LLM's, as they are written down.
        is_async: which clients count: a user may have given one of them only.

    Raises:
        IndistinctCall: a client does not say where it sends.
    """
    found: dict[str, JsonValue] = {}
    known: set[str] | None = None
    for client in (llm.__pydantic_private__ or {}).values():
        if not hasattr(client, "base_url") or isinstance(client, type):
            continue
        if type(client).__name__.startswith("Async") is not is_async:
            continue
        known = set(_texts(fields)) if known is None else known
        try:
            found |= _told(client, known)
        except IndistinctCall:
            raise
        except Exception as error:
            raise IndistinctCall("a client that does not say where it sends") from error
    return found


def _told(client: Any, known: set[str]) -> dict[str, JsonValue]:
    url = str(client.base_url).rstrip("/")
    told: dict[str, JsonValue] = {} if not url or _is_known(url, known) else {"client:url": url}
    is_http = type(client).__module__.partition(".")[0] == "httpx"  # a client of a provider sends by one of these
    headers = client.headers if is_http else getattr(client, "_custom_headers", None)
    query = client.params if is_http else getattr(client, "_custom_query", None)
    for kind, given in (("headers", headers), ("query", query)):
        more = {str(name).lower(): str(value) for name, value in (given or {}).items() if str(value) not in known}
        more = {name: value for name, value in more.items() if name not in _OF_EACH_CALL}
        kept = canonical_params({"client_headers": as_json(more)})["client_headers"]
        told |= {f"client:{'http_' if is_http else ''}{kind}": kept} if kept else {}
    return told


def _is_known(url: str, known: set[str]) -> bool:
    """Do the fields name it already? Azure's clients add to the endpoint."""
    return any(url == text.rstrip("/") or url.startswith(text.rstrip("/") + "/openai") for text in known if text)


def _texts(fields: Mapping[str, Any]) -> Iterator[str]:
    for value in fields.values():
        if isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, str):
            yield value
