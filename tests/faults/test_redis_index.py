"""What finds the candidates on a server is lost or was never there: they are found all the same, or missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry, make_vector

OpenOn = Callable[..., Any]
Until = Callable[..., None]
ClientOf = Callable[..., Any]

EMBEDDER = "fake/8/unit"


@pytest.fixture
def server(redis_flavour: Callable[[str], str]) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour("search")) as server:
        yield server


def url_of(server: RedisServer, **more: object) -> str:
    return f"{server.url}?prefix=x&timeout=1" + "".join(f"&{name}={value}" for name, value in more.items())


def indexes(client: Any) -> list[bytes]:
    return list(client.execute_command("FT._LIST"))


def found(store: RedisStore) -> list[str]:
    return [one.entry.text for one in store.search("scope", EMBEDDER, make_vector(), limit=9, now=0.0)]


@pytest.mark.parametrize("index", ["hnsw", "flat"])
def test_an_index_that_was_dropped_is_made_again_and_fills(
    index: str, server: RedisServer, open_on: OpenOn, client_of: ClientOf, until: Until
) -> None:
    asked = open_on(url_of(server, index=index))
    asked.update("hi", "there")
    assert asked.told("hello") == "there"
    client = client_of(server)
    (name,) = indexes(client)
    for _ in range(2):
        client.execute_command("FT.DROPINDEX", name)
        assert asked.told("hi") == "there"
        asked.told("another")
        until(lambda: asked.told("hello") == "there")
        assert indexes(client) == [name]
    assert asked.errors == 0


def test_an_index_that_was_dropped_is_no_reason_not_to_write(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf, until: Until
) -> None:
    asked = open_on(url_of(server))
    asked.update("unrelated", "unrelated")
    asked.told("another")
    client = client_of(server)
    client.execute_command("FT.DROPINDEX", *indexes(client))
    assert asked.update("hi", "there").stored
    until(lambda: asked.told("hello") == "there")
    assert asked.errors == 0


def test_an_index_that_was_dropped_with_its_vectors_fills_again(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf, until: Until
) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    assert asked.told("hello") == "there"
    client = client_of(server)
    client.execute_command("FT.DROPINDEX", *indexes(client), "DD")
    until(lambda: client.keys("{x}:i:*") == [])
    assert asked.told("hi") == "there"  # its vector is gone, not the entry
    assert asked.told("hello") in ("there", None)  # remembered as the same question, or not
    asked.update("hi", "again")
    asked.told("another")
    until(lambda: asked.told("hello") == "again")
    assert asked.errors == 0


def test_an_index_of_another_making_is_a_miss_and_no_wrong_answer(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf
) -> None:
    """Somebody else's index under the name of ours, without the fields we ask for."""
    with closing(RedisStore(server.url, prefix="x")) as store:
        store.put(make_entry("first", vector=make_vector()))
        assert found(store) == ["first"]
        client = client_of(server)
        (name,) = indexes(client)
        client.execute_command("FT.DROPINDEX", name)
        client.execute_command("FT.CREATE", name, "ON", "HASH", "PREFIX", 1, "{x}:d:", "SCHEMA", "title", "TEXT")
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    assert asked.told("hi") == "there"
    assert asked.told("hello") in ("there", None)  # with another dimension: an index of its own


def test_embedders_of_other_dimensions_share_a_server(server: RedisServer, open_by_calls: OpenOn) -> None:
    groups = {"hi": "greeting", "hello": "greeting"}
    small = open_by_calls(url_of(server), embedder=FakeEmbedder(groups, dimension=32))
    large = open_by_calls(url_of(server), embedder=FakeEmbedder(groups, dimension=128))
    small.update("hi", "there")
    assert small.told("hello") == "there"
    assert large.told("hello") in ("there", None)
    large.update("hi", "there")
    assert large.told("hello") == "there"


def test_processes_that_find_candidates_in_different_ways_see_the_same(server: RedisServer, until: Until) -> None:
    with (
        closing(RedisStore(server.url, prefix="x", index="hnsw")) as first,
        closing(RedisStore(server.url, prefix="x", index="local")) as second,
    ):
        first.put(make_entry("by the first", vector=make_vector(0.0)))
        second.put(make_entry("by the second", vector=make_vector(0.1)))
        for store in (first, second):
            until(lambda store=store: found(store) == ["by the first", "by the second"])
        second.delete("scope", ["key of by the first"])
        for store in (first, second):
            until(lambda store=store: found(store) == ["by the second"])


@pytest.mark.parametrize("flavour", ["plain", "valkey"])
@pytest.mark.parametrize("index", ["hnsw", "flat", "sets"])
def test_an_index_that_the_server_cannot_have_is_found_elsewhere_and_said_once(
    flavour: str,
    index: str,
    redis_flavour: Callable[[str], str],
    open_on: OpenOn,
    until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RedisServer(redis_flavour(flavour)) as plain:
        asked = open_on(url_of(plain, index=index))
        assert asked.ask("hi", "there") == "there"
        assert asked.ask("another", "one") == "one"
        until(lambda: asked.told("hello") == "there")
        assert asked.errors == 0
        said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        assert len(said) == 1
        assert said[0].startswith(f"index={index} needs")


@pytest.mark.parametrize("option", ["index=tree", "timeout=soon", "timeout=0", "staleness=0", "max_connections=none"])
def test_a_setting_that_cannot_be_is_refused_at_once(option: str) -> None:
    from llmcache_plugins import open_cache

    with pytest.raises(ConfigError):
        open_cache(f"redis://user:secret@127.0.0.1:1/0?{option}", embedder=None)
