"""The table of docs/integrations.md: `python -m benchmarks.integrations` (`make integrations`).

Tables of packages that are not installed stay as they are: LlamaIndex's Anthropic class has an environment of its own.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from benchmarks.integrations.anthropic_shapes import anthropic_shapes
from benchmarks.integrations.langchain_shapes import langchain_shapes
from benchmarks.integrations.llama_index_shapes import has_anthropic, llama_index_shapes
from benchmarks.integrations.shapes import Row, tried
from benchmarks.report import table
from llmcache_plugins.testing import FakeAnthropic, FakeOpenAI

__all__ = ["block_of", "rows_by_block"]

_PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
_HEAD = (
    "switched on by",
    "call",
    "provider calls, first / again",
    "equal result",
    "pieces, first / again",
    "tokens reported, first / again",
)


def rows_by_block() -> dict[str, list[Row]]:
    """Name of the marker in the page -> what was tried. Only what is installed."""
    found: dict[str, list[Row]] = {}
    with FakeAnthropic() as server:
        if has_anthropic():  # beside an SDK that is older than the others' newest
            found["llama-index-anthropic"] = tried(server, llama_index_shapes(anthropic=True))
        else:
            found["langchain"] = tried(server, langchain_shapes())
            found["anthropic"] = tried(server, anthropic_shapes())
    if not has_anthropic():
        with FakeOpenAI() as server:
            found["llama-index"] = tried(server, llama_index_shapes(anthropic=False))
    return found


def block_of(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    return table(_HEAD, [_cells(row) for row in rows])


def _cells(row: Row) -> list[str]:
    pieces = ["-" if seen.pieces is None else str(seen.pieces) for seen in (row.cold, row.again)]
    tokens = ["-" if seen.tokens is None else str(seen.tokens) for seen in (row.cold, row.again)]
    return [
        row.shape.plugin,
        f"`{row.shape.call}`",
        " / ".join(map(str, row.calls)),
        "yes" if row.is_equal else "**no**",
        _pair(row.cold.pieces is None, pieces),
        _pair(row.cold.tokens is None and row.again.tokens is None, tokens),
    ]


def _pair(is_nothing: bool, cells: list[str]) -> str:
    return "" if is_nothing else " / ".join(cells)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Try every call shape twice, and write the tables of docs/integrations.md."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a row is not as it should be")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # the frameworks' own
    found = rows_by_block()
    page = _PAGE.read_text(encoding="utf-8")
    wrong = [(name, row) for name, rows in found.items() for row in rows if not row.is_right]
    for name, row in wrong:
        print(f"{name}: {row.shape.plugin} {row.shape.call}: {row.calls}, {row.cold} {row.again}")
    for name, rows in found.items():
        print(f"{name}: {len(rows)} call shapes")
        marked = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        page = re.sub(marked, lambda m, rows=rows: f"{m[1]}{block_of(rows)}\n{m[2]}", page, flags=re.DOTALL)
    if not arguments.check:
        _PAGE.write_text(page, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
