"""What the log says of an outage: one line when it begins, one when it is over, however many callers meet it. The rest
is in the statistics."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer

OpenOn = Callable[..., Any]
Until = Callable[..., None]
ClientOf = Callable[..., Any]
Told = Callable[[], list[str]]

TIMEOUT = 0.2


@pytest.fixture
def server(redis_flavour: Callable[[str], str]) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour("plain")) as server:
        yield server


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, server: RedisServer) -> Told:
    """`told()`: what this package said from INFO on, but for what it says when it opens; the server is `HERE` and
    seconds are `N`."""
    caplog.set_level(logging.INFO, logger="llmcache_plugins")

    def told() -> list[str]:
        ours = [one for one in caplog.records if one.name.startswith("llmcache_plugins.")]
        lines = [f"{one.levelname} {one.getMessage()}" for one in ours if not one.name.endswith(("factory", "finding"))]
        return [re.sub(r"\d+\.\d s", "N s", line.replace(f"127.0.0.1:{server.port}", "HERE")) for line in lines]

    return told


def url_of(server: RedisServer) -> str:
    return f"{server.url}?prefix=x&timeout={TIMEOUT}"


def use(asked: Any, times: int = 3) -> None:
    """All kinds of work: looking, asking, storing, invalidating, tidying up, counting."""
    for number in range(times):
        assert asked.ask(f"question {number}", "from the model") == "from the model"
        asked.update("hi", "there")
        asked.lookup("hello")
        asked.cache.invalidate(tags="nobody has this")
        asked.cache.maintain()
        asked.cache.stats()


def is_well(asked: Any) -> bool:
    return bool(asked.update("hi", "there").stored and asked.told("hi") == "there")


BEGINS = "WARNING the server at HERE does not answer ({kind}); the cache goes on without it"
ENDS = "INFO the server at HERE answers again, after N s"


def test_a_killed_server_is_two_lines(server: RedisServer, open_on: OpenOn, until: Until, told: Told) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    server.kill()
    use(asked)
    assert told() == [BEGINS.format(kind="ConnectionError")]
    assert asked.cache.stats().errors["redis"] > 10
    server.start()
    until(lambda: is_well(asked))
    use(asked, times=1)
    assert told() == [BEGINS.format(kind="ConnectionError"), ENDS]


def test_one_that_was_never_there_is_one_line(server: RedisServer, open_on: OpenOn, told: Told) -> None:
    server.kill()
    asked = open_on(url_of(server))
    use(asked, times=10)
    assert told() == [BEGINS.format(kind="ConnectionError")]


def test_a_hung_server_is_two_lines(server: RedisServer, open_on: OpenOn, until: Until, told: Told) -> None:
    asked = open_on(url_of(server))
    asked.update("hi", "there")
    server.pause()
    use(asked)
    assert told() == [BEGINS.format(kind="TimeoutError")]
    server.resume()
    until(lambda: is_well(asked))
    use(asked, times=1)
    assert told() == [BEGINS.format(kind="TimeoutError"), ENDS]


def test_the_second_outage_is_told_as_the_first_one_was(
    server: RedisServer, open_on: OpenOn, until: Until, told: Told
) -> None:
    asked = open_on(url_of(server), single_flight_timeout=0.2)
    for _ in range(2):
        until(lambda: is_well(asked))
        server.kill()
        use(asked)
        server.start()
    until(lambda: is_well(asked))
    assert told() == [BEGINS.format(kind="ConnectionError"), ENDS] * 2


def test_a_server_that_takes_nothing_is_two_lines(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf, until: Until, told: Told
) -> None:
    """Reads go on meanwhile, and are no sign that it is over."""
    asked = open_on(url_of(server), single_flight_timeout=0.2)
    asked.update("hi", "there")
    client_of(server).replicaof("127.0.0.1", 1)
    for number in range(5):
        assert asked.told("hi") == "there"
        assert not asked.update(f"question {number}", "answer").stored
    assert told() == ["WARNING the server at HERE refuses: READONLY; the cache goes on without it"]
    client_of(server).replicaof("NO", "ONE")
    until(lambda: asked.update("another", "answer").stored)
    assert told()[1:] == ["INFO the server at HERE refuses no more: READONLY, after N s"]


def test_a_full_server_is_two_lines(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf, until: Until, told: Told
) -> None:
    asked = open_on(url_of(server), single_flight_timeout=0.2)
    asked.update("hi", "there")
    client_of(server).config_set("maxmemory", 1)
    for number in range(5):
        assert asked.told("hi") == "there"
        assert not asked.update(f"question {number}", "answer").stored
    assert told() == ["WARNING the server at HERE refuses: OOM; the cache goes on without it"]
    client_of(server).config_set("maxmemory", 0)
    until(lambda: asked.update("another", "answer").stored)
    assert told()[1:] == ["INFO the server at HERE refuses no more: OOM, after N s"]


def test_a_password_that_is_not_ours_is_two_lines(
    server: RedisServer, open_on: OpenOn, client_of: ClientOf, told: Told
) -> None:
    client = client_of(server)
    client.config_set("requirepass", "right-secret")
    asked = open_on(url_of(server))
    use(asked)
    begin = "WARNING the server at HERE refuses: {}; the cache goes on without it"
    assert told() in ([begin.format("NOAUTH")], [begin.format("AuthenticationError")])
    client.execute_command("AUTH", "right-secret")
    client.config_set("requirepass", "")
    use(asked, times=1)
    assert len(told()) == 2
    assert told()[1].startswith("INFO the server at HERE refuses no more: ")


class BrokenEmbedder(FakeEmbedder):
    def embed(self, texts: Any) -> Any:
        raise OSError("the model is gone")


def test_what_is_no_outage_keeps_its_own_warning(server: RedisServer, open_on: OpenOn, told: Told) -> None:
    asked = open_on(url_of(server), embedder=BrokenEmbedder({}))
    asked.update("hi", "there")
    asked.lookup("hello")
    server.kill()
    use(asked)
    lines = told()
    assert len([line for line in lines if "the server at" in line]) == 1
    assert len([line for line in lines if "embedder fails to embed" in line]) == 1
    assert len(lines) == 2
