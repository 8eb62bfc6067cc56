"""docs/security.md: the tests, commands and settings that it names exist, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from llmcache_plugins import CacheConfig

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "security.md"
PAGE = PATH.read_text(encoding="utf-8")


def test_the_tests_that_it_names_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/.*]+)`", PAGE))
    assert len(named) > 8
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_the_commands_that_it_names_exist() -> None:
    goals = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([\w-]+)", PAGE))
    assert {"abuse", "audit", "fuzz", "sbom"} == named
    assert named <= goals


def test_the_settings_that_it_names_exist() -> None:
    named = set(re.findall(r"`((?:max|encryption|store)_\w+)", PAGE))
    assert named
    assert named <= set(CacheConfig.names())


def test_its_links_lead_somewhere() -> None:
    for page in (PATH, ROOT / "SECURITY.md"):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (page.parent / link).exists()] == []
