"""From a score for each pair to what a threshold on it would do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Best", "Curve", "curve_of", "mean_over"]

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Best:
    """The loosest threshold that keeps wrong hits within a share of the rows of label 0, and what it catches.

    `right` of `positives` rows of label 1 hit, `wrong` of `negatives` rows of label 0.
    """

    threshold: float
    right: int
    positives: int
    wrong: int
    negatives: int


@dataclass(frozen=True, slots=True)
class Curve:
    """What every threshold does, the strictest first: counts of right and wrong hits at `thresholds[i]` and above.

    A score of -inf is never served.
    """

    thresholds: Scores
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    positives: int
    negatives: int

    @property
    def recall(self) -> Scores:
        return self.right / max(1, self.positives)

    @property
    def precision(self) -> Scores:
        return np.asarray(self.right / np.maximum(1, self.right + self.wrong), np.float64)

    @property
    def area(self) -> float:
        """Under precision over hit rate of label 1 (average precision); what is never served adds nothing."""
        steps = np.diff(self.recall, prepend=0.0)
        return float(np.sum(steps * self.precision))

    def best(self, most_wrong: float) -> Best:
        """The most hits with wrong hits at or under this share of label 0."""
        within = np.flatnonzero(self.wrong <= most_wrong * self.negatives)
        if len(within) == 0:
            return Best(float("inf"), 0, self.positives, 0, self.negatives)
        at = within[-1]
        return Best(
            float(self.thresholds[at]), int(self.right[at]), self.positives, int(self.wrong[at]), self.negatives
        )

    def points(self, most: int = 80) -> list[list[float]]:
        """[hit rate of label 1, precision, wrong-hit rate of label 0], evenly spaced, for a plot."""
        if len(self.thresholds) == 0:
            return []
        at = np.unique(np.linspace(0, len(self.thresholds) - 1, most).round().astype(int))
        wrong = self.wrong / max(1, self.negatives)
        rows = zip(self.recall[at], self.precision[at], wrong[at], strict=True)
        return [[round(float(x), 4) for x in row] for row in rows]


def curve_of(scores: Scores, labels: Labels) -> Curve:
    """The curve of a score; rows with one score are served together or not at all."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, sorted_labels = scores[order], labels[order]
    served = int(np.sum(np.isfinite(sorted_scores)))
    sorted_scores, kept = sorted_scores[:served], sorted_labels[:served]
    last = np.flatnonzero(np.append(np.diff(sorted_scores) != 0, True)) if served else np.array([], int)
    right, wrong = np.cumsum(kept == 1), np.cumsum(kept == 0)
    return Curve(sorted_scores[last], right[last], wrong[last], int(np.sum(labels == 1)), int(np.sum(labels == 0)))


def mean_over(scores: Scores, labels: Labels, families: Sequence[str], most_wrong: float) -> tuple[float, Best]:
    """The loosest threshold at which the plain mean of the families' wrong-hit rates is within `most_wrong`: that mean,
    and what all rows together do there."""
    names = np.array(families)
    groups = [np.sort(scores[(names == name) & (labels == 0)]) for name in sorted(set(families))]
    groups = [group for group in groups if len(group)]
    curve = curve_of(scores, labels)
    reached = np.array([_share_at(group, curve.thresholds) for group in groups]).mean(axis=0)
    within = np.flatnonzero(reached <= most_wrong)
    if len(within) == 0:
        return 0.0, Best(float("inf"), 0, curve.positives, 0, curve.negatives)
    at = within[-1]
    best = Best(
        float(curve.thresholds[at]), int(curve.right[at]), curve.positives, int(curve.wrong[at]), curve.negatives
    )
    return float(reached[at]), best


def _share_at(ascending: Scores, thresholds: Scores) -> Scores:
    return 1.0 - np.searchsorted(ascending, thresholds, side="left") / len(ascending)
