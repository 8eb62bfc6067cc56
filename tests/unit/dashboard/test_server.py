"""The page over plain HTTP: what it gives, whom it refuses, and that nothing brings it down."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, ConfigError, Hit, Miss, SemanticCache, open_cache
from llmcache_plugins.dashboard import Dashboard, serve_dashboard, server
from llmcache_plugins.dashboard.assets import assets
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.telemetry.alerts import Alert, AlertRule, Alerts
from llmcache_plugins.testing import FakeEmbedder

Ask = Callable[..., Any]  # of conftest.py
STORED, ASKED, REWORDED = "Show rtr-001", "Show rtr-002", "Display rtr-001"
TOKEN = "0123456789abcdef"


def test_the_page_asks_nobody_outside(get: Ask) -> None:
    for path in assets():
        answer = get(path)
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
    page = get("/").body.decode()
    assert "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page
    assert " style=" not in page
    assert " on" + "click" not in page


def test_no_script_of_the_page_writes_markup() -> None:
    own = [asset for path, asset in assets().items() if path.startswith("/static/") and path.endswith(".js")]
    assert own
    for asset in own:
        text = asset.content.decode()
        for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert name not in text


def test_the_state_has_the_numbers(get: Ask) -> None:
    state = get("/api/state").json
    assert (state["report"]["hit_count"], state["report"]["miss_count"], state["report"]["entries"]) == (0, 1, 2)
    assert state["report"]["namespace"] == ["app"]
    assert state["boundary"] == {
        "floor": 0.95,
        "confidence": 0.95,
        "by_floor": True,
        "text": "cosine 0.95 (not calibrated): judged from cosine 0.950, served from confidence 0.950",
    }
    assert sum(state["distribution"]["similarity"]["near_misses"]) == len(get("/api/pairs").json["near_misses"]) == 1


def test_a_near_miss_that_is_called_right_hits_from_then_on(
    ask: Ask, cache: SemanticCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "llmcache_plugins")
    labels = tmp_path / "labels.jsonl"
    with serve_dashboard(cache, labels=labels, interval=3600) as page:
        (row,) = ask(page.port, "/api/pairs").json["near_misses"]
        assert (row["asked"], row["stored"], row["vetoed_by"]) == (ASKED, STORED, ["numbers", "identifiers"])
        answer = ask(page.port, "/api/label", {"id": row["id"], "label": "right"})
        assert answer.json == {"outcome": "obeyed", "is_kept": True}
        hit = cache.lookup(ASKED)
        assert isinstance(hit, Hit)
        assert hit.matched_question == STORED
        (row,) = ask(page.port, "/api/pairs").json["near_misses"]
        assert (row["label"], row["outcome"]) == ("right", "obeyed")
    pair = json.loads(labels.read_text())
    assert (pair["a"], pair["b"], pair["label"]) == (STORED, ASKED, 1)
    assert "rtr" not in caplog.text


def test_what_is_called_wrong_after_all_hits_no_more(cache: SemanticCache, get: Ask) -> None:
    (row,) = get("/api/pairs").json["near_misses"]
    assert get("/api/label", {"id": row["id"], "label": "right"}).json["outcome"] == "obeyed"
    assert isinstance(cache.lookup(ASKED), Hit)
    (hit,) = get("/api/pairs").json["hits"]
    assert (hit["asked"], hit["label"]) == (ASKED, None)
    assert get("/api/label", {"id": row["id"], "label": "wrong"}).json["outcome"] == "taken_back"
    assert isinstance(cache.lookup(ASKED), Miss)
    assert isinstance(cache.lookup(STORED), Hit)
    assert get("/api/label", {"id": row["id"], "label": "wrong"}).json["outcome"] == "noted"


def test_a_store_that_does_not_answer_is_no_empty_cache(
    cache: SemanticCache, get: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry, _) = get("/api/entries", {}).json["entries"]

    def fails(*given: Any, **more: Any) -> Any:
        raise StoreUnavailable("secret")

    monkeypatch.setattr(MemoryStore, "select", fails)
    monkeypatch.setattr(MemoryStore, "invalidate", fails)
    for path in ("/api/entries", "/api/answer"):
        refused = get(path, {"entry": entry["entry"]})
        assert (refused.status, refused.json) == (503, {"error": "the store does not answer"})
    assert get("/api/invalidate", {"entry": entry["entry"]}).json == {"count": 0, "has_failed": True}


def test_what_a_roll_out_withholds_is_seen_and_can_be_reported(ask: Ask) -> None:
    groups = dict.fromkeys((STORED, REWORDED), "r")
    with open_cache("memory://", embedder=FakeEmbedder(groups), mode="shadow") as cache:
        cache.update(STORED, "up")
        cache.update("Is <b>bold</b> a tag?", "up")
        with serve_dashboard(cache, interval=3600) as page:
            assert isinstance(cache.lookup(REWORDED), Miss)
            pairs = ask(page.port, "/api/pairs").json
            (row,) = pairs["hits"]
            assert (pairs["mode"], row["asked"], row["is_withheld"]) == ("shadow", REWORDED, True)
            assert ask(page.port, "/api/explain", {"question": REWORDED}).json["mode"] == "shadow"
            assert ask(page.port, "/api/wrong", {"id": row["id"]}).json["removed"] == 1


def test_near_misses_of_a_file_are_those_of_the_own_namespace(ask: Ask, tmp_path: Path) -> None:
    file, groups = tmp_path / "near.jsonl", dict.fromkeys((STORED, ASKED), "r")
    for tenant in ("a", "b"):
        with open_cache("memory://", embedder=FakeEmbedder(groups), namespace=tenant, near_miss_file=file) as cache:
            cache.update(STORED, "up")
            cache.update("else", "up")
            cache.lookup(ASKED)
    with file.open("a") as lines:
        lines.write(file.read_text().splitlines()[0].replace('"at":', '"at":NaN,"then":') + "\n")
    with (
        open_cache("memory://", embedder=None, namespace="a") as cache,
        serve_dashboard(cache, near_misses=file, interval=3600) as page,
    ):
        (row,) = ask(page.port, "/api/pairs").json["near_misses"]
        assert (row["namespace"], row["count"]) == ("a", 1)


def test_tune_reads_the_labels(ask: Ask, cache: SemanticCache, tmp_path: Path) -> None:
    from llmcache_plugins.evaluation.rows import read_file

    labels = tmp_path / "labels.jsonl"
    with serve_dashboard(cache, labels=labels, interval=3600) as page:
        (row,) = ask(page.port, "/api/pairs").json["near_misses"]
        assert ask(page.port, "/api/label", {"id": row["id"], "label": "wrong"}).json["outcome"] == "noted"
    (pair,) = read_file(labels).pairs
    assert (pair.a.text, pair.b.text, pair.label) == (STORED, ASKED, 0)
    assert isinstance(cache.lookup(ASKED), Miss)


def test_a_hit_that_is_called_wrong_misses_from_then_on(
    cache: SemanticCache, page: Dashboard, get: Ask, tmp_path: Path
) -> None:
    assert isinstance(cache.lookup(REWORDED), Hit)
    (row,) = get("/api/pairs").json["hits"]
    assert (row["asked"], row["stored"], row["kind"]) == (REWORDED, STORED, "semantic")
    assert get("/api/wrong", {"id": row["id"]}).json == {"outcome": "reported", "removed": 1, "is_remembered": True}
    assert isinstance(cache.lookup(REWORDED), Miss)
    cache.update(STORED, "up")
    assert isinstance(cache.lookup(REWORDED), Miss)
    assert len(cache.regressions()) == 1
    assert get("/api/state").json["report"]["false_hits"]["reported"] == 1


def test_entries_are_found_explained_and_removed(cache: SemanticCache, get: Ask) -> None:
    assert len(get("/api/entries", {}).json["entries"]) == 2
    found = get("/api/entries", {"text": "SHOW RTR"}).json
    (entry,) = found["entries"]
    assert (entry["text"], entry["namespace"], found["after"]) == (STORED, "app", None)
    assert get("/api/entries", {"query_type": "none such"}).json["entries"] == []
    assert get("/api/answer", {"entry": entry["entry"]}).json["answer"] == '"up"'
    said = get("/api/explain", {"question": ASKED}).json
    assert said["outcome"] == "miss (guard_conflict)"
    assert any(line.startswith("numbers: conflict") for line in said["candidates"][0]["said"])
    assert get("/api/explain", {"question": ASKED, "entry": entry["entry"]}).json == said
    assert get("/api/invalidate", {"entry": entry["entry"]}).json == {"count": 1, "has_failed": False}
    assert get("/api/answer", {"entry": entry["entry"]}).status == 404
    assert isinstance(cache.lookup(STORED), Miss)
    assert cache.invalidations()[-1].reason == "dashboard"


def test_many_entries_come_in_parts(ask: Ask) -> None:
    with open_cache("memory://", embedder=None) as cache, serve_dashboard(cache, interval=3600) as page:
        for number in range(120):
            cache.update(f"Question {number}", "x")
        texts, after = [], 0
        while after is not None:
            part = ask(page.port, "/api/entries", {"after": after}).json
            texts += [entry["text"] for entry in part["entries"]]
            after = part["after"]
        assert texts == [f"Question {number}" for number in range(120)]
        found = ask(page.port, "/api/entries", {"text": "question 11"}).json["entries"]
        assert [entry["text"] for entry in found] == ["Question 11", *(f"Question 11{digit}" for digit in range(10))]


def test_live_numbers_come_without_asking_again(cache: SemanticCache) -> None:
    with serve_dashboard(cache, interval=0.1) as page:
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
        connection.request("GET", "/api/live")
        stream = connection.getresponse()
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert _next_state(stream)["report"]["hit_count"] == 0
        cache.lookup(STORED)
        while (state := _next_state(stream))["report"]["hit_count"] == 0:
            pass
        assert state["report"]["hit_count"] == 1
        connection.close()
        stream.close()


def _next_state(stream: http.client.HTTPResponse) -> Any:
    while line := stream.readline():
        if line.startswith(b"data: "):
            return json.loads(line[6:])
    raise AssertionError("the stream has ended")


def test_live_pages_are_few_and_end_with_the_dashboard(cache: SemanticCache) -> None:
    page = serve_dashboard(cache, interval=0.1)
    connections = [http.client.HTTPConnection("127.0.0.1", page.port, timeout=20) for _ in range(9)]
    streams = []
    for connection in connections:
        connection.request("GET", "/api/live")
        streams.append(connection.getresponse())
    assert [stream.status for stream in streams] == [200] * 8 + [503]
    page.close()
    page.close()
    for stream, connection in zip(streams, connections, strict=True):
        stream.read()  # to its end: nobody waits for ever
        connection.close()
        stream.close()
    assert page._server.fileno() == -1  # not asked for over its port, which somebody else may have by now
    assert not page._thread.is_alive()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no json", 400),
        (b"\xff\xfe", 400),
        (b"[" * 10_000, 400),
        (b"[]", 400),
        ({}, 400),
        ({"id": 3, "label": "right"}, 400),
        ({"id": "x", "label": ["right"]}, 400),
        ({"id": "x", "label": "maybe"}, 400),
        ({"id": "x", "label": "right"}, 404),
        ({"id": "x" * 30_000, "label": "right"}, 400),
        (b'{"id": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_a_wrong_body_is_refused(get: Ask, cache: SemanticCache, body: Any, status: int) -> None:
    assert get("/api/label", body).status == status
    assert get("/api/state").status == 200
    assert isinstance(cache.lookup(ASKED), Miss)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/entries", {"after": -1}),
        ("/api/entries", {"after": True}),
        ("/api/entries", {"after": 2**70}),
        ("/api/entries", {"after": "1"}),
        ("/api/entries", {"text": 1}),
        ("/api/invalidate", {}),
        ("/api/invalidate", {"entry": "*:*"}),
        ("/api/invalidate", {"entry": ":"}),
        ("/api/invalidate", {"entry": "a:b:c"}),
        ("/api/invalidate", {"entry": None}),
        ("/api/answer", {"entry": "../../etc/passwd"}),
        ("/api/explain", {"question": "   "}),
        ("/api/explain", {"question": "x", "entry": "no entry"}),
        ("/api/explain", {"question": {"$gt": ""}}),
        ("/api/explain", {"question": "x" * 20_001}),
        ("/api/wrong", {"id": None}),
    ],
)
def test_wrong_values_are_refused_and_nothing_happens(get: Ask, cache: SemanticCache, path: str, body: Any) -> None:
    answer = get(path, body)
    assert answer.status == 400, answer.body
    assert answer.json["error"]
    assert isinstance(cache.lookup(STORED), Hit)


def test_only_the_page_itself_presses_buttons(get: Ask, cache: SemanticCache) -> None:
    (row,) = get("/api/pairs").json["near_misses"]
    body = {"id": row["id"], "label": "right"}
    for status, headers in (
        (403, {"X-LLMCache-Dashboard": None}),
        (403, {"Origin": "https://evil.example"}),
        (403, {"Origin": "null"}),
        (403, {"Sec-Fetch-Site": "cross-site"}),
        (403, {"Sec-Fetch-Site": "same-site"}),
        (403, {"Host": "evil.example"}),
        (415, {"Content-Type": "text/plain"}),
        (415, {"Content-Type": "application/x-www-form-urlencoded"}),
        (411, {"Content-Length": None, "Transfer-Encoding": "chunked"}),
    ):
        assert get("/api/label", body, headers=headers).status == status, headers
    assert isinstance(cache.lookup(ASKED), Miss)
    assert get("/api/pairs", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_an_address_that_was_bound_to_loopback_is_refused(get: Ask, page: Dashboard) -> None:
    for host in ("evil.example", "evil.example:80", f"127.0.0.1.evil.example:{page.port}", ""):
        for path in ("/", "/api/state", "/static/app.js"):
            assert get(path, headers={"Host": host}).status == 403, host
    for host in ("localhost", f"localhost:{page.port}", f"127.0.0.1:{page.port}", f"[::1]:{page.port}"):
        assert get("/", headers={"Host": host}).status == 200, host


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/vendor/README.md",
        "/static/",
        "/static",
        "//etc/passwd",
        "/../../../../etc/passwd",
        "/static/..%5c..%5cserver.py",
        "/api",
        "/api/nothing",
        "/static/app.js/",
    ],
)
def test_only_the_files_of_the_page_are_served(get: Ask, path: str) -> None:
    assert get(path).status in (400, 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"])
def test_other_methods_are_refused(get: Ask, method: str) -> None:
    assert get("/api/label", {}, method=method).status == 405
    assert get("/api/invalidate", method="GET").status == 404


def test_what_is_no_http_ends_nothing(page: Dashboard, get: Ask) -> None:
    sent_bytes = (
        b"\r\n\r\n",
        b"GET",
        b"\x16\x03\x01\x02\x00" + bytes(300),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"A" * 70_000,
    )
    for sent in sent_bytes:
        with socket.create_connection(("127.0.0.1", page.port), timeout=20) as client:
            try:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                client.recv(1000)
            except OSError:  # hung up on, before all was sent
                pass
    assert get("/").status == 200


def test_a_token_lets_in_and_nothing_else_does(ask: Ask, cache: SemanticCache) -> None:
    with serve_dashboard(cache, token=TOKEN, interval=3600) as page:
        assert page.url.endswith(f"/?token={TOKEN}")
        assert TOKEN not in repr(page)
        for path in ("/", "/?token=", "/?token=0123456789abcdee", "/api/state", "/api/live", "/static/app.js"):
            assert ask(page.port, path).status == 401, path
        assert ask(page.port, f"/api/state?token={TOKEN}").status == 401  # only the page itself takes it so
        assert ask(page.port, "/api/entries", {}).status == 401
        for headers in ({"X-LLMCache-Token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}):
            assert ask(page.port, "/api/state", headers=headers).status == 200
            assert ask(page.port, "/api/entries", {}, headers=headers).status == 200
        first = ask(page.port, f"/?token={TOKEN}")
        assert first.status == 200
        cookie, *attributes = first.headers["Set-Cookie"].split("; ")
        assert TOKEN not in cookie
        assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
        assert ask(page.port, "/api/state", headers={"Cookie": cookie}).status == 200
        for wrong in (cookie[:-1], f"{cookie.partition('=')[0]}={TOKEN}", "x", "=;=", "a=\x01"):
            assert ask(page.port, "/api/state", headers={"Cookie": wrong}).status == 401


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "0.0.0.0"}, "token is needed"),
        ({"host": "example.org"}, "token is needed"),
        ({"token": "short"}, "16 printable"),
        ({"token": "\u00e9" * 20}, "16 printable"),
        ({"token": 3}, "16 printable"),
        ({"host": ""}, "host"),
        ({"port": -1}, "port"),
        ({"port": True}, "port"),
        ({"interval": 0}, "interval"),
        ({"interval": float("nan")}, "interval"),
        ({"labels": ""}, "labels"),
        ({"near_misses": "/no/such/file"}, "no such file"),
        ({"alerts": object()}, "Alerts"),
        ({"alerts": iter(())}, "Alerts"),
        ({"money": 3}, "MoneySettings"),
        ({"host": "no.such.name.invalid", "token": TOKEN}, "cannot listen"),
    ],
)
def test_wrong_arguments_are_said_at_once(cache: SemanticCache, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        serve_dashboard(cache, **given)


def test_only_a_cache_has_a_page() -> None:
    with pytest.raises(ConfigError, match="SemanticCache"):
        serve_dashboard(CacheConfig())  # type: ignore[arg-type]


def test_a_port_in_use_is_said(cache: SemanticCache, page: Dashboard) -> None:
    with pytest.raises(ConfigError, match=str(page.port)):
        serve_dashboard(cache, port=page.port)


def test_alerts_and_their_failures(ask: Ask, cache: SemanticCache, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Alerts):
        fails = False

        @property
        def firing(self) -> tuple[Alert, ...]:
            if self.fails:
                raise OSError("secret")
            return super().firing

    rule = AlertRule(name="LowHitRate", measure="hit_rate", side="below", threshold=0.7, min_sample=1)
    alerts = Failing(cache, [rule], sinks=(), shared=False)
    alerts.check()
    cache.lookup("never asked before")
    alerts.check()
    with serve_dashboard(cache, alerts=alerts, interval=3600) as page:
        (shown,) = ask(page.port, "/api/state").json["alerts"]
        assert (shown["name"], shown["level"]) == ("LowHitRate", "warning")
        assert shown["text"].startswith("LowHitRate fires: hit_rate is 0.0 %")
        assert shown["since"] == alerts.firing[0].since
        alerts.fails = True
        for _ in range(2):
            assert ask(page.port, "/api/state").json == {"error": "OSError"}
        alerts.fails = False
        assert ask(page.port, "/api/state").json["report"]["miss_count"] == 2
    assert caplog.text.count("cannot read the cache (OSError)") == 1
    assert "secret" not in caplog.text


def test_a_closed_cache_ends_no_page(cache: SemanticCache, get: Ask) -> None:
    cache.close()
    assert get("/api/state").json == {"error": "the cache was closed"}
    assert get("/api/pairs").status == 200
    for path in ("/api/entries", "/api/invalidate"):
        refused = get(path, {"entry": "a:b"})
        assert (refused.status, refused.json) == (503, {"error": "the cache was closed"})


def test_a_forked_child_closes_its_copy_and_the_page_goes_on() -> None:
    code = """
