"""The block of docs/integrations.md about the Anthropic SDK runs, and prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import open_cache, set_default_cache
from llmcache_plugins.testing import FakeAnthropic

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## Anthropic SDK\n.*?(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION[0] if SECTION else "", flags=re.MULTILINE | re.DOTALL)


def test_the_block_prints_what_its_comments_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = BLOCKS
    with FakeAnthropic() as server, open_cache("memory://", embedder=None) as cache:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
        set_default_cache(cache)
        try:
            names: dict[str, Any] = {"__name__": "integrations"}
            exec(compile(code, "integrations", "exec", dont_inherit=True), names)
            names["client"].close()
        finally:
            set_default_cache(None)
        assert server.count() == 1
    said = [line.rpartition("# ")[2].strip() for line in code.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said != []
