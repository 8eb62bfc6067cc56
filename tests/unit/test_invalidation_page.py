"""docs/invalidation.md: its commands exist, its rule file loads, its events are those that are known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from llmcache_plugins import load_event_rules
from llmcache_plugins.cli.app import read
from llmcache_plugins.policies.event_rules import DEFAULT_EVENT_RULES

PAGE = (Path(__file__).parents[2] / "docs" / "invalidation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_its_commands_exist() -> None:
    commands = [line for language, code in BLOCKS if language == "console" for line in code.splitlines()]
    assert len(commands) == 3
    for command in commands:
        read(shlex.split(command)[1:])


def test_its_rule_file_loads(tmp_path: Path) -> None:
    (content,) = [code for language, code in BLOCKS if language == "toml"]
    (tmp_path / "events.toml").write_text(content, encoding="utf-8")
    assert [rule.event for rule in load_event_rules(tmp_path / "events.toml")] == ["bgp_neighbor_down", "price_list"]


def test_its_python_is_python() -> None:
    for language, code in BLOCKS:
        if language == "python":
            compile(code, "docs/invalidation.md", "exec")


def test_it_names_every_event() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)) >= {rule.event for rule in DEFAULT_EVENT_RULES}


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target
