"""Policies whose threshold is learnt: what they take over from the policy below, and what follows the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmcache_plugins.matching import Policies, Policy, SimilarityPolicy
from llmcache_plugins.matching.adaptive import AdaptivePolicy, Learnt
from llmcache_plugins.matching.trust import NEVER
from llmcache_plugins.types import Request, Verdict


class Calibrated(Policy):
    """Sure from 0.9 without a verifier; with one from 0.8, and it is asked from 0.4 up to 0.97."""

    policy_id, floor, min_confidence, grey_from = "calibrated", 0.7, 0.8, 0.4
    max_error_rate = 0.01
    sure_from, silent_from, judge_from = 0.97, 0.9, 0.6

    def __init__(self) -> None:
        pass

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return similarity / 2

    def combine(self, confidence: float, score: float) -> float:
        return (confidence + score) / 2


def test_calibrated_threshold_is_the_one_to_begin_with() -> None:
    policy = AdaptivePolicy(Calibrated(), 0.02)
    assert (policy.min_confidence, policy.sure_from, policy.silent_from) == (0.8, 0.97, 0.9)
    assert (policy.floor, policy.grey_from, policy.judge_from, policy.max_error_rate) == (0.7, 0.4, 0.6, 0.02)


def test_plain_cosine_promises_nothing_to_begin_with() -> None:
    policy = AdaptivePolicy(SimilarityPolicy(0.95, 0.8), 0.02)
    assert policy.min_confidence == policy.sure_from == policy.silent_from == NEVER
    assert policy.grey_from == policy.floor == 0.8
    assert policy.max_error_rate == 0.02


def test_score_is_that_of_the_policy_below() -> None:
    learnt = Learnt(AdaptivePolicy(Calibrated(), 0.02), lambda policy: 0.5)
    assert learnt.confidence("a", "b", 0.9, (), ()) == 0.45
    assert learnt.combine(0.9, 0.5) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("threshold", "served_with_a_score", "without", "unread"),
    [(0.5, 0.5, 0.97, 0.9), (0.1, 0.4, 0.97, 0.9), (0.98, 0.98, 0.98, 0.98), (NEVER, NEVER, NEVER, NEVER)],
)
def test_verifier_is_asked_where_it_was_and_the_threshold_decides(
    threshold: float, served_with_a_score: float, without: float, unread: float
) -> None:
    learnt = Learnt(AdaptivePolicy(Calibrated(), 0.02), lambda policy: threshold)
    assert (learnt.min_confidence, learnt.sure_from, learnt.silent_from) == (served_with_a_score, without, unread)


@pytest.mark.parametrize("threshold", [0.85, 0.99])
def test_without_a_verifier_the_threshold_decides_alone(threshold: float) -> None:
    learnt = Learnt(AdaptivePolicy(SimilarityPolicy(0.95, 0.8), 0.02), lambda policy: threshold)
    assert learnt.min_confidence == learnt.sure_from == learnt.silent_from == threshold


def test_stored_question_of_a_stricter_type_has_its_own_threshold() -> None:
    policies = Policies(
        lambda budget: AdaptivePolicy(SimilarityPolicy(0.95, 0.8), budget),
        0.05,
        by_query_type={"status": 0.01, "never": 0.0},
        query_type_of=lambda text: text.split()[0],
    )
    policy = policies(Request("general question"))
    assert policy is not None
    learnt = Learnt(policy, lambda one: {0.05: 0.9, 0.01: 0.99}[one.max_error_rate or 0.0])
    assert learnt.for_stored("general one") is learnt
    stricter = learnt.for_stored("status one")
    assert stricter is not None
    assert (stricter.max_error_rate, stricter.min_confidence) == (0.01, 0.99)
    assert learnt.for_stored("never one") is None


def test_id_is_another_than_that_of_the_policy_below() -> None:
    """Aliases that it left are judged again."""
    policy = AdaptivePolicy(Calibrated(), 0.02)
    assert policy.policy_id == "adaptive 0.02 over calibrated"
    assert Learnt(policy, lambda one: 0.5).policy_id == policy.policy_id
