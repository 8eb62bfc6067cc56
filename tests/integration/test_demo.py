"""`llmcache demo` end to end: the real embedder, a disk store, the loopback server, a process for each run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.testing import FakeAnthropic

pytest.importorskip("langchain_anthropic")
pytest.importorskip("onnxruntime")

LIMIT = 60


@pytest.fixture
def port() -> int:
    """A port that is free now; all runs of a test share it, since the model's address is part of every scope."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


def start(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("LLMCACHE_URL", None)
    command = [sys.executable, "-m", "llmcache_plugins.cli", "demo", "--latency-ms", "0", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def run_json(tmp_path: Path, port: int, *arguments: str) -> dict[str, Any]:
    done = start(tmp_path, "--json", "--limit", str(LIMIT), "--port", str(port), *arguments)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["requests"] == LIMIT
    assert (summary["failures"], summary["cache_errors"]) == ({}, {})
    return summary


@pytest.mark.slow
def test_live_asks_the_api_of_the_environment_and_not_the_loopback_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real API cannot be asked here; a stand-in under the variables that the client reads can."""
    with FakeAnthropic() as server:
        for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"):
            monkeypatch.setenv(name, server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
        done = start(tmp_path, "--live", "--json", "--limit", "8")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["settings"]["live"] is True
        assert server.count("/v1/messages") == summary["spent"]["calls"] == 8 - sum(summary["hits"].values())


def test_a_second_run_hits_at_once_and_fresh_forgets(tmp_path: Path, port: int) -> None:
    first = run_json(tmp_path, port)
    assert (tmp_path / "llmcache" / "demo.db").is_file()
    assert first["hits"]["exact"] > 0
    assert first["hits"]["semantic"] > 0
    assert first["spent"]["calls"] == sum(first["misses"].values()) < LIMIT
    assert first["wrong_hits_of_guard_kinds"] == 0

    second = run_json(tmp_path, port)
    assert (sum(second["hits"].values()), second["misses"], second["spent"]["calls"]) == (LIMIT, {}, 0)
    assert second["hits"]["semantic"] == 0, "a rewording is an alias by now"
    assert second["saved"]["output_tokens"] > 0

    fresh = run_json(tmp_path, port, "--fresh")
    assert fresh["misses"] == first["misses"]


@pytest.mark.slow
def test_the_whole_stream_has_no_wrong_hit_of_the_guards_kinds_and_hits_three_in_ten_rewordings(
    tmp_path: Path,
) -> None:
    done = start(tmp_path, "--json", "--port", "0", "--url", "memory://")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["wrong_hits_of_guard_kinds"] == 0
    assert summary["rewordings"] >= 100
    assert summary["rewordings_hit"] >= 0.3 * summary["rewordings"]
    assert summary["wrong_hits"] <= 3
    assert summary["unjudged_hits"] == 0
    assert len(summary["example_hits"]) == len(summary["refused_look_alikes"]) == 5
    assert all(refused["guard"] for refused in summary["refused_look_alikes"])
    assert summary["hit_latency"]["p50_ms"] > 0


def test_people_get_tables_and_no_progress_bar_into_a_file(tmp_path: Path) -> None:
    done = start(tmp_path, "--limit", "15", "--port", "0", "--threshold", "0.8")
    assert done.returncode == 0, done.stderr
    assert "wrong hits by the labels" in done.stdout
    assert "similarity threshold 0.8" in done.stdout
    assert done.stderr == ""


def test_a_taken_port_is_said_and_does_not_stop_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start(tmp_path, "--json", "--limit", "2", "--port", str(port))
    assert done.returncode == 0
    assert f"port {port} is taken" in done.stderr


@pytest.mark.parametrize("arguments", [("--url", "ftp://x"), ("--threshold", "2")])
def test_a_wrong_setting_is_said_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = start(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("llmcache demo: ")
    assert done.stdout == ""


def test_a_store_that_cannot_be_opened_is_said_without_a_traceback(tmp_path: Path) -> None:
    done = start(tmp_path, "--limit", "2", "--port", "0", "--url", f"disk://{tmp_path}")
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("llmcache demo: ")
