"""Calibrations: from the evidence about a candidate to the probability that its answer is right. Pure.

A calibration is a small file of numbers: regression trees fitted by gradient boosting (`training/fit_confidence.py`)
and a table from error budgets to the least confidence that keeps them. It belongs to the vectors of certain embedders.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.matching.evidence import EVIDENCE, EVIDENCE_VERSION, evidence_of
from llmcache_plugins.types import Verdict

__all__ = ["Calibration", "calibration_for"]

_FILES = ("minilm_l6",)
_MOST_LEAVES = 64  # of one tree: its leaves are the bits of one integer


class Calibration:
    """A fitted confidence. Safe to share between threads; one confidence takes tens of microseconds.

    The trees are evaluated all at once: the inner nodes that turn right cross out the leaves to their left, and the
    first leaf that is left of each tree is its answer (C. Lucchese et al., "QuickScorer", SIGIR 2015). All leaves of
    all trees are the bits of one integer here. The nodes of one number turn right in the order of their thresholds, so
    that for each number one search finds the leaves that its nodes leave, worked out beforehand.

    Args:
        content: what `training/fit_confidence.py` wrote.

    Raises:
        ConfigError: the content is of another form, or was fitted on other evidence than this version makes.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        if content.get("format") != 1 or content.get("evidence_version") != EVIDENCE_VERSION:
            raise ConfigError("this calibration was fitted for another version of llmcache-plugins; fit it again")
        if tuple(content["evidence"]) != EVIDENCE:
            raise ConfigError("this calibration was fitted on other evidence; fit it again")
        self.embedder_ids = tuple(str(name) for name in content["embedder_ids"])
        self.version = str(content["version"])
        self.floor = float(content["floor"])
        self._floors = sorted((float(confidence), float(cosine)) for confidence, cosine in content["floors"])
        self.guards_version = str(content["guards_version"])
        self.data_hash = str(content["data_hash"])
        self._budgets = sorted((float(budget), float(least)) for budget, least in content["budgets"])
        self._grey = float(content["grey_from"])
        self._baseline = float(content["baseline"])
        features = np.array(content["features"], np.intp)  # (trees, inner nodes)
        thresholds = np.array(content["thresholds"], np.float64)
        crossed_out = np.array(content["left_leaves"], np.uint64)
        leaves = np.array(content["leaves"], np.float64)  # (trees, leaves)
        if not features.shape == thresholds.shape == crossed_out.shape:
            raise ConfigError("this calibration is damaged: its trees differ in size")
        if leaves.ndim != 2 or leaves.shape[1] > _MOST_LEAVES or not self._budgets:
            raise ConfigError("this calibration is damaged: no trees, no budgets or too many leaves")
        trees, width = leaves.shape[0], next(width for width in (8, 16, 32, 64) if width >= leaves.shape[1])
        self._bits = np.dtype(f"<u{width // 8}")  # the leaves of one tree, the first one lowest
        self._bytes = trees * width // 8
        self._all = (1 << trees * width) - 1
        self._firsts = self._all // ((1 << width) - 1)  # the lowest bit of each tree
        self._splits = tuple(_splits_of(features, thresholds, crossed_out, width, self._all))
        self._leaves = leaves.ravel()
        self._starts = np.arange(trees) * leaves.shape[1]

    @property
    def embedder_id(self) -> str:
        """The first of the embedders whose vectors it was fitted on."""
        return self.embedder_ids[0]

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        """P(the stored answer is right), in [0, 1]: given that no guard objects.

        Args:
            similarity: cosine of the two questions.
            others: cosines of the other candidates.
            verdicts: what the guards said.
        """
        return self.probability(evidence_of(asked, stored, similarity, others, verdicts))

    def probability(self, evidence: Sequence[float]) -> float:
        """The same from evidence that is at hand; one number for each name in `EVIDENCE`."""
        left = self._all
        for place, thresholds, kept in self._splits:
            left &= kept[bisect_left(thresholds, float(evidence[place]))]
        lowest = left & ~(left - self._firsts)  # no tree borrows from the next: each has a leaf left
        bits = np.frombuffer(lowest.to_bytes(self._bytes, "little"), self._bits)
        leaves = self._starts + np.log2(bits, dtype=np.float64).astype(np.intp)
        score = self._baseline + float(self._leaves[leaves].sum())
        return 1.0 / (1.0 + math.exp(-score))

    def min_confidence(self, max_error_rate: float) -> float:
        """The least confidence that keeps wrong hits / requests within `max_error_rate`, in (0, 1).

        Between the budgets that were measured it is interpolated; below the smallest, the share of doubt that may be
        served shrinks with the budget; above the largest it stays.
        """
        smallest, least = self._budgets[0]
        if max_error_rate <= smallest:
            return 1.0 - (1.0 - least) * max_error_rate / smallest
        budgets, confidences = zip(*self._budgets, strict=True)
        return float(np.interp(math.log(max_error_rate), np.log(budgets), confidences))

    def floor_at(self, confidence: float) -> float:
        """The cosine below which hardly a pair it was fitted on (1 in 100) had this much confidence: judging what lies
        below would nearly always be for nothing."""
        return max((cosine for least, cosine in self._floors if least <= confidence), default=self.floor)

    def grey_from(self, max_error_rate: float) -> float:
        """The confidence below which a verifier would hardly ever find the answer right."""
        return min(self._grey, self.min_confidence(max_error_rate))

    def __repr__(self) -> str:
        return f"Calibration({self.embedder_id!r}, version {self.version!r})"


def _splits_of(
    features: NDArray[np.intp],
    thresholds: NDArray[np.float64],
    crossed_out: NDArray[np.uint64],
    width: int,
    everything: int,
) -> Iterator[tuple[int, list[float], list[int]]]:
    """For each number that a tree looks at: its place, its thresholds in order, and the leaves that are left when none,
    the first, the first two, ... of them are below the number. A tree has `width` bits."""
    for place in sorted(set(features.ravel().tolist())):
        trees, nodes = np.nonzero(features == place)
        rows = zip(thresholds[trees, nodes].tolist(), trees.tolist(), crossed_out[trees, nodes].tolist(), strict=True)
        ordered: list[float] = []
        kept = [everything]
        for threshold, tree, leaves in sorted(rows):
            left = kept[-1] & ~(leaves << tree * width)
            if ordered and ordered[-1] == threshold:
                kept[-1] = left
            else:
                ordered.append(threshold)
                kept.append(left)
        yield place, ordered, kept


def calibration_for(embedder_id: str | None) -> Calibration | None:
    """The calibration of this embedder; None when it has none."""
    return _by_embedder().get(embedder_id or "")


@lru_cache(maxsize=1)
def _by_embedder() -> dict[str, Calibration]:
    folder = resources.files("llmcache_plugins.matching") / "calibrations"
    found = [Calibration(json.loads((folder / f"{name}.json").read_text("utf-8"))) for name in _FILES]
    return {name: calibration for calibration in found for name in calibration.embedder_ids}
