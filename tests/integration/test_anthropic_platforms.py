"""Clients of other platforms through the Anthropic SDK plugin, over a transport that answers by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import anthropic
import pytest

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.anthropic.wire import httpx

BODY: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "What does a route reflector do?"}],
}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "It reflects routes to its clients."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 7},
}
AWS_STREAM = "application/vnd.amazon.eventstream"


class Platform:
    """Answers every request with the same message; `paths` are those that were asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if request.url.path.endswith("invoke-with-response-stream"):
            return httpx.Response(200, headers={"content-type": AWS_STREAM}, content=b"in a form of its own")
        return httpx.Response(200, json=ANSWER)

    async def aanswer(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request)


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bedrock's signatures need a package of Amazon's, and are made behind the middleware."""
    monkeypatch.setattr(anthropic.AnthropicBedrock, "_prepare_request", lambda self, request: None)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content)


def vertex(platform: Platform) -> anthropic.AnthropicVertex:
    http_client = httpx.Client(transport=httpx.MockTransport(platform.answer))
    return anthropic.AnthropicVertex(region="us-east5", project_id="p", access_token="t", http_client=http_client)


def bedrock(platform: Platform) -> anthropic.AnthropicBedrock:
    http_client = httpx.Client(transport=httpx.MockTransport(platform.answer))
    return anthropic.AnthropicBedrock(
        aws_region="us-east-1", aws_access_key="a", aws_secret_key="s", http_client=http_client
    )


@pytest.fixture
async def avertex(platform: Platform, cache: SemanticCache) -> AsyncIterator[anthropic.AsyncAnthropicVertex]:
    http_client = httpx.AsyncClient(transport=httpx.MockTransport(platform.aanswer))
    made = anthropic.AsyncAnthropicVertex(region="us-east5", project_id="p", access_token="t", http_client=http_client)
    async with made:
        yield cache_client(made, cache)


@pytest.mark.parametrize("make", [vertex, bedrock])
def test_answers_of_a_platform_are_found_again_and_streamed(
    make: Any, platform: Platform, cache: SemanticCache
) -> None:
    with make(platform) as made:
        client = cache_client(made, cache)
        cold = client.messages.create(**BODY)
        assert text_of(client.messages.create(**BODY)) == text_of(cold)
        with client.messages.stream(**BODY) as stream:
            assert text_of(stream.get_final_message()) == text_of(cold)
        assert len(platform.paths) == 1


async def test_async_too(avertex: anthropic.AsyncAnthropicVertex, platform: Platform) -> None:
    cold = await avertex.messages.create(**BODY)
    async with avertex.messages.stream(**BODY) as stream:
        assert text_of(await stream.get_final_message()) == text_of(cold)
    assert len(platform.paths) == 1


def test_platforms_are_kept_apart(platform: Platform, cache: SemanticCache) -> None:
    for _ in range(2):
        for make in (vertex, bedrock):
            with make(platform) as made:
                cache_client(made, cache).messages.create(**BODY)
    assert len(platform.paths) == 2


def test_a_stream_in_a_form_of_its_own_is_handed_on_and_not_recorded(platform: Platform, cache: SemanticCache) -> None:
    with bedrock(platform) as made:
        client = cache_client(made, cache)
        for _ in range(2):
            with client.messages.with_streaming_response.create(**BODY, stream=True) as response:
                assert b"".join(response.iter_bytes()) == b"in a form of its own"
        assert (len(platform.paths), cache.stats().updates) == (2, 0)
        assert json.loads(client.messages.with_raw_response.create(**BODY).http_response.content) == ANSWER
