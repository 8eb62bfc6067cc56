"""An index that grows or is wanted otherwise: another kind takes over meanwhile; and how vectors are kept."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest
import redis

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.stores.codec import decode_vector
from llmcache_plugins.stores.redis import search_index
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry, make_vector

EMBEDDER = "fake/8/unit"
_PREFIXES = itertools.count()
Servers = Callable[[str], RedisServer]


@pytest.fixture
def prefix() -> str:
    return f"kinds-{next(_PREFIXES)}"


@pytest.fixture
def server(redis_server: Servers) -> RedisServer:
    return redis_server("search")


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with closing(redis.Redis.from_url(server.url)) as client:
        yield client


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty entries are many, and whether an index is complete is looked at all the time."""
    monkeypatch.setattr(search_index, "GROWN", 20)
    monkeypatch.setattr(search_index, "_ASKED_AGAIN", 0.0)


def kinds_in(client: Any, prefix: str) -> list[str]:
    """The kinds of the indexes that there are."""
    names = [name.decode() for name in client.execute_command("FT._LIST")]
    return sorted(name.split(":")[2] for name in names if name.startswith(f"{{{prefix}}}:"))


def angle_of(number: int) -> float:
    return 0.05 * number


def fill(store: RedisStore, numbers: range) -> None:
    for number in numbers:
        store.put(make_entry(f"{number}", vector=make_vector(angle_of(number))))


def nearest(store: RedisStore, number: int) -> str:
    found = store.search("scope", EMBEDDER, make_vector(angle_of(number)), limit=1, now=0.0)
    return found[0].entry.text if found else ""  # an index that was made anew fills a while later


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def test_a_cache_that_grows_gets_a_graph(server: RedisServer, client: Any, prefix: str, small: None) -> None:
    with closing(RedisStore(server.url, prefix=prefix)) as store:
        fill(store, range(19))
        assert (nearest(store, 7), kinds_in(client, prefix)) == ("7", ["flat"])
        fill(store, range(19, 40))
        until(lambda: nearest(store, 7) == "7" and kinds_in(client, prefix) == ["hnsw"])
        assert [nearest(store, number) for number in range(40)] == [f"{number}" for number in range(40)]
    with closing(RedisStore(server.url, prefix=prefix)) as later:  # a new process takes what is there
        assert nearest(later, 7) == "7"
        assert kinds_in(client, prefix) == ["hnsw"]


def test_many_processes_grow_at_the_same_moment(server: RedisServer, client: Any, prefix: str, small: None) -> None:
    def work(first: int) -> None:
        with closing(RedisStore(server.url, prefix=prefix)) as store:
            for number in range(first, 120, 4):
                fill(store, range(number, number + 1))
                assert nearest(store, number) == f"{number}"
            until(lambda: nearest(store, first) == f"{first}" and kinds_in(client, prefix) == ["hnsw"])

    with ThreadPoolExecutor(4) as threads:
        for result in [threads.submit(work, first) for first in range(4)]:
            result.result()


@pytest.mark.parametrize("kinds", [("flat", "hnsw"), ("hnsw", "flat")])
def test_another_kind_takes_over_without_a_gap(
    server: RedisServer, client: Any, prefix: str, kinds: tuple[Any, Any], small: None
) -> None:
    before, after = kinds
    with closing(RedisStore(server.url, prefix=prefix, index=before)) as old:
        fill(old, range(60))
        assert nearest(old, 9) == "9"
        with closing(RedisStore(server.url, prefix=prefix, index=after)) as new:
            until(lambda: nearest(new, 9) == "9" and kinds_in(client, prefix) == [after])
        assert nearest(old, 9) == "9"  # its own was dropped meanwhile


def test_two_settings_do_not_build_and_drop_for_ever(
    server: RedisServer, client: Any, prefix: str, small: None
) -> None:
    def made() -> int:
        return int(client.info("commandstats").get("cmdstat_FT.CREATE", {}).get("calls", 0))

    with ExitStack() as stack:
        stores = [
            stack.enter_context(closing(RedisStore(server.url, prefix=prefix, index=kind)))  # type: ignore[arg-type]
            for kind in ("flat", "hnsw", "auto")
        ]
        fill(stores[0], range(30))
        before = made()
        for number in range(90):
            assert nearest(stores[number % 3], number % 30) == f"{number % 30}"
        assert made() - before <= 6


def test_a_user_who_may_not_drop_an_index_is_served_all_the_same(
    server: RedisServer, client: Any, prefix: str, small: None
) -> None:
    client.execute_command("ACL", "SETUSER", "few", "on", ">word", "~*", "+@all", "-ft.dropindex", "-ft.info")
    url = server.url.replace("redis://", "redis://few:word@")
    with closing(RedisStore(url, prefix=prefix)) as store:
        fill(store, range(40))
        for number in range(40):
            until(lambda number=number: nearest(store, number) == f"{number}")  # type: ignore[misc]


