"""Lines on their way to a file: none is lost while the file cannot be written, and memory stays bounded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llmcache_plugins.quality import Regression, Reported
from llmcache_plugins.recorded import ReportEvent
from llmcache_plugins.telemetry import LineFile, RegressionLog


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def test_lines_wait_for_a_file_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "folder"
    folder.write_text("in the way")
    file = LineFile(folder / "lines.jsonl")
    for n in range(3):
        file.add({"n": n})
        file.write()
    folder.unlink()
    file.add({"n": 3})
    file.write()
    assert numbers(folder / "lines.jsonl") == [0, 1, 2, 3]
    assert len(caplog.records) == 1
    file.write()
    assert numbers(folder / "lines.jsonl") == [0, 1, 2, 3]


def test_of_too_many_waiting_lines_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.write_text("in the way")
    file = LineFile(folder / "lines.jsonl")
    for n in range(10_002):
        file.add({"n": n})
        if n in (5_000, 9_999, 10_001):
            file.write()
    folder.unlink()
    file.write()
    assert numbers(folder / "lines.jsonl") == list(range(2, 10_002))


def test_disk_that_is_full_in_the_middle_of_a_line_breaks_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write, calls = LineFile(tmp_path / "lines.jsonl"), os.write, []

    def full(descriptor: int, text: bytes) -> int:
        calls.append(text)
        if len(calls) == 2:
            raise OSError("no space left")
        return write(descriptor, text[:12] if len(calls) == 1 else text)

    monkeypatch.setattr(os, "write", full)
    for n in range(3):
        file.add({"n": n})
    file.write()
    file.add({"n": 3})
    file.write()
    assert numbers(tmp_path / "lines.jsonl") == [0, 1, 2, 3]


def test_lines_that_are_written_are_not_written_again_when_the_file_cannot_be_rotated(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl.1").mkdir()
    file = LineFile(tmp_path / "lines.jsonl", 10)
    for n in range(3):
        file.add({"n": n})
        file.write()
    assert numbers(tmp_path / "lines.jsonl") == [0, 1, 2]


def test_reported_pairs_are_never_rotated_away(tmp_path: Path) -> None:
    log = RegressionLog(LineFile(tmp_path / "wrong.jsonl", 100))
    for n in range(20):
        log(ReportEvent(Reported(1, True, Regression(f"wrong-{n}", "stored", "asked"))))
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.jsonl"]
    assert len((tmp_path / "wrong.jsonl").read_text().splitlines()) == 20
