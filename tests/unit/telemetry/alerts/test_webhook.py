"""Alerts over HTTP: they arrive in order, are tried again when that may help, and never wait or tell secrets."""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.telemetry.alerts import Alert, AlertRule, WebhookSink, webhook


class Receiver(ThreadingHTTPServer):
    """Keeps what came, and answers with the statuses it was given; with the last of them for good."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.statuses = [204]
        self.location = ""
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers), body))
        assert self.server.may_answer.wait(10)
        statuses = self.server.statuses
        self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """What a redirect that is followed becomes."""
        self.server.got.append((self.path, dict(self.headers), {}))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(webhook, "_FIRST_PAUSE", 0.01)  # of seconds, which the next pauses double
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join(10)


RULE = AlertRule(name="Full", measure="memory", side="above", threshold=0.85)


def alert(value: float = 0.9) -> Alert:
    return Alert(rule=RULE, state="firing", value=value, sample=0, part="", since=1.0, at=2.0)


def wait_until(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_alerts_arrive_as_json_in_order(receiver: Receiver) -> None:
    with closing(WebhookSink(f"http://{receiver.place}/hook?key=1", {"X-Team": "network"})) as sink:
        for number in range(5):
            sink(alert(number / 10))
        wait_until(lambda: sink.sent == 5)
    assert [body["value"] for _, _, body in receiver.got] == [0.0, 0.1, 0.2, 0.3, 0.4]
    path, headers, body = receiver.got[-1]
    assert path == "/hook?key=1"
    assert (headers["Content-Type"], headers["X-Team"]) == ("application/json", "network")
    assert body == alert(0.4).as_json()
    assert (sink.failed, sink.dropped) == (0, 0)


def test_what_may_go_well_the_next_time_is_tried_again(receiver: Receiver) -> None:
    receiver.statuses = [503, 429, 200]
    with closing(WebhookSink(f"http://{receiver.place}/")) as sink:
        sink(alert())
        wait_until(lambda: sink.sent == 1)
    assert len(receiver.got) == 3


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (404, 1), (503, 3)])
def test_it_gives_up_at_once_or_after_its_retries(
    receiver: Receiver, status: int, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [status]
    url = f"http://user:word@{receiver.place}/secret?token=secret"
    with closing(WebhookSink(url, {"X-Key": "secret"}, retries=2)) as sink, caplog.at_level(logging.DEBUG):
        sink(alert())
        wait_until(lambda: sink.failed == 1)
        assert repr(sink) == f"WebhookSink('http://{receiver.place}')"
    assert len(receiver.got) == tries
    said = [record.getMessage() for record in caplog.records if record.name.startswith("llmcache")]
    assert said == [f"an alert was not delivered to http://{receiver.place} (status {status})"]
    assert "secret" not in caplog.text
    assert receiver.got[0][1]["Authorization"] == "Basic " + base64.b64encode(b"user:word").decode()


def test_pauses_double_up_to_a_minute_and_are_shortened_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sink = WebhookSink("http://localhost:9", retries=8, jitter=lambda: 0.5)
    monkeypatch.setattr(sink, "_post", lambda body: ("status 503", True))
    monkeypatch.setattr(sink._closing, "wait", pauses.append)
    assert not sink._deliver(b"{}")
    assert pauses == [0.75, 1.5, 3.0, 6.0, 12.0, 24.0, 45.0, 45.0]
    sink.close()


@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    receiver.statuses, receiver.location = [status], f"http://{receiver.place}/elsewhere"
    with closing(WebhookSink(f"http://{receiver.place}/hook")) as sink:
        sink(alert())
        wait_until(lambda: sink.failed == 1)
    assert [path for path, _, _ in receiver.got] == ["/hook"]


def test_nobody_there_is_a_failure_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_FIRST_PAUSE", 0.01)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        with closing(WebhookSink(f"http://127.0.0.1:{taken.getsockname()[1]}/", retries=1)) as sink:
            sink(alert())
            wait_until(lambda: sink.failed == 1)


def test_the_caller_never_waits_and_the_oldest_go_when_too_many_wait(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    sink = WebhookSink(f"http://{receiver.place}/")
    sink(alert(0))
    wait_until(lambda: receiver.got)
    start = time.perf_counter()
    for number in range(1, 301):
        sink(alert(number))
    assert time.perf_counter() - start < 5
    assert sink.dropped == 44
    receiver.may_answer.set()
    wait_until(lambda: sink.sent == 257)
    assert [body["value"] for _, _, body in receiver.got] == [0.0, *range(45, 301)]
    sink.close()


def test_closing_sends_what_waits_and_drops_what_comes_later(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    sink = WebhookSink(f"http://{receiver.place}/")
    for number in range(3):
        sink(alert(number))
    receiver.may_answer.set()
    sink.close()
    assert (sink.sent, sink.dropped) == (3, 0)
    sink(alert())
    sink.close()
    assert (sink.sent, sink.dropped, len(receiver.got)) == (3, 1, 3)


def test_closing_does_not_wait_for_a_receiver_that_hangs(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    sink = WebhookSink(f"http://{receiver.place}/")
    for number in range(3):
        sink(alert(number))
    wait_until(lambda: receiver.got)
    sink.close(timeout=0.05)
    assert (sink.sent, sink.dropped) == (0, 2)
    receiver.may_answer.set()
    wait_until(lambda: sink.sent == 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_sends_its_own_alerts_alone(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    sink = WebhookSink(f"http://{receiver.place}/")
    sink(alert(1))
    sink(alert(2))
    wait_until(lambda: receiver.got)
    with sink._lock:  # as if the parent were just putting one in
        child = os.fork()
        if child == 0:
            sink(alert(3))
            sink.close(timeout=0.5)  # nobody answers yet, so it ends with its time
            os._exit(0)
    os.waitpid(child, 0)
    receiver.may_answer.set()
    wait_until(lambda: sink.sent == 2)
    sink.close()
    assert sorted(body["value"] for _, _, body in receiver.got) == [1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "ftp://user:secret@host/"}, "must begin with http:// or https://, not ftp://"),
        ({"url": "file:///etc/passwd"}, "not file://"),
        ({"url": "host/secret"}, "not without a scheme"),
        ({"url": "https:///secret"}, "must name a host"),
        ({"url": "http://host:secret/"}, "cannot be read: host or port is wrong"),
        ({"url": "http://host/secret path"}, "ASCII without spaces"),
        ({"url": b"http://host"}, "must be a str"),
        ({"headers": {"X Key": "secret"}}, "'X Key' in headers is no name of a header"),
        ({"headers": {"X-Key": "secret\r\nX: y"}}, "the value of X-Key in headers must be a str of printable ASCII"),
        ({"headers": "X-Key: secret"}, "headers must be a mapping of str to str, not str"),
        ({"timeout": 0}, "timeout must be seconds above 0, 60 at most, not 0"),
        ({"retries": -1}, "retries must be an integer from 0 to 20, not -1"),
    ],
)
def test_wrong_settings_are_refused_without_quoting_secrets(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as found:
        WebhookSink(**{"url": "http://host/", **settings})
    assert "secret" not in str(found.value)
