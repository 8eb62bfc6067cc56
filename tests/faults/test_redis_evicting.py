"""A server that takes keys by itself when it is full: that costs misses, and never gives a wrong or half an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import Hit, open_cache
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer

ClientOf = Callable[..., Any]
Flavour = Callable[[str], str]
QUESTIONS = 150


@pytest.fixture(params=["search", "plain", "valkey", "vectorset"])
def server(request: pytest.FixtureRequest, redis_flavour: Flavour) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour(request.param), "--maxmemory-samples", "3") as server:
        yield server


def answer_to(number: int) -> str:
    return f"answer {number} " + "x" * 800 + f" end of {number}"


def ask(cache: Any, number: int, wording: str) -> bool | None:
    """Ask, and store what is missed; True for a hit, which must be right."""
    question = f"{wording} {number}"
    found = cache.lookup(question)
    if isinstance(found, Hit):
        assert found.answer == answer_to(number), question
        return True
    cache.update(f"what is {number}", answer_to(number))
    return False


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-ttl"])
def test_whatever_the_server_takes_no_answer_is_wrong(policy: str, server: RedisServer, client_of: ClientOf) -> None:
    client = client_of(server)
    wordings = ("what is", "tell me")
    groups = {f"{wording} {number}": f"group {number}" for number in range(QUESTIONS) for wording in wordings}
    chance = random.Random(7)
    settings: dict[str, Any] = {"embedder": FakeEmbedder(groups), "maintenance": "manual", "use_guards": False}
    url = f"{server.url}?prefix=full&staleness=0.3"
    with open_cache(url, **settings) as cache, open_cache(url, **settings) as other:
        for number in range(50):
            ask(cache, number, "what is")
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 250_000)
        client.config_set("maxmemory-policy", policy)
        hits = 0
        for turn in range(3 * QUESTIONS):
            which = cache if turn % 2 else other
            hits += bool(ask(which, chance.randrange(QUESTIONS), chance.choice(wordings)))
            if turn % 200 == 0:
                which.maintain()
                which.stats()
                which.invalidate(tags=["device:a"])
        taken = client.info("stats")["evicted_keys"]
        assert policy == "volatile-ttl" or taken > 50  # there is nothing that such a policy may take
        assert hits > 0
        # The server has room again: everything is found, and what was only half there is forgotten.
        client.config_set("maxmemory", 0)
        for number in range(QUESTIONS):
            ask(cache, number, "what is")
        for number in range(QUESTIONS):
            assert ask(cache, number, "what is"), number
            assert ask(other, number, "what is"), number
        assert cache.stats().errors.keys() <= {"redis"}


@pytest.mark.parametrize("seed", range(8))
def test_lists_that_lead_nowhere_are_mended(seed: int, server: RedisServer, client_of: ClientOf) -> None:
    """Every key is as likely to be taken: documents, vectors, lists, counters."""
    client, chance = client_of(server), random.Random(seed)
    settings: dict[str, Any] = {"embedder": FakeEmbedder(), "maintenance": "manual", "max_entries": 60}
    with open_cache(f"{server.url}?prefix=ghosts&staleness=0.3", **settings) as cache:
        for number in range(60):
            cache.update(f"what is {number}", answer_to(number), ttl=10_000.0)
        documents = sorted(client.scan_iter("{ghosts}:d:*"))
        lists = sorted(key for key in client.scan_iter("{ghosts}*") if key not in set(documents))
        for key in (*chance.sample(documents, 30), *chance.sample(lists, len(lists) // 3)):
            client.delete(key)
        for number in range(200, 320):  # the cache is full twice over: what is gone leaves first or is found missing
            cache.update(f"what is {number}", answer_to(number), ttl=10_000.0)
        for _ in range(3):
            cache.maintain()
        there = {key.decode().removeprefix("{ghosts}:d:") for key in client.scan_iter("{ghosts}:d:*")}
        listed = {one.decode() for one in client.zrange("{ghosts}:all", 0, -1)}
        assert listed - there == set()  # no ghosts
        assert cache.stats().entries == len(listed) <= 60
        with closing(RedisStore(server.url, prefix="ghosts")) as store:
            rows = store.select(Selector(), limit=1000).rows
            assert len(rows) == len(listed)
            assert all(row.entry.answer_json.startswith('"answer') for row in rows)
        cache.clear()
        assert cache.stats().entries == 0
