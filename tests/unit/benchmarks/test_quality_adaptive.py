"""A tiny replay of the adaptive policy, from labelled requests to tables and a picture. No figure is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quality import adaptive
from benchmarks.quality.adaptive import BUDGETS, PICTURE, adaptive_blocks, renew, replay, run_adaptive
from llmcache_plugins.evaluation import LabelledRequest, PreparedEmbedder
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import Request

TEXTS = {f"{start} the gateway number {number}": f"{number}" for start in ("show", "display") for number in range(40)}
ROWS = [LabelledRequest(id=text, request=Request(text), label=number) for text, number in TEXTS.items()] * 4


def silent(stage: str, done: int, total: int) -> None:
    """Shows nothing."""


@pytest.fixture
def embedder() -> PreparedEmbedder:
    return PreparedEmbedder(FakeEmbedder(TEXTS))


def test_replay_comes_out_the_same_every_time(embedder: PreparedEmbedder) -> None:
    first = replay(ROWS, embedder, silent, max_error_rate=0.3)
    assert first == replay(ROWS, embedder, silent, max_error_rate=0.3)
    served, said = first
    assert len(served) == len(ROWS)
    assert all(ROWS[at].label == row.label for row, at in zip(ROWS, served, strict=True) if at is not None)
    assert said["at most"] <= said["allowed"]


def test_tables_and_picture(embedder: PreparedEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quality.json").write_text('{"other": 1}', encoding="utf-8")
    blocks = ("adaptive-means", "adaptive-streams")
    marked = "\n".join(f"<!-- begin {name} -->\nold\n<!-- end {name} -->" for name in blocks)
    (tmp_path / "quality.md").write_text(f"before\n{marked}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(adaptive, "_DOCS", tmp_path)
    results = run_adaptive({"osschat": ROWS, "querylog": ROWS[:20]}, embedder, None, lambda step: silent)
    renew(results, tmp_path)
    assert set(results) == {f"{budget:g}" for budget in BUDGETS}
    assert json.loads((tmp_path / "quality.json").read_text(encoding="utf-8"))["other"] == 1
    document = (tmp_path / "quality.md").read_text(encoding="utf-8")
    assert document.startswith("before\n")
    assert document.endswith("after\n")
    assert "old" not in document
    assert all(block in document for block in adaptive_blocks(results).values())
    assert (tmp_path / PICTURE).stat().st_size > 1000
