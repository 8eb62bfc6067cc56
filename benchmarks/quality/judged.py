"""What a judge would add: one that is always right, asked in the grey zone alone; and how often it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.quality.material import Material
from llmcache_plugins.evaluation import (
    LabelledPair,
    LabelledRequest,
    Progress,
    open_replay_cache,
    replay_pairs,
    replay_stream,
    score_pairs,
    score_stream,
)
from llmcache_plugins.types import Entry, Hit, Request

__all__ = ["judged_pairs", "judged_stream"]

_NO_LIMIT = 10**9


class _Oracle:
    """A judge that knows the labels, and counts how often it is asked."""

    judge_id = "labels"

    def __init__(self, truth: dict[tuple[str, str], bool]) -> None:
        self._truth = truth
        self.asked = 0

    def __call__(self, request: Request, entry: Entry) -> bool:
        self.asked += 1
        return self._truth.get((request.text, entry.text), False)


def judged_pairs(rows: Sequence[LabelledPair], material: Material, progress: Progress) -> dict[str, Any]:
    """Scores with the oracle as judge, and the share of the rows it was asked about."""
    oracle = _Oracle({(row.b.text, row.a.text): row.label == 1 for row in rows})
    settings: dict[str, Any] = {"verifier": material.verifier, "judge": oracle, "judge_limit": _NO_LIMIT}
    with open_replay_cache(material.embedder, rows=len(rows), **settings) as cache:
        outcomes = replay_pairs(cache, [(row.a, row.b) for row in rows], progress)
    scores = score_pairs(rows, [isinstance(outcome, Hit) for outcome in outcomes])
    return {**scores.all.as_json(), "asked": [oracle.asked, len(rows)]}


def judged_stream(rows: Sequence[LabelledRequest], material: Material, progress: Progress) -> dict[str, Any]:
    """The same for a stream, whose judge compares classes."""
    classes = {row.request.text: row.label for row in rows}
    oracle = _Classes(classes)
    settings: dict[str, Any] = {"verifier": material.verifier, "judge": oracle, "judge_limit": _NO_LIMIT}
    with open_replay_cache(material.embedder, rows=len(rows), **settings) as cache:
        served = [one.row for one in replay_stream(cache, [row.request for row in rows], progress)]
    return {**score_stream(rows, served).as_json(), "asked": [oracle.asked, len(rows)]}


class _Classes(_Oracle):
    """Two requests deserve the same answer when their classes are equal."""

    def __init__(self, classes: dict[str, str]) -> None:
        super().__init__({})
        self._classes = classes

    def __call__(self, request: Request, entry: Entry) -> bool:
        self.asked += 1
        return self._classes.get(request.text) == self._classes.get(entry.text, "")
