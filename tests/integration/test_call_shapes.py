"""The tables of docs/integrations.md are what is measured, and every line of them is as it should be."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path

import pytest

pytest.importorskip("langchain_anthropic")

from langchain_core.language_models import BaseChatModel

from benchmarks.integrations.__main__ import block_of, rows_by_block

PAGE = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
IS_NEWEST = hasattr(BaseChatModel, "stream_events")  # the tables are of what such versions can
HAS_ANTHROPIC = importlib.util.find_spec("llama_index.llms.anthropic") is not None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the frameworks' own, of a beta and of pydantic
def test_every_call_shape_is_answered_by_the_second_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    found = rows_by_block()
    assert set(found) == ({"llama-index-anthropic"} if HAS_ANTHROPIC else {"langchain", "anthropic", "llama-index"})
    for name, rows in found.items():
        assert [row for row in rows if not row.is_right] == [], name
        told = re.search(rf"<!-- begin {name} -->\n(.*?)\n<!-- end {name} -->", PAGE, flags=re.DOTALL)
        assert told is not None
        if IS_NEWEST:
            assert told[1] == block_of(rows), f"run `make integrations`: the table of {name} is another one"
