"""The server of a cache accepts connections and answers nothing (SIGSTOP): a few calls wait, then nobody does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.stores import AsyncRedisStore, RedisStore
from llmcache_plugins.stores.redis.breaker import Breaker
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry

OpenOn = Callable[..., Any]
Until = Callable[..., None]
CableTo = Callable[[RedisServer], Any]

TIMEOUT = 0.2
PATIENCE = 5.0  # a machine that is busy elsewhere


@pytest.fixture
def server(redis_flavour: Callable[[str], str]) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour("plain")) as server:
        yield server


def url_of(server: RedisServer) -> str:
    return f"{server.url}?prefix=x&timeout={TIMEOUT}"


def seconds_of(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def refused(store: RedisStore) -> float:
    """Seconds until a read was given up."""

    def get() -> None:
        with pytest.raises(StoreUnavailable):
            store.get("scope", "key")

    return seconds_of(get)


def with_a_clock(store: RedisStore) -> FakeClock:
    """The breaker's pause ends when the clock is moved, not sooner."""
    clock = FakeClock()
    breakers = store._shared.server._breakers
    assert breakers  # one since the first call
    breakers.update(dict.fromkeys(breakers, Breaker(monotonic=clock.monotonic, jitter=lambda: 0.0)))
    return clock


def test_three_calls_wait_and_then_nobody_does(server: RedisServer) -> None:
    with closing(RedisStore(server.url, prefix="x", timeout=TIMEOUT)) as store:
        assert store.get("scope", "key") is None
        clock = with_a_clock(store)
        server.pause()
        for _ in range(3):
            assert TIMEOUT * 0.9 <= refused(store) < TIMEOUT + PATIENCE
        assert sum(refused(store) for _ in range(50)) < TIMEOUT
        clock.advance(0.5)
        assert refused(store) >= TIMEOUT * 0.9  # one tries
        assert sum(refused(store) for _ in range(50)) < TIMEOUT
        server.resume()
        clock.advance(0.9)
        assert refused(store) < TIMEOUT  # the pause has doubled
        clock.advance(0.1)
        assert store.get("scope", "key") is None


def test_a_lookup_waits_no_longer_than_the_breaker_takes(server: RedisServer, open_on: OpenOn) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    assert asked.told("hi") == "there"
    server.pause()
    assert seconds_of(lambda: asked.ask("hi", "from the model")) < 3 * TIMEOUT + PATIENCE
    asked.ask("hi", "from the model")
    assert min(seconds_of(lambda: asked.ask("hi", "from the model")) for _ in range(20)) < TIMEOUT / 4
    server.resume()


def test_it_goes_on_by_itself_with_what_it_had(server: RedisServer, open_on: OpenOn, until: Until) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    server.pause()
    for number in range(5):
        assert asked.ask(f"question {number}", "from the model") == "from the model"
    assert asked.errors > 0
    server.resume()
    until(lambda: asked.told("hi") == "there")
    until(lambda: asked.told("hello") == "there")


def test_an_answer_that_came_too_late_is_nobody_elses(server: RedisServer, open_on: OpenOn, until: Until) -> None:
    """Replies to calls that were given up lie in their connections: none is read as that of the next call."""
    asked = open_on(url_of(server))
    for number in range(4):
        asked.update(f"question {number}", f"answer {number}")
    server.pause()
    for number in range(3):
        asked.lookup(f"question {number}")
    server.resume()
    until(lambda: asked.told("question 3") == "answer 3")
    for number in range(4):
        assert asked.told(f"question {number}") == f"answer {number}"


def test_a_write_that_was_given_up_does_no_harm_when_it_is_done_after_all(
    server: RedisServer, open_on: OpenOn, until: Until
) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "first")
    server.pause()
    assert not asked.update("hi", "second").stored  # the server has it in its buffer
    server.resume()
    until(lambda: asked.told("hi") in ("first", "second"))
    until(lambda: asked.update("hi", "third").stored)
    assert asked.told("hi") == "third"
    assert asked.cache.stats().entries == 1


async def test_the_event_loop_goes_on_meanwhile(server: RedisServer) -> None:
    store = AsyncRedisStore(server.url, prefix="x", timeout=TIMEOUT)
    await store.get("scope", "key")
    server.pause()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(StoreUnavailable):
        await store.get("scope", "key")
    ticking.cancel()
    assert ticks >= 3
    server.resume()
    await store.close()


async def test_many_tasks_wait_together(server: RedisServer) -> None:
    store = AsyncRedisStore(server.url, prefix="x", timeout=TIMEOUT)
    await store.get("scope", "key")
    server.pause()
    start = time.monotonic()
    outcomes = await asyncio.gather(*(store.get("scope", f"key {n}") for n in range(100)), return_exceptions=True)
    assert time.monotonic() - start < PATIENCE
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    server.resume()
    await store.close()


async def test_a_task_that_is_cancelled_leaves_its_reply_to_nobody(server: RedisServer, cable_to: CableTo) -> None:
    cable = cable_to(server)
    store = AsyncRedisStore(cable.url, prefix="x", timeout=PATIENCE, max_connections=1)
    for name in ("a", "b"):
        await store.put(make_entry(name))
    cable.is_held.set()
    task = asyncio.create_task(store.get("scope", "key of a"))
    while not cable.replies_held:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    cable.is_held.clear()
    found = await store.get("scope", "key of b")
    assert found is not None
    assert found.entry.text == "b"  # type: ignore[union-attr]
    await store.close()


WAITS = 60.0  # seconds of staleness: the follower waits for a third of it


@pytest.mark.parametrize("is_hung", [False, True], ids=["well", "hung"])
def test_closing_does_not_wait_for_the_follower(server: RedisServer, is_hung: bool, until: Until) -> None:
    store = RedisStore(server.url, prefix="x", timeout=TIMEOUT, staleness=WAITS)
    until(lambda: store._shared.follower.is_sure)
    thread = store._shared.follower._thread
    assert thread is not None
    if is_hung:
        server.pause()
    assert seconds_of(store.close) < PATIENCE
    assert not thread.is_alive()


async def test_nor_does_it_block_the_event_loop(server: RedisServer) -> None:
    store = AsyncRedisStore(server.url, prefix="x", staleness=WAITS)
    while not store._shared.follower.is_sure:
        await asyncio.sleep(0.005)
    start = time.monotonic()
    await store.close()
    assert time.monotonic() - start < PATIENCE
