"""docs/rollout.md: its code prints what it says, its names exist, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, Rollout
from llmcache_plugins.report import RolloutReport

PATH = Path(__file__).parents[2] / "docs" / "rollout.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_its_code_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    said: list[str] = []
    for block in BLOCKS:
        exec(compile(block, str(PATH), "exec"), names)
        said += [match[1].strip() for match in re.finditer(r"^ *print\(.*# (.*)$", block, flags=re.MULTILINE)]
    assert said
    assert capsys.readouterr().out.splitlines() == said


def test_its_names_exist() -> None:
    fields = set(re.findall(r"^\| `(\w+)`", PAGE, flags=re.MULTILINE))
    assert fields <= set(RolloutReport.__dataclass_fields__)
    settings = set(re.findall(r"`(mode|fraction|split_by|rollout|answer_similarity)\b", PAGE))
    assert settings <= set(CacheConfig.names())
    staged = set(re.findall(r"`(stages|minimum_seconds|minimum_checks|max_error_rate|step_back)\b", PAGE))
    assert staged
    assert staged <= set(Rollout.__dataclass_fields__)


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []
