"""The committed sample through the default cache, as a user would run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.cli import main

pytest.importorskip("onnxruntime")
pytest.importorskip("llmcache_plugins_models")

SAMPLE = Path(__file__).parents[3] / "examples" / "data" / "quality"


def test_default_cache_answers_rewordings_and_no_look_alike(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(SAMPLE.glob("*.jsonl"))
    assert main(["eval", "--json", *map(str, files)]) == 0
    scores: dict[str, Any] = json.loads(capsys.readouterr().out)["files"]
    assert set(scores) == {"conversations.jsonl", "minimal.jsonl", "pairs.jsonl", "stream.jsonl"}
    for name in ("minimal.jsonl", "pairs.jsonl", "conversations.jsonl"):
        assert scores[name]["counts"]["wrong"] == 0, name
    assert scores["stream.jsonl"]["counts"]["wrong"] == 0
    assert scores["pairs.jsonl"]["recall"] >= 0.5
    assert scores["stream.jsonl"]["variant_hit_rate"] >= 0.5


def test_without_guards_the_look_alikes_get_through(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--no-guards", "--similarity-threshold", "0.9"]
    assert main(["eval", "--json", *arguments, str(SAMPLE / "minimal.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["minimal.jsonl"]["counts"]["wrong"] >= 8


def test_all_of_the_tables_fits_into_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    files = [str(SAMPLE / name) for name in ("pairs.jsonl", "stream.jsonl")]
    assert main(["eval", "--exact-only", *files]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    assert shown.count("precision") == 3
    assert "unjudged" in shown
