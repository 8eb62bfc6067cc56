"""The server of a cache is killed and comes back, empty or with its entries: nothing stays broken, nothing old is
believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import TierConfig
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry, make_vector

OpenOn = Callable[..., Any]
Flavour = Callable[[str], str]
Until = Callable[..., None]
ClientOf = Callable[..., Any]

FLAVOURS = ["search", "plain", "valkey"]
COPIED = [TierConfig("top", store="memory://", is_start=True), TierConfig("bottom")]


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest, redis_flavour: Flavour) -> str:
    return redis_flavour(request.param)


@pytest.fixture
def plain(redis_flavour: Flavour) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour("plain")) as server:
        yield server


@pytest.fixture
def lasting(flavour: str, tmp_path: Path) -> Iterator[RedisServer]:
    """What was answered is in the file, whatever happens to the process."""
    with RedisServer(flavour, "--appendonly", "yes", folder=tmp_path) as server:
        yield server


def url_of(server: RedisServer, **more: object) -> str:
    return f"{server.url}?prefix=x&timeout=1" + "".join(f"&{name}={value}" for name, value in more.items())


def restart(server: RedisServer) -> None:
    server.kill()
    server.start()


def test_after_an_empty_restart_it_fills_anew(flavour: str, open_on: OpenOn, until: Until) -> None:
    with RedisServer(flavour) as server:
        asked = open_on(url_of(server))
        asked.update("hi", "before")
        assert (asked.told("hi"), asked.told("hello")) == ("before", "before")
        restart(server)
        assert asked.told("hi") is None
        until(lambda: asked.update("hi", "after").stored)
        until(lambda: (asked.told("hi"), asked.told("hello")) == ("after", "after"))
        assert asked.cache.stats().entries == 1


def test_what_was_kept_is_found_after_a_restart(lasting: RedisServer, open_on: OpenOn, until: Until) -> None:
    asked = open_on(url_of(lasting))
    asked.update("hi", "kept")
    assert asked.told("hello") == "kept"
    restart(lasting)
    until(lambda: asked.told("hi") == "kept")
    until(lambda: asked.told("hello") == "kept")
    until(lambda: asked.update("another", "new").stored)  # the scripts are gone, too
    assert asked.told("another") == "new"


def test_a_new_process_finds_what_was_kept(lasting: RedisServer, open_on: OpenOn, until: Until) -> None:
    open_on(url_of(lasting)).update("hi", "kept")
    restart(lasting)
    asked = open_on(url_of(lasting))
    assert asked.told("hi") == "kept"
    until(lambda: asked.told("hello") == "kept")  # an index is filled a while after the start


def test_scripts_that_were_flushed_are_sent_again(plain: RedisServer, open_on: OpenOn, client_of: ClientOf) -> None:
    asked = open_on(url_of(plain))
    client = client_of(plain)
    for number in range(3):
        client.script_flush()
        assert asked.update("hi", f"there {number}").stored
        client.script_flush()
        assert asked.told("hi") == f"there {number}"
        client.script_flush()
        assert asked.told("hello") == f"there {number}"
    assert asked.errors == 0


def test_a_database_that_was_flushed_is_no_error(
    plain: RedisServer, open_on: OpenOn, client_of: ClientOf, until: Until
) -> None:
    """At most the answer that was under way is refused: nobody knows what was invalidated in the old database."""
    asked = open_on(url_of(plain))
    for number in range(3):
        until(lambda number=number: asked.ask("hi", f"there {number}") == asked.told("hi"))
        assert asked.told("hello") == f"there {number}"
        client_of(plain).flushdb()
        assert (asked.told("hi"), asked.told("hello")) == (None, None)
    assert asked.errors == 0


# ---------------------------------------------------------------- copies and what was heard


def test_copies_in_the_process_do_not_outlive_the_database(plain: RedisServer, open_on: OpenOn, until: Until) -> None:
    asked = open_on(url_of(plain, staleness=0.2), tiers=COPIED)
    asked.update("hi", "before")
    until(lambda: asked.told("hi") == "before" and asked.lookup("hi").tier == "top")
    restart(plain)
    until(lambda: asked.told("hi") is None)
    until(lambda: asked.update("hi", "after").stored)
    for _ in range(5):
        assert asked.told("hi") == "after"


def test_copies_of_what_was_kept_are_good_again(lasting: RedisServer, open_on: OpenOn, until: Until) -> None:
    asked = open_on(url_of(lasting, staleness=0.2), tiers=COPIED)
    asked.update("hi", "kept")
    until(lambda: asked.lookup("hi").tier == "top")
    restart(lasting)
    until(lambda: asked.told("hi") == "kept")
    with closing(RedisStore(lasting.url, prefix="x")) as other:  # and what others do then is heard
        assert other.clear() == 1
    until(lambda: asked.told("hi") is None)


def test_the_follower_hears_the_server_again(plain: RedisServer, until: Until) -> None:
    with closing(RedisStore(plain.url, prefix="x", staleness=0.3)) as store:
        store.note("name", "before")
        until(lambda: store._shared.follower.is_sure)
        restart(plain)
        until(lambda: not store._shared.follower.is_sure)
        until(lambda: store._shared.follower.is_sure)
        before = store.version()
        with closing(RedisStore(plain.url, prefix="x")) as other:
            other.note("name", "after")
        until(lambda: store.version() != before)
        assert store.notes() == {"name": "after"}


def test_vectors_in_the_process_are_those_of_the_new_database(
    plain: RedisServer, open_by_calls: OpenOn, until: Until
) -> None:
    """While the cache was down others filled the server anew: no candidate of before, all those of after."""
    asked = open_by_calls(url_of(plain, index="local", staleness=0.3))
    asked.update("hi", "before")
    assert asked.told("hello") == "before"
    restart(plain)
    other = open_by_calls(url_of(plain))
    other.update("hi", "after")
    until(lambda: asked.told("hello") == "after")


def test_a_follower_that_was_cut_off_misses_no_candidate(
    lasting: RedisServer, open_by_calls: OpenOn, until: Until
) -> None:
    asked = open_by_calls(url_of(lasting, index="local", staleness=0.3))
    asked.update("unrelated", "unrelated")
    assert asked.told("hello") is None  # the scope is loaded by now
    lasting.kill()
    assert asked.told("hello") is None
    lasting.start()
    open_by_calls(url_of(lasting)).update("hi", "there")
    until(lambda: asked.told("hello") == "there")


# ---------------------------------------------------------------- answers from before an invalidation


def test_an_answer_from_before_an_invalidation_is_not_stored_after_a_restart(plain: RedisServer) -> None:
    with closing(RedisStore(plain.url, prefix="x")) as store:
        store.put(make_entry("other"))
        seen = store.sequence()
        store.invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        restart(plain)
        assert not store.put(make_entry("late"), seen=seen)
        assert store.get("scope", "key of late") is None
        seen = store.sequence()
        assert store.put(make_entry("new"), seen=seen)


def test_nor_when_another_process_invalidated(plain: RedisServer) -> None:
    with closing(RedisStore(plain.url, prefix="x")) as store:
        store.put(make_entry("other"))
        seen = store.sequence()
        with closing(RedisStore(plain.url, prefix="x")) as other:
            other.invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        restart(plain)
        assert not store.put(make_entry("late"), seen=seen)


def test_nor_when_the_database_was_kept(lasting: RedisServer) -> None:
    with closing(RedisStore(lasting.url, prefix="x")) as store:
        store.put(make_entry("other"))
        seen = store.sequence()
        store.invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        restart(lasting)
        assert not store.put(make_entry("late"), seen=seen)
        assert store.put(make_entry("new"), seen=store.sequence())


@pytest.mark.parametrize("look", ["version", "sequence", "stats", "note", "the follower"])
def test_nor_when_the_new_database_was_seen_before_the_answer_came(look: str, plain: RedisServer, until: Until) -> None:
    """The lookup of another thread, say, or the follower: they come first more often than not."""
    with closing(RedisStore(plain.url, prefix="x", staleness=0.2)) as store:
        store.put(make_entry("other"))
        seen = store.sequence()
        store.invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        before = store.version()
        if look == "the follower":
            until(lambda: store._shared.follower.is_sure)
        restart(plain)
        if look == "the follower":
            until(lambda: store._flows.known_version() != before)
        elif look == "note":
            store.note("name", "value")
        elif look == "version":
            until(lambda: store.version() != before)
        elif look == "stats":
            store.delete("scope", ["nothing"])
        else:
            store.sequence()
        assert not store.put(make_entry("late"), seen=seen)


def test_nor_by_a_cache_that_is_asked_meanwhile(plain: RedisServer, open_on: OpenOn, until: Until) -> None:
    asked = open_on(url_of(plain))
    asked.update("other", "answer")
    assert asked.told("hi") is None  # from here on the model is at work
    asked.cache.invalidate(everything=True)
    restart(plain)
    until(lambda: asked.lookup("something else").reason != "store_error")
    assert not asked.update("hi", "from before").stored
    assert asked.told("hi") is None


def test_nor_when_the_server_came_back_with_an_older_snapshot(
    redis_flavour: Flavour, tmp_path: Path, client_of: ClientOf
) -> None:
    """What Redis does as it is delivered: snapshots, and no file of what came after. A replica that takes over with
    less than the primary had is the same."""
    with (
        RedisServer(redis_flavour("plain"), folder=tmp_path) as server,
        closing(RedisStore(server.url, prefix="x")) as store,
    ):
        store.put(make_entry("other"))
        seen = store.sequence()
        client_of(server).save()
        store.invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        restart(server)
        assert not store.put(make_entry("late"), seen=seen)


def test_changes_are_seen_after_an_older_snapshot(
    redis_flavour: Flavour, tmp_path: Path, client_of: ClientOf, until: Until
) -> None:
    with (
        RedisServer(redis_flavour("plain"), folder=tmp_path) as server,
        closing(RedisStore(server.url, prefix="x", staleness=0.2)) as store,
    ):
        store.note("name", "0")
        client_of(server).save()
        for number in range(5):
            store.note("name", f"{number}")
        restart(server)
        store.note("another", "1")
        before = store.version()
        with closing(RedisStore(server.url, prefix="x")) as other:
            other.note("name", "new")
        until(lambda: store.version() != before, seconds=2.0)


def test_an_index_is_made_anew_where_the_database_was_flushed(
    redis_flavour: Flavour, open_by_calls: OpenOn, client_of: ClientOf, until: Until
) -> None:
    with RedisServer(redis_flavour("search")) as server:
        asked = open_by_calls(url_of(server))
        asked.update("hi", "before")
        assert asked.told("hello") == "before"
        client_of(server).flushall()
        assert asked.update("hi", "after").stored
        until(lambda: asked.told("hello") == "after")


def test_a_lease_from_before_a_restart_does_not_fence_off_what_is_new(plain: RedisServer) -> None:
    with closing(RedisStore(plain.url, prefix="x")) as store:
        for number in range(3):
            store.acquire(f"other {number}", "me", 0.0, 9.0)
        old = store.acquire("name", "me", 0.0, 9.0)
        restart(plain)
        new = store.acquire("name", "you", 1.0, 9.0)
        assert old is not None
        assert new is not None
        assert store.put(make_entry("new", vector=make_vector()), fence=new)


def test_a_leader_from_before_a_restart_is_late(plain: RedisServer) -> None:
    with closing(RedisStore(plain.url, prefix="x")) as store:
        for number in range(3):
            store.acquire(f"other {number}", "me", 0.0, 9.0)
        old = store.acquire("name", "me", 0.0, 9.0)
        restart(plain)
        assert store.acquire("name", "you", 1.0, 9.0) is not None
        assert not store.put(make_entry("late"), fence=old)
