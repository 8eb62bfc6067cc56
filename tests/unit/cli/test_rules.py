"""`llmcache export-rules`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcache_plugins.cli import main


def test_both_files_are_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-rules", str(tmp_path), "--prefix", "answers", "--json"]) == 0
    paths = json.loads(capsys.readouterr().out)
    assert "answers_lookups_total" in Path(paths["rules"]).read_text()
    assert json.loads(Path(paths["dashboard"]).read_text())["panels"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-rules", str(tmp_path / "none")]) == 2
    assert "cannot be written" in capsys.readouterr().err
