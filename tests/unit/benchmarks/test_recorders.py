"""A tiny run of the recorders benchmark, and its place in the document. No figure is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")
pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("ddsketch")
from benchmarks import recorders
from benchmarks.report import with_blocks


def test_a_run_fills_the_table_of_the_document(tmp_path: Path) -> None:
    made = recorders.blocks(rounds=2, calls=5, folder=tmp_path)
    assert [line.split(" | ")[0] for line in made["costs"].splitlines()[2:11]] == [
        f"| {name}" for name in recorders.SETTINGS
    ]
    document = with_blocks(recorders.PAGE.read_text(encoding="utf-8"), made)
    assert "The aim, all of these for less than 15% of an exact hit" in document
    assert (tmp_path / "event log.jsonl").stat().st_size > 0