@pytest.mark.parametrize("wished", ["float16", "float32"])
@pytest.mark.parametrize("flavour", ["search", "vectorset", "plain"])
def test_vectors_are_kept_as_the_first_process_began(
    redis_server: Servers, prefix: str, wished: Any, flavour: str
) -> None:
    server = redis_server(flavour)
    other = "float32" if wished == "float16" else "float16"
    with (
        closing(RedisStore(server.url, prefix=prefix, index="local", vectors=wished)) as first,
        closing(RedisStore(server.url, prefix=prefix, vectors=other)) as second,  # type: ignore[arg-type]
        closing(redis.Redis.from_url(server.url)) as client,
    ):
        fill(first, range(5))
        fill(second, range(5, 10))
        second.put(make_entry("later"))
        second.set_vectors("scope", EMBEDDER, {"key of later": make_vector(angle_of(10))})
        right = [*(f"{number}" for number in range(10)), "later"]
        for store in (first, second):
            until(lambda store=store: [nearest(store, number) for number in range(11)] == right)  # type: ignore[misc]
        assert client.hget(f"{{{prefix}}}:state", "vectors") == wished.encode()
        kept = client.hgetall(f"{{{prefix}}}:i:5:scopekey of 7")
        (vector,) = (value for name, value in kept.items() if name != b"within")
        decoded = decode_vector(vector, wished)
        assert decoded is not None
        assert decoded == pytest.approx(make_vector(angle_of(7)), abs=1e-3)


def test_an_emptied_database_may_begin_in_another_way(redis_server: Servers, prefix: str) -> None:
    server = RedisServer(redis_server("search").flavour)
    with (
        server,
        closing(RedisStore(server.url, prefix=prefix, vectors="float32")) as first,
        closing(RedisStore(server.url, prefix=prefix, vectors="float16")) as second,
        closing(redis.Redis.from_url(server.url)) as client,
    ):
        fill(first, range(5))
        assert nearest(second, 3) == "3"
        client.flushall()
        fill(second, range(5))
        fill(first, range(5, 10))
        for store in (first, second):
            until(lambda store=store: [nearest(store, number) for number in range(10)] == [*"0123456789"])  # type: ignore[misc]
        assert client.hget(f"{{{prefix}}}:state", "vectors") in (b"float16", b"float32")


def test_halves_become_singles_for_vector_sets(redis_server: Servers, prefix: str) -> None:
    """Whole, tiny, negative, and zero: what the script makes of them is what they are."""
    server = redis_server("vectorset")
    numbers = [1.0, -1.0, 0.0, 6e-8, -3e-5, 0.33325, -0.99951, 1.5]
    vector = make_vector() * 0 + numbers
    vector = vector / math.sqrt(float(vector @ vector))
    with (
        closing(RedisStore(server.url, prefix=prefix, index="local", vectors="float16")) as store,
        closing(RedisStore(server.url, prefix=prefix, index="sets")) as sets,
    ):
        store.put(make_entry(vector=vector.astype("float32")))
        (found,) = sets.search("scope", EMBEDDER, vector.astype("float32"), limit=1, now=0.0)
        assert found.similarity == pytest.approx(1.0, abs=1e-3)
        with closing(redis.Redis.from_url(server.url)) as client:
            (name,) = client.keys(f"{{{prefix}}}:v:*")
            raw = [float(part) for part in client.execute_command("VEMB", name, "5:scopekey of hello")]
        assert raw == pytest.approx(list(vector), abs=0.01)  # the set rounds to 8 bits


@pytest.mark.parametrize("settings", [{"vectors": "float64"}, {"compress_above": -1}, {"compress_above": "much"}])
def test_a_wrong_setting_is_named(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ConfigError, match=name):
        RedisStore("redis://127.0.0.1:1", **settings)


def test_a_long_entry_takes_less_than_it_is_long(server: RedisServer, client: Any, prefix: str) -> None:
    answer = '"' + "The session is established when both peers agree. " * 100 + '"'
    sizes = []
    for number, above in enumerate((None, 1024)):
        with closing(RedisStore(server.url, prefix=f"{prefix}{number}", compress_above=above)) as store:
            store.put(make_entry(answer_json=answer))
            found = store.get("scope", "key of hello")
            assert found is not None
            assert found.entry.answer_json == answer  # type: ignore[union-attr]
            sizes.append(client.hstrlen(f"{{{prefix}{number}}}:d:5:scopekey of hello", "body"))
    assert sizes[1] < sizes[0] / 4
