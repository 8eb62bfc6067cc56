"""Entries to a server and from it: searched there at once, heard of by who has it open, in clusters too."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import Hit, Request, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisCluster, RedisServer

_PREFIXES = itertools.count()
SAME = {"what is bgp": "bgp", "explain bgp": "bgp"}


@pytest.fixture(params=["search", "vectorset", "plain", "valkey"])
def url(request: pytest.FixtureRequest, redis_server: Callable[[str], RedisServer]) -> str:
    return f"{redis_server(request.param).url}?prefix=moved-{next(_PREFIXES)}"


@pytest.fixture(scope="module")
def cluster_url(redis_flavour: Callable[[str], str]) -> Iterator[str]:
    with RedisCluster(redis_flavour("search")) as cluster:
        yield "redis+cluster://" + ",".join(url.split("/")[2] for url in cluster.urls)


def opened(url: str = "memory://", **settings: Any) -> closing[SemanticCache]:
    settings = {"embedder": FakeEmbedder(SAME), "maintenance": "manual", "similarity_threshold": 0.9, **settings}
    return closing(open_cache(url, verifier=None, **settings))


def fill(cache: SemanticCache) -> None:
    cache.update("what is bgp", "a protocol")
    cache.lookup("something else")  # embeds it
    for number in range(300):
        cache.update(Request(f"question {number}", namespace=("tenant", str(number % 40))), f"answer {number}")


def check(cache: SemanticCache) -> None:
    hit = cache.lookup("explain bgp")
    assert isinstance(hit, Hit)
    assert (hit.kind, hit.answer) == ("semantic", "a protocol")
    for number in range(300):
        hit = cache.lookup(Request(f"question {number}", namespace=("tenant", str(number % 40))))
        assert isinstance(hit, Hit)
        assert hit.answer == f"answer {number}"


def test_to_a_server_and_back(url: str) -> None:
    with opened() as source, opened(url) as server, opened() as back:
        fill(source)
        report = source.copy_to(server)
        assert (report.read, report.stored, report.is_whole) == (301, 301, True)
        assert report.vectors >= 1
        check(server)
        stream = io.BytesIO()
        assert server.export_to(stream).vectors >= report.vectors
        stream.seek(0)
        assert back.import_from(stream).stored == 301
        check(back)


def test_who_has_it_open_hears_of_it(url: str) -> None:
    with opened() as source, opened(url) as writer, opened(url) as reader:
        reader.update("what is bgp", "an old answer")
        for _ in range(12):
            reader.lookup("what is bgp")
        fill(source)
        assert source.copy_to(writer).replaced == 1
        reader._parts.tiers[0].store.version()
        hit = reader.lookup("what is bgp")
        assert isinstance(hit, Hit)
        if hit.answer != "a protocol":  # a copy is good for as long as nobody has heard of the change
            asyncio.run(asyncio.sleep(2.0))
            hit = reader.lookup("what is bgp")
            assert isinstance(hit, Hit)
        assert hit.answer == "a protocol"


async def test_on_an_event_loop(url: str) -> None:
    source, server, back = (open_cache(u, embedder=None, maintenance="manual") for u in ("memory://", url, "memory://"))
    try:
        for number in range(450):
            await source.aupdate(f"question {number}", f"answer {number}")
        assert (await source.acopy_to(server)).stored == 450
        stream = io.BytesIO()
        assert (await server.aexport_to(stream)).is_whole
        stream.seek(0)
        assert (await back.aimport_from(stream)).stored == 450
        hit = await back.alookup("question 449")
        assert isinstance(hit, Hit)
    finally:
        for cache in (source, server, back):
            await cache.aclose()


@pytest.mark.slow
def test_the_buckets_of_a_cluster(cluster_url: str) -> None:
    with opened() as source, opened(cluster_url) as cluster, opened() as back:
        fill(source)
        assert source.copy_to(cluster).stored == 301
        check(cluster)
        assert source.copy_to(cluster).kept == 301
        report = cluster.copy_to(back)
        assert (report.read, report.stored) == (301, 301)
        check(back)
