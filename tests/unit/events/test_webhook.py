"""The receiver of events: what it passes on, and whom it refuses."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError, StoreUnavailable
from llmcache_plugins.events import EventReceiver

SECRET = "0123456789abcdef"
EVENT = {"event": "config_change", "attributes": {"device": "rtr-001"}}


@dataclass
class Report:
    count: int = 3
    number: int = 17
    has_failed: bool = False


@dataclass
class Cache:
    """Keeps what it is told."""

    report: Report = field(default_factory=Report)
    error: Exception | None = None
    told: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)

    def handle_event(self, event: str, attributes: Mapping[str, Any] | None = None, /, **given: Any) -> Report:
        self.told.append((event, attributes, given))
        if self.error is not None:
            raise self.error
        return self.report


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def receiver(cache: Cache) -> Iterator[EventReceiver]:
    with EventReceiver(cache) as receiver:
        yield receiver


def ask(
    receiver: EventReceiver,
    body: Any,
    *,
    method: str = "POST",
    path: str = "/events",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content) if content else {}


def test_an_event_is_passed_on(receiver: EventReceiver, cache: Cache) -> None:
    assert ask(receiver, EVENT) == (200, {"count": 3, "number": 17})
    assert ask(receiver, {**EVENT, "mode": "lazy", "namespace": ["a", "b"], "reason": "r"})[0] == 200
    assert ask(receiver, {"event": "topology_change"})[0] == 200
    assert cache.told == [
        ("config_change", {"device": "rtr-001"}, {}),
        ("config_change", {"device": "rtr-001"}, {"mode": "lazy", "namespace": ("a", "b"), "reason": "r"}),
        ("topology_change", None, {}),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no json", 400),
        (b"\xff", 400),
        (b"[" * 10_000, 400),
        ([], 400),
        ({}, 400),
        ({"event": 3}, 400),
        ({**EVENT, "dry_run": True}, 400),
        ({**EVENT, "reason": 3}, 400),
        (b" " * 70_000, 413),
    ],
)
def test_a_wrong_body_is_refused(receiver: EventReceiver, cache: Cache, body: Any, status: int) -> None:
    assert ask(receiver, body)[0] == status
    assert cache.told == []


def test_only_json_is_taken_for_pages_in_browsers_can_post_all_else(receiver: EventReceiver, cache: Cache) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert ask(receiver, EVENT, headers={"Content-Type": kind})[0] == 415
    assert cache.told == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_events_are_posted(receiver: EventReceiver, method: str) -> None:
    assert ask(receiver, EVENT, method=method)[0] == 405


def test_other_paths_are_not_found(receiver: EventReceiver) -> None:
    assert ask(receiver, EVENT, path="/")[0] == 404


def test_a_page_whose_name_was_bound_to_loopback_is_refused(receiver: EventReceiver, cache: Cache) -> None:
    assert ask(receiver, EVENT, headers={"Host": "evil.example:80"})[0] == 403
    for host in ("localhost", f"localhost:{receiver.port}", f"127.0.0.1:{receiver.port}", "[::1]:80"):
        assert ask(receiver, EVENT, headers={"Host": host})[0] == 200, host
    assert len(cache.told) == 4


def test_a_secret_lets_in_who_knows_it(cache: Cache) -> None:
    with EventReceiver(cache, secret=SECRET) as receiver:
        assert ask(receiver, EVENT)[0] == 401
        assert ask(receiver, EVENT, headers={"X-LLMCache-Secret": "wrong"})[0] == 401
        assert cache.told == []
        assert ask(receiver, EVENT, headers={"X-LLMCache-Secret": SECRET, "Host": "cache.internal"})[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "example.com"])
def test_other_machines_are_listened_to_with_a_secret_only(cache: Cache, host: str) -> None:
    with pytest.raises(ConfigError, match="secret"):
        EventReceiver(cache, host=host)


@pytest.mark.parametrize("secret", ["", "short", "ä" * 20])
def test_a_secret_that_is_none_is_refused(cache: Cache, secret: str) -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        EventReceiver(cache, secret=secret)


@pytest.mark.parametrize(
    ("error", "status"),
    [(ConfigError("no rule for event 'x'"), 400), (StoreUnavailable("down"), 503), (RuntimeError("bug"), 500)],
)
def test_what_the_cache_says_is_told(receiver: EventReceiver, cache: Cache, error: Exception, status: int) -> None:
    cache.error = error
    assert ask(receiver, EVENT)[0] == status
    cache.error = None
    assert ask(receiver, EVENT)[0] == 200  # it goes on


def test_a_failed_store_is_no_success(receiver: EventReceiver, cache: Cache) -> None:
    cache.report = Report(0, 0, has_failed=True)
    status, content = ask(receiver, EVENT)
    assert status == 503
    assert "again" in content["error"]


def test_nothing_of_an_event_but_its_name_is_logged(
    receiver: EventReceiver, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(receiver, {"event": "config_change", "attributes": {"device": "secret-device"}, "reason": "private"})
    cache.error = RuntimeError("private")
    ask(receiver, EVENT)
    assert "config_change" in caplog.text
    assert "secret-device" not in caplog.text
    assert "private" not in caplog.text


def test_a_client_that_says_nothing_holds_nobody_up(receiver: EventReceiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port)):
        assert ask(receiver, EVENT)[0] == 200


def test_close_hangs_up_on_a_client_that_says_nothing(cache: Cache) -> None:
    receiver = EventReceiver(cache)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as silent:
        assert ask(receiver, EVENT)[0] == 200  # by now the first one is being listened to
        receiver.close()
        assert silent.recv(1) == b""


def test_no_length_no_body(receiver: EventReceiver) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    connection.putrequest("POST", "/events")
    connection.putheader("Content-Type", "application/json")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_a_taken_port_and_a_second_close(cache: Cache) -> None:
    receiver = EventReceiver(cache)
    with pytest.raises(ConfigError, match="cannot listen"):
        EventReceiver(cache, port=receiver.port)
    receiver.close()
    receiver.close()
