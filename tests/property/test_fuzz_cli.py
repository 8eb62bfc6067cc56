"""The command line: whatever is typed ends in a code and a message, not in a traceback."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("typer")

from llmcache_plugins.cli import main

# Not those that run until somebody ends them: dashboard, top, demo.
COMMANDS = [
    "explain",
    "inspect",
    "stats",
    "report",
    "invalidate",
    "export",
    "import",
    "analyze",
    "replay",
    "tune",
    "eval",
]
OPTIONS = [
    "--store",
    "--limit",
    "--json",
    "--namespace",
    "--tag",
    "--older-than",
    "--key",
    "--dry-run",
    "--url",
    "-x",
    "--",
]
VALUES = [
    *(
        "",
        "-1",
        "0",
        "1e999",
        "nan",
        "\udcff",
        "a\x00b",
        "\u202e",
        "{}",
        "*",
        "memory://",
        "null://",
        "disk://",
        "x://",
    ),
    *("redis://[::1", "disk:///no/such/folder/c.db", "9" * 5000, "missing.jsonl", "q" * 10_000, "-", "scope:key"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True)
@given(
    st.sampled_from(COMMANDS),
    st.lists(st.sampled_from(OPTIONS) | st.sampled_from(VALUES) | st.text(max_size=6), max_size=5),
)
def test_any_arguments_end_in_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, rest: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    said, code = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace"), 0  # as stderr is
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = main([command, *rest])
    said.flush()
    assert code in (0, 1, 2)
    assert b"Traceback" not in said.buffer.getvalue()
