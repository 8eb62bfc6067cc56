"""A hit as the SDK's own response: JSON, or a stream in pieces, round an HTTP response that nobody sent."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import anthropic

from llmcache_plugins.anthropic.stream import frames_of
from llmcache_plugins.anthropic.wire import httpx
from llmcache_plugins.canonical.answer import new_id, stored_answers
from llmcache_plugins.canonical.anthropic import message_of_answer, saved_usage, wire_usage
from llmcache_plugins.errors import CodecError
from llmcache_plugins.types import Hit, JsonValue, Usage

__all__ = ["MARK", "UsageMode", "areplayed", "replayed"]

UsageMode: TypeAlias = Literal["zero", "original"]
MARK = "llmcache"  # in `usage`
_NOWHERE = "https://llmcache.invalid"


def replayed(hit: Hit, request: anthropic.APIRequest, usage: UsageMode) -> anthropic.APIResponse[Any]:
    """What the SDK would have made of the API's response.

    Raises:
        CodecError: what is stored cannot be read.
    """
    return anthropic.APIResponse(raw=_response(hit, request, usage), client=_decoding(), **_of_request(request))


def areplayed(hit: Hit, request: anthropic.APIRequest, usage: UsageMode) -> anthropic.AsyncAPIResponse[Any]:
    """`replayed` for asynchronous clients."""
    return anthropic.AsyncAPIResponse(raw=_response(hit, request, usage), client=_adecoding(), **_of_request(request))


def _of_request(request: anthropic.APIRequest) -> dict[str, Any]:
    return {
        "cast_to": request.cast_to,
        "stream": request.stream,
        "stream_cls": request.stream_cls,
        "options": request.options,
        "retries_taken": request.retries_taken,
    }


def _response(hit: Hit, request: anthropic.APIRequest, usage: UsageMode) -> httpx.Response:
    message = _message(hit, usage)
    body = b"".join(frames_of(message)) if request.stream else json.dumps(message).encode()
    response = httpx.Response(
        200,
        headers={
            "content-type": "text/event-stream; charset=utf-8" if request.stream else "application/json",
            "request-id": new_id("req_llmcache_"),
            "x-llmcache": "hit",
        },
        # Not read yet, as from the API: who relays a stream takes its raw bytes.
        stream=httpx.ByteStream(body),
        request=httpx.Request("POST", f"{_NOWHERE}/v1/messages"),
    )
    if not request.stream:
        response.read()
    response.elapsed = timedelta(seconds=hit.latency)
    return response


def _message(hit: Hit, usage: UsageMode) -> dict[str, JsonValue]:
    answers = stored_answers(hit.answer)
    if len(answers) != 1:
        raise CodecError("the stored content holds several answers")
    saved = saved_usage(answers[0])
    if usage == "original":
        return message_of_answer(answers[0], usage=saved)
    # Never as tokens read from the provider's cache: those are paid for.
    mark = {**hit.evidence, "hit": True, "tier": hit.tier, "saved": saved}
    return message_of_answer(answers[0], usage={**wire_usage(Usage()), MARK: mark})


# Responses need a client to be read with. Those of some platforms expect their own form of streams, so it is always
# this one, which never sends.
@lru_cache(maxsize=1)
def _decoding() -> anthropic.Anthropic:
    http_client = anthropic.DefaultHttpxClient(trust_env=False, verify=False)
    return anthropic.Anthropic(api_key="llmcache", base_url=_NOWHERE, http_client=http_client)


@lru_cache(maxsize=1)
def _adecoding() -> anthropic.AsyncAnthropic:
    http_client = anthropic.DefaultAsyncHttpxClient(trust_env=False, verify=False)
    return anthropic.AsyncAnthropic(api_key="llmcache", base_url=_NOWHERE, http_client=http_client)
