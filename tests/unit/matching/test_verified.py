"""The second look: where a verifier is asked, what its score is worth, and what happens without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import ConfigError, Hit, Miss, deciding, open_cache
from llmcache_plugins.evaluation import LabelledPair, open_replay_cache, replay_pairs
from llmcache_plugins.evaluation.tune import tune
from llmcache_plugins.matching import VerifiedPolicy
from llmcache_plugins.matching.calibration import Calibration
from llmcache_plugins.matching.evidence import EVIDENCE, EVIDENCE_VERSION
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import FloatArray, Request

ASKED, STORED = "How do I list the routes?", "What shows the routes?"


def steps(feature: int, *steps: tuple[float, float]) -> dict[str, Any]:
    """One tree over one number: the value of the last step whose start is below it."""
    starts = [start for start, _ in steps[1:]]
    return {
        "baseline": 0.0,
        "features": [[feature] * len(starts)],
        "thresholds": [starts],
        "left_leaves": [[1 << at for at in range(len(starts))]],
        "leaves": [[value for _, value in steps]],
    }


def calibration(**changes: Any) -> Calibration:
    """By the cosine: up to 0.7 hopeless (0.05), up to 0.9 grey (0.5), above sure (0.95). A score counts the same."""
    verified: dict[str, Any] = {
        "verifier_id": "fake", "weights": [0.0, 1.0, 1.0], "judge_from": 0.3, "judge_grey_from": 0.15,
        "budgets": [[0.01, 0.9]], "grey_from": [[0.01, 0.4]], "sure_from": [[0.01, 0.93]],
    }  # fmt: skip
    return Calibration(
        {
            "format": 1, "evidence_version": EVIDENCE_VERSION, "evidence": list(EVIDENCE), "embedder_ids": ["fake"],
            "version": "t", "guards_version": "1", "data_hash": "0", "floor": 0.5, "grey_from": 0.3,
            **steps(0, (0.0, -3.0), (0.7, 0.0), (0.9, 3.0)), "budgets": [[0.01, 0.94]], "floors": [],
            "record_budgets": [[0.01, 0.94]],
            "verified": {**verified, **changes},
        }
    )  # fmt: skip


class FakeVerifier:
    verifier_id = "fake"
    is_local = True

    def __init__(self, score: float) -> None:
        self.score = score
        self.asked = 0

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        self.asked += len(pairs)
        return np.full(len(pairs), self.score, np.float32)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "calibration_for", lambda embedder_id: calibration())


def looked_up(similarity: float, verifier: Any, **settings: Any) -> Hit | Miss:
    groups = dict.fromkeys((ASKED, STORED), "routes")
    with open_cache(
        "memory://", embedder=FakeEmbedder(groups, similarity=similarity), verifier=verifier, **settings
    ) as cache:
        cache.update(STORED, "show ip route")
        found = cache.lookup(ASKED)
        assert isinstance(found, Hit | Miss)
        return found


@pytest.mark.parametrize(
    ("similarity", "score", "asked", "is_hit"),
    [
        (0.60, 0.99, 0, False),  # hopeless: not asked
        (0.80, 0.99, 1, True),
        (0.80, 0.10, 1, False),
        (0.95, 0.10, 0, True),  # sure: not asked
    ],
)
def test_the_verifier_is_asked_where_its_score_can_change_the_decision(
    similarity: float, score: float, asked: int, is_hit: bool
) -> None:
    verifier = FakeVerifier(score)
    found = looked_up(similarity, verifier)
    assert isinstance(found, Hit) is is_hit
    assert verifier.asked == asked


def test_a_hit_tells_the_score_and_the_confidence_with_it() -> None:
    found = looked_up(0.8, FakeVerifier(0.99))
    assert isinstance(found, Hit)
    assert found.evidence["verifier_score"] == pytest.approx(0.99)
    assert found.confidence == pytest.approx(0.99)  # 0.5 without a score says nothing


def test_a_verifier_that_breaks_costs_the_grey_hits_alone() -> None:
    class Broken(FakeVerifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            raise RuntimeError("down")

    assert isinstance(looked_up(0.8, Broken(1.0)), Miss)
    assert isinstance(looked_up(0.95, Broken(1.0)), Hit)


def test_another_verifier_is_taken_at_its_word() -> None:
    class Other(FakeVerifier):
        verifier_id = "other"

    assert isinstance(looked_up(0.8, Other(0.95)), Hit)
    assert isinstance(looked_up(0.8, Other(0.80)), Miss)


@pytest.mark.parametrize("mode", ["off", None])
def test_without_a_verifier_the_first_look_decides(mode: str | None) -> None:
    assert isinstance(looked_up(0.8, mode), Miss)
    assert isinstance(looked_up(0.95, mode), Hit)


def test_always_asks_about_what_is_sure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = FakeVerifier(0.1)
    monkeypatch.setattr(deciding, "OnnxVerifier", lambda: verifier)
    assert isinstance(looked_up(0.95, "always"), Miss)
    assert verifier.asked == 1


def test_grey_is_the_default_and_asks_the_shipped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = FakeVerifier(0.99)
    monkeypatch.setattr(deciding, "OnnxVerifier", lambda: verifier)
    assert isinstance(looked_up(0.8, "grey"), Hit)
    assert verifier.asked == 1


@pytest.mark.parametrize("settings", [{"similarity_threshold": 0.9}, {"use_guards": False}])
def test_always_is_refused_where_nothing_knows_what_a_score_is_worth(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="verifier='always' needs"):
        looked_up(0.8, "always", **settings)


def test_budgets_of_the_zone_are_interpolated() -> None:
    found = calibration(sure_from=[[0.01, 0.95], [0.05, 0.85]], grey_from=[[0.01, 0.4], [0.05, 0.2]])
    policy = VerifiedPolicy(found, 0.05)
    assert (policy.grey_from, policy.sure_from) == (0.2, 0.85)
    assert 0.2 < VerifiedPolicy(found, 0.02).grey_from < 0.4
    assert VerifiedPolicy(found, 0.02).policy_id != policy.policy_id


def test_with_a_judge_the_zone_begins_where_a_score_still_earns_its_attention() -> None:
    found = calibration()
    assert VerifiedPolicy(found, 0.01).grey_from == 0.4
    assert VerifiedPolicy(found, 0.01, has_judge=True).grey_from == 0.15
    assert VerifiedPolicy(calibration(judge_grey_from=0.7), 0.01, has_judge=True).grey_from == 0.4


def test_a_score_of_exactly_nothing_or_everything_is_a_number() -> None:
    verified = calibration().verified
    assert verified is not None
    assert 0.0 < verified.probability(0.5, 0.0) < verified.probability(0.5, 1.0) < 1.0
    assert 0.0 < verified.probability(0.0, 0.0) < verified.probability(1.0, 1.0) < 1.0


@pytest.mark.parametrize("score", [0.99, 0.1])
def test_tune_decides_with_the_verifier_that_a_cache_would_ask(monkeypatch: pytest.MonkeyPatch, score: float) -> None:
    monkeypatch.setattr(deciding, "OnnxVerifier", lambda: FakeVerifier(score))
    embedder = FakeEmbedder(dict.fromkeys((ASKED, STORED), "routes"), similarity=0.8)
    pairs = [LabelledPair(id=str(at), a=Request(STORED), b=Request(ASKED), label=at % 2) for at in range(24)]
    hits = {}
    for trial in tune(pairs, embedder).trials:
        with open_replay_cache(embedder, rows=len(pairs), **trial.setting.arguments) as cache:
            outcomes = replay_pairs(cache, [(one.a, one.b) for one in pairs])
        assert trial.counts.right + trial.counts.wrong == sum(isinstance(one, Hit) for one in outcomes)
        hits[str(trial.setting)] = trial.counts.right
    assert hits["max_error_rate=0.01"] == (12 if score > 0.5 else 0)


@pytest.mark.parametrize("weights", [[0.0, 1.0], [0.0, 1.0, -1.0], [0.0, 0.0, 1.0]])
def test_damaged_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="damaged"):
        calibration(weights=weights)
