"""The documentation site: its reference names all that is public, its commands exist, its figures were measured.

What else holds for it (links, anchors, no page left out, nothing loaded from elsewhere) `make docs` checks.
"""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from llmcache_plugins import SemanticCache
from llmcache_plugins.cli.app import read

DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "reference").glob("*.md")))
MODULES = ("", ".langchain", ".llama_index", ".anthropic", ".embedders", ".stores", ".telemetry", ".testing")
PAGES = ("custom-guard", "custom-embedder", "migration-gptcache", "quickstart", "runbook", "strategy", "when-not")
QUALITY = (DOCS / "quality.md").read_text(encoding="utf-8")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def commands_of(name: str) -> set[str]:
    """All `llmcache ...` of a page; what stands for a number is one."""
    text = page(name)
    lines = re.findall(r"^llmcache .*$", text, flags=re.MULTILINE)
    inline = re.findall(r"`(llmcache [\w-]+ [^`]+)`", text)
    return {re.sub(r"\bN\b", "5", command) for command in (*lines, *inline)}


COMMANDS = sorted({command for name in PAGES for command in commands_of(name)})


@pytest.mark.parametrize("module", [f"llmcache_plugins{name}" for name in MODULES])
def test_the_reference_has_every_public_name(module: str) -> None:
    public = {name for name in importlib.import_module(module).__all__ if not name.startswith("__")}
    assert set(re.findall(rf"^::: {re.escape(module)}\.(\w+)$", REFERENCE, flags=re.MULTILINE)) == public


def test_the_reference_has_every_member_of_the_cache() -> None:
    public = {name for name in dir(SemanticCache) if not name.startswith("_")}
    assert set(re.findall(r"^ +- (\w+)$", page("reference/cache"), flags=re.MULTILINE)) == public


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_exists(command: str) -> None:
    assert callable(read(shlex.split(command)[1:]))


def test_the_table_of_budgets_is_what_was_measured() -> None:
    row = re.compile(r"^\| \**([\d.]+) %\** \| ([\d.]+) % \| ([\d.]+) % \|$", flags=re.MULTILINE)
    rows = row.findall(page("error-budget"))
    assert len(rows) == 5
    for budget, hits, wrong in rows:
        assert f"| whole chain {float(budget) / 100:g} | {hits} | {wrong} | - | - |" in QUALITY


@pytest.mark.parametrize("name", ["when-not", "migration-gptcache"])
def test_figures_of_quality_are_those_of_its_page(name: str) -> None:
    figures = re.findall(r"\b\d+\.\d+(?= %)", page(name))
    assert len(figures) >= 4
    assert [figure for figure in figures if figure not in QUALITY] == []


def test_the_number_of_aims_is_that_of_the_page() -> None:
    (aims,) = re.findall(r"(\d+ of \d+ aims)", page("when-not"))
    assert f"{aims} are reached" in QUALITY
