"""The documentation site: its reference names all that is public. What else holds for it, `make docs` checks."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from llmcache_plugins import SemanticCache

DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "reference").glob("*.md")))
MODULES = ("", ".langchain", ".llama_index", ".anthropic", ".embedders", ".stores", ".telemetry", ".testing")


@pytest.mark.parametrize("module", [f"llmcache_plugins{name}" for name in MODULES])
def test_the_reference_has_every_public_name(module: str) -> None:
    public = {name for name in importlib.import_module(module).__all__ if not name.startswith("__")}
    assert set(re.findall(rf"^::: {re.escape(module)}\.(\w+)$", REFERENCE, flags=re.MULTILINE)) == public


def test_the_reference_has_every_member_of_the_cache() -> None:
    page = (DOCS / "reference" / "cache.md").read_text(encoding="utf-8")
    public = {name for name in dir(SemanticCache) if not name.startswith("_")}
    assert set(re.findall(r"^ +- (\w+)$", page, flags=re.MULTILINE)) == public
