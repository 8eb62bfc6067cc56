"""What the tests of faults on a Redis server share: a cache asked in both ways, its log, a cable that can be cut, and a
server that says what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import select
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pytest
import redis

from llmcache_plugins import Hit, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer

GROUPS = {"hi": "greeting", "hello": "greeting"}


class AskedCache:
    """A cache that is asked by calls or by awaits: the same three verbs, the same outcomes.

    Each takes a question and answers as the cache does. `ask` calls the cache with a model that answers `answer`.
    """

    def __init__(self, cache: SemanticCache, *, awaits: bool) -> None:
        self.cache = cache
        self._runner = asyncio.Runner() if awaits else None

    def lookup(self, question: str) -> Any:
        if self._runner is None:
            return self.cache.lookup(question)
        return self._runner.run(self.cache.alookup(question))

    def update(self, question: str, answer: str) -> Any:
        if self._runner is None:
            return self.cache.update(question, answer)
        return self._runner.run(self.cache.aupdate(question, answer))

    def ask(self, question: str, answer: str) -> Any:
        if self._runner is None:
            return self.cache.get_or_generate(question, lambda: answer)

        async def generate() -> str:
            return answer

        return self._runner.run(self.cache.aget_or_generate(question, generate))

    def told(self, question: str) -> Any:
        """The answer to a question that hits, or None."""
        outcome = self.lookup(question)
        return outcome.answer if isinstance(outcome, Hit) else None

    @property
    def errors(self) -> int:
        return sum(self.cache.stats().errors.values())

    def close(self) -> None:
        if self._runner is None:
            self.cache.close()
        else:
            self._runner.run(self.cache.aclose())
            self._runner.close()


class OpenOn(Protocol):
    def __call__(self, url: str, **settings: Any) -> AskedCache: ...


def opened(url: str, *, awaits: bool, **settings: Any) -> AskedCache:
    if (
        url.startswith(("redis", "valkey")) and "staleness=" not in url
    ):  # what is lost is noticed sooner than with the default
        url += ("&" if "?" in url else "?") + "staleness=0.3"
    options = {"embedder": FakeEmbedder(GROUPS), "maintenance": "manual", **settings}
    return AskedCache(open_cache(url, **options), awaits=awaits)


@pytest.fixture(params=["calls", "awaits"])
def open_on(request: pytest.FixtureRequest) -> Iterator[OpenOn]:
    """`open_on(url)`: a cache with a `FakeEmbedder`, asked by calls in one run of the test and by awaits in the other;
    `hi` and `hello` mean the same. Closed when the test ends."""
    yield from _opener(awaits=request.param == "awaits")


def _opener(*, awaits: bool) -> Iterator[OpenOn]:
    with contextlib.ExitStack() as stack:

        def open_on(url: str, **settings: Any) -> AskedCache:
            asked = opened(url, awaits=awaits, **settings)
            stack.callback(asked.close)
            return asked

        yield open_on


@pytest.fixture
def open_by_calls() -> Iterator[OpenOn]:
    """`open_on` where calls are enough."""
    yield from _opener(awaits=False)


@pytest.fixture
def open_by_awaits() -> Iterator[OpenOn]:
    """`open_on` for a test that has one of each."""
    yield from _opener(awaits=True)


@pytest.fixture(scope="module")
def forgetful_client() -> Iterator[None]:
    """The client of a cluster leaves connections to nodes that it replaces to the garbage collector. They go here,
    where the module ignores that, and not in another one's time."""
    yield
    gc.collect()


