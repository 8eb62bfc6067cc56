"""The aim of the guards: how many labelled English paraphrases each vetoes, in every part of the data, and which."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.guards import JUDGED, Judged, guard_vetoes, has_other_values, is_paraphrase, judged
from benchmarks.quality.material import Material, is_english, similarities
from benchmarks.quality.split import PARTS
from llmcache_plugins.evaluation import LabelledPair

__all__ = ["guard_aim", "write_vetoed"]


def guard_aim(material: Material) -> dict[str, Any]:
    """What each guard vetoes among paraphrases (by part, and in the whole), and, on the report part, among pairs whose
    values may differ."""
    parts = {part: list(_judged(material, part, is_paraphrase)) for part in PARTS}
    return {
        "near": JUDGED,
        "parts": {part: guard_vetoes(pairs) for part, pairs in parts.items()},
        "whole": guard_vetoes(pair for pairs in parts.values() for pair in pairs),
        "other values": guard_vetoes(_judged(material, "report", has_other_values)),
    }


def write_vetoed(material: Material, file: Path) -> int:
    """Write the paraphrases that a guard vetoes as JSON lines, to be read by people; how many these are.

    `guards` says what each guard that refused a pair found. Read those of the report part to judge the labels, not to
    change a guard: what is changed after them was fitted on the report part.
    """
    vetoed = [
        _as_json(pair, part)
        for part in reversed(PARTS)
        for pair in _judged(material, part, is_paraphrase)
        if pair.conflicts
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in vetoed), encoding="utf-8")
    return len(vetoed)


def _judged(material: Material, part: str, keep: Callable[[LabelledPair], bool]) -> Iterator[Judged]:
    rows = _rows(material, part)
    return judged(rows, similarities(material.embedder, rows).astype(np.float64), JUDGED, keep)


def _rows(material: Material, part: str) -> list[LabelledPair]:
    if part != "report":
        return list(material.rewordings[part])
    return [row for row in material.report["pairs"].pairs if row.label == 1 and is_english(row)]


def _as_json(pair: Judged, part: str) -> dict[str, Any]:
    return {
        "part": part,
        "guards": {verdict.guard: verdict.detail for verdict in pair.conflicts},
        "similarity": round(pair.similarity, 4),
        "id": pair.row.id,
        "source": pair.row.source,
        "kind": pair.row.kind,
        "a": pair.row.a.text,
        "b": pair.row.b.text,
    }