import os
from urllib.request import urlopen
from llmcache_plugins import open_cache
from llmcache_plugins.dashboard import serve_dashboard
with open_cache("memory://", embedder=None) as cache, serve_dashboard(cache, interval=3600) as page:
    child = os.fork()
    if not child:
        page.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with urlopen(page.url) as answer:
        assert answer.status == 200
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_page_that_is_closed_hears_no_more(cache: SemanticCache) -> None:
    with serve_dashboard(cache, interval=3600):
        assert len(cache._emit._recorders) == 2
    assert len(cache._emit._recorders) == 1


def test_behind_a_proxy_the_token_is_enough(ask: Ask, cache: SemanticCache) -> None:
    shown = {"X-LLMCache-Token": TOKEN, "Host": "dash.example.com"}
    with serve_dashboard(cache, token=TOKEN, interval=3600) as page:
        assert ask(page.port, "/api/state", headers=shown).status == 200
        for host in (
            "dash.example.com",
            f"127.0.0.1:{page.port}",
        ):  # a proxy may put its own in, or leave that of the browser
            button = {**shown, "Host": host, "Origin": "https://dash.example.com"}
            assert ask(page.port, "/api/entries", {}, headers=button).status == 200
            assert ask(page.port, "/api/entries", {}, headers={**button, "Sec-Fetch-Site": "cross-site"}).status == 403
            assert ask(page.port, "/api/entries", {}, headers={**button, "X-LLMCache-Dashboard": None}).status == 403
            assert ask(page.port, "/api/entries", {}, headers={**button, "X-LLMCache-Token": None}).status == 401


def test_who_sends_a_byte_now_and_then_keeps_no_place(cache: SemanticCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SECONDS", 0.5)
    with serve_dashboard(cache, interval=3600) as page, socket.create_connection(("127.0.0.1", page.port), 30) as slow:
        slow.settimeout(0.1)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                slow.sendall(b"G")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:  # hung up in the middle of it
                break
        else:
            pytest.fail("nobody hung up")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_does_not_keep_the_port() -> None:
    code = """
import os, signal
from llmcache_plugins import open_cache
from llmcache_plugins.dashboard import serve_dashboard
with open_cache("memory://", embedder=None) as cache:
    page = serve_dashboard(cache, interval=3600)
    child = os.fork()
    if not child:
        signal.pause()
    page.close()
    try:
        serve_dashboard(cache, port=page.port).close()
        print("free")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.returncode) == ("free\n", 0), done.stderr
