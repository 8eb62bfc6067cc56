"""A page over a small cache, and a client that shows everything of an answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from llmcache_plugins import Miss, SemanticCache, open_cache
from llmcache_plugins.dashboard import Dashboard, serve_dashboard
from llmcache_plugins.testing import FakeClock, FakeEmbedder

STORED, ASKED, REWORDED = "Show rtr-001", "Show rtr-002", "Display rtr-001"
BUTTON = {"Content-Type": "application/json", "X-LLMCache-Dashboard": "1"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Answer]


def _ask(
    port: int,
    path: str,
    body: Any = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A GET; with a body a POST as the page sends it. Headers of None are left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {**(BUTTON if body is not None else {}), **(headers or {})}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, raw, given)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    """Two stored questions, a near miss that a guard vetoed, and nothing else."""
    groups = dict.fromkeys((STORED, ASKED, REWORDED), "r")
    with open_cache("memory://", embedder=FakeEmbedder(groups), clock=FakeClock(), namespace="app") as cache:
        for question in (STORED, "Is <b>bold</b> a tag?"):
            cache.update(question, "up")
        assert isinstance(cache.lookup(ASKED), Miss)
        yield cache


@pytest.fixture
def page(cache: SemanticCache) -> Iterator[Dashboard]:
    with serve_dashboard(cache, interval=3600) as page:
        yield page


@pytest.fixture
def ask() -> Ask:
    return _ask


@pytest.fixture
def get(page: Dashboard) -> Ask:
    """`ask` for the page of the fixture."""
    return lambda path, body=None, **more: _ask(page.port, path, body, **more)
