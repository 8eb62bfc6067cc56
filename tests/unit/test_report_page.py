"""docs/report.md: its code prints what its comments say, its settings exist, its links lead somewhere."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.counters import CacheStats
from llmcache_plugins.money import MoneySettings, load_prices, savings_of

PATH = Path(__file__).parents[2] / "docs" / "report.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_its_code_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "report"}
    said: list[str] = []
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, str(PATH), "exec"), names)
            said += [match[1].strip() for match in re.finditer(r"^print\(.*  # (.*)$", block, flags=re.MULTILINE)]
    names["cache"].close()
    printed = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    assert [line for line in printed if line in said] == said


def test_its_price_file_is_one(tmp_path: Path) -> None:
    (text,) = [block for language, block in BLOCKS if language == "json"]
    path = tmp_path / "prices.json"
    path.write_text(text)
    assert load_prices(path).price_of("our-model") is not None
    assert json.loads(text)["currency"] == "USD"


def test_its_costs_and_settings_exist() -> None:
    table = PAGE.split("| cost | how it is found |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == set(savings_of(CacheStats()).costs)
    named = set(re.findall(r"`(\w+_cost|monthly_\w+)`", PAGE))
    assert named
    assert named <= {field.name for field in fields(MoneySettings)}


def test_its_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PAGE) if not link.startswith("https://")]
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []
