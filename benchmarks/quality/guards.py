"""What each guard vetoes, and rightly or not, among pairs that are near enough to be judged."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.quality.pairs import PairRuns
from llmcache_plugins.matching.guards import DEFAULT_GUARDS, judge

__all__ = ["NEAR", "guard_vetoes"]

NEAR = 0.80


def guard_vetoes(runs: PairRuns) -> dict[str, Any]:
    """Guard -> how many pairs of either label it vetoes at a cosine of `NEAR` and above, and how many it vetoes alone;
    `all` for all guards together, `near` for how many pairs there are."""
    near, vetoed, alone = Counter[int](), Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for row, similarity in zip(runs.rows, runs.similarity, strict=True):
        if similarity < NEAR or row.ambiguous:
            continue
        near[row.label] += 1
        found = [verdict.guard for verdict in judge(row.b.text, row.a.text) if verdict.verdict == "conflict"]
        vetoed.update((guard, row.label) for guard in found)
        vetoed[("all", row.label)] += bool(found)
        if len(found) == 1:
            alone[(found[0], row.label)] += 1
    names = [guard.name for guard in DEFAULT_GUARDS]
    guards = {
        name: {
            "label 0": vetoed[(name, 0)],
            "label 1": vetoed[(name, 1)],
            "alone 0": alone[(name, 0)],
            "alone 1": alone[(name, 1)],
        }
        for name in [*names, "all"]
    }
    return {"near": {"label 0": near[0], "label 1": near[1]}, "guards": guards}
