"""Boosted regression trees: numbers in, a probability out. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmcache_plugins.errors import ConfigError

__all__ = ["Trees"]

_MOST_LEAVES = 64  # of one tree: its leaves are the bits of one integer


class Trees:
    """The sum of a few hundred small trees, through the logistic function. Safe to share between threads.

    The trees are evaluated all at once: the inner nodes that turn right cross out the leaves to their left, and the
    first leaf that is left of each tree is its answer (C. Lucchese et al., "QuickScorer", SIGIR 2015). All leaves of
    all trees are the bits of one integer here. The nodes of one number turn right in the order of their thresholds, so
    that for each number one search finds the leaves that its nodes leave, worked out beforehand.

    Args:
        content: `features`, `thresholds` and `left_leaves` of shape (trees, inner nodes), `leaves` of shape (trees,
            leaves) and `baseline`, as `training/fit_confidence.py` writes them.

    Raises:
        ConfigError: the shapes do not fit together.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._baseline = float(content["baseline"])
        features = np.array(content["features"], np.intp)
        thresholds = np.array(content["thresholds"], np.float64)
        crossed_out = np.array(content["left_leaves"], np.uint64)
        leaves = np.array(content["leaves"], np.float64)
        if not features.shape == thresholds.shape == crossed_out.shape:
            raise ConfigError("this calibration is damaged: its trees differ in size")
        if leaves.ndim != 2 or leaves.shape[1] > _MOST_LEAVES:
            raise ConfigError("this calibration is damaged: no trees, or too many leaves")
        trees, width = leaves.shape[0], next(width for width in (8, 16, 32, 64) if width >= leaves.shape[1])
        self._bits = np.dtype(f"<u{width // 8}")  # the leaves of one tree, the first one lowest
        self._bytes = trees * width // 8
        self._all = (1 << trees * width) - 1
        self._firsts = self._all // ((1 << width) - 1)  # the lowest bit of each tree
        self._splits = tuple(_splits_of(features, thresholds, crossed_out, width, self._all))
        self._leaves = leaves.ravel()
        self._starts = np.arange(trees) * leaves.shape[1]

    def probability(self, numbers: Sequence[float]) -> float:
        """In (0, 1), from one number for each feature."""
        left = self._all
        for place, thresholds, kept in self._splits:
            left &= kept[bisect_left(thresholds, float(numbers[place]))]
        lowest = left & ~(left - self._firsts)  # no tree borrows from the next: each has a leaf left
        bits = np.frombuffer(lowest.to_bytes(self._bytes, "little"), self._bits)
        leaves = self._starts + np.log2(bits, dtype=np.float64).astype(np.intp)
        score = self._baseline + float(self._leaves[leaves].sum())
        return 1.0 / (1.0 + math.exp(-score))


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
