"""Answers that do not come whole, or not at once, through the Anthropic SDK plugin."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from typing import Any

import anthropic
import pytest

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.testing import FakeAnthropic

BODY: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "What does a route reflector do?"}],
}


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture
def client(server: FakeAnthropic, cache: SemanticCache) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


@pytest.fixture
async def aclient(server: FakeAnthropic, cache: SemanticCache) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


@pytest.fixture(autouse=True)
def no_waiting_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Any, **kwargs: Any) -> None:
        pass

    monkeypatch.setattr(anthropic.Anthropic, "_sleep_for_retry", lambda self, **kwargs: None)
    monkeypatch.setattr(anthropic.AsyncAnthropic, "_sleep_for_retry", at_once)


def is_asked_again(client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache) -> bool:
    """True when nothing was stored so far; nothing waits for a stream that is over, either."""
    assert cache.stats().updates == 0
    before = server.count()
    client.messages.create(**BODY)
    client.messages.create(**BODY)
    return server.count() == before + 1


# ------------------------------------------------------------------ P55, and P14 for this plugin
BROKEN = {"cut": {"cut_after": 4}, "cut at once": {"cut_after": 1}, "error": {"error_after": 4}}


@pytest.mark.parametrize("broken", BROKEN)
def test_p55_a_broken_stream_stores_nothing(
    broken: str, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(**BROKEN[broken])
    with pytest.raises(Exception, match=r".") as caught, client.messages.stream(**BODY) as stream:
        stream.get_final_message()
    assert not isinstance(caught.value, AssertionError)
    assert is_asked_again(client, server, cache)


@pytest.mark.parametrize("broken", BROKEN)
async def test_p55_a_broken_async_stream_stores_nothing(
    broken: str, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(**BROKEN[broken])
    with pytest.raises(Exception, match=r"."):
        async with aclient.messages.stream(**BODY) as stream:
            await stream.get_final_message()
    assert cache.stats().updates == 0
    for _ in range(2):
        await aclient.messages.create(**BODY)
    assert server.count() == 2


def test_p55_a_stream_that_is_left_stores_nothing(
    client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    with client.messages.stream(**BODY) as stream:
        for _ in stream.text_stream:
            break
    assert is_asked_again(client, server, cache)


def test_p55_a_stream_that_nobody_reads_stores_nothing_and_holds_up_nobody(
    client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    stream = client.messages.create(**BODY, stream=True)
    del stream
    gc.collect()
    assert is_asked_again(client, server, cache)


async def test_p55_an_async_stream_that_is_left_stores_nothing(
    aclient: anthropic.AsyncAnthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    async with aclient.messages.stream(**BODY) as stream:
        async for _ in stream.text_stream:
            break
    assert cache.stats().updates == 0
    for _ in range(2):
        await aclient.messages.create(**BODY)
    assert server.count() == 2


def test_a_stream_that_is_left_after_its_last_event_is_stored(
    client: anthropic.Anthropic, server: FakeAnthropic
) -> None:
    stream = client.messages.create(**BODY, stream=True)
    for event in stream:
        if event.type == "message_stop":
            break
    client.messages.create(**BODY)
    assert server.count() == 1
    stream.close()


@pytest.mark.parametrize("streams", [False, True])
def test_p55_a_second_attempt_is_stored_once_after_one_lookup(
    streams: bool, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(status=529)
    answer = client.with_options(max_retries=2).messages.create(**BODY, stream=streams)
    list(answer) if streams else None
    stats = cache.stats()
    assert (server.count(), stats.lookups, stats.updates) == (2, 1, 1)
    client.messages.create(**BODY)
    assert server.count() == 2


@pytest.mark.parametrize("streams", [False, True])
async def test_p55_a_second_async_attempt_is_stored_once_after_one_lookup(
    streams: bool, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(status=529)
    answer: Any = await aclient.with_options(max_retries=2).messages.create(**BODY, stream=streams)
    if streams:
        [event async for event in answer]
    stats = cache.stats()
    assert (server.count(), stats.lookups, stats.updates) == (2, 1, 1)
    await aclient.messages.create(**BODY)
    assert server.count() == 2


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("status", "error"), [(400, anthropic.BadRequestError), (529, anthropic.APIStatusError)])
def test_errors_of_the_api_stay_as_they_are(
    status: int, error: type[Exception], streams: bool, client: anthropic.Anthropic, server: FakeAnthropic,
    cache: SemanticCache,
) -> None:  # fmt: skip
    server.enqueue(status=status, message="so it is")
    with pytest.raises(error, match="so it is"):
        client.messages.create(**BODY, stream=streams)
    assert is_asked_again(client, server, cache)


# ------------------------------------------------------------------ P56
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "reason", ["refusal", "pause_turn", "max_tokens", "model_context_window_exceeded", "a_new_reason"]
)
def test_p56_what_did_not_end_well_is_not_stored(
    reason: str, streams: bool, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(text="as far as it", stop_reason=reason)
    answer = client.messages.create(**BODY, stream=streams)
    list(answer) if streams else None
    assert is_asked_again(client, server, cache)


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "bgp"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


@pytest.mark.parametrize("streams", [False, True])
def test_what_a_tool_of_the_providers_found_is_not_stored(
    streams: bool, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(content=[SEARCH, FOUND, {"type": "text", "text": "It rains."}])
    answer = client.messages.create(**BODY, stream=streams)
    list(answer) if streams else None
    assert is_asked_again(client, server, cache)


@pytest.mark.parametrize("streams", [False, True])
def test_an_answer_without_words_is_not_stored(
    streams: bool, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.enqueue(content=[])
    answer = client.messages.create(**BODY, stream=streams)
    list(answer) if streams else None
    assert is_asked_again(client, server, cache)


# ------------------------------------------------------------------ unknown to us
def test_a_stream_with_an_unknown_delta_is_handed_on_and_not_stored(
    client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmcache_plugins.testing.fake_anthropic import server as fake

    def with_news(message: Any, chunk: int) -> Any:
        frames = list(real(message, chunk))
        delta = {"type": "a_new_delta", "of": "something"}
        news = {"type": "content_block_delta", "index": 0, "delta": delta}
        return [*frames[:3], ("content_block_delta", news), *frames[3:]]

    real = fake.sse_frames
    monkeypatch.setattr(fake, "sse_frames", with_news)
    with suppress(Exception):  # what the SDK makes of it is its own business
        list(client.messages.create(**BODY, stream=True))
    assert server.count() == 1
    assert is_asked_again(client, server, cache)
