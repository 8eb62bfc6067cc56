"""Who finds the nearest candidates on each server, and that a store which looks ahead says what the verbs say."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import AsyncRedisStore, RedisStore
from llmcache_plugins.stores.redis.urls import redis_settings
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Looked

EMBEDDER = "fake/8/unit"
_PREFIXES = itertools.count()

Servers = Callable[[str], RedisServer]


def open_store(server: RedisServer, **settings: Any) -> RedisStore:
    return RedisStore(server.url, prefix=f"finding-{next(_PREFIXES)}", **settings)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, "it never came true"


def found_in(store: RedisStore, limit: int = 3) -> list[str]:
    return [c.entry.text for c in store.search("scope", EMBEDDER, make_vector(), limit=limit, now=0.0)]


@pytest.mark.parametrize(
    ("flavour", "finder"), [("search", "index"), ("vectorset", "sets"), ("valkey", "local"), ("plain", "local")]
)
def test_what_the_server_can_do_is_found_out(redis_server: Servers, flavour: str, finder: str) -> None:
    store = open_store(redis_server(flavour))
    assert store.finder == "unknown"
    store.put(make_entry(vector=make_vector()))
    assert (store.finder, found_in(store)) == (finder, ["hello"])
    facts = store.inspect()
    assert (facts.has_search, facts.has_search or facts.has_sets) == (finder == "index", finder != "local")
    assert f"127.0.0.1:{redis_server(flavour).port}" in str(facts)
    store.close()


@pytest.mark.parametrize("later", ["flat", "hnsw", "sets"])
def test_entries_of_a_process_without_an_index_are_found_by_one_with(redis_server: Servers, later: Any) -> None:
    server = redis_server("search")
    prefix = f"finding-{next(_PREFIXES)}"
    before = RedisStore(server.url, prefix=prefix, index="local", vectors="float32")  # angles are small
    for number in range(250):
        before.put(make_entry(f"{number}", vector=make_vector(number * 0.005)))
    after = RedisStore(server.url, prefix=prefix, index=later)
    until(lambda: found_in(after) == ["0", "1", "2"])  # an index that is made over entries fills a while later
    assert found_in(after) == ["0", "1", "2"]
    before.put(make_entry("new", vector=make_vector(-0.001)))
    before.delete("scope", ["key of 0"])
    assert found_in(after, 2) == ["new", "1"]
    before.close()
    after.close()


def test_a_store_follows_what_another_one_writes_and_removes(redis_server: Servers) -> None:
    server = redis_server("valkey")
    prefix = f"finding-{next(_PREFIXES)}"
    one, other = (RedisStore(server.url, prefix=prefix) for _ in range(2))
    one.put(make_entry("a", vector=make_vector()))
    assert found_in(other) == ["a"]
    other.version()  # from now on it listens
    one.put(make_entry("b", vector=make_vector(0.1)))
    one.delete("scope", ["key of a"])
    until(lambda: found_in(other) == ["b"])
    one.close()
    other.close()


class TestLookingAhead:
    @pytest.fixture(params=["search", "valkey"])
    def store(self, request: pytest.FixtureRequest, redis_server: Servers) -> Any:
        store = open_store(redis_server(request.param))
        yield store
        store.close()

    def look(self, store: RedisStore, key: str) -> Looked:
        wanted = {"normalised a": 4, "nothing": 2}
        looked = store.look("scope", key, wanted, EMBEDDER, limit=5)
        twin = store.asynchronous()

        async def ask() -> Looked:
            try:
                return await twin.look("scope", key, wanted, EMBEDDER, limit=5)
            finally:
                await twin.close()

        assert asyncio.run(ask()) == looked
        return looked

    def test_an_exact_match_is_all_there_is_to_say(self, store: RedisStore) -> None:
        entry = make_entry("a", vector=make_vector())
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        for key in ("key of a", "key of other"):
            assert self.look(store, key) == Looked(store.get("scope", key), 0)

    def test_else_it_says_what_the_verbs_would(self, store: RedisStore) -> None:
        for text in ("a", "b"):
            store.put(make_entry(text))
        store.put(make_entry("A", vector=make_vector()))
        store.invalidate(Selector(tags=("none",)), 5.0, is_lazy=False, limit=5)
        looked = self.look(store, "key of nothing")
        assert looked.exact is None
        assert looked.sequence == store.sequence() == 1
        assert looked.normalised == {
            "normalised a": store.get_normalised("scope", "normalised a", limit=4),
            "nothing": [],
        }
        assert looked.census == store.census("scope", EMBEDDER, limit=5)

    def test_an_alias_without_its_entry_is_nothing(self, store: RedisStore) -> None:
        entry = make_entry("a")
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        store.delete("scope", ["key of a"])
        assert self.look(store, "key of other").exact is None


def test_settings_in_the_url_are_ours_or_the_client_s() -> None:
    url, settings = redis_settings("redis://h:1/2?prefix=p&index=flat&timeout=0.5&buckets=3&ssl_ca_certs=x.pem")
    assert (url, settings) == (
        "redis://h:1/2?ssl_ca_certs=x.pem",
        {"prefix": "p", "index": "flat", "timeout": 0.5, "buckets": 3},
    )
    with pytest.raises(ConfigError, match="timeout"):
        redis_settings("redis://h/0?timeout=soon")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"index": "tree"}, "index"),
        ({"prefix": "a b"}, "prefix"),
        ({"prefix": "a}b"}, "prefix"),
        ({"timeout": 0}, "timeout"),
        ({"staleness": 0}, "staleness"),
        ({"max_connections": 0}, "max_connections"),
        ({"buckets": 0}, "buckets"),
        ({"max_entries": 0}, "max_entries"),
        ({"url": "http://h"}, "http://"),
        ({"url": "redis://user:hunter2@h:port/0"}, "port"),
        ({"url": "redis://h/0?no_such_option=1"}, "URL"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_built(given: dict[str, Any], said: str) -> None:
    for kind in (RedisStore, AsyncRedisStore):
        with pytest.raises(ConfigError, match=said) as raised:
            kind(**given)
        assert "hunter2" not in str(raised.value)


def test_without_the_client_the_error_says_what_to_install() -> None:
    without = "import sys; sys.modules['redis'] = None; import llmcache_plugins as c; c.open_cache('redis://localhost')"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=60, check=False)
    assert "MissingExtraError" in done.stderr
    assert "pip install 'llmcache-plugins[redis]'" in done.stderr
