"""The blocks of docs/integrations.md about LangChain run, one after the other, and print what their comments say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.globals import set_llm_cache

from llmcache_plugins import open_cache, set_default_cache
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## LangChain\n.*?(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION[0] if SECTION else "", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as server, open_cache("memory://", embedder=FakeEmbedder()) as cache:
        for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"):
            monkeypatch.setenv(name, server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
        set_default_cache(cache)
        yield server
        set_llm_cache(None)
        set_default_cache(None)


def test_each_way_has_its_block() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("code", BLOCKS, ids=["set_llm_cache", "cached", "middleware"])
def test_block_prints_what_its_comments_say(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "integrations", "exec", dont_inherit=True), {"__name__": "integrations"})
    said = [line.rpartition("# ")[2].strip() for line in code.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said != []
