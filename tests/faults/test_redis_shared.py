"""Many on one server: processes, forked children, limits, prefixes. What one changes the others hear."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector

OpenOn = Callable[..., Any]
Until = Callable[..., None]
Server = Callable[[str], RedisServer]
ClientOf = Callable[..., Any]

EMBEDDER = "fake/8/unit"
CHILD_SECONDS = 30.0


@pytest.fixture(params=["search", "plain", "valkey"])
def server(request: pytest.FixtureRequest, redis_server: Server) -> RedisServer:
    return redis_server(request.param)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """The servers are shared by all tests."""
    return "faults-shared-" + "".join(sign if sign.isalnum() else "-" for sign in request.node.name)


def found(store: RedisStore) -> list[str]:
    return [one.entry.text for one in store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)]


# ---------------------------------------------------------------- what others do is heard


@pytest.mark.parametrize("change", ["note", "replace", "delete", "clear", "invalidate", "mark stale", "alias dropped"])
def test_what_another_process_changes_is_another_version(
    change: str, server: RedisServer, prefix: str, until: Until
) -> None:
    with (
        closing(RedisStore(server.url, prefix=prefix)) as store,
        closing(RedisStore(server.url, prefix=prefix)) as other,
    ):
        other.put(make_entry("entry"))
        other.put_alias(make_alias("alias", make_entry("entry")))
        other.stats()  # an alias waits until something is written
        until(lambda: store._shared.follower.is_sure)
        before = store.version()
        if change == "note":
            other.note("name", "value")
        elif change == "replace":
            other.put(make_entry("entry", answer_json='"new"'))
        elif change == "delete":
            other.delete("scope", ["key of entry"])
        elif change == "alias dropped":
            other.delete("scope", ["key of alias"])
        elif change == "clear":
            other.clear()
        else:
            other.invalidate(Selector(), 1.0, is_lazy=change == "mark stale", limit=9)
        until(lambda: store.version() != before, seconds=5.0)
        assert store._shared.follower.is_sure  # and it was heard, not asked for


def test_who_changes_something_knows_it_at_once(server: RedisServer, prefix: str, until: Until) -> None:
    with closing(RedisStore(server.url, prefix=prefix)) as store:
        store.put(make_entry("entry"))
        until(lambda: store._shared.follower.is_sure)
        for number in range(20):
            before = store.version()
            store.note("name", f"{number}")
            assert store.version() != before


def test_versions_stay_when_nothing_is_changed(server: RedisServer, prefix: str, until: Until) -> None:
    with (
        closing(RedisStore(server.url, prefix=prefix, staleness=0.3)) as store,
        closing(RedisStore(server.url, prefix=prefix)) as other,
    ):
        other.put(make_entry("entry"))
        until(lambda: store._shared.follower.is_sure)
        before = store.version()
        other.put(make_entry("another"))  # copies are as good as before
        heard_at = store._shared.follower._heard_at
        until(lambda: store._shared.follower._heard_at > heard_at)
        assert store.version() == before


def test_what_another_process_stores_is_found_by_its_meaning(
    server: RedisServer, prefix: str, open_by_calls: OpenOn, until: Until
) -> None:
    url = f"{server.url}?prefix={prefix}"
    first, second = open_by_calls(url), open_by_calls(url)
    first.update("hi", "there")
    assert first.told("hello") == "there"
    until(lambda: second.told("hello") == "there")
    second.cache.invalidate(everything=True)
    until(lambda: first.told("hello") is None)
    assert first.told("hi") is None


def test_changes_that_were_trimmed_before_they_were_heard(
    redis_server: Server, prefix: str, client_of: ClientOf, until: Until
) -> None:
    """The stream of changes has a gap: vectors in the process are read anew."""
    server = redis_server("plain")
    client = client_of(server)
    with (
        closing(RedisStore(server.url, prefix=prefix, index="local")) as store,
        closing(RedisStore(server.url, prefix=prefix, index="local")) as other,
    ):
        other.put(make_entry("first", vector=make_vector()))
        until(lambda: store._shared.follower.is_sure)
        assert found(store) == ["first"]
        client.hincrby(f"{{{prefix}}}:state", "changes", 5)  # as if five had been told and trimmed
        other.put(make_entry("second", vector=make_vector(0.1)))
        until(lambda: found(store) == ["first", "second"])


def test_the_stream_of_changes_is_gone(redis_server: Server, prefix: str, client_of: ClientOf, until: Until) -> None:
    server = redis_server("plain")
    with (
        closing(RedisStore(server.url, prefix=prefix, index="local", staleness=0.3)) as store,
        closing(RedisStore(server.url, prefix=prefix, index="local")) as other,
    ):
        other.put(make_entry("first", vector=make_vector()))
        until(lambda: store._shared.follower.is_sure)
        assert found(store) == ["first"]
        client_of(server).delete(f"{{{prefix}}}:changes")
        before = store.version()
        other.put(make_entry("second", vector=make_vector(0.1)))
        other.note("name", "value")
        until(lambda: store.version() != before)
        until(lambda: found(store) == ["first", "second"])


# ---------------------------------------------------------------- limits and prefixes


def test_stores_with_other_limits_share_a_prefix(server: RedisServer, prefix: str) -> None:
    """Each write keeps to the limits of who writes; nobody's count is wrong afterwards."""
    with (
        closing(RedisStore(server.url, prefix=prefix, max_entries=20)) as large,
        closing(RedisStore(server.url, prefix=prefix, max_entries=5)) as small,
    ):
        for number in range(15):
            large.put(make_entry(f"{number}", vector=make_vector(0.01 * number)))
        assert (large.stats().entries, small.stats().entries) == (15, 15)
        small.put(make_entry("small", vector=make_vector()))
        assert (large.stats().entries, small.stats().entries) == (5, 5)
        kept = {stored.entry.text for stored in large.select(Selector(), limit=99).rows}
        assert kept == {"small", "11", "12", "13", "14"}
        for number in range(15, 40):
            large.put(make_entry(f"{number}"))
        assert large.stats().entries == 20
        assert large.clear() == 20
        assert (small.stats().entries, small.stats().size_bytes, small.stats().shares) == (0, 0, {})


