"""`explain`: says what a lookup would do and why, and leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import CacheConfig, Entry, Hit, Miss, Request, SemanticCache, Tier, Verdict, open_cache
from llmcache_plugins.engine import Rules
from llmcache_plugins.engine.explaining import Peek
from llmcache_plugins.engine.explanation import Explanation
from llmcache_plugins.engine.meaning import Neighbours
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.recorded import Event
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import FloatArray

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
Explain = Callable[[SemanticCache, str | Request], Explanation]


@pytest.fixture(params=["sync", "async"])
def explain(request: pytest.FixtureRequest) -> Explain:
    if request.param == "sync":
        return lambda cache, question: cache.explain(question)
    return lambda cache, question: asyncio.run(cache.aexplain(question))


def opened(similarity: float = 0.98, **parts: Any) -> SemanticCache:
    embedder = FakeEmbedder(dict.fromkeys((ASKED, STORED, "BGP states of 2"), "bgp"), similarity=similarity)
    cache = open_cache("memory://", embedder=embedder, **parts)
    cache.update(STORED, "Idle, ...")
    return cache


def test_explanation_of_a_hit_by_meaning(explain: Explain) -> None:
    with opened() as cache:
        told = explain(cache, ASKED)
        assert (told.outcome, told.matched, told.is_hit) == ("hit (semantic)", STORED, True)
        assert (told.exact, told.normalised) == (None, None)
        [candidate] = told.candidates
        assert (candidate.question, candidate.reason) == (STORED, None)
        assert candidate.similarity == candidate.confidence == pytest.approx(0.98, abs=0.01)
        served = cache.lookup(ASKED)
        assert isinstance(served, Hit)
        assert (served.kind, served.confidence) == ("semantic", told.confidence)


def test_explaining_leaves_no_trace(explain: Explain) -> None:
    heard: list[Event] = []
    with opened(recorders=[heard.append]) as cache:
        heard.clear()
        for question in (ASKED, ASKED, STORED, "what are the bgp states"):
            explain(cache, question)
        assert heard == []
        assert cache.stats().lookups == 0
        served = cache.lookup(ASKED)
        assert isinstance(served, Hit)
        assert (served.kind, served.access_count) == ("semantic", 1)  # no alias was made, no access counted


def test_explanation_of_known_wordings(explain: Explain) -> None:
    with opened() as cache:
        assert explain(cache, STORED).exact == "exact"
        assert explain(cache, "what are the bgp STATES").normalised == STORED
        cache.lookup(ASKED)
        told = explain(cache, ASKED)
        assert (told.outcome, told.exact) == ("hit (alias)", "alias")
        assert [candidate.question for candidate in told.candidates] == [STORED]  # what meaning alone would say


def test_explanation_names_every_veto_with_its_details(explain: Explain) -> None:
    with opened() as cache:
        cache.update("else", "x")
        told = explain(cache, "BGP states of 2")
        assert told.outcome == "miss (guard_conflict)"
        candidate = told.candidates[0]
        assert candidate.reason == "guard_conflict"
        assert "numbers: conflict 2 / nothing" in str(told)
        assert told.candidates[1].reason == "below_threshold"


def test_explanation_says_which_policy_decides(explain: Explain) -> None:
    with opened() as cache:
        policy = explain(cache, ASKED).policy
        assert policy is not None
        assert (policy.floor, policy.min_confidence, policy.is_calibrated) == (0.95, 0.95, False)
        assert "not calibrated" in str(explain(cache, ASKED))


@pytest.mark.parametrize(
    ("request_", "detail"),
    [(Request(ASKED, exact_only="agent_step"), "agent_step"), (Request("status of BGP"), "budget")],
)
def test_explanation_of_what_is_matched_exactly_only(explain: Explain, request_: Request, detail: str) -> None:
    with opened(max_error_rate_by_query_type={"status": 0}) as cache:
        told = explain(cache, request_)
        assert (told.outcome, told.detail, told.policy) == ("miss (exact_only)", detail, None)
        assert told.candidates == ()
        assert "exact matches only" in str(told)


@pytest.mark.parametrize("request_", [Request(STORED.lower(), exact_only="agent_step"), Request("Status of BGP ?")])
def test_no_other_wording_is_shown_where_a_lookup_would_use_none(explain: Explain, request_: Request) -> None:
    with opened(max_error_rate_by_query_type={"status": 0}) as cache:
        cache.update("status of bgp", "x")
        assert isinstance(cache.lookup(request_), Miss)
        told = explain(cache, request_)
        assert (told.normalised, told.is_exact_only) == (None, True)


def test_text_that_the_embedder_does_not_read_is_matched_exactly_only(explain: Explain) -> None:
    class Short(FakeEmbedder):
        def fits(self, text: str) -> bool:
            return len(text) <= len(STORED)

    with open_cache("memory://", embedder=Short()) as cache:
        cache.update(STORED, "x")
        told = explain(cache, f" {STORED.lower()} ")
        assert (told.outcome, told.normalised, told.policy) == ("miss (unreadable)", None, None)
        assert "exact matches only" in str(told)


def test_explanation_without_an_embedder(explain: Explain) -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.update(STORED, "x")
        told = explain(cache, ASKED)
        assert (told.outcome, told.embedder_id, told.candidates) == ("miss (no_embedder)", None, ())
        assert told.policy is None
        assert "exact and normalised matches only" in str(told)
        assert "cosine 0" not in str(told)
        assert explain(cache, STORED.lower()).normalised == STORED


@pytest.mark.parametrize("parts", [{}, {"verifier": True}, {"judge": True}])
def test_grey_zone_is_shown_where_there_is_somebody_to_ask(explain: Explain, parts: dict[str, bool]) -> None:
    """Whatever the policy says of itself: without a verifier and a judge nobody is asked."""
    policy = SimilarityPolicy(0.9, grey_from=0.35)
    embedder, store = FakeEmbedder(), MemoryStore()
    rules = Rules(
        ("hot",),
        embedder.embedder_id,
        "p",
        lambda request: policy,
        lambda asked, stored: (),
        has_verifier="verifier" in parts,
        has_judge="judge" in parts,
    )
    cache = SemanticCache(
        [Tier("hot", store, AsyncStoreAdapter(store))],
        config=CacheConfig(),
        rules=rules,
        embedder=embedder,
        statistics=Statistics(),
        clock=FakeClock(),
    )
    assert ("asked about from 0.350" in str(explain(cache, ASKED))) is bool(parts)


class Half:
    verifier_id = "half"

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        return np.full(len(pairs), 0.85, dtype=np.float32)


def test_explanation_shows_the_verifier_and_does_not_ask_the_judge(explain: Explain) -> None:
    asked: list[Entry] = []

    def judge(request: Request, entry: Entry) -> bool:
        asked.append(entry)
        return True

    with opened(similarity=0.9, verifier=Half(), judge=judge) as cache:
        told = explain(cache, ASKED)
        assert (told.outcome, told.is_judge_wanted, asked) == ("miss (low_confidence)", True, [])
        assert told.candidates[0].verifier_score == pytest.approx(0.85)
        assert "judge:      would be asked" in str(told)


def test_explanation_shows_what_validators_reject_and_counts_nothing(explain: Explain) -> None:
    def stale(request: Request, entry: Entry) -> bool:
        return False

    with opened(validators=[stale]) as cache:
        told = explain(cache, ASKED)
        assert told.outcome == "miss (rejected)"
        assert (told.candidates[0].reason, told.candidates[0].rejection) == ("rejected", "stale")
        assert cache.stats().validated == 0


def test_explanation_says_what_was_reported(explain: Explain) -> None:
    with opened() as cache:
        cache.report_wrong(cache.lookup(ASKED))  # type: ignore[arg-type]
        cache.update(STORED, "stored anew")
        told = explain(cache, ASKED)
        assert (told.outcome, told.candidates[0].reason) == ("miss (reported)", "reported")


def test_questions_are_in_the_text_and_not_in_the_repr(explain: Explain) -> None:
    def quoting(asked: str, stored: str) -> Verdict:
        return Verdict("quoting", "agree", stored)

    with opened(guards=[named(quoting)]) as cache:
        told = explain(cache, ASKED)
        assert ASKED in str(told)
        assert STORED in str(told)
        assert "BGP" not in repr(told)


def test_no_text_and_no_vector_is_in_the_repr_of_what_is_on_the_way() -> None:
    assert "BGP" not in repr(Peek(scores={STORED: 0.5}, rejections={"k": STORED}))
    assert "0.25" not in repr(Neighbours((), np.array([0.25], dtype=np.float32)))


def named(guard: Any) -> Any:
    guard.name = guard.__name__
    return guard
