"""docs/before-buying.md: its code prints what its comments say, its links lead somewhere, its numbers are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.analysis.table import duration
from llmcache_plugins.cli.log_analysis import LogAnalysisOptions
from llmcache_plugins.logs.reuse import TTLS

PATH = Path(__file__).parents[3] / "docs" / "before-buying.md"
PAGE = PATH.read_text(encoding="utf-8")


def test_the_code_prints_what_its_comments_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    said: list[str] = []
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PATH), "exec"), names)
        said += [match[1].strip() for match in re.finditer(r"^ *print\(.*# (.*)$", block, flags=re.MULTILINE)]
    printed = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    assert [line for line in printed if line in said] == said


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []


def test_its_numbers_are_those_of_the_code() -> None:
    assert ", ".join(duration(ttl) for ttl in TTLS) in PAGE
    assert f"{LogAnalysisOptions(log=PATH).sample:,} calls (`--sample`)" in PAGE
