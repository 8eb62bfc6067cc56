"""No node of a cluster answers, from the beginning: the cache goes on without it, and soon does not wait for it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.stores import AsyncRedisStore, RedisStore

TIMEOUT = 0.1


@pytest.fixture(params=["refusing", "silent"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        if request.param == "silent":
            listener.listen(200)
        yield f"redis+cluster://127.0.0.1:{port}"


def raises_quickly_in_the_end(ask: Callable[[], Any]) -> None:
    seconds = []
    for _ in range(10):
        start = time.monotonic()
        with pytest.raises(StoreUnavailable):
            ask()
        seconds.append(time.monotonic() - start)
    assert min(seconds[3:]) < 0.001


def test_no_node_answers(url: str) -> None:
    with closing(RedisStore(url, timeout=TIMEOUT)) as store:
        raises_quickly_in_the_end(lambda: store.get("scope", "key"))
        with pytest.raises(StoreUnavailable):
            store.stats()


def test_no_node_answers_tasks(url: str) -> None:
    with asyncio.Runner() as runner:
        store = AsyncRedisStore(url, timeout=TIMEOUT)
        raises_quickly_in_the_end(lambda: runner.run(store.get("scope", "key")))
        with pytest.raises(StoreUnavailable):
            runner.run(store.stats())
        runner.run(store.close())
