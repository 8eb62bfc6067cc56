"""Every notebook of examples/ runs offline from top to bottom, and what it prints is what the file shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import nbformat
import pytest

_spec = importlib.util.spec_from_file_location("notebook_tool", Path(__file__).parent / "tool.py")
assert _spec is not None
assert _spec.loader is not None
tool: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)

WANTED = {
    "anthropic_sdk",
    "langchain_agent",
    "langchain_chain",
    "llamaindex_agent",
    "llamaindex_query_engine",
    "network_operations",
    "rag_before_retrieval",
}


def test_every_notebook_is_there() -> None:
    assert {path.stem for path in tool.NOTEBOOKS} == WANTED


@pytest.mark.parametrize("path", tool.NOTEBOOKS, ids=lambda path: path.stem)
def test_the_file_shows_outputs_and_one_switch_to_the_real_api(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shown = tool.outputs_of(notebook)
    assert sum(bool(texts) for _, texts in shown) >= 4
    assert not [text for _, texts in shown for text in texts if text.startswith(("error", "stderr"))]
    assert sum("LIVE = False" in source for source, _ in shown) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", tool.NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_prints_what_the_file_shows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLMCACHE_URL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert tool.outputs_of(tool.executed(path)) == tool.outputs_of(nbformat.read(path, as_version=4))
