"""The block of docs/integrations.md about OpenAI-compatible models runs, and prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcache_plugins import open_cache, set_default_cache

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## OpenAI-compatible models\n.*?(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION[0] if SECTION else "", flags=re.MULTILINE | re.DOTALL)


def test_the_block_prints_what_its_comments_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = BLOCKS
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with open_cache("memory://", embedder=None) as cache:
        set_default_cache(cache)
        try:
            exec(compile(code, "integrations", "exec", dont_inherit=True), names := {"__name__": "integrations"})
            names["llm"]._get_client().close()
        finally:
            set_default_cache(None)
    said = [line.rpartition("# ")[2].strip() for line in code.splitlines() if line.lstrip().startswith("print(")]
    assert capsys.readouterr().out.splitlines() == said != []


@pytest.mark.parametrize("heading", re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE))
def test_code_stands_only_where_it_is_run(heading: str) -> None:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tested = ("LangChain", "LlamaIndex", "Anthropic SDK", "OpenAI-compatible models")
    assert heading in tested or "```python" not in section
