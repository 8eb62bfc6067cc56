"""The block of docs/integrations.md about LlamaIndex runs, and prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Settings

from llmcache_plugins import open_cache, set_default_cache
from llmcache_plugins.llama_index import uninstall
from llmcache_plugins.testing import FakeOpenAI

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## LlamaIndex\n.*?(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION[0] if SECTION else "", flags=re.MULTILINE | re.DOTALL)


def test_the_block_prints_what_its_comments_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = BLOCKS
    before = Settings._llm
    with FakeOpenAI() as server, open_cache("memory://", embedder=None) as cache:
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        set_default_cache(cache)
        names: dict[str, Any] = {"__name__": "integrations"}
        try:
            exec(compile(code, "integrations", "exec", dont_inherit=True), names)
            names["Settings"].llm._get_client().close()
        finally:
            set_default_cache(None)
            uninstall()
            Settings._llm = before
            names["get_dispatcher"]().event_handlers.remove(names["monitor"])
        assert server.count() == 1
    said = [line.rpartition("# ")[2].strip() for line in code.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said != []
