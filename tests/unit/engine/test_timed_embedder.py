"""Embedders that never come back: given up in time, left alone for a while, and no reason for a process not to end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from llmcache_plugins import ConfigError, EmbedderError, Hit, Miss, Outcome, SemanticCache, open_cache
from llmcache_plugins.engine.timed_embedder import TimedEmbedder
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import FloatArray

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
Look = Callable[[SemanticCache, str], Outcome]


@pytest.fixture(params=["sync", "async"])
def look(request: pytest.FixtureRequest) -> Look:
    if request.param == "sync":
        return lambda cache, question: cache.lookup(question)
    return lambda cache, question: asyncio.run(cache.alookup(question))


class Remote:
    """An embedder that asks a service, which may hang."""

    def __init__(self) -> None:
        self._inner = FakeEmbedder({ASKED: "bgp", STORED: "bgp"}, similarity=0.97)
        self.release = threading.Event()
        self.release.set()
        self.asked = 0
        self.threads: set[int] = set()

    @property
    def embedder_id(self) -> str:
        return self._inner.embedder_id

    def fits(self, text: str) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> FloatArray:
        self.asked += 1
        self.threads.add(threading.get_ident())
        self.release.wait(20)
        return self._inner.embed(texts)


@pytest.fixture
def remote() -> Iterator[Remote]:
    made = Remote()
    yield made
    made.release.set()


def opened(embedder: object, **settings: Any) -> SemanticCache:
    return open_cache("memory://", embedder=embedder, similarity_threshold=0.9, **settings)


def test_an_embedder_that_answers_is_as_before(look: Look, remote: Remote) -> None:
    with opened(remote) as cache:
        cache.update(STORED, "answer")
        assert isinstance(look(cache, ASKED), Hit)
        assert threading.get_ident() not in remote.threads


def test_an_embedder_that_hangs_is_a_miss_in_time(look: Look, remote: Remote) -> None:
    with opened(remote, embedder_timeout=0.02) as cache:
        cache.update(STORED, "answer")
        remote.release.clear()
        found = look(cache, ASKED)
        assert isinstance(found, Miss)
        assert found.reason == "embedder_error"
        assert isinstance(look(cache, STORED), Hit)  # the same text needs no vector
        assert cache.stats().errors["embedder"] >= 1


def test_a_coroutine_that_hangs_is_given_up() -> None:
    class Waiting(Remote):
        async def aembed(self, texts: Sequence[str]) -> FloatArray:
            await asyncio.sleep(60)
            raise AssertionError("nobody waits so long")

    with opened(Waiting(), embedder_timeout=0.02) as cache:
        cache.update(STORED, "answer")
        assert isinstance(asyncio.run(asyncio.wait_for(cache.alookup(ASKED), 10)), Miss)


def test_one_that_hangs_again_and_again_is_left_alone_for_a_while(remote: Remote) -> None:
    clock = FakeClock()
    embedder = TimedEmbedder(remote, 0.02, clock.monotonic)
    remote.release.clear()
    for _ in range(5):
        with pytest.raises(EmbedderError, match=r"longer than embedder_timeout \(0.02 s\)|left alone"):
            embedder.embed([ASKED])
    assert remote.asked == 3
    remote.release.set()
    clock.advance(31)
    assert len(embedder.embed([ASKED])) == 1


def test_an_error_of_the_embedder_is_its_own(remote: Remote) -> None:
    def failing(texts: Sequence[str]) -> FloatArray:
        remote.asked += 1
        raise RuntimeError("down")

    remote.embed = failing  # type: ignore[method-assign]
    embedder = TimedEmbedder(remote, 5.0)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="down"):
            embedder.embed([ASKED])
    assert remote.asked == 5


def test_a_batch_has_more_time(remote: Remote) -> None:
    embedder = TimedEmbedder(remote, 0.02)
    remote.release.clear()
    threading.Timer(0.3, remote.release.set).start()
    assert len(embedder.embed([ASKED, STORED])) == 2


def test_the_embedder_sees_the_context_of_the_look_up(look: Look, remote: Remote) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="")
    seen: list[str] = []
    embed = remote.embed

    def seeing(texts: Sequence[str]) -> FloatArray:
        seen.append(tenant.get())
        return embed(texts)

    remote.embed = seeing  # type: ignore[method-assign]
    with opened(remote) as cache:
        cache.update(STORED, "answer")
        tenant.set("acme")
        look(cache, ASKED)
    assert seen[-1] == "acme"


def test_one_that_computes_here_is_called_here() -> None:
    threads: set[int] = set()
    embedder = FakeEmbedder(before=lambda texts: threads.add(threading.get_ident()))
    with opened(embedder) as cache:
        cache.update(STORED, "answer")
        cache.lookup(ASKED)
    assert threads == {threading.get_ident()}


def test_no_limit_and_wrong_ones(remote: Remote) -> None:
    with opened(remote, embedder_timeout=None) as cache:
        cache.update(STORED, "answer")
        cache.lookup(ASKED)
        assert remote.threads == {threading.get_ident()}
    with pytest.raises(ConfigError, match="embedder_timeout must be"):
        opened(remote, embedder_timeout=0)


def test_a_process_ends_while_an_embedder_hangs() -> None:
    code = """
        import threading
        from llmcache_plugins import Miss, open_cache

        class Hanging:
            embedder_id = "hanging"
            def fits(self, text):
                return True
            def embed(self, texts):
                threading.Event().wait()

        with open_cache("memory://", embedder=Hanging(), similarity_threshold=0.9, embedder_timeout=0.05) as cache:
            cache.update("a", "b")
            assert isinstance(cache.lookup("c"), Miss)
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "done\n"
