"""The table of docs/security.md: `python -m benchmarks.abuse` (`make abuse`)."""

from __future__ import annotations

from pathlib import Path

from benchmarks.abuse.measure import Tried, disguised, injected, near_many
from benchmarks.report import table, with_blocks
from llmcache_plugins import open_cache
from llmcache_plugins.embedders import OnnxEmbedder

__all__ = ["block_of"]

_PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def block_of(rows: list[Tried]) -> str:
    """What stands between the marks of the page."""
    cells = [(row.kind, f"{row.tries:,}", f"{row.served:,}") for row in rows]
    return table(("what was tried", "tries", "served"), cells)


def main() -> None:
    embedder = OnnxEmbedder()
    with open_cache("memory://", embedder=embedder, maintenance="manual", max_entries=100_000) as cache:
        rows = [*disguised(cache), *injected(cache), *near_many(cache, embedder)]
    text = _PAGE.read_text(encoding="utf-8")
    _PAGE.write_text(with_blocks(text, {"tried": block_of(rows)}), encoding="utf-8")
    print(block_of(rows))


if __name__ == "__main__":
    main()
