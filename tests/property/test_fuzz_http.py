"""The two servers of the package: whatever comes over the wire, they answer or hang up, log no error, and go on."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.dashboard import serve_dashboard
from llmcache_plugins.events.webhook import EventReceiver

FUZZED = settings(
    max_examples=80, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True
)  # servers cannot be asked twice for the very same
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        "event",
        "attributes",
        "namespace",
        "mode",
        "reason",
        "id",
        "entry",
        "question",
        "text",
        "query_type",
        "after",
        "label",
    ]
)
bodies = (
    st.dictionaries(names, values, max_size=5).map(lambda body: json.dumps(body).encode())
    | st.binary(max_size=40)
    | st.sampled_from([b"", b"[" * 4000, b"9" * 5000, b'{"event": "e", "attributes": {"device": "\\ud800"}}'])
)
paths = (
    st.sampled_from(
        ["/events", "/", "/api/state", "/api/pairs", "/api/explain", "/api/entries", "/api/answer", "//[", "*"]
    )
    | st.sampled_from(
        ["/api/label", "/api/wrong", "/api/invalidate", "/?token=%00", "/%", "http://[x", "/../../etc/passwd"]
    )
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["Host", "Cookie", "Content-Length", "Content-Type", "X-LLMCache-Secret", "Sec-Fetch-Site", "Origin"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12)
        | st.sampled_from(["application/json", "-1", "1e9", "\xb2", "127.0.0.1", "[::1", "a=b; c", "99999999999"]),
    ),
    max_size=4,
)
methods = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "BREW", ""])


def said(port: int, raw: bytes) -> bytes:
    """What the server says until it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while piece := connection.recv(65536):
                found += piece
        except ConnectionError:  # it hung up before it had read all
            pass
        return found


def written(method: str, path: str, given: list[tuple[str, str]], body: bytes, proper: dict[str, str]) -> bytes:
    kept = {**proper, "Content-Length": str(len(body)), **dict(given)}
    head = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body


@pytest.fixture(scope="module")
def cache() -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, maintenance="manual") as cache:
        cache.update("q", "a")
        yield cache


@pytest.fixture(scope="module")
def receiver(cache: SemanticCache) -> Iterator[int]:
    with EventReceiver(cache) as receiver:
        yield receiver.port


@pytest.fixture(scope="module")
def page(cache: SemanticCache) -> Iterator[tuple[int, dict[str, str]]]:
    token = "t" * 32
    with serve_dashboard(cache, port=0, token=token) as page:
        port = urlsplit(page.url).port
        assert port is not None
        yield port, {"Authorization": f"Bearer {token}"}


@FUZZED
@example("POST", "/events", [], b'{"event": "e", "attributes": {"a": [{}]}, "namespace": [1]}')
@given(methods, paths, headers, bodies)
def test_the_event_receiver_outlives_all(
    receiver: int, caplog: pytest.LogCaptureFixture, method: str, path: str, given: list[tuple[str, str]], body: bytes
) -> None:
    proper = {"Host": "127.0.0.1", "Content-Type": "application/json"}
    answer = said(receiver, written(method, path, given, body, proper))
    assert b" 500 " not in answer.split(b"\r\n", 1)[0]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    alive = said(receiver, written("GET", "/events", [], b"", proper))
    assert b"events are posted" in alive


@FUZZED
@given(methods, paths.filter(lambda path: not path.startswith("/api/live")), headers, bodies, st.booleans())
def test_the_dashboard_outlives_all(
    page: tuple[int, dict[str, str]],
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    given: list[tuple[str, str]],
    body: bytes,
    is_let_in: bool,
) -> None:
    port, shown = page
    proper = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "X-LLMCache-Dashboard": "1"}
    answer = said(port, written(method, path, given, body, {**proper, **(shown if is_let_in else {})}))
    assert b" 500 " not in answer.split(b"\r\n", 1)[0]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    alive = said(port, written("GET", "/api/state", [], b"", {**proper, **shown}))
    assert alive.split(b"\r\n", 1)[0].endswith(b"200 OK")
