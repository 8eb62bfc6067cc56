"""The server's own limit of memory: asked for, set, forbidden, nearly reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from llmcache_plugins import ConfigError, Hit, open_cache
from llmcache_plugins.cli.doctor import run_doctor
from llmcache_plugins.protocols import HasServer
from llmcache_plugins.recorded import EvictionsEvent, ServerPressureEvent
from llmcache_plugins.stores import AsyncRedisStore, MemoryStore, RedisStore
from llmcache_plugins.stores.redis import redis_settings
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisCluster, RedisServer
from llmcache_plugins.testing.store_contract import make_entry

ClientOf = Callable[..., Any]
Flavour = Callable[[str], str]
MEGABYTE = 1024 * 1024


@pytest.fixture(params=["plain", "valkey", "search"])
def server(request: pytest.FixtureRequest, redis_flavour: Flavour) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour(request.param)) as server:
        yield server


def limits(client: Any) -> tuple[int, str]:
    found = client.config_get("maxmemory*")
    return int(found["maxmemory"]), found["maxmemory-policy"]


def test_a_limit_is_set_when_it_is_asked_for_and_once(server: RedisServer, client_of: ClientOf) -> None:
    client = client_of(server, decode_responses=True)
    before = limits(client)
    with closing(RedisStore(server.url)) as store:
        store.put(make_entry())
    assert limits(client) == before
    url, settings = redis_settings(f"{server.url}?maxmemory=300mb&maxmemory_policy=allkeys-lfu")
    with closing(RedisStore(url, **settings)) as store:
        assert limits(client) == before  # nobody asks the server anything before the first verb
        store.put(make_entry())
        assert limits(client) == (300 * MEGABYTE, "allkeys-lfu")
        client.config_set("maxmemory", 400 * MEGABYTE)
        store.put(make_entry())
        assert limits(client) == (400 * MEGABYTE, "allkeys-lfu")  # whoever changed it meanwhile knows why

    async def put() -> None:
        store = AsyncRedisStore(url, maxmemory=500 * MEGABYTE)
        await store.put(make_entry())
        assert isinstance(store, HasServer)
        load = await store.load()  # type: ignore[misc]  # the twin's verb is a coroutine
        assert load.max_bytes == 500 * MEGABYTE
        await store.close()

    asyncio.run(put())
    assert limits(client) == (500 * MEGABYTE, "allkeys-lfu")


@pytest.mark.parametrize("forbidden", ["+@all -config", "+@all -config|set"])
def test_a_server_that_forbids_it_is_used_all_the_same(
    forbidden: str, redis_flavour: Flavour, client_of: ClientOf, logged: Callable[[], list[str]]
) -> None:
    with RedisServer(redis_flavour("search")) as server:
        client = client_of(server)
        client.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", *forbidden.split())
        url = f"redis://app:secret@127.0.0.1:{server.port}/0"
        with closing(RedisStore(url, maxmemory=300 * MEGABYTE)) as store:
            for _ in range(3):
                assert store.put(make_entry())
        told = [line for line in logged() if "limit of memory" in line]
        assert len(told) == 1
        assert "NOPERM" in told[0]
        assert "secret" not in told[0]


def test_a_server_that_is_away_at_first_is_told_later(server: RedisServer, client_of: ClientOf, until: Any) -> None:
    server.stop()
    with closing(RedisStore(server.url, maxmemory=300 * MEGABYTE, timeout=0.5)) as store:
        with pytest.raises(Exception, match="does not answer"):
            store.put(make_entry())
        server.start()

        def is_stored() -> bool:
            try:
                return store.put(make_entry())
            except Exception:  # the breaker lets nobody through yet
                return False

        until(is_stored)
        assert limits(client_of(server, decode_responses=True))[0] == 300 * MEGABYTE


@pytest.mark.parametrize(
    "wrong",
    [
        {"maxmemory": 0},
        {"maxmemory": -1},
        {"maxmemory": True},
        {"maxmemory": "2gb"},
        {"maxmemory": 1.5e9},
        {"maxmemory": 2**63},
        {"maxmemory_policy": "lru"},
        {"maxmemory_policy": ""},
    ],
)
def test_a_limit_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"maxmemory"):
        RedisStore("redis://localhost", **wrong)


@pytest.mark.parametrize("size", ["2 gigabytes", "", "-1", "1.5gb", "gb"])
def test_a_size_in_a_url_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ConfigError, match=r"maxmemory in a Redis URL must be a size such as 2gb"):
        redis_settings(f"redis://localhost/0?maxmemory={size}")


@pytest.mark.slow
def test_on_a_cluster_each_node_gets_its_share(redis_flavour: Flavour, until: Callable[..., None]) -> None:
    with RedisCluster(redis_flavour("valkey")) as cluster:

        def has_replicas(url: str) -> bool:
            with redis.Redis.from_url(url) as client:
                return all(len(slots) == 4 for slots in client.execute_command("CLUSTER", "SLOTS"))

        until(lambda: all(map(has_replicas, cluster.urls)), seconds=60.0)
        hosts = ",".join(url.split("/")[2] for url in cluster.urls)
        with closing(RedisStore(f"redis+cluster://{hosts}", maxmemory=900 * MEGABYTE)) as store:
            assert store.put(make_entry())
            load = store.load()
            assert (load.max_bytes, load.evicted) == (300 * MEGABYTE, 0)
            assert load.used_bytes > MEGABYTE / 2
        for url in cluster.urls:
            with redis.Redis.from_url(url, decode_responses=True) as client:
                assert limits(client)[0] == 300 * MEGABYTE


# ---------------------------------------------------------------- warnings


def test_a_server_that_gets_full_is_told_of(
    server: RedisServer, client_of: ClientOf, logged: Callable[[], list[str]]
) -> None:
    events: list[Any] = []
    clock = FakeClock()
    client = client_of(server)
    settings: dict[str, Any] = {"embedder": FakeEmbedder(), "maintenance": "manual", "clock": clock}
    with open_cache(f"{server.url}?staleness=0.3", recorders=[events.append], **settings) as cache:

        def look() -> list[float]:
            clock.advance(61.0)
            cache.maintain()
            found = [event.level for event in events if isinstance(event, ServerPressureEvent)]
            events.clear()
            return found

        def fill(share: float) -> None:
            client.config_set("maxmemory", int(client.info("memory")["used_memory"] / share))

        # Beside which buffers of clients are nothing; made by the server, for it keeps a large command for a while.
        client.setrange("ballast", 29_999_999, "x")
        cache.update("hi", "there")
        assert look() == []  # without a limit there is nothing to reach
        fill(0.5)
        assert look() == []
        fill(0.87)
        assert look() == [0.85]
        assert look() == []
        fill(0.95)
        assert look() == [0.9]
        fill(0.5)
        assert look() == []
        fill(0.95)
        assert look() == [0.9]
        assert cache.stats().warnings == {"memory": 3}
        assert isinstance(cache.lookup("hi"), Hit)
    told = [line for line in logged() if "% full" in line]
    assert len(told) == 3
    assert told[0].startswith("the server of redis is 87 % full")


def test_a_user_who_may_not_ask_how_full_it_is_shares_counts_all_the_same(
    redis_flavour: Flavour, client_of: ClientOf
) -> None:
    clock = FakeClock()
    settings: dict[str, Any] = {"embedder": None, "maintenance": "manual", "clock": clock}
    with RedisServer(redis_flavour("search")) as server:
        client_of(server).execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-info")
        with open_cache(f"redis://app:secret@127.0.0.1:{server.port}/0?staleness=0.3", **settings) as cache:
            for _ in range(3):
                cache.lookup("nobody knows")
                clock.advance(61.0)
                cache.maintain()
            shared = cache.shared_stats()
            assert (shared.total.lookups, shared.is_complete, dict(cache.stats().errors)) == (3, True, {})


def test_a_server_that_takes_many_keys_is_told_of(redis_flavour: Flavour, client_of: ClientOf) -> None:
    events: list[Any] = []
    clock = FakeClock()
    settings: dict[str, Any] = {"embedder": None, "maintenance": "manual", "clock": clock}
    with RedisServer(redis_flavour("plain"), "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru") as server:
        client = client_of(server)
        with open_cache(f"{server.url}?staleness=0.3", recorders=[events.append], **settings) as cache:
            clock.advance(61.0)
            cache.maintain()
            for number in range(4000):
                client.set(f"other:{number}", "x" * 1500)
            clock.advance(61.0)
            cache.maintain()
            told = [event for event in events if isinstance(event, EvictionsEvent)]
            assert [(event.by, event.store) for event in told] == [("server", "redis")]
            assert told[0].count > 1000
            assert cache.stats().warnings["server_evictions"] == 1


def test_evictions_of_all_processes_are_told_of(redis_flavour: Flavour) -> None:
    events: list[Any] = []
    clock = FakeClock()
    settings: dict[str, Any] = {"embedder": None, "maintenance": "manual", "clock": clock, "max_entries": 5}
    with RedisServer(redis_flavour("plain")) as server:
        url = f"{server.url}?staleness=0.3"
        with open_cache(url, recorders=[events.append], **settings) as cache, open_cache(url, **settings) as other:
            clock.advance(61.0)
            cache.maintain()
            for number in range(1100):
                other.update(f"question {number}", "answer")
            other.maintain()  # who evicts is another one
            clock.advance(61.0)
            cache.maintain()
            told = [event for event in events if isinstance(event, EvictionsEvent)]
            assert [(event.by, event.count) for event in told] == [("cache", 1095)]


def test_only_stores_on_a_server_have_one() -> None:
    assert not isinstance(MemoryStore(), HasServer)


def test_doctor_says_what_a_full_server_does(
    server: RedisServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMCACHE_URL", server.url)
    client = client_of(server)

    def said() -> tuple[int, str]:
        lines: list[str] = []
        return run_doctor(lines.append), "\n".join(lines)

    client.config_set("maxmemory-policy", "noeviction")
    code, text = said()
    assert (code, "writes are refused" in text, "0 keys taken so far" in text) == (0, True, True)
    client.config_set("maxmemory", 100 * MEGABYTE)
    client.config_set("maxmemory-policy", "volatile-lru")
    code, text = said()
    assert (code, "it takes keys by itself" in text, "set noeviction" in text) == (1, True, True)
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + MEGABYTE)
    for number in range(2000):
        client.set(f"other:{number}", "x" * 1500)
    client.config_set("maxmemory", 0)
    _, text = said()
    assert f"the server took {client.info('stats')['evicted_keys']} keys by itself" in text
