"""Advisers that never come back: given up in time, left alone for a while, and no reason for a process not to end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

import numpy as np
import pytest

from llmcache_plugins import ConfigError, Entry, Hit, Miss, Outcome, Request, SemanticCache, open_cache
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import FloatArray

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
OTHERS = [f"{ASKED} {word}" for word in ("now", "here", "there", "then", "again", "too")]
Look = Callable[[SemanticCache, str], Outcome]


@pytest.fixture(params=["sync", "async"])
def look(request: pytest.FixtureRequest) -> Look:
    if request.param == "sync":
        return lambda cache, question: cache.lookup(question)
    return lambda cache, question: asyncio.run(cache.alookup(question))


def opened(verifier: object, **parts: object) -> SemanticCache:
    groups = dict.fromkeys((ASKED, STORED, *OTHERS), "bgp")
    embedder = FakeEmbedder(groups, similarity=0.9)
    cache = open_cache("memory://", embedder=embedder, verifier=verifier, **parts)  # type: ignore[arg-type]
    cache.update(STORED, "answer")
    return cache


class Verifier:
    verifier_id = "hanging"

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked = 0
        self.threads: list[int] = []

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        self.asked += 1
        self.threads.append(threading.get_ident())
        self.release.wait(20)
        return np.full(len(pairs), 0.99, np.float32)


@pytest.fixture
def verifier() -> Iterator[Verifier]:
    made = Verifier()
    yield made
    made.release.set()


def test_a_verifier_that_hangs_is_a_miss_in_time(look: Look, verifier: Verifier) -> None:
    with opened(verifier, verifier_timeout=0.02) as cache:
        assert isinstance(look(cache, ASKED), Miss)
        assert cache.stats().errors == {"verifier": 1}


async def test_a_coroutine_that_will_not_be_cancelled_is_given_up() -> None:
    go = asyncio.Event()

    class Stubborn(Verifier):
        async def averify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            while not go.is_set():
                try:
                    await go.wait()
                except asyncio.CancelledError:
                    continue
            raise RuntimeError("too late for anybody to hear")

    with opened(Stubborn(), verifier_timeout=0.02) as cache:
        assert isinstance(await asyncio.wait_for(cache.alookup(ASKED), 10), Miss)
        go.set()
        await asyncio.sleep(0)


def test_a_verifier_that_hangs_is_left_alone_for_a_while(look: Look, verifier: Verifier) -> None:
    clock = FakeClock()
    with opened(verifier, verifier_timeout=0.3, clock=clock) as cache:
        for question in OTHERS[:5]:
            assert isinstance(look(cache, question), Miss)
        assert verifier.asked == 3
        verifier.release.set()
        clock.advance(31)
        assert isinstance(look(cache, OTHERS[5]), Hit)
        assert isinstance(look(cache, ASKED), Hit)


def test_a_verifier_that_fails_at_once_is_asked_each_time(look: Look) -> None:
    class Broken(Verifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            self.asked += 1
            raise RuntimeError("down")

    broken = Broken()
    with opened(broken) as cache:
        for question in OTHERS:
            look(cache, question)
    assert broken.asked == len(OTHERS)


def test_a_local_verifier_stays_on_the_callers_thread() -> None:
    class Local(Verifier):
        is_local = True

    local = Local()
    local.release.set()
    with opened(local) as cache:
        assert isinstance(cache.lookup(ASKED), Hit)
    assert local.threads == [threading.get_ident()]


def test_a_verifier_in_a_thread_sees_the_callers_context(verifier: Verifier) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="")
    seen: list[str] = []

    class Remote(Verifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            seen.append(tenant.get())
            return np.full(len(pairs), 0.99, np.float32)

    token = tenant.set("acme")
    try:
        with opened(Remote()) as cache:
            cache.lookup(ASKED)
    finally:
        tenant.reset(token)
    assert seen == ["acme"]


def test_a_time_out_of_no_seconds_is_refused() -> None:
    with pytest.raises(ConfigError, match="verifier_timeout must be a number above 0"):
        open_cache("memory://", embedder=None, verifier_timeout=0)


PROGRAM = """
import asyncio, threading
from llmcache_plugins import open_cache
from llmcache_plugins.testing import FakeEmbedder

def for_ever(*asked):
    threading.Event().wait()

class Verifier:
    verifier_id = "for ever"
    verify = staticmethod(for_ever)

embedder = FakeEmbedder({"a b": "x", "a c": "x"}, similarity=0.9)
cache = open_cache("memory://", embedder=embedder, judge_timeout=0.01, verifier_timeout=0.01, **PARTS)
cache.update("a b", "answer")
HOW
print("ended", cache.stats().errors)
"""


@pytest.mark.parametrize("parts", ["dict(judge=for_ever)", "dict(verifier=Verifier())"])
@pytest.mark.parametrize("how", ["cache.lookup('a c')", "asyncio.run(cache.alookup('a c'))"])
def test_a_process_ends_although_an_adviser_hangs(parts: str, how: str) -> None:
    code = textwrap.dedent(PROGRAM).replace("PARTS", parts).replace("HOW", how)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert done.stdout.startswith("ended {'")


def test_a_process_ends_although_a_validator_hangs() -> None:
    parts = "dict(validators=[for_ever], similarity_threshold=0.8)"
    how = """
async def main():
    looking = asyncio.create_task(cache.alookup("a c"))
    await asyncio.wait({looking}, timeout=0.05)
    looking.cancel()
asyncio.run(main())"""
    code = textwrap.dedent(PROGRAM).replace("PARTS", parts).replace("HOW", how)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.startswith("ended")) == (0, True), done.stderr


async def test_judges_that_hang_hold_up_nobody_else() -> None:
    release, begun = threading.Event(), threading.Semaphore(0)

    def judge(request: Request, entry: Entry) -> bool:
        begun.release()
        return release.wait(20)

    with opened(None, judge=judge, judge_timeout=15.0, validators=[lambda request, entry: True]) as cache:
        waiting = [asyncio.create_task(cache.alookup(question)) for question in OTHERS]
        for _ in OTHERS:
            assert await asyncio.to_thread(begun.acquire, timeout=10)
        assert isinstance(await asyncio.wait_for(cache.alookup(STORED), 10), Hit)
        release.set()
        assert all(isinstance(outcome, Hit) for outcome in await asyncio.gather(*waiting))
