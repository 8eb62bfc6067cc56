"""A cluster changes while it is in use: slots move, replicas take over, nodes come and go, nobody may serve. Answers
are right or missing, nothing is raised, and all is found again afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from llmcache_plugins import Hit, Request, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisCluster, RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("forgetful_client"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

OpenOn = Callable[..., Any]
Until = Callable[..., None]
Flavour = Callable[[str], str]
Both = Callable[[str], tuple[Any, Any]]

WORKER = Path(__file__).with_name("redis_load.py")
ENTRIES = 60
SECONDS = 5.0  # of the load
_PREFIXES = itertools.count()


@pytest.fixture(scope="module", params=["search", "valkey"])
def cluster(request: pytest.FixtureRequest, redis_flavour: Flavour) -> Iterator[RedisCluster]:
    """Shared by the tests of this module, which leave it in order."""
    with RedisCluster(redis_flavour(request.param)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def valkey(redis_flavour: Flavour) -> Iterator[RedisCluster]:
    """For what has nothing to do with the index."""
    with RedisCluster(redis_flavour("valkey")) as cluster:
        yield cluster


@pytest.fixture
def prefix() -> str:
    """The clusters are shared."""
    return f"cluster-{next(_PREFIXES)}"


@pytest.fixture
def both(open_by_calls: OpenOn, open_by_awaits: OpenOn) -> Callable[..., tuple[Any, Any]]:
    """`both(url)`: two caches on it, one asked by calls and one by awaits."""

    def both(url: str) -> tuple[Any, Any]:
        return tuple(open_on(url, single_flight_timeout=0.3) for open_on in (open_by_calls, open_by_awaits))

    return both


def url_of(cluster: RedisCluster, *, scheme: str = "redis+cluster", user: str = "", **options: object) -> str:
    given = {"timeout": 1, "buckets": 1, **options}
    nodes = ",".join(url.split("/")[2] for url in cluster.urls)
    return f"{scheme}://{user}{nodes}/?" + "&".join(f"{name}={value}" for name, value in given.items())


def say(node: RedisServer, *words: object) -> Any:
    with redis.Redis.from_url(node.url, decode_responses=True, socket_timeout=10.0) as client:
        return client.execute_command(*words)


def slots_of(cluster: RedisCluster) -> list[tuple[int, int, int]]:
    """First and last slot, and the port of their primary."""
    for node in cluster.nodes:
        if node.is_running:
            return [(int(row[0]), int(row[1]), int(row[2][1])) for row in say(node, "CLUSTER", "SLOTS")]
    raise AssertionError("no node runs")


def node_at(nodes: tuple[RedisServer, ...], port: int) -> RedisServer:
    return next(node for node in nodes if node.port == port)


def primary_of(cluster: RedisCluster, slot: int) -> RedisServer:
    return next(node_at(cluster.nodes, port) for first, last, port in slots_of(cluster) if first <= slot <= last)


def slot_of(cluster: RedisCluster, prefix: str) -> int:
    return int(say(cluster.nodes[0], "CLUSTER", "KEYSLOT", f"{{{prefix}.0}}"))


def is_in_order(cluster: RedisCluster) -> bool:
    return all("cluster_state:ok" in say(node, "CLUSTER", "INFO") for node in cluster.nodes)


# ---------------------------------------------------------------- slots that move


def move(slot: int, source: RedisServer, target: RedisServer, meanwhile: Callable[[], None]) -> None:
    """As `redis-cli --cluster reshard` does it: no key is replaced, so one that is there already fails."""
    here_id, there_id = say(source, "CLUSTER", "MYID"), say(target, "CLUSTER", "MYID")
    say(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", here_id)
    say(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", there_id)
    meanwhile()
    while keys := say(source, "CLUSTER", "GETKEYSINSLOT", slot, 60):
        say(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        meanwhile()
    for node in (target, source):
        say(node, "CLUSTER", "SETSLOT", slot, "NODE", there_id)


@contextlib.contextmanager
def traffic(cache: SemanticCache) -> Iterator[list[str]]:
    """A thread that asks all the time; what went wrong for it."""
    wrong: list[str] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                for question in ("hi", "hello"):
                    outcome = cache.lookup(question)
                    if isinstance(outcome, Hit) and outcome.answer != "there":
                        wrong.append(f"{question}: {outcome.answer}")
                cache.update("hi", "there")
            except Exception as error:
                wrong.append(repr(error))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield wrong
    finally:
        is_over.set()
        thread.join()


@pytest.fixture
def new_node(cluster: RedisCluster, until: Until) -> Iterator[RedisServer]:
    """A primary without slots, which leaves the cluster again."""
    own = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-announce-ip", "127.0.0.1")
    own += ("--cluster-allow-replica-migration", "no")  # without slots it would become somebody's replica
    with RedisServer(cluster.nodes[0].flavour, *own) as node:
        for other in cluster.nodes:
            say(node, "CLUSTER", "MEET", "127.0.0.1", other.port)
        until(lambda: "cluster_state:ok" in say(node, "CLUSTER", "INFO"))
        name = say(node, "CLUSTER", "MYID")
        until(lambda: all(name in say(one, "CLUSTER", "NODES") for one in cluster.nodes))
        yield node
        for other in cluster.nodes:
            say(other, "CLUSTER", "FORGET", name)


def answers_of(asked: Any) -> list[Any]:
    return [asked.told(f"question {number}") for number in range(ENTRIES)]


def fill(asked: Any) -> list[str]:
    """What `answers_of` gives then."""
    for number in range(ENTRIES):
        assert asked.update(f"question {number}", f"answer {number}").stored
    assert asked.update("hi", "there").stored
    return [f"answer {number}" for number in range(ENTRIES)]


def test_a_bucket_that_moves_to_a_new_node_and_back(
    cluster: RedisCluster, new_node: RedisServer, prefix: str, both: Both, open_by_calls: OpenOn, until: Until
) -> None:
    url, caches = url_of(cluster, prefix=prefix), both(url_of(cluster, prefix=prefix))
    answers = fill(caches[0])
    slot = slot_of(cluster, prefix)
    source = primary_of(cluster, slot)
    steps = itertools.count()

    def meanwhile() -> None:
        step = next(steps)
        for asked in caches:
            number = step % ENTRIES
            assert asked.told(f"question {number}") in (None, answers[number])
            assert asked.ask(f"new {step}", "from the model") == "from the model"

    def has_index(node: RedisServer) -> bool:
        caches[0].lookup(f"never asked {next(steps)}")  # a wording that was asked before needs no index
        return any(name.startswith(f"{{{prefix}.0}}:index") for name in say(node, "FT._LIST"))

    for here, there in ((source, new_node), (new_node, source)):
        until(lambda: all(asked.told("hello") == "there" for asked in caches))
        with traffic(caches[0].cache) as wrong:
            move(slot, here, there, meanwhile)
            until(lambda: all(asked.update("hi", "there").stored for asked in caches))
        assert wrong == []
        for asked in (*caches, open_by_calls(url)):
            until(lambda asked=asked: answers_of(asked) == answers)
            until(lambda asked=asked: asked.told("hello") == "there")
        if here.flavour == "search":
            until(lambda there=there: has_index(there))
    assert next(steps) > 6
    assert all(asked.cache.stats().misses.get("internal_error", 0) == 0 for asked in caches)
    until(lambda: is_in_order(cluster))


def test_an_invalidation_of_a_bucket_that_moves_says_that_it_failed(
    cluster: RedisCluster, prefix: str, both: Both, until: Until
) -> None:
    """What it is about may be on the node that it is not at."""
    caches = both(url_of(cluster, prefix=prefix))
    answers = fill(caches[0])
    slot = slot_of(cluster, prefix)
    source = primary_of(cluster, slot)
    target = next(node_at(cluster.nodes, port) for _, _, port in slots_of(cluster) if port != source.port)
    reports = []
    move(slot, source, target, lambda: reports.extend(one.cache.invalidate(everything=True) for one in caches))
    assert all(report.has_failed for report in reports)
    assert answers_of(caches[1]) == answers
    until(lambda: not caches[0].cache.invalidate(everything=True).has_failed)
    until(lambda: answers_of(caches[1]) == [None] * ENTRIES)
    move(slot, target, source, lambda: None)
    until(lambda: is_in_order(cluster))


def test_a_slot_that_moves_in_one_step(valkey: RedisCluster, prefix: str, both: Both, until: Until) -> None:
    """Valkey from 9.0 on: nobody is told ASK."""
    caches = both(url_of(valkey, prefix=prefix))
    answers = fill(caches[0])
    slot = slot_of(valkey, prefix)
    source = primary_of(valkey, slot)
    target = next(node_at(valkey.nodes, port) for _, _, port in slots_of(valkey) if port != source.port)
    name = say(target, "CLUSTER", "MYID")
    with traffic(caches[0].cache) as wrong:
        say(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
        until(lambda: primary_of(valkey, slot).port == target.port)
    assert wrong == []
    for asked in caches:
        until(lambda asked=asked: asked.told("hello") == "there")
        assert answers_of(asked) == answers


# ---------------------------------------------------------------- replicas that take over


def replica_of(cluster: RedisCluster, primary: RedisServer) -> RedisServer:
    name = say(primary, "CLUSTER", "MYID")
    replica = say(primary, "CLUSTER", "REPLICAS", name)[0]
    return node_at(cluster.nodes, int(replica.split()[1].split("@")[0].rpartition(":")[2]))


@pytest.mark.parametrize("cluster", ["search"], indirect=True)
def test_replicas_take_over_while_two_processes_work(
    cluster: RedisCluster, redis_flavour: Flavour, until: Until
) -> None:
    """With an index: replicas have one of their own. Without one see the last test."""
    with RedisServer(redis_flavour("valkey")) as truth:
        url = url_of(cluster, prefix="load", buckets=4, timeout=0.5)
        workers = [
            subprocess.Popen(
                [sys.executable, str(WORKER), url, truth.url, f"{SECONDS}", name, "4", awaits, "1"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name, awaits in (("threads", "no"), ("loop", "yes"))
        ]
        try:
            taken_at = []
            for how in ([], ["TAKEOVER"]):
                time.sleep(SECONDS / 3)
                first = slots_of(cluster)[0][0]
                primary = primary_of(cluster, first)
                replica = replica_of(cluster, primary)
                taken_at.append(time.time())
                say(replica, "CLUSTER", "FAILOVER", *how)
                until(lambda first=first, replica=replica: primary_of(cluster, first).port == replica.port)
            outputs = [worker.communicate(timeout=SECONDS + 60) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
    assert [errors for _, errors in outputs] == [""] * len(workers)
    found = [json.loads(said) for said, _ in outputs]
    counts: Counter[str] = sum((Counter(one["counts"]) for one in found), Counter())
    samples = [sample for one in found for sample in one["samples"]]
    assert counts["asked"] > 20 * SECONDS, counts
    assert sum(one["hits"] for one in found) > counts["asked"] / 4, counts
    assert counts["wrong"] == 0, samples
    assert [moment for one in found for moment in one["at"]["error"]] == [], samples
    # A takeover by force may lose what the replica had not heard; one in good order loses nothing.
    assert [at for one in found for at in one["at"]["late"] if at < taken_at[1]] == [], samples
    until(lambda: is_in_order(cluster))


# ---------------------------------------------------------------- nobody may serve


def test_a_cluster_in_state_down_recovers(valkey: RedisCluster, prefix: str, both: Both, until: Until) -> None:
    caches = both(url_of(valkey, prefix=prefix, buckets=2))
    assert caches[0].update("hi", "there").stored
    until(lambda: all(asked.told("hello") == "there" for asked in caches))
    primaries = [(node_at(valkey.nodes, port), first) for first, _, port in slots_of(valkey)]
    for node, slot in primaries:
        say(node, "CLUSTER", "DELSLOTS", slot)  # no slot may be without a node
    until(lambda: all("cluster_state:fail" in say(node, "CLUSTER", "INFO") for node, _ in primaries))
    for asked in caches:
        assert asked.ask("a question", "from the model") == "from the model"
        assert asked.lookup("something else").reason == "store_error"
        assert asked.errors > 0
    for node, slot in primaries:
        say(node, "CLUSTER", "ADDSLOTS", slot)
    until(lambda: is_in_order(valkey))
    for number, asked in enumerate(caches):
        until(lambda asked=asked: asked.told("hi") is not None)
        until(lambda asked=asked, number=number: asked.update("hi", f"again {number}").stored)
        until(lambda asked=asked, number=number: asked.told("hello") == f"again {number}")


def test_a_primary_that_dies_costs_misses_and_no_answer(valkey: RedisCluster, until: Until) -> None:
    questions = [Request(f"What is number {number}?", model=f"model {number}") for number in range(30)]
    with open_cache(url_of(valkey, prefix="dies", timeout=0.5, buckets=8), embedder=FakeEmbedder()) as cache:
        for question in questions:
            assert cache.update(question, question.text).stored
        places = [(node, say(node, "INFO", "replication")) for node in valkey.nodes]
        until(lambda: all(replicas_are_in_step(node) for node, told in places if told["role"] == "master"))
        killed = node_at(valkey.nodes, valkey.kill_primary())

        def answers() -> list[Any]:
            found = [cache.lookup(question) for question in questions]  # raises nothing
            return [outcome.answer if isinstance(outcome, Hit) else None for outcome in found]

        until(lambda: answers() == [question.text for question in questions], seconds=30.0)
        until(lambda: all(cache.update(question, "new").stored for question in questions))

        async def ask() -> list[Any]:
            outcomes = [await cache.alookup(question) for question in questions]
            await cache.aclose()
            return outcomes

        assert all(isinstance(outcome, Hit) and outcome.answer == "new" for outcome in asyncio.run(ask()))
    killed.start()
    until(lambda: is_in_order(valkey))


def replicas_are_in_step(primary: RedisServer) -> bool:
    told = say(primary, "INFO", "replication")
    return all(
        told[f"slave{number}"]["offset"] >= told["master_repl_offset"] for number in range(told["connected_slaves"])
    )
