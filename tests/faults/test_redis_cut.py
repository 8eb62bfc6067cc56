"""Connections to the server are reset, at every place of what it says: nothing is believed that came half."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.stores import AsyncRedisStore, RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector

OpenOn = Callable[..., Any]
Server = Callable[[str], RedisServer]
CableTo = Callable[[RedisServer], Any]
Until = Callable[..., None]

CUTS = [0, 1, 3, 20, 100, 300, 700, 1500]  # bytes of replies, until all connections are reset


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """The servers are shared by all tests."""
    return "faults-cut-" + "".join(sign if sign.isalnum() else "-" for sign in request.node.name)


@pytest.fixture(params=["search", "plain"])
def cable(request: pytest.FixtureRequest, redis_server: Server, cable_to: CableTo) -> Any:
    return cable_to(redis_server(request.param))


def is_well(asked: Any) -> bool:
    return bool(asked.told("hi") == "there" and asked.told("hello") == "there")


@pytest.mark.parametrize("count", CUTS)
def test_a_lookup_that_is_cut_off_is_right_or_a_miss(
    count: int, cable: Any, prefix: str, open_on: OpenOn, until: Until
) -> None:
    asked = open_on(f"{cable.url}?prefix={prefix}&timeout=5")
    asked.update("hi", "there")
    asked.update("another", "other")
    until(lambda: is_well(asked))
    for question in ("hello", "hi", "another"):
        cable.cut_after(count)
        assert asked.told(question) in (("other", None) if question == "another" else ("there", None))
    cable.cut_after(None)
    until(lambda: is_well(asked))


@pytest.mark.parametrize("count", CUTS)
def test_an_update_that_is_cut_off_is_done_or_not_done(
    count: int, cable: Any, prefix: str, open_on: OpenOn, until: Until
) -> None:
    asked = open_on(f"{cable.url}?prefix={prefix}&timeout=5")
    asked.update("hi", "before")
    cable.cut_after(count)
    is_stored = asked.update("hi", "after").stored
    cable.cut_after(None)
    until(lambda: asked.told("hi") in ("before", "after"))
    assert asked.told("hi") == "after" or not is_stored
    until(lambda: asked.update("hi", "there").stored)
    until(lambda: is_well(asked))
    assert asked.cache.stats().entries == 1


def test_a_cut_costs_one_try_and_no_miss(cable: Any, prefix: str, open_on: OpenOn) -> None:
    """Idle connections that a firewall has dropped are made anew on the way."""
    asked = open_on(f"{cable.url}?prefix={prefix}&timeout=5")
    asked.update("hi", "there")
    assert asked.told("hello") == "there"
    errors = asked.errors
    for _ in range(3):
        cable.cut()
        assert asked.told("hi") == "there"
    assert asked.errors == errors


def test_a_pipeline_that_is_cut_in_the_middle_is_read_again(cable: Any, prefix: str) -> None:
    """Fifty documents are read in one go: the replies to none of them are taken for those to others."""
    with closing(RedisStore(cable.url, prefix=prefix, index="local", timeout=5.0)) as store:
        for number in range(50):
            store.put(make_entry(f"{number}", vector=make_vector(0.001 * number)))
        whole = [one.entry.text for one in store.search("scope", "fake/8/unit", make_vector(), limit=50, now=0.0)]
        assert sorted(whole, key=int) == [f"{number}" for number in range(50)]
        for count in (10, 1000, 5000, 12000):
            cable.cut_after(count)
            found = store.search("scope", "fake/8/unit", make_vector(), limit=50, now=0.0)
            assert [one.entry.text for one in found] == whole
            assert all(one.entry.answer_json == '{"text": "answer"}' for one in found)


def test_aliases_on_their_way_with_a_write_are_not_lost(cable: Any, prefix: str) -> None:
    with closing(RedisStore(cable.url, prefix=prefix, timeout=5.0)) as store:
        target = make_entry("target")
        store.put(target)
        for count in (0, 5, 40):
            store.put_alias(make_alias(f"alias {count}", target))
            cable.cut_after(count)
            store.put(make_entry(f"another {count}"))
            cable.cut_after(None)
            found = store.get("scope", f"key of alias {count}")
            assert found is not None
            assert found.entry.text == "target"  # type: ignore[union-attr]
        assert store.stats().aliases == 3


async def test_tasks_that_share_a_loop_get_their_own_replies(cable: Any, prefix: str) -> None:
    store = AsyncRedisStore(cable.url, prefix=prefix, timeout=5.0, max_connections=4)
    for number in range(20):
        await store.put(make_entry(f"{number}"))

    async def ask(number: int) -> bool:
        for _ in range(5):
            found = await store.get("scope", f"key of {number}")
            if found is None or found.entry.text != f"{number}":  # type: ignore[union-attr]
                return False
        return True

    cable.cut_after(4000)
    results = await asyncio.gather(*(ask(number) for number in range(20)), return_exceptions=True)
    assert not [result for result in results if result is False]
    assert cable.cuts > 0
    await store.close()


def test_a_follower_that_is_cut_off_asks_the_server_again(cable: Any, prefix: str, until: Until) -> None:
    """Whatever was changed while nobody heard it: the next version is the server's own."""
    with closing(RedisStore(cable.url, prefix=prefix, timeout=5.0, staleness=5.0)) as store:
        store.note("name", "before")
        until(lambda: store._shared.follower.is_sure)
        before = store.version()
        cable.is_held.set()  # changes do not come through, and nobody knows
        with closing(RedisStore(f"redis://127.0.0.1:{cable.target}/0", prefix=prefix)) as other:
            other.note("name", "after")
        assert store.version() == before  # for as long as `staleness` allows
        cable.cut()
        cable.is_held.clear()
        until(lambda: store.version() != before, seconds=3.0)  # sooner than that: the loss of the connection is heard
        assert store.notes() == {"name": "after"}


def test_a_lease_that_was_given_to_one_who_never_heard_of_it_is_given_back(cable: Any, prefix: str) -> None:
    """Who got no answer goes on without a lease: others would wait for it until it ends."""
    with (
        closing(RedisStore(cable.url, prefix=prefix, timeout=0.2)) as store,
        closing(RedisStore(f"redis://127.0.0.1:{cable.target}/0", prefix=prefix)) as other,
    ):
        store.acquire("before", "me", 0.0, 60.0)  # the server knows the script
        cable.is_held.set()
        with pytest.raises(StoreUnavailable):
            store.acquire("name", "me", 0.0, 60.0)
        cable.is_held.clear()
        assert other.acquire("name", "you", 1.0, 60.0) is None
        assert (
            store.acquire("another", "me too", 1.0, 60.0) is not None
        )  # it is given back with whatever is written next
        assert other.acquire("name", "you", 1.0, 60.0) is not None


def test_the_lease_of_another_flight_is_not_given_back_with_it(cable: Any, prefix: str) -> None:
    with (
        closing(RedisStore(cable.url, prefix=prefix, timeout=0.2)) as store,
        closing(RedisStore(f"redis://127.0.0.1:{cable.target}/0", prefix=prefix)) as other,
    ):
        assert other.acquire("name", "you", 0.0, 60.0) is not None
        cable.is_held.set()
        with pytest.raises(StoreUnavailable):
            store.acquire("name", "me", 0.0, 60.0)
        cable.is_held.clear()
        store.acquire("another", "me too", 1.0, 60.0)
        assert store.acquire("name", "somebody else", 1.0, 60.0) is None
