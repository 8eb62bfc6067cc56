"""The blocks of docs/rag.md run and print what their comments say."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "rag.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
# LlamaIndex imports LangChain's sunset package of integrations where it is installed, and its memory opens a database
# that nobody closes.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("code", BLOCKS, ids=["langchain", "llama_index", "documents"])
def test_block_prints_what_its_comments_say(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "rag", "exec", dont_inherit=True), {"__name__": "rag"})
    said = [line.rpartition("# ")[2].strip() for line in code.splitlines() if line.startswith("print(")]
    printed = capsys.readouterr().out.splitlines()
    gc.collect()  # what nobody closes goes here, and not in another test
    assert printed == said != []


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target
