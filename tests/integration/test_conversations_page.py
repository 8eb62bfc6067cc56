"""The code on the page about conversations runs, and says what its comments say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcache_plugins.testing import FakeAnthropic

PAGE = (Path(__file__).parents[2] / "docs" / "conversations.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=["alone", "resolver"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the page closes no client
def test_a_block_prints_what_its_comments_say(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeAnthropic() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
        exec(compile(code, "conversations.md", "exec"), {"__name__": "conversations"})
    said = [line.rpartition("# ")[2].partition(":")[0] for line in code.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said