@pytest.fixture
def until() -> Callable[..., None]:
    """`until(condition)` waits for what comes true at a moment nobody can name."""

    def until(is_done: Callable[[], Any], *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not is_done():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return until


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """`logged()`: what this package said so far, from INFO on."""
    caplog.set_level(logging.DEBUG, logger="llmcache_plugins")

    def logged() -> list[str]:
        ours = [record for record in caplog.records if record.name.startswith("llmcache_plugins")]
        return [record.getMessage() for record in ours if record.levelno >= logging.INFO]

    return logged


@pytest.fixture
def nothing_told(caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """`nothing_told(secrets, *things)`: neither the log, at whatever level, nor what these things show holds one of the
    secrets. Of an exception its causes count, too."""
    caplog.set_level(logging.DEBUG, logger="llmcache_plugins")

    def nothing_told(secrets: Sequence[str], *things: object) -> None:
        texts = [caplog.text]
        for thing in things:
            shown: object | None = thing
            while shown is not None:
                texts += [repr(shown), str(shown)]
                shown = shown.__cause__ if isinstance(shown, BaseException) else None
        for secret in secrets:
            assert [text for text in texts if secret in text] == []

    return nothing_told


@pytest.fixture
def client_of() -> Iterator[Callable[..., Any]]:
    """`client_of(server)`: redis-py, for the hand that does the damage."""
    with contextlib.ExitStack() as stack:

        def client_of(server: RedisServer, **options: Any) -> Any:
            return stack.enter_context(redis.Redis.from_url(server.url, **{"socket_timeout": 10.0, **options}))

        yield client_of


class Cable:
    """Between clients and a server on loopback: passes bytes on until it is cut or held.

    `cut_after` bytes of replies, counted over all connections from the moment it is set, every connection is reset and
    the number is None again. While `is_held` no reply passes.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._left: int | None = None
        self._ends: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.is_held = threading.Event()
        self.replies_held = 0
        self.cuts = 0
        self.passed = 0
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut_after(self, count: int | None) -> None:
        with self._lock:
            self._left = count

    def cut(self) -> None:
        """Reset every connection now."""
        with self._lock:
            ends, self._ends = self._ends, set()
            self.cuts += 1
            for end in ends:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self.is_held.clear()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._pass_on, client)

    def _pass_on(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as server:
            with self._lock:
                self._ends |= {client, server}
            while True:
                readable, _, _ = select.select([client, server], [], [], 5.0)
                for end in readable:
                    received = end.recv(65536)
                    if not received:
                        return
                    if end is client:
                        server.sendall(received)
                        continue
                    self.replies_held += self.is_held.is_set()
                    while self.is_held.is_set():
                        time.sleep(0.005)
                    allowed, is_cut = self._allowed(len(received))
                    client.sendall(received[:allowed])
                    if is_cut:
                        self.cut()
                        return

    def _allowed(self, count: int) -> tuple[int, bool]:
        with self._lock:
            self.passed += count
            if self._left is None or count <= self._left:
                self._left = None if self._left is None else self._left - count
                return count, False
            allowed, self._left = self._left, None
            return allowed, True


@pytest.fixture
def cable_to() -> Iterator[Callable[[RedisServer], Cable]]:
    """`cable_to(server)`: a `Cable` of its own for the test."""
    with contextlib.ExitStack() as stack:

        def cable_to(server: RedisServer) -> Cable:
            cable = Cable(server.port)
            stack.callback(cable.close)
            return cable

        yield cable_to


Says = Callable[[list[bytes]], bytes]


class _Talking(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while head := self.rfile.readline():
                words = []
                for _ in range(int(head[1:])):
                    length = int(self.rfile.readline()[1:])
                    words.append(self.rfile.read(length + 2)[:-2])
                self.wfile.write(self.server.says(words))  # type: ignore[attr-defined]


class _Stub(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def server_that_says() -> Iterator[Callable[[Says], str]]:
    """`server_that_says(says)`: the URL of a server that gives `says(words)` as its reply to each command."""
    with contextlib.ExitStack() as stack:

        def server_that_says(says: Says) -> str:
            stub = stack.enter_context(_Stub(("127.0.0.1", 0), _Talking))
            stub.says = says  # type: ignore[attr-defined]
            threading.Thread(target=stub.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(stub.shutdown)
            return f"redis://127.0.0.1:{stub.server_address[1]}/0"

        yield server_that_says
