"""The server of a cache is not there: answers come from the model, errors are counted."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Store
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores import AsyncRedisStore, RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector

OpenOn = Callable[..., Any]
Flavour = Callable[[str], str]
Until = Callable[..., None]

ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "get": (("scope", "key"), {}),
    "get_normalised": (("scope", "key"), {"limit": 1}),
    "census": (("scope", "fake/8/unit"), {"limit": 1}),
    "search": (("scope", "fake/8/unit", make_vector()), {"limit": 1, "now": 0.0}),
    "put": ((make_entry("secret words"),), {}),
    "set_vectors": (("scope", "fake/8/unit", {"key": make_vector()}), {}),
    "vectors": (("fake/8/unit", [("scope", "key")]), {}),
    "delete": (("scope", ["key"]), {}),
    "sweep": ((0.0,), {"limit": 1}),
    "clear": ((), {}),
    "select": ((Selector(),), {"limit": 1}),
    "place": (([("scope", "key")], "hot", 0.0), {"is_demotion": False}),
    "lowest": (("hot",), {"limit": 1}),
    "invalidate": ((Selector(), 0.0), {"is_lazy": False, "limit": 1}),
    "invalidations": ((), {"since": 0.0}),
    "forget_invalidations": ((), {"before": 0.0}),
    "sequence": ((), {}),
    "acquire": (("name", "holder", 0.0, 1.0), {}),
    "release": ((Lease("name", "holder", 1, 1.0),), {}),
    "note": (("name", "secret words"), {}),
    "notes": ((), {}),
    "tally": (({"secret words": "secret words"},), {"expected": {"secret words": None}}),
    "tallies": ((), {}),
    "version": ((), {}),
    "stats": ((), {}),
}
WAITS = {"touch", "put_alias", "close"}  # these do not ask the server, or keep to themselves that it failed


@pytest.fixture
def server(redis_flavour: Flavour) -> Any:
    """Not started yet."""
    server = RedisServer(redis_flavour("plain"))
    yield server
    if server.is_running:
        server.stop()


def url_of(server: RedisServer, **more: object) -> str:
    return f"{server.url}?prefix=x&timeout=0.2" + "".join(f"&{name}={value}" for name, value in more.items())


def is_well(asked: Any) -> bool:
    """What is stored before the first lookup has found the epochs again is not found later: both are tried again."""
    asked.update("hi", "there")
    return bool(asked.told("hi") == "there" and asked.update("hi", "there").stored)


def test_a_cache_opens_on_a_server_that_is_down(server: RedisServer, open_on: OpenOn) -> None:
    asked = open_on(url_of(server))
    assert asked.ask("hi", "from the model") == "from the model"
    assert asked.lookup("hi").reason == "store_error"
    assert asked.update("hi", "there").reason == "store_error"
    assert asked.cache.stats().misses == {"store_error": 2}
    assert asked.cache.stats().errors["redis"] > 0


def test_every_question_goes_to_the_model_once(server: RedisServer, open_on: OpenOn) -> None:
    asked = open_on(url_of(server))
    answers = [asked.ask(f"question {number}", f"answer {number}") for number in range(10)]
    assert answers == [f"answer {number}" for number in range(10)]
    assert asked.cache.stats().misses == {"store_error": 10}


def test_it_is_well_again_by_itself(server: RedisServer, open_on: OpenOn, until: Until) -> None:
    asked = open_on(url_of(server))
    for _ in range(3):
        asked.ask("hi", "from the model")
    server.start()
    until(lambda: is_well(asked))
    assert asked.told("hello") == "there"
    errors = asked.errors
    for _ in range(5):
        assert asked.told("hi") == "there"
    assert asked.errors == errors


def test_statistics_and_repr_are_to_be_had_all_the_same(server: RedisServer, open_on: OpenOn) -> None:
    asked = open_on(url_of(server))
    asked.lookup("hi")
    stats = asked.cache.stats()
    assert "redis" not in stats.stores
    assert stats.misses == {"store_error": 1}
    assert str(server.port) not in repr(asked.cache)


def test_an_invalidation_says_that_it_failed(server: RedisServer, open_by_calls: OpenOn) -> None:
    asked = open_by_calls(url_of(server))
    report = asked.cache.invalidate(everything=True)
    assert report.has_failed
    assert asked.cache.stats().errors["redis"] > 0


def test_with_fail_open_off_the_caller_hears_of_it(server: RedisServer, open_on: OpenOn) -> None:
    asked = open_on(url_of(server), fail_open=False)
    with pytest.raises(StoreError, match="does not answer"):
        asked.lookup("hi")


def test_closing_it_is_quiet_and_quick(server: RedisServer, open_by_calls: OpenOn) -> None:
    server.start()
    asked = open_by_calls(url_of(server))
    asked.update("hi", "there")
    assert asked.told("hi") == "there"  # a touch waits to be written
    server.kill()
    asked.close()
    assert asked.lookup("hi").reason == "closed"


@pytest.mark.parametrize("awaits", [False, True], ids=["calls", "awaits"])
async def test_a_client_that_fails_to_close_keeps_nobody_from_it(awaits: bool, server: RedisServer) -> None:
    """That of a cluster goes through its nodes, which may change meanwhile."""

    class Stubborn:
        def close(self) -> None:
            raise RuntimeError("dictionary changed size during iteration")

        async def aclose(self) -> None:
            self.close()

    store = AsyncRedisStore(server.url) if awaits else RedisStore(server.url)
    if isinstance(store, AsyncRedisStore):
        await store._connection._client()
        store._connection._clients[asyncio.get_running_loop()] = (Stubborn(), asyncio.Event(), asyncio.Lock(), None)
        await store.close()
    else:
        store._connection._made = Stubborn()
        store.close()


@pytest.mark.parametrize("verb", sorted(ARGUMENTS))
def test_every_verb_of_the_store_raises_a_store_error_that_quotes_nothing(
    verb: str, server: RedisServer, nothing_told: Callable[..., None]
) -> None:
    store = RedisStore(server.url, prefix="x", timeout=0.2)
    given, named = ARGUMENTS[verb]
    with pytest.raises(StoreError) as failure:
        getattr(store, verb)(*given, **named)
    assert f"127.0.0.1:{server.port}" in str(failure.value)
    nothing_told(["secret words", "key of"], failure.value)
    store.touch("scope", "key", 0.0)
    store.put_alias(make_alias("secret words", make_entry()))
    store.close()


def test_no_verb_is_left_out_above() -> None:
    verbs = {name for name, value in vars(Store).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert verbs - WAITS == set(ARGUMENTS)
