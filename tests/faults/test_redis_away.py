"""What a server that is away costs a caller: next to nothing once it is known, and a few time-outs before, however many
callers and nodes there are."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.stores import AsyncRedisStore, RedisStore
from llmcache_plugins.testing.redis_server import RedisCluster, RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("forgetful_client"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

OpenOn = Callable[..., Any]
Until = Callable[..., None]
Flavour = Callable[[str], str]

TIMEOUT = 0.2
PATIENCE = 5.0  # a machine that is busy elsewhere
CALLS = 200
A_MILLISECOND = 0.001  # the median of so many calls takes some 10 microseconds


@pytest.fixture(scope="module")
def cluster(redis_flavour: Flavour) -> Iterator[RedisCluster]:
    with RedisCluster(redis_flavour("valkey")) as cluster:
        yield cluster


@pytest.fixture(params=["a server", "a cluster"])
def dead(request: pytest.FixtureRequest, redis_flavour: Flavour) -> str:
    """The URL of what was never started."""
    if request.param == "a server":
        return RedisServer(redis_flavour("plain")).url
    nodes = ",".join(node.url.split("/")[2] for node in RedisCluster(redis_flavour("valkey")).nodes)
    return f"redis+cluster://{nodes}"


def url_of(cluster: RedisCluster) -> str:
    return "redis+cluster://" + ",".join(url.split("/")[2] for url in cluster.urls)


def test_known_to_be_dead_it_costs_a_call_less_than_a_millisecond(dead: str) -> None:
    with closing(RedisStore(dead, timeout=TIMEOUT)) as store:

        def refused(number: int) -> float:
            start = time.perf_counter()
            with pytest.raises(StoreUnavailable, match="does not answer"):
                store.get(f"scope {number}", "key")
            return time.perf_counter() - start

        for number in range(5):
            refused(number)
        assert statistics.median(map(refused, range(CALLS))) < A_MILLISECOND


async def test_and_a_task_no_more(dead: str) -> None:
    store = AsyncRedisStore(dead, timeout=TIMEOUT)

    async def refused(number: int) -> float:
        start = time.perf_counter()
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await store.get(f"scope {number}", "key")
        return time.perf_counter() - start

    for number in range(5):
        await refused(number)
    assert statistics.median([await refused(number) for number in range(CALLS)]) < A_MILLISECOND
    await store.close()


def test_a_lookup_asks_the_dead_for_next_to_nothing(dead: str, open_on: OpenOn) -> None:
    """Beside what a lookup costs anyway, measured where no server is asked."""
    away, nowhere = open_on(f"{dead}?timeout={TIMEOUT}"), open_on("memory://")

    def median_of(asked: Any) -> float:
        def seconds_of(number: int) -> float:
            start = time.perf_counter()
            asked.lookup(f"question {number}")
            return time.perf_counter() - start

        return statistics.median(map(seconds_of, range(CALLS)))

    for number in range(5):
        away.lookup(f"question {number}")
    assert median_of(away) < median_of(nowhere) + 2 * A_MILLISECOND


# ---------------------------------------------------------------- a cluster that hangs


@pytest.fixture
def hung(cluster: RedisCluster) -> Iterator[Callable[[], None]]:
    """`hung()`: from now on no node answers, until the test ends."""

    def hung() -> None:
        for node in cluster.nodes:
            node.pause()

    yield hung
    for node in cluster.nodes:
        node.resume()


def is_well(url: str) -> bool:
    with closing(RedisStore(url, timeout=TIMEOUT)) as store:
        try:
            return all(store.get(f"scope {number}", "key") is None for number in range(32))
        except StoreUnavailable:
            return False


def test_threads_do_not_wait_for_each_other(cluster: RedisCluster, hung: Callable[[], None], until: Until) -> None:
    """The client asks every node for the others while it holds a lock: one thread may, and the others do not queue."""
    until(lambda: is_well(url_of(cluster)))
    with closing(RedisStore(url_of(cluster), timeout=TIMEOUT)) as store:
        store.get("scope", "key")
        hung()

        def refused(number: int) -> float:
            start = time.monotonic()
            with pytest.raises(StoreUnavailable):
                store.get(f"scope {number}", "key")
            return time.monotonic() - start

        with ThreadPoolExecutor(24) as pool:
            took = sorted(pool.map(refused, range(24)))
        assert took[-2] < 3 * TIMEOUT + 0.5
        assert took[-1] < 2 * len(cluster.nodes) * TIMEOUT + PATIENCE
        assert sum(refused(number) for number in range(16)) < PATIENCE


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
async def test_tasks_do_not_wait_for_each_other(
    cluster: RedisCluster, is_known: bool, hung: Callable[[], None], until: Until
) -> None:
    until(lambda: is_well(url_of(cluster)))
    store = AsyncRedisStore(url_of(cluster), timeout=TIMEOUT)
    if is_known:
        await store.get("scope", "key")
    hung()
    start = time.monotonic()
    outcomes = await asyncio.gather(
        *(store.get(f"scope {number}", "key") for number in range(60)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert time.monotonic() - start < 4 * TIMEOUT + PATIENCE  # 60 times all nodes would be 72 s
    await store.close()


def test_the_log_has_two_lines_for_all_buckets(
    cluster: RedisCluster,
    hung: Callable[[], None],
    open_on: OpenOn,
    until: Until,
    logged: Callable[[], list[str]],
) -> None:
    until(lambda: is_well(url_of(cluster)))
    asked = open_on(f"{url_of(cluster)}?timeout={TIMEOUT}&buckets=8", single_flight_timeout=0.3)
    for number in range(8):
        asked.ask(f"question {number}", "answer")
    hung()
    for number in range(8):
        assert asked.ask(f"another {number}", "from the model") == "from the model"
    told = [line for line in logged() if line.startswith("the server at") or " fails to " in line]
    assert len(told) == 1
    assert "does not answer" in told[0]
    for node in cluster.nodes:
        node.resume()
    until(lambda: asked.update("hi", "there").stored, seconds=30.0)
    # A bucket of which a lease or an answer failed, and nothing like it is asked again, is forgotten after a minute.
    until(lambda: asked.update("hi", "there") and any("answers again" in line for line in logged()), seconds=90.0)


async def test_more_tasks_than_connections_wait_for_a_free_one(cluster: RedisCluster, until: Until) -> None:
    until(lambda: is_well(url_of(cluster)))
    store = AsyncRedisStore(url_of(cluster), timeout=2.0, max_connections=4)
    assert await asyncio.gather(*(store.get(f"scope {number}", "key") for number in range(200))) == [None] * 200
    await store.close()


def test_more_threads_than_connections_wait_for_a_free_one(cluster: RedisCluster, until: Until) -> None:
    until(lambda: is_well(url_of(cluster)))
    with (
        closing(RedisStore(url_of(cluster), timeout=2.0, max_connections=4)) as store,
        ThreadPoolExecutor(16) as pool,
    ):
        assert list(pool.map(lambda number: store.get(f"scope {number}", "key"), range(200))) == [None] * 200
