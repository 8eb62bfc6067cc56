"""The questions of people who had not read the guards, through the public cache at its default settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmcache_plugins.evaluation import Progress, open_replay_cache, read_file, replay_pairs, score_pairs
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Hit

__all__ = ["BLIND", "run_blind"]

_FOLDER = Path(__file__).parent
BLIND = {"first": _FOLDER / "blind.jsonl", "second": _FOLDER / "blind2.jsonl"}
"""Fifty look-alikes and fifty rewordings each; the order is that in which they were written."""


def run_blind(embedder: Embedder, progress: Callable[[str], Progress]) -> dict[str, Any]:
    """Set -> its rates, and the look-alikes that were served: id, stored question, asked question."""
    return {name: _run(path, embedder, progress(path.name)) for name, path in BLIND.items()}


def _run(path: Path, embedder: Embedder, progress: Progress) -> dict[str, Any]:
    rows = read_file(path).pairs
    with open_replay_cache(embedder, rows=len(rows)) as cache:
        outcomes = replay_pairs(cache, [(row.a, row.b) for row in rows], progress)
    hits = [isinstance(outcome, Hit) for outcome in outcomes]
    wrong = [[row.id, row.a.text, row.b.text] for row, hit in zip(rows, hits, strict=True) if hit and row.label == 0]
    return {**score_pairs(rows, hits).all.as_json(), "wrong": wrong}
