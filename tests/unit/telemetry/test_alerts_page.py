"""docs/alerts.md: its code prints what its comments say, its table is that of the rules, its links lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.telemetry.alerts import DEFAULT_RULES, Alert, AlertRule
from llmcache_plugins.telemetry.alerts.measures import MEASURES

PATH = Path(__file__).parents[3] / "docs" / "alerts.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def test_its_code_prints_what_its_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "alerts"}
    said: list[str] = []
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, str(PATH), "exec"), names)
            said += [found[1].strip() for found in re.finditer(r"^print\(.*  # (.*)$", block, flags=re.MULTILINE)]
    assert len(said) == 6
    assert capsys.readouterr().out.splitlines() == said


def rows() -> dict[str, list[str]]:
    table = PAGE.split("| rule | fires when |")[1].split("\n\n")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {line[0].strip("`"): line[1:] for line in lines}


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.name)
def test_its_table_says_what_the_rule_does(rule: AlertRule) -> None:
    fires, clear, window, waits, sample = rows()[rule.name]
    assert ("urgent" in fires) == (rule.level == "urgent")
    assert (f"{rule.min_sample}" in sample.split()) == bool(rule.min_sample)
    if rule.min_sample:
        assert sample.endswith(MEASURES[rule.measure].sample)
    times = {"1 min": MINUTE, "2 min": 2 * MINUTE, "5 min": 5 * MINUTE, "15 min": 15 * MINUTE, "30 s": 30.0}
    times |= {"1 h": HOUR, "1 day": DAY, "": 0.0}
    assert times[waits] == rule.for_seconds
    if window:  # what is so at this moment has none
        assert times[window] == rule.window
    shown = {
        "ratio": (f"{100 * rule.threshold:g}", 0 if rule.clear is None else 100 * rule.clear),
        "seconds": (f"{1000 * rule.threshold:g} ms", 1000 * (rule.clear or rule.threshold)),
    }.get(MEASURES[rule.measure].unit, (f"{rule.threshold:,g}" if rule.threshold else "", rule.clear or 0))
    assert shown[0] in fires
    assert clear.split(" ")[0] == (
        f"{shown[1]:g}" if rule.clear is not None or rule.measure == "hit_latency_p95" else ""
    )


def test_it_names_every_rule() -> None:
    assert set(rows()) == {rule.name for rule in DEFAULT_RULES}


def test_the_body_of_its_webhook_has_the_names_of_an_alert() -> None:
    (text,) = [block for language, block in BLOCKS if language == "json"]
    alert = Alert(rule=DEFAULT_RULES[0], state="firing", value=0.41, sample=1000, part="", since=0.0, at=0.0)
    assert {**json.loads(text), "text": "", "since": 0, "at": 0} == {**alert.as_json(), "text": "", "since": 0, "at": 0}


def test_its_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE) if not link.startswith("https://")]
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []
