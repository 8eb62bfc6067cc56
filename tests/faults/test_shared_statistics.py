"""Several real processes over one file or one server: what they count adds up, also when one of them is killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheStats, Hit, SemanticCache, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.policies.placement import TierConfig
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.testing.redis_server import RedisServer

Until = Callable[..., None]
_PREFIXES = itertools.count()

# A process that does what it is told: "own 3" asks three questions of its own (misses, and updates), "all 3" three that
# all ask; "tick" lets the background thread write, "close" and "end" end it with and without closing the cache.
CHILD = """
import sys, os
from llmcache_plugins import open_cache
url, node = sys.argv[1:3]
cache = open_cache(url, embedder=None, node_id=node or None, namespace=("acme",), stats_interval=0.05)
print("ready", flush=True)
for line in sys.stdin:
    what, _, number = line.strip().partition(" ")
    if what == "close":
        cache.close()
    elif what == "end":
        os._exit(0)
    else:
        for place in range(int(number)):
            question = f"question {place}" + (f" of {os.getpid()}" if what == "own" else "")
            cache.get_or_generate(question, lambda: "answer")
    print("done", flush=True)
"""


class Child:
    """One such process."""

    def __init__(self, url: str, node: str) -> None:
        command = [sys.executable, "-c", CHILD, url, node]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._heard("ready")

    def _heard(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == word

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if line != "end":
            self._heard("done")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(30) == -signal.SIGKILL

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(params=["disk", "search", "valkey"])
def url(request: pytest.FixtureRequest, tmp_path: Path, redis_server: Callable[[str], RedisServer]) -> str:
    if request.param == "disk":
        return f"disk://{tmp_path}/cache.db"
    return f"{redis_server(request.param).url}?prefix=shared-counts-{next(_PREFIXES)}&staleness=0.3"


@pytest.fixture
def start(url: str) -> Iterator[Callable[[str], Child]]:
    with ExitStack() as stack:

        def start(node: str) -> Child:
            child = Child(url, node)
            stack.callback(child.close)
            return child

        yield start


@pytest.fixture
def cache(url: str) -> Iterator[SemanticCache]:
    """Of this process; it counts nothing by itself."""
    with open_cache(url, embedder=None, maintenance="manual", node_id="reader") as cache:
        yield cache


@pytest.mark.parametrize("count", [2, 3])
def test_what_real_processes_count_adds_up(
    count: int, start: Callable[[str], Child], cache: SemanticCache, until: Until
) -> None:
    children = [start(f"node-{number}") for number in range(count)]
    for number, child in enumerate(children):
        child.tell(f"own {number + 2}")
    for child in children:
        child.tell("all 4")
    own = sum(range(2, count + 2))
    until(lambda: cache.shared_stats().total.lookups == own + 4 * count)  # no process had to be closed
    shared = cache.shared_stats()
    assert (shared.total.miss_count, shared.total.hit_count) == (own + 4, 4 * (count - 1))
    assert shared.total.updates == own + 4
    assert sorted(shared.nodes) == [f"node-{number}" for number in range(count)]
    assert [shared.nodes[f"node-{n}"].lookups for n in range(count)] == [n + 2 + 4 for n in range(count)]
    assert shared.total.namespaces[("acme",)].misses == own + 4
    assert cache.stats().lookups == 0


def test_a_killed_process_loses_what_it_had_not_written(
    start: Callable[[str], Child], cache: SemanticCache, until: Until
) -> None:
    victim, survivor, closed = start("victim"), start("survivor"), start("closed")
    victim.tell("own 5")
    until(lambda: cache.shared_stats().total.lookups == 5)
    victim.tell("own 5")
    victim.kill()
    survivor.tell("own 3")
    closed.tell("own 2")
    closed.tell("close")
    until(lambda: cache.shared_stats().nodes.get("survivor", CacheStats()).lookups == 3)
    nodes = cache.shared_stats().nodes
    assert nodes["closed"].lookups == 2
    assert 5 <= nodes["victim"].lookups <= 10  # it may just have written
    another = start("victim")  # started again under its name: another process all the same
    another.tell("own 4")
    until(lambda: cache.shared_stats().nodes["victim"].lookups == nodes["victim"].lookups + 4)
    assert cache.shared_stats().total.lookups == sum(one.lookups for one in cache.shared_stats().nodes.values())


def test_closing_writes_what_is_left(url: str, cache: SemanticCache) -> None:
    with open_cache(url, embedder=None, maintenance="manual") as other:
        other.get_or_generate("question", lambda: "answer")
        assert cache.shared_stats().total.lookups == 0
    assert cache.shared_stats().total.lookups == 1


def test_a_process_that_only_reads_is_counted_too(url: str, cache: SemanticCache, until: Until) -> None:
    with open_cache(url, embedder=None, stats_interval=0.05) as other:
        other.lookup("nobody knows")
        until(lambda: cache.shared_stats().total.lookups == 1)


def test_what_a_cache_says_has_its_own_counts_up_to_now(url: str) -> None:
    with open_cache(url, embedder=None, maintenance="manual", node_id="me") as cache:
        cache.update("question", "answer")
        for _ in range(3):
            assert isinstance(cache.lookup("question"), Hit)
        assert cache.shared_stats().total.hit_count == 3

        async def ask() -> int:
            return (await cache.ashared_stats()).total.hit_count

        cache.lookup("question")
        assert asyncio.run(ask()) == 4
        cache.reset_shared_stats()
        shared = cache.shared_stats()
        assert (shared.total.lookups, dict(shared.nodes)) == (0, {})
        cache.lookup("question")
        assert cache.shared_stats().total.hits == {"exact": 1}
        assert cache.stats().hits == {"exact": 5}
        asyncio.run(cache.areset_shared_stats())
        assert cache.shared_stats().total.lookups == 0


def test_a_cache_on_an_event_loop_is_counted_by_all(url: str, cache: SemanticCache) -> None:
    async def ask() -> None:
        async with open_cache(url, embedder=None, maintenance="manual") as other:
            await other.alookup("question")
            await other.amaintain()
            assert (await other.ashared_stats()).total.miss_count == 1
            assert cache.shared_stats().total.miss_count == 1
            await other.alookup("question")

    asyncio.run(ask())
    assert cache.shared_stats().total.miss_count == 2


def test_evictions_and_expirations_are_those_of_all(url: str) -> None:
    clock = FakeClock()
    settings: dict[str, Any] = {"embedder": None, "maintenance": "manual", "clock": clock, "max_entries": 4}
    with open_cache(url, **settings) as first, open_cache(url, **settings) as second:
        for number, cache in enumerate((first, second) * 4):
            cache.update(f"question {number}", "answer", ttl=50.0)
        clock.advance(100.0)
        second.maintain()
        shared = first.shared_stats()  # what the first evicted is counted now, what the second did was with its pass
        (store,) = shared.total.stores.values()
        assert (store.entries, store.evictions, store.expirations) == (0, 4, 4)
        assert shared.total.tiers["cold"].evictions == 4


def test_two_caches_over_one_store_count_its_evictions_once() -> None:
    store = MemoryStore(max_entries=2)
    settings: dict[str, Any] = {"embedder": None, "maintenance": "manual", "tiers": [TierConfig("all", store=store)]}
    with open_cache(**settings) as first, open_cache(**settings) as second:
        for number in range(6):
            first.update(f"question {number}", "answer")
        first.maintain()
        second.maintain()
        assert first.shared_stats().total.stores["store"].evictions == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_counts_for_itself(url: str, cache: SemanticCache) -> None:
    with open_cache(url, embedder=None, maintenance="manual") as other:
        other.get_or_generate("question", lambda: "answer")
        child = os.fork()
        if not child:
            code = 1
            try:
                for _ in range(2):
                    other.lookup("question")
                other.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        other.lookup("question")
        assert other.stats().lookups == 2
    shared = cache.shared_stats()
    assert (shared.total.lookups, len(shared.nodes)) == (4, 2)


# ---------------------------------------------------------------- when the store fails


def faulty_cache(store: FaultyStore, **settings: Any) -> SemanticCache:
    tiers = [TierConfig("all", store=store)]
    return open_cache(embedder=FakeEmbedder(), tiers=tiers, maintenance="manual", **settings)


def test_a_store_that_fails_costs_an_event_and_no_exception() -> None:
    events: list[Any] = []
    store = FaultyStore(MemoryStore())
    with faulty_cache(store, recorders=[events.append]) as cache:
        cache.update("question", "answer")
        store.fail({"tally", "tallies"})
        for _ in range(3):
            cache.maintain()
        assert cache.stats().errors == {"shared statistics": 1}
        shared = cache.shared_stats()
        assert (shared.is_complete, shared.total.updates) == (False, 1)
        assert asyncio.run(cache.ashared_stats()).total.updates == 1
        store.heal()
        shared = cache.shared_stats()
        assert (shared.is_complete, shared.total.updates) == (True, 1)
        store.fail({"tally", "tallies", "stats"})
    assert store.calls["close"] == 1


def test_no_lookup_and_no_update_writes_counts() -> None:
    store = FaultyStore(MemoryStore())
    with faulty_cache(store) as cache:
        for number in range(20):
            cache.get_or_generate(f"question {number}", lambda: "answer")
            cache.lookup(f"question {number}")
        assert (store.calls["tally"], store.calls["tallies"]) == (0, 0)
        cache.maintain()
        assert store.calls["tally"] == 1


def test_a_store_that_hangs_keeps_no_lookup_waiting() -> None:
    store, event = FaultyStore(MemoryStore()), threading.Event()
    with faulty_cache(store) as cache:
        cache.update("question", "answer")
        store.wait({"tally"}, event)
        thread = threading.Thread(target=cache.maintain)
        thread.start()
        try:
            assert isinstance(cache.lookup("question"), Hit)
            assert cache.stats().hit_count == 1
        finally:
            event.set()
            thread.join(30)


# ---------------------------------------------------------------- on the command line


def test_the_command_says_what_all_have_counted(
    url: str, start: Callable[[str], Child], capsys: pytest.CaptureFixture[str]
) -> None:
    for node in ("node-a", "node-b"):
        child = start(node)
        child.tell("all 3")
        child.tell("close")
    assert main(["stats", url]) == 0
    text = capsys.readouterr().out
    assert "hit rate 50.0%" in text
    assert "by 2 processes of the last hour" in text
    assert "node-a" in text
    assert "acme" in text
    assert main(["stats", url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["total"]["hits"], told["total"]["misses"]) == ({"exact": 3}, {"no_embedder": 3})
    assert told["nodes"]["node-b"]["lookups"] == 3
    assert main(["stats", url, "--reset", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["lookups"] == 0


def test_the_command_takes_the_url_of_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    assert main(["stats"]) == 2
    assert "give the URL of a cache" in capsys.readouterr().err
    assert main(["stats", "memory://"]) == 2
    with closing(open_cache(url, embedder=None)):
        pass
    monkeypatch.setenv("LLMCACHE_URL", url)
    assert main(["stats"]) == 0
    assert "nothing was counted yet" in capsys.readouterr().out