def test_prefixes_never_meet(server: RedisServer, prefix: str, client_of: ClientOf) -> None:
    """Also where one is the beginning of the other."""
    names = [prefix, prefix + "-2", prefix + ":d", prefix + ":d:5"]
    stores = [RedisStore(server.url, prefix=name) for name in names]
    try:
        for store, name in zip(stores, names, strict=True):
            store.put(make_entry("same", answer_json=json.dumps(name), vector=make_vector()))
            store.note("name", name)
        for store, name in zip(stores, names, strict=True):
            stored = store.get("scope", "key of same")
            assert stored is not None
            assert stored.entry.answer_json == json.dumps(name)  # type: ignore[union-attr]
            candidates = store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)
            assert [one.entry.answer_json for one in candidates] == [json.dumps(name)]
            assert store.notes() == {"name": name}
            assert store.stats().entries == 1
        versions = [store.version() for store in stores[1:]]
        assert stores[0].clear() == 1
        stores[0].invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        assert [store.stats().entries for store in stores] == [0, 1, 1, 1]
        assert [store.sequence() for store in stores] == [1, 0, 0, 0]
        assert [store.version() for store in stores[1:]] == versions
    finally:
        for store in stores:
            store.close()


# ---------------------------------------------------------------- forks


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` gives in a forked child, as JSON; a child that hangs is killed and fails the test."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:
            os.write(writing, json.dumps(f"failed: {error!r}").encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], CHILD_SECONDS)
        if not ready:
            os.kill(child, signal.SIGKILL)
        assert ready, "the child hung"
        return json.loads(os.read(reading, 65536))
    finally:
        os.close(reading)
        os.waitpid(child, 0)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the follower's thread
def test_parent_and_child_both_go_on_after_a_fork(
    server: RedisServer, prefix: str, open_by_calls: OpenOn, until: Until
) -> None:
    asked = open_by_calls(f"{server.url}?prefix={prefix}&timeout=2")
    asked.update("hi", "there")
    assert asked.told("hello") == "there"

    def work() -> list[Any]:
        told = [asked.told("hi"), asked.told("hello")]
        asked.update("by the child", "child")
        return [*told, asked.told("by the child"), asked.errors]

    assert in_child(work) == ["there", "there", "child", 0]
    assert (asked.told("hi"), asked.told("hello")) == ("there", "there")
    until(lambda: asked.told("by the child") == "child")
    asked.update("by the parent", "parent")
    assert in_child(lambda: asked.told("by the parent")) == "parent"
    assert asked.errors == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_hears_what_its_parent_changes(redis_server: Server, prefix: str, until: Until) -> None:
    server = redis_server("plain")
    with closing(RedisStore(server.url, prefix=prefix)) as store:
        store.note("name", "before")
        until(lambda: store._shared.follower.is_sure)

        def work() -> bool:
            until(lambda: store._shared.follower.is_sure)  # a thread of its own
            before = store.version()
            with closing(RedisStore(server.url, prefix=prefix)) as other:
                other.note("name", "after")
            until(lambda: store.version() != before)
            return True

        assert in_child(work) is True
        assert store.notes() == {"name": "after"}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_forked_under_load_do_not_hang_or_mix_replies(redis_server: Server, prefix: str) -> None:
    """Whatever lock a thread holds at the moment of the fork."""
    import threading

    server = redis_server("plain")
    with closing(RedisStore(server.url, prefix=prefix, timeout=5.0)) as store:
        for number in range(10):
            store.put(make_entry(f"{number}", vector=make_vector(0.01 * number)))
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                for number in range(10):
                    store.get("scope", f"key of {number}")
                    store.touch("scope", f"key of {number}", 1.0)
                found(store)

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):

                def work() -> list[str]:
                    rows = [store.get("scope", f"key of {number}") for number in range(10)]
                    store.put(make_entry("child"))
                    return [row.entry.text for row in rows] + [f"{len(found(store))}"]  # type: ignore[union-attr]

                assert in_child(work) == [*(f"{number}" for number in range(10)), "9"]
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_does_not_write_what_its_parent_has_read(redis_server: Server, prefix: str) -> None:
    """Reads that wait to be written are the parent's: counted once."""
    server = redis_server("plain")
    with closing(RedisStore(server.url, prefix=prefix)) as store:
        store.put(make_entry("entry"))
        for _ in range(3):
            store.touch("scope", "key of entry", time.time())

        def work() -> bool:
            store.close()
            return True

        assert in_child(work) is True
        store.stats()  # writes them
        with closing(RedisStore(server.url, prefix=prefix)) as other:
            stored = other.get("scope", "key of entry")
            assert stored is not None
            assert stored.access_count == 3  # type: ignore[union-attr]
