"""Copies in the process over a shared server: good while other entries change, gone when their own does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from llmcache_plugins import Hit, SemanticCache, TierConfig, open_cache
from llmcache_plugins.stores.redis import connection
from llmcache_plugins.testing.redis_server import RedisServer

_PREFIXES = itertools.count()
LIMIT = 20.0


@pytest.fixture(params=["search", "valkey"])
def url(request: pytest.FixtureRequest, redis_server: Callable[[str], RedisServer]) -> str:
    return f"{redis_server(request.param).url}?prefix=near-{next(_PREFIXES)}"


def open_near(url: str) -> SemanticCache:
    """With copies of every entry from the first."""
    tiers = [TierConfig("hot", store="memory://", is_start=True), TierConfig("cold")]
    return open_cache(url, embedder=None, tiers=tiers, maintenance="manual")


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    trips = [0]
    ask = connection.Connection._round_trip

    def count(self: connection.Connection, commands: list[connection.Command]) -> list[object]:
        trips[0] += 1
        return ask(self, commands)

    monkeypatch.setattr(connection.Connection, "_round_trip", count)
    yield trips


def answered(cache: SemanticCache, question: str) -> object:
    outcome = cache.lookup(question)
    return outcome.answer if isinstance(outcome, Hit) else None


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never came true"


def heard(cache: SemanticCache) -> None:
    """Wait until the cache hears its server."""
    store = cache._parts.tiers[0].store
    until(lambda: store._shared.follower.is_sure)  # type: ignore[attr-defined]


def edits_of(cache: SemanticCache) -> object:
    """How many edits the process has heard of."""
    return cache._parts.tiers[0].store.version()[-1]  # type: ignore[index]


def test_a_copy_is_served_without_a_round_trip_while_others_write(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_near(url) as cache, open_near(url) as other:
        cache.update("q", "a")
        heard(cache)
        assert [answered(cache, "q") for _ in range(3)] == ["a"] * 3
        for number in range(5):  # each is told to everybody: it replaces what was there
            other.update(f"another {number % 2}", f"{number}")
        until(lambda: edits_of(cache) == edits_of(other))
        with counted(monkeypatch) as trips:
            assert answered(cache, "q") == "a"
        assert trips == [0]


def test_what_another_process_replaces_or_invalidates_is_not_served_from_a_copy(url: str) -> None:
    with open_near(url) as cache, open_near(url) as other:
        cache.update("q", "old")
        heard(cache)
        assert answered(cache, "q") == "old"
        other.update("q", "new")
        until(lambda: answered(cache, "q") == "new")
        assert answered(cache, "q") == "new"
        other.invalidate(everything=True)
        until(lambda: answered(cache, "q") is None)
        assert answered(cache, "q") is None


def test_what_this_process_writes_counts_at_once(url: str) -> None:
    with open_near(url) as cache:
        heard(cache)
        for number in range(20):
            cache.update("q", f"{number}")
            assert answered(cache, "q") == f"{number}"
        hit = cache.lookup("q")
        assert isinstance(hit, Hit)
        cache.invalidate(key=hit)
        assert answered(cache, "q") is None
        cache.update("q", "again")
        assert answered(cache, "q") == "again"
        cache.clear()
        assert answered(cache, "q") is None


def test_while_the_server_is_not_heard_each_use_asks_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_near(url) as cache:
        cache.update("q", "a")
        heard(cache)
        assert [answered(cache, "q") for _ in range(2)] == ["a", "a"]
        store = cache._parts.tiers[0].store
        store._shared.follower.close()  # type: ignore[attr-defined]
        with counted(monkeypatch) as trips:
            assert answered(cache, "q") == "a"
        assert trips[0] >= 1
