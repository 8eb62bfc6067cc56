"""The store on a Redis Cluster against the contract, and what a cluster adds: buckets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError, StoreUnavailable
from llmcache_plugins.protocols import AsyncStore, Clock, Store
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import AsyncRedisStore, RedisStore
from llmcache_plugins.testing.redis_server import RedisCluster
from llmcache_plugins.testing.store_contract import AsyncStoreContract, StoreContract, make_entry, make_vector

pytestmark = pytest.mark.slow

BUCKETS = 5
_PREFIXES = itertools.count()


def url_of(cluster: RedisCluster) -> str:
    return "redis+cluster://" + ",".join(url.split("/")[2] for url in cluster.urls)


Clusters = Callable[[str], str]
PRECISION = 1e-3  # vectors in half precision


@pytest.fixture(scope="module")
def clusters(redis_flavour: Callable[[str], str]) -> Iterator[Clusters]:
    """`clusters("search")`: the URL of a cluster of this flavour, one for the module."""
    running: dict[str, RedisCluster] = {}
    with ExitStack() as stack:

        def clusters(flavour: str) -> str:
            if flavour not in running:
                running[flavour] = stack.enter_context(RedisCluster(redis_flavour(flavour)))
            return url_of(running[flavour])

        yield clusters


@pytest.fixture(params=["search", "valkey"])
def cluster_url(request: pytest.FixtureRequest, clusters: Clusters) -> str:
    return clusters(request.param)


def settings() -> dict[str, Any]:
    return {"prefix": f"contract-{next(_PREFIXES)}", "timeout": 10.0}  # a busy machine is no fault of a store


class _OnSearch:
    """Where candidates are found has been tried on single servers (test_stores.py), and both ways below: here it is the
    client of a cluster that differs."""

    precision = PRECISION

    @pytest.fixture(autouse=True)
    def _cluster(self, clusters: Clusters) -> None:
        self.url = clusters("search")


class TestOneBucket(_OnSearch, StoreContract):
    """All in one slot: what holds for one server holds here."""

    def make_store(self, clock: Clock, **given: Any) -> Store:
        return RedisStore(self.url, buckets=1, **settings(), **given)


class TestAsyncOneBucket(_OnSearch, AsyncStoreContract):
    def make_async_store(self, clock: Clock, **given: Any) -> AsyncStore:
        return AsyncRedisStore(self.url, buckets=1, **settings(), **given)


class TestSeveralBuckets(StoreContract):
    """Each bucket holds its part of the limits; the contract's tests of them store in one scope, so in one bucket."""

    precision = PRECISION

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster_url: str) -> None:
        self.url = cluster_url

    def make_store(self, clock: Clock, **given: Any) -> Store:
        for limit in {"max_entries", "max_bytes"} & set(given):
            given[limit] *= BUCKETS
        return RedisStore(self.url, buckets=BUCKETS, **settings(), **given)

    @pytest.mark.xfail(reason="three scopes fill three buckets, each to the limit of one")
    def test_threads_see_whole_entries(self, clock: Any) -> None:
        super().test_threads_see_whole_entries(clock)


def test_scopes_spread_over_buckets_and_all_of_them_are_found(cluster_url: str) -> None:
    store = RedisStore(cluster_url, buckets=8, prefix=f"spread-{next(_PREFIXES)}")
    scopes = [f"scope {number}" for number in range(40)]
    for scope in scopes:
        store.put(make_entry(scope=scope, vector=make_vector()), tier="warm")
    assert store.stats().entries == 40
    assert all(store.get(scope, "key of hello") is not None for scope in scopes)
    found, after = [], 0
    while True:
        page = store.select(Selector(), limit=7, after=after)
        found += [stored.entry.scope for stored in page.rows]
        if page.after is None:
            break
        after = page.after
    assert sorted(found) == sorted(scopes)
    assert len(store.lowest("warm", limit=15)) == 15
    done = store.invalidate(Selector(), 5.0, is_lazy=False, limit=30)
    assert (done.number, len(done.addresses), store.stats().entries) == (1, 30, 10)
    assert [(one.number, one.count) for one in store.invalidations(since=0.0)] == [(1, 40)]
    assert not any(store.put(make_entry(scope=scope), seen=0) for scope in scopes)  # in whatever bucket
    assert all(store.put(make_entry(scope=scope), seen=store.sequence()) for scope in scopes)
    assert store.clear() == 40
    store.close()


def test_an_answer_under_an_overtaken_lease_is_not_kept_in_any_bucket(cluster_url: str) -> None:
    store = RedisStore(cluster_url, buckets=8, prefix=f"fence-{next(_PREFIXES)}")
    late = store.acquire("flight:x", "me", 0.0, 10.0)
    assert store.acquire("flight:x", "you", 20.0, 30.0) is not None
    assert not any(store.put(make_entry(scope=f"scope {number}"), fence=late) for number in range(16))
    store.close()


def test_a_node_of_a_cluster_says_how_it_is_to_be_given(cluster_url: str) -> None:
    node = cluster_url.split("//")[1].split(",")[0]
    stores = [RedisStore(f"redis://{node}", prefix=f"alone-{number}") for number in range(40)]

    def ask_all() -> None:
        for store in stores:  # the keys of some are on another node
            store.get("scope", "key")

    with pytest.raises(StoreUnavailable, match=r"redis\+cluster://"):
        ask_all()


@pytest.mark.parametrize("url", ["redis+cluster://", "redis+cluster://host:no", "redis+cluster://a:1,:2"])
def test_a_cluster_is_given_by_its_nodes(url: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        RedisStore(url)
