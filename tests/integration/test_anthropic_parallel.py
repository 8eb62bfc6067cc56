"""Several callers at a time, and renewals behind a caller's back, through the Anthropic SDK plugin."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import anthropic
import pytest

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.testing import FakeAnthropic, FakeClock

CALLERS = 8
PATIENCE = 20.0  # seconds until a hanging test fails
BODY: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "What does a route reflector do?"}],
}


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        fake.handler = lambda body: {"content": [{"type": "text", "text": f"answer {fake.count()}"}]}
        yield fake


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    opened = open_cache("memory://", embedder=None, clock=clock, ttl=100.0, stale_while_revalidate=50.0)
    with closing(opened):
        yield opened


@pytest.fixture
def client(server: FakeAnthropic, cache: SemanticCache) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


@pytest.fixture
async def aclient(server: FakeAnthropic, cache: SemanticCache) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


def ask(client: anthropic.Anthropic, streams: bool) -> str:
    if not streams:
        return str(client.messages.create(**BODY).content[0].to_dict()["text"])
    with client.messages.stream(**BODY) as stream:
        return stream.get_final_text()


async def aask(client: anthropic.AsyncAnthropic, streams: bool) -> str:
    if not streams:
        return str((await client.messages.create(**BODY)).content[0].to_dict()["text"])
    async with client.messages.stream(**BODY) as stream:
        return await stream.get_final_text()


def at_a_time(call: Callable[[int], str]) -> list[str | Exception]:
    """What each of the callers got."""
    start = threading.Barrier(CALLERS)

    def caught(place: int) -> str | Exception:
        start.wait(PATIENCE)
        try:
            return call(place)
        except Exception as error:
            return error

    with ThreadPoolExecutor(CALLERS) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(caught, place) for place in range(CALLERS)]]


async def aat_a_time(call: Callable[[int], Any]) -> list[str | BaseException]:
    found: list[str | BaseException] = await asyncio.wait_for(
        asyncio.gather(*(call(place) for place in range(CALLERS)), return_exceptions=True), PATIENCE
    )
    return found


KINDS: dict[str, Callable[[int], bool]] = {
    "create": lambda place: False,
    "stream": lambda place: True,
    "both": lambda place: place % 2 == 0,
}


# ------------------------------------------------------------------ P26
@pytest.mark.parametrize("kind", KINDS)
def test_p26_concurrent_equal_calls_make_one(kind: str, client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    server.latency = 0.1
    assert at_a_time(lambda place: ask(client, KINDS[kind](place))) == ["answer 1"] * CALLERS
    assert server.count() == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_p26_concurrent_equal_async_calls_make_one(
    kind: str, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic
) -> None:
    server.latency = 0.1
    assert await aat_a_time(lambda place: aask(aclient, KINDS[kind](place))) == ["answer 1"] * CALLERS
    assert server.count() == 1


FAILURES: dict[str, dict[str, Any]] = {"overloaded": {"status": 529}, "cut": {"cut_after": 3}}


@pytest.mark.parametrize("failure", FAILURES)
def test_p26_a_failed_call_is_its_callers_alone(
    failure: str, client: anthropic.Anthropic, server: FakeAnthropic
) -> None:
    server.latency = 0.1
    server.enqueue(**FAILURES[failure])
    found = at_a_time(lambda place: ask(client, True))
    assert sum(isinstance(one, Exception) for one in found) == 1
    assert ask(client, True).startswith("answer")


@pytest.mark.parametrize("streams", [False, True])
async def test_p26_an_async_call_that_failed_is_its_callers_alone(
    streams: bool, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic
) -> None:
    server.latency = 0.1
    server.enqueue(status=500)
    found = await aat_a_time(lambda place: aask(aclient, streams))
    assert sum(isinstance(one, anthropic.InternalServerError) for one in found) == 1
    assert sum(isinstance(one, str) for one in found) == CALLERS - 1


@pytest.mark.parametrize("streams", [False, True])
def test_p26_without_a_server_nobody_hangs(streams: bool, client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    server.stop()
    found = at_a_time(lambda place: ask(client, streams))
    assert all(isinstance(one, anthropic.APIConnectionError) for one in found)


@pytest.mark.parametrize("streams", [False, True])
async def test_p26_a_cancelled_call_passes_the_lead_on(
    streams: bool, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic
) -> None:
    server.latency = 0.5
    leader = asyncio.create_task(aask(aclient, streams))
    while server.count() == 0:  # the server counts in a thread
        await asyncio.sleep(0.01)
    follower = asyncio.create_task(aask(aclient, streams))
    await asyncio.sleep(0)
    leader.cancel()
    server.latency = 0.0
    assert (await asyncio.wait_for(follower, PATIENCE)).startswith("answer")
    with pytest.raises(asyncio.CancelledError):
        await leader


def test_a_question_while_an_equal_stream_is_open_does_not_wait_for_it(
    client: anthropic.Anthropic, server: FakeAnthropic
) -> None:
    with client.messages.stream(**BODY) as stream:
        assert ask(client, False) == "answer 2"
        assert stream.get_final_text() == "answer 1"
    assert server.count() == 2


# ------------------------------------------------------------------ P15
@pytest.mark.parametrize("streams", [False, True])
def test_p15_one_call_is_one_lookup_and_one_write(
    streams: bool, client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic
) -> None:
    ask(client, streams)
    stats = cache.stats()
    assert (stats.lookups, stats.updates) == (1, 1)
    ask(client, streams)
    stats = cache.stats()
    assert (stats.lookups, stats.updates, server.count()) == (2, 1, 1)


@pytest.mark.parametrize("streams", [False, True])
def test_p15_of_two_layers_only_the_outer_one_counts(
    streams: bool, client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic
) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        from llmcache_plugins.anthropic import LLMCacheMiddleware

        both = client.with_options(middleware=[LLMCacheMiddleware(cache), LLMCacheMiddleware(other)])
        ask(both, streams)
        ask(both, streams)
        assert (cache.stats().lookups, other.stats().lookups, server.count()) == (2, 0, 1)


# ------------------------------------------------------------------ renewed behind the caller's back
def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


async def auntil(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("streams", [False, True])
def test_an_old_answer_is_served_while_it_is_renewed(
    streams: bool, client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic, clock: FakeClock
) -> None:
    assert ask(client, streams) == "answer 1"
    clock.advance(120.0)
    assert ask(client, streams) == "answer 1"
    until(lambda: cache.stats().updates == 2)
    assert ask(client, streams) == ask(client, not streams) == "answer 2"
    assert server.count() == 2


@pytest.mark.parametrize("streams", [False, True])
async def test_an_old_answer_is_served_while_it_is_renewed_in_a_task(
    streams: bool, aclient: anthropic.AsyncAnthropic, cache: SemanticCache, server: FakeAnthropic, clock: FakeClock
) -> None:
    assert await aask(aclient, streams) == "answer 1"
    clock.advance(120.0)
    assert await aask(aclient, streams) == "answer 1"
    await auntil(lambda: cache.stats().updates == 2)
    assert await aask(aclient, streams) == await aask(aclient, not streams) == "answer 2"
    assert server.count() == 2


@pytest.mark.parametrize("streams", [False, True])
def test_a_renewal_through_a_closed_client_costs_an_event(
    streams: bool, client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic, clock: FakeClock
) -> None:
    ask(client, streams)
    clock.advance(120.0)
    client.close()
    assert ask(client, streams) == "answer 1"
    until(lambda: sum(cache.stats().errors.values()) == 1)
    assert ask(client, streams) == "answer 1"


@pytest.mark.parametrize("streams", [False, True])
def test_a_renewal_that_the_api_refuses_is_not_tried_again_at_once(
    streams: bool, client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic, clock: FakeClock
) -> None:
    ask(client, streams)
    clock.advance(120.0)
    server.enqueue(status=529)
    assert ask(client, streams) == "answer 1"
    until(lambda: sum(cache.stats().errors.values()) == 1)
    for _ in range(3):
        assert ask(client, streams) == "answer 1"
    assert (server.count(), cache.stats().updates) == (2, 1)
    clock.advance(20.0)
    assert ask(client, streams) == "answer 1"
    until(lambda: cache.stats().updates == 2)
    assert ask(client, streams) == "answer 3"
