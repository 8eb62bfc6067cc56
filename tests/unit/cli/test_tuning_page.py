"""Every command and every line of code of docs/tuning.md runs, in the order of the page."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from llmcache_plugins.cli import main

ROOT = Path(__file__).parents[3]
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/tuning.md").read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnxruntime", "rich", "matplotlib", "llmcache_plugins_models"):
        pytest.importorskip(package)
    shutil.copytree(ROOT / "examples/data/quality", tmp_path / "examples/data/quality")
    monkeypatch.chdir(tmp_path)
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "tuning.md", "exec"), {"__name__": "tuning"})
            continue
        for line in block.splitlines():
            command, _, target = line.partition(" > ")
            program, *arguments = shlex.split(command)
            assert program == "llmcache"
            assert main(arguments) == 0, line
            said = capsys.readouterr().out
            if target:
                Path(target).write_text(said, encoding="utf-8")
    assert Path("tuning.png").stat().st_size > 0
    assert len(Path("to_label.jsonl").read_text(encoding="utf-8").splitlines()) == 2
