"""`llmcache dashboard`: the page of a cache in a file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path
from urllib.request import urlopen

import pytest

from llmcache_plugins import ConfigError, open_cache
from llmcache_plugins.cli.dashboard import DashboardOptions, run_dashboard
from llmcache_plugins.dashboard import Dashboard

# What runs in the background of a shell ignores Ctrl-C, and so do its children.
INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from llmcache_plugins.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"disk://{tmp_path / 'cache.db'}"
    with open_cache(url, embedder=None, namespace="app") as cache:
        for _ in range(3):
            cache.get_or_generate("What is BGP?", lambda: "a protocol")
    return url


def test_it_counts_all_processes_and_ends_when_interrupted(store: str, tmp_path: Path) -> None:
    said: list[str] = []
    seen: list[Dashboard] = []

    def look(page: Dashboard) -> None:
        seen.append(page)
        assert said[0] == f"The dashboard is at {page.url}"
        with urlopen(f"{page.url}api/state") as answer:
            report = json.load(answer)["report"]
        assert (report["hit_count"], report["miss_count"], report["is_shared"]) == (2, 1, True)
        raise KeyboardInterrupt

    assert run_dashboard(DashboardOptions(store=store), said.append, wait=look) == 0
    assert repr(seen[0]).endswith("closed)")


def test_as_json_a_program_learns_where_the_page_is(store: str) -> None:
    said: list[str] = []
    seen: list[tuple[str, int]] = []
    run_dashboard(DashboardOptions(store=store, as_json=True), said.append, wait=lambda p: seen.append((p.url, p.port)))
    (told,) = map(json.loads, said)
    assert [(told["url"], told["port"])] == seen


def test_the_command_line_gives_its_options(store: str, tmp_path: Path) -> None:
    labels, near_misses = tmp_path / "labels.jsonl", tmp_path / "near.jsonl"
    near_misses.touch()
    arguments = ["--store", store, "--labels", str(labels), "--near-misses", str(near_misses), "--json"]
    command = [sys.executable, "-c", INTERRUPTIBLE, "dashboard", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            with urlopen(f"{told['url']}api/state") as answer:
                assert json.load(answer)["report"]["hit_count"] == 2
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("where", ["option", "variable"])
def test_an_empty_token_opens_no_page(store: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "variable":
        monkeypatch.setenv("LLMCACHE_DASHBOARD_TOKEN", "")
    with pytest.raises(ConfigError, match="the token is empty"):
        run_dashboard(DashboardOptions(store=store, token="" if where == "option" else None))


def test_a_sealed_cache_needs_its_key(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    url = f"disk://{tmp_path / 'sealed.db'}"
    with open_cache(url, embedder=None, encryption_key=bytes(range(32))) as cache:
        cache.update("What is BGP?", "a protocol")
    with pytest.raises(ConfigError, match="LLMCACHE_ENCRYPTION_KEY"):
        run_dashboard(DashboardOptions(store=url), lambda line: None, wait=lambda page: None)


def test_what_decides_is_what_was_given(store: str) -> None:
    floors: list[float] = []

    def look(page: Dashboard) -> None:
        with urlopen(f"{page.url}api/state") as answer:
            floors.append(json.load(answer)["boundary"]["floor"])

    for options in ({"similarity_threshold": 0.9}, {"lexical": True}):
        run_dashboard(DashboardOptions(store=store, **options), lambda line: None, wait=look)
    assert floors == [0.9, 0.4]


def test_the_store_may_be_named_by_the_environment(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCACHE_URL", store)
    assert run_dashboard(DashboardOptions(), lambda line: None, wait=lambda page: None) == 0


def test_where_others_can_reach_it_there_is_a_token(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []
    for _ in range(2):
        run_dashboard(
            DashboardOptions(store=store, host="0.0.0.0"), lambda line: None, wait=lambda p: urls.append(p.url)
        )
    tokens = {url.partition("?token=")[2] for url in urls}
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32
    monkeypatch.setenv("LLMCACHE_DASHBOARD_TOKEN", "0123456789abcdef")
    run_dashboard(DashboardOptions(store=store), lambda line: None, wait=lambda p: urls.append(p.url))
    assert urls[-1].endswith("?token=0123456789abcdef")


def test_it_opens_the_page_where_that_is_asked_for(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    run_dashboard(DashboardOptions(store=store, open=True), lambda line: None, wait=lambda page: None)
    assert [url.startswith("http://127.0.0.1:") for url in opened] == [True]


@pytest.mark.parametrize("url", [None, "memory://", "disk:///no/such/file.db"])
def test_a_cache_that_nobody_else_uses_has_no_page(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    with pytest.raises(ConfigError):
        run_dashboard(DashboardOptions(store=url), lambda line: None, wait=lambda page: None)


def test_a_token_is_in_no_repr() -> None:
    assert "secret" not in repr(DashboardOptions(token="secret-secret-secret"))
