"""The trees of a calibration, evaluated all at once, say what a walk from root to leaf says."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.matching.calibration import Calibration
from llmcache_plugins.matching.evidence import EVIDENCE, EVIDENCE_VERSION

VALUES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 2.0])  # few: numbers often lie on a threshold


class Node(NamedTuple):
    """An inner node above the leaves from `first` to before `end`; what is left of `middle` is its left side."""

    first: int
    middle: int
    end: int
    place: int
    threshold: float


@st.composite
def trees(draw: st.DrawFn, leaves: int) -> list[Node]:
    """One tree of so many leaves, its inner nodes from the root on."""
    nodes, open_ranges = list[Node](), [(0, leaves)]
    while open_ranges:
        first, end = open_ranges.pop()
        if end - first > 1:
            middle = draw(st.integers(first + 1, end - 1))
            nodes.append(Node(first, middle, end, draw(st.integers(0, 2)), draw(VALUES)))
            open_ranges += [(middle, end), (first, middle)]
    return nodes


def leaf_of(tree: list[Node], evidence: list[float]) -> int:
    nodes = {(node.first, node.end): node for node in tree}
    first, end = 0, len(tree) + 1
    while end - first > 1:
        node = nodes[first, end]
        first, end = (node.middle, end) if evidence[node.place] > node.threshold else (first, node.middle)
    return first


def calibration(forest: list[list[Node]], leaves: int) -> Calibration:
    content: dict[str, Any] = {
        "format": 1, "evidence_version": EVIDENCE_VERSION, "evidence": list(EVIDENCE), "embedder_ids": ["toy"],
        "version": "t", "guards_version": "1", "data_hash": "0", "floor": 0.7, "grey_from": 0.3, "baseline": 0.5,
        "features": [[node.place for node in tree] for tree in forest],
        "thresholds": [[node.threshold for node in tree] for tree in forest],
        "left_leaves": [[(1 << node.middle) - (1 << node.first) for node in tree] for tree in forest],
        "leaves": [[value_of(number, leaf) for leaf in range(leaves)] for number in range(len(forest))],
        "budgets": [[0.01, 0.9]], "record_budgets": [[0.01, 0.9]], "floors": [[0.5, 0.75]],
    }  # fmt: skip
    return Calibration(content)


def value_of(tree: int, leaf: int) -> float:
    return math.sin(100.0 * tree + leaf)


@given(st.data(), st.sampled_from([2, 7, 8, 9, 16, 17, 33, 64]), st.integers(1, 6))
def test_trees_say_what_a_walk_through_them_says(data: st.DataObject, leaves: int, count: int) -> None:
    forest = [data.draw(trees(leaves)) for _ in range(count)]
    evidence = [*data.draw(st.tuples(VALUES, VALUES, VALUES)), *[0.0] * (len(EVIDENCE) - 3)]
    score = 0.5 + sum(value_of(number, leaf_of(tree, evidence)) for number, tree in enumerate(forest))
    found = calibration(forest, leaves).probability(evidence)
    assert math.isclose(found, 1.0 / (1.0 + math.exp(-score)), rel_tol=1e-12)
