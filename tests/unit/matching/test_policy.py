"""Policies: what is sure enough, and which request has which error budget."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import (
    CacheConfig,
    ConfigError,
    Entry,
    Hit,
    Miss,
    Request,
    SemanticCache,
    Verdict,
    deciding,
    open_cache,
)
from llmcache_plugins.matching import ConfidencePolicy, Policies, SimilarityPolicy
from llmcache_plugins.matching.guards import DEFAULT_GUARDS
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import FloatArray


@dataclass
class FakeCalibration:
    """Sure of pairs that share their first letter; a smaller budget asks for more."""

    version: str = "7"
    verified: None = None
    for_records: float = 5.0

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return 0.97 if asked[:1] == stored[:1] else 0.6

    def min_confidence(self, max_error_rate: float) -> float:
        return 1.0 - 5 * max_error_rate

    def min_confidence_for_records(self, max_error_rate: float) -> float:
        return 1.0 - self.for_records * max_error_rate

    def grey_from(self, max_error_rate: float) -> float:
        return 0.5

    def floor_at(self, confidence: float) -> float:
        return confidence / 2


def budgets(calibration: FakeCalibration | None = None, **tables: Any) -> Policies:
    return Policies(
        lambda rate: ConfidencePolicy(calibration or FakeCalibration(), rate),
        0.01,
        query_type_of=lambda text: "status" if "status" in text else "general",
        root=("acme",),
        **tables,
    )


def test_a_stored_question_for_records_takes_more() -> None:
    listing, knowledge = "List all routers that have more than 3 links", "Why is the sky blue?"
    calibration = FakeCalibration(for_records=2.0)
    policy = ConfidencePolicy(calibration, 0.01, has_grey_zone=True)
    assert (policy.for_stored(knowledge) or policy).min_confidence == 0.95
    own = policy.for_stored(listing)
    assert own is not None
    assert (own.min_confidence, own.grey_from, own.max_error_rate) == (0.98, 0.5, 0.01)
    assert own.for_stored(listing) is own
    typed = budgets(calibration, by_query_type={"status": 0.002})(Request("what is this"))
    assert typed is not None
    both = typed.for_stored(listing + " by status")
    assert both is not None
    assert both.min_confidence == pytest.approx(0.996)
    least = [found.min_confidence for text in (listing, knowledge) if (found := typed.for_stored(text))]
    assert least == [0.98, 0.95]


def test_confidence_of_a_plain_cosine_is_the_cosine_clipped() -> None:
    policy = SimilarityPolicy(0.9)
    assert [policy.confidence("a", "b", cosine, (), ()) for cosine in (-0.2, 0.91, 1.0000002)] == [0.0, 0.91, 1.0]
    assert (policy.floor, policy.grey_from, policy.min_confidence) == (0.9, 0.9, 0.9)


def test_a_plain_cosine_may_have_a_grey_zone() -> None:
    policy = SimilarityPolicy(0.95, grey_from=0.8)
    assert (policy.floor, policy.grey_from, policy.min_confidence) == (0.8, 0.8, 0.95)
    assert policy.policy_id != SimilarityPolicy(0.95).policy_id


def test_a_smaller_budget_asks_for_more_confidence() -> None:
    strict, lax = (ConfidencePolicy(FakeCalibration(), rate) for rate in (0.005, 0.05))
    assert strict.min_confidence > lax.min_confidence
    assert strict.policy_id != lax.policy_id


def test_policy_id_changes_with_the_version_of_the_calibration() -> None:
    assert (
        ConfidencePolicy(FakeCalibration("1"), 0.01).policy_id != ConfidencePolicy(FakeCalibration("2"), 0.01).policy_id
    )


def test_grey_zone_never_ends_above_what_is_served() -> None:
    assert ConfidencePolicy(FakeCalibration(), 0.2).grey_from <= ConfidencePolicy(FakeCalibration(), 0.2).min_confidence


def test_the_verifier_has_the_last_word() -> None:
    assert SimilarityPolicy(0.9).combine(0.85, 0.3) == 0.3


@pytest.mark.parametrize(
    ("tables", "request_", "budget"),
    [
        ({}, Request("show status"), 0.01),
        ({"by_query_type": {"status": 0.002}}, Request("show status"), 0.002),
        ({"by_query_type": {"status": 0.002}}, Request("define BGP"), 0.01),
        ({"by_query_type": {"general": 0.05}}, Request("define BGP"), 0.05),  # a larger one than the default counts too
        ({"by_namespace": {("acme",): 0.03}}, Request("q", namespace=("t1",)), 0.03),
        ({"by_namespace": {("acme",): 0.03, ("acme", "t1"): 0.04}}, Request("q", namespace=("t1", "x")), 0.04),
        ({"by_namespace": {("acme", "t1"): 0.04}}, Request("q", namespace=("t11",)), 0.01),
        ({"by_namespace": {("t1",): 0.04}}, Request("q", namespace=("t1",)), 0.01),  # the cache's own part is missing
        ({"by_namespace": {(): 0.02}}, Request("q"), 0.02),
        ({"by_namespace": {("acme",): 0.03}, "by_query_type": {"status": 0.002}}, Request("status"), 0.002),
        ({"by_namespace": {("acme",): 0.001}, "by_query_type": {"status": 0.002}}, Request("status"), 0.001),
    ],
)
def test_budget_of_a_request(tables: dict[str, Any], request_: Request, budget: float) -> None:
    policies = budgets(**tables)
    assert policies.budget_of(request_) == budget
    policy = policies(request_)
    assert policy is not None
    assert policy.max_error_rate == budget


def test_budget_of_zero_is_never_by_meaning() -> None:
    assert budgets(by_query_type={"status": 0})(Request("status")) is None


@pytest.mark.parametrize(
    ("tables", "asked", "stored", "budget"),
    [
        ({"status": 0.002}, "is it up", "status", 0.002),
        ({"status": 0.002}, "status", "is it up", 0.002),
        ({"status": 0.002}, "is it up", "define BGP", 0.01),
        ({"status": 0.05}, "is it up", "status", 0.01),
        ({"status": 0.002, "general": 0.001}, "is it up", "status", 0.001),
        ({"status": 0}, "is it up", "status", None),
    ],
)
def test_the_smaller_budget_of_the_asked_and_the_stored_question_counts(
    tables: dict[str, float], asked: str, stored: str, budget: float | None
) -> None:
    policy = budgets(by_query_type=tables)(Request(asked))
    assert policy is not None
    own = policy.for_stored(stored)
    assert (None if own is None else own.max_error_rate) == budget


def test_policy_id_changes_with_the_budgets_by_query_type() -> None:
    found = [budgets(by_query_type=table)(Request("define BGP")) for table in ({}, {"status": 0}, {"status": 0.002})]
    assert len({policy.policy_id for policy in found if policy is not None}) == 3


# ---------------------------------------------------------------------------------------------- through `open_cache`
GROUPS = {"what is the BGP status": "s", "show me how BGP fares": "s", "define BGP": "d", "say what BGP is": "d"}


def filled(**settings: Any) -> SemanticCache:
    cache = open_cache("memory://", embedder=FakeEmbedder(GROUPS), **settings)
    cache.update("show me how BGP fares", "up")
    cache.update("define BGP", "a protocol")
    return cache


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "calibration_for", lambda embedder_id: FakeCalibration())


@pytest.mark.usefixtures("calibrated")
def test_calibrated_embedder_is_decided_by_its_confidence() -> None:
    cache = open_cache("memory://", embedder=FakeEmbedder({"abc": "x", "axy": "x", "def": "x"}), max_error_rate=0.01)
    cache.update("abc", "1")
    cache.update("something else", "2")
    sure, unsure = cache.lookup("axy"), cache.lookup("def")
    assert isinstance(sure, Hit)
    assert sure.confidence == 0.97
    assert isinstance(unsure, Miss)
    assert unsure.reason == "low_confidence"
    assert unsure.near_misses[0].confidence == 0.6
    assert "calibration 7" in repr(cache)


@pytest.mark.usefixtures("calibrated")
def test_verifier_is_asked_where_the_calibrated_confidence_does_not_decide() -> None:
    class Sure:
        verifier_id = "sure"

        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            return np.full(len(pairs), 0.99, dtype=np.float32)

    embedder = FakeEmbedder({"abc": "x", "def": "x"})
    with open_cache("memory://", embedder=embedder, verifier=Sure()) as cache:
        cache.update("abc", "1")
        cache.update("something else", "2")
        served = cache.lookup("def")
        assert isinstance(served, Hit)
        assert served.confidence == served.verifier_score == pytest.approx(0.99)


@pytest.mark.usefixtures("calibrated")
def test_given_threshold_is_a_plain_cosine_even_for_a_calibrated_embedder() -> None:
    cache = open_cache("memory://", embedder=FakeEmbedder({"abc": "x", "def": "x"}), similarity_threshold=0.9)
    cache.update("abc", "1")
    cache.update("something else", "2")
    assert isinstance(cache.lookup("def"), Hit)
    assert "cosine 0.9" in repr(cache)


def test_embedder_without_calibration_is_decided_by_a_cosine_of_095() -> None:
    with filled() as cache:
        assert "cosine 0.95" in repr(cache)
        assert isinstance(cache.lookup("say what BGP is"), Hit)


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({}, logging.INFO),
        ({"max_error_rate_by_query_type": {"status": 0}}, logging.INFO),  # this one can be kept
        ({"max_error_rate": 0.02}, logging.WARNING),
        ({"max_error_rate_by_namespace": {"a": 0.02}}, logging.WARNING),
    ],
)
def test_budget_that_cannot_be_kept_is_a_warning(
    caplog: pytest.LogCaptureFixture, settings: dict[str, Any], level: int
) -> None:
    with caplog.at_level(logging.INFO), filled(**settings):
        [said] = [record for record in caplog.records if "no calibration" in record.message]
        assert said.levelno == level


def test_query_type_with_a_budget_of_zero_is_matched_exactly_only() -> None:
    with filled(max_error_rate_by_query_type={"status": 0}) as cache:
        outcome = cache.lookup("what is the BGP status")
        assert isinstance(outcome, Miss)
        assert (outcome.reason, outcome.detail) == ("exact_only", "budget")
        assert isinstance(cache.lookup("say what BGP is"), Hit)


class Saying:
    """A verifier and a judge that give everything the same probability."""

    verifier_id = "saying"

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        return np.full(len(pairs), self.probability, dtype=np.float32)

    def __call__(self, request: Request, entry: Entry) -> float:
        return self.probability


def test_stored_question_of_a_type_without_budget_answers_no_other_wording() -> None:
    groups = {"what is the BGP status": "s", "tell me how BGP fares": "s"}
    kinds: tuple[tuple[float, type], ...] = ((0, Miss), (0.01, Hit))
    for budget, kind in kinds:
        settings: dict[str, Any] = {
            "embedder": FakeEmbedder(groups),
            "max_error_rate_by_query_type": {"status": budget},
        }
        with open_cache("memory://", **settings) as cache:
            cache.update("what is the BGP status", "up")
            assert isinstance(cache.lookup("tell me how BGP fares"), kind)
            [said] = cache.explain("tell me how BGP fares").candidates
            assert said.reason == (None if kind is Hit else "exact_only")
            assert isinstance(cache.lookup("what is the BGP status"), Hit)


@pytest.mark.usefixtures("calibrated")
@pytest.mark.parametrize(
    ("budget", "said", "kind"),
    [  # the fake confidence of the two is 0.97; a budget of 0.01 asks for 0.95, one of 0.001 for 0.995
        (0.01, None, Hit),
        (0.001, None, Miss),
        (0.001, 0.99, Miss),
        (0.001, 0.999, Hit),
    ],
)
@pytest.mark.parametrize("asked", ["verifier", "judge"])
def test_stored_question_of_a_smaller_budget_is_held_to_it_whoever_is_asked(
    budget: float, said: float | None, kind: type, asked: str
) -> None:
    embedder = FakeEmbedder({"axy BGP status": "x", "axy BGP fares": "x"}, similarity=0.99)
    others: dict[str, Any] = {} if said is None else {asked: Saying(said)}
    with open_cache(
        "memory://", embedder=embedder, guards=DEFAULT_GUARDS, max_error_rate_by_query_type={"status": budget}, **others
    ) as cache:
        cache.update("axy BGP status", "up")
        assert isinstance(cache.lookup("axy BGP fares"), kind)


def test_alias_is_judged_again_when_the_budget_of_its_stored_question_becomes_zero(tmp_path: Path) -> None:
    groups = {"what is the BGP status": "s", "tell me how BGP fares": "s"}
    url = f"disk://{tmp_path}/cache.db"
    settings: dict[str, Any] = {"embedder": FakeEmbedder(groups)}
    with open_cache(url, **settings, max_error_rate_by_query_type={"status": 0.01}) as cache:
        cache.update("what is the BGP status", "up")
        assert isinstance(cache.lookup("tell me how BGP fares"), Hit)
    with open_cache(url, **settings, max_error_rate_by_query_type={"status": 0}) as cache:
        assert isinstance(cache.lookup("tell me how BGP fares"), Miss)


def test_namespace_with_a_budget_of_zero_is_matched_exactly_only() -> None:
    with open_cache(
        "memory://", embedder=FakeEmbedder(GROUPS), namespace="app", max_error_rate_by_namespace={("app", "bank"): 0}
    ) as cache:
        for tenant in ("bank", "shop"):
            cache.update(Request("define BGP", namespace=(tenant,)), "a protocol")
            cache.update(Request("something else", namespace=(tenant,)), "?")
        assert isinstance(cache.lookup(Request("say what BGP is", namespace=("shop",))), Hit)
        assert isinstance(cache.lookup(Request("say what BGP is", namespace=("bank",))), Miss)
        assert isinstance(cache.lookup(Request("define BGP", namespace=("bank",))), Hit)


def test_alias_made_under_a_larger_budget_is_judged_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(deciding, "calibration_for", lambda embedder_id: FakeCalibration())
    url, embedder = f"disk://{tmp_path}/c.db", FakeEmbedder({"abc": "x", "axy": "x"})
    with open_cache(url, embedder=embedder, max_error_rate=0.01) as cache:
        cache.update("abc", "1")
        cache.update("something else", "2")
        assert isinstance(cache.lookup("axy"), Hit)
    with open_cache(url, embedder=embedder, max_error_rate=0.001) as cache:
        assert isinstance(cache.lookup("axy"), Miss)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_error_rate": 0}, "max_error_rate must be a number above 0 and at most 0.5, not 0"),
        ({"max_error_rate": 0.6}, "max_error_rate"),
        ({"max_error_rate_by_query_type": {"status": -1}}, r"max_error_rate_by_query_type\['status'\]"),
        ({"max_error_rate_by_query_type": {"stratus": 0.1}}, "unknown query type stratus; known are"),
        ({"max_error_rate_by_query_type": ["status"]}, "must map names to error rates"),
        ({"max_error_rate_by_namespace": {"": 0.1}}, "namespace must be"),
        ({"max_error_rate_by_namespace": {"a": True}}, "max_error_rate_by_namespace"),
        ({"max_error_rate_by_query_type": {"status": 0}, "similarity_threshold": 0.9}, "exclude each other"),
        ({"max_error_rate_by_namespace": {"a": 0.1}, "similarity_threshold": 0.9}, "exclude each other"),
    ],
)
def test_wrong_budgets_are_refused_when_the_cache_is_opened(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_cache("memory://", embedder=None, **settings)


def test_settings_with_budgets_are_a_value() -> None:
    given = {"status": 0.0}
    config = CacheConfig(max_error_rate_by_query_type=given, max_error_rate_by_namespace={"a": 0.02})
    given["status"] = 0.4
    assert config.max_error_rate_by_query_type == {"status": 0.0}
    assert config.max_error_rate_by_namespace == {("a",): 0.02}
    assert hash(config) == hash(CacheConfig(max_error_rate_by_query_type={"status": 0.0}))
