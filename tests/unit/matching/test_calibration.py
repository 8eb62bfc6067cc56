"""Calibrations: the shipped one, and what a wrong file says."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.matching.calibration import Calibration, calibration_for
from llmcache_plugins.matching.evidence import EVIDENCE, EVIDENCE_VERSION, asks_for_records
from llmcache_plugins.matching.guards import GUARDS_VERSION, judge

MINILM = "all-MiniLM-L6-v2/int8w/384/unit/acd657c560bc"


def small(**changes: Any) -> dict[str, Any]:
    """Two trees over the cosine: above 0.9 or not, and (three leaves) above 0.8 and 0.95 or not."""
    content: dict[str, Any] = {
        "format": 1, "evidence_version": EVIDENCE_VERSION, "evidence": list(EVIDENCE), "embedder_ids": ["toy"],
        "version": "t", "guards_version": "1", "data_hash": "0", "floor": 0.7, "grey_from": 0.3, "baseline": 0.0,
        "features": [[0, 0], [0, 0]], "thresholds": [[0.9, 1e300], [0.8, 0.95]], "left_leaves": [[1, 0], [1, 2]],
        "leaves": [[-1.0, 1.0, 0.0], [-2.0, 0.0, 2.0]], "budgets": [[0.01, 0.9], [0.05, 0.7]],
        "record_budgets": [[0.01, 0.97], [0.05, 0.8]],
        "floors": [[0.5, 0.75], [0.9, 0.85]],
    }  # fmt: skip
    return content | changes


def evidence(similarity: float) -> list[float]:
    return [similarity, *[0.0] * (len(EVIDENCE) - 1)]


@pytest.mark.parametrize(
    ("similarity", "score"), [(0.75, -3.0), (0.80, -3.0), (0.85, -1.0), (0.92, 1.0), (0.95, 1.0), (0.99, 3.0)]
)
def test_trees_add_up(similarity: float, score: float) -> None:
    confidence = Calibration(small()).probability(evidence(similarity))
    assert confidence == pytest.approx(1.0 / (1.0 + 2.718281828459045**-score))


def test_budgets_are_interpolated_and_shrink_below_the_smallest() -> None:
    calibration = Calibration(small())
    assert calibration.min_confidence(0.01) == pytest.approx(0.9)
    assert calibration.min_confidence(0.05) == calibration.min_confidence(0.4) == pytest.approx(0.7)
    assert 0.7 < calibration.min_confidence(0.02) < 0.9
    assert calibration.min_confidence(0.001) == pytest.approx(0.99)


def test_floor_rises_with_the_confidence_that_is_asked_for() -> None:
    calibration = Calibration(small())
    assert [calibration.floor_at(confidence) for confidence in (0.2, 0.6, 0.95)] == [0.7, 0.75, 0.85]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"evidence_version": "0"}, {"evidence": ["similarity"]}, {"budgets": []},
        {"thresholds": [[0.9], [0.8]]}, {"leaves": [[0.0] * 65, [0.0] * 65]},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="calibration"):
        Calibration(small(**change))


def test_only_known_embedders_have_one() -> None:
    assert calibration_for(None) is None
    assert calibration_for("other/384/unit") is None
    found = calibration_for(MINILM)
    assert found is not None
    assert found.embedder_id == MINILM


def test_shipped_calibration_was_fitted_behind_these_guards() -> None:
    found = calibration_for(MINILM)
    assert found is not None
    assert found.guards_version == GUARDS_VERSION, "fit the confidence again: training/fit_confidence.py"


def test_shipped_calibration_holds_numbers_only() -> None:
    text = (resources.files("llmcache_plugins.matching") / "calibrations" / "minilm_l6.json").read_text("utf-8")
    content = json.loads(text)
    words = [name for name in content if isinstance(content[name], str)]
    assert sorted(words) == ["data_hash", "evidence_version", "guards_version", "version"]


@pytest.mark.parametrize(
    ("asked", "stored", "similarity", "is_sure"),
    [
        ("How can I reset my router password?", "How do I reset my router password?", 0.97, True),
        ("please show the bgp status", "Show the BGP status", 0.96, True),
        ("How do I reset my router?", "How do I reset my router password?", 0.85, False),
        (
            "Which river is the longest in Texas?",
            "Which states does the longest river in Texas run through?",
            0.94,
            False,
        ),
    ],
)
def test_sure_of_rewordings_and_not_of_other_questions(
    asked: str, stored: str, similarity: float, is_sure: bool
) -> None:
    found = calibration_for(MINILM)
    assert found is not None
    confidence = found.confidence(asked, stored, similarity, (), judge(asked, stored))
    least = found.min_confidence_for_records if asks_for_records(stored) else found.min_confidence
    assert (confidence >= least(0.01)) is is_sure
