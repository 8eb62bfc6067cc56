"""`explain`: says what a lookup would do and why, and leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import Entry, Hit, Request, SemanticCache, Verdict, open_cache
from llmcache_plugins.engine.explanation import Explanation
from llmcache_plugins.protocols import Event
from llmcache_plugins.testing import FakeEmbedder
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


def test_explanation_without_an_embedder(explain: Explain) -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.update(STORED, "x")
        told = explain(cache, ASKED)
        assert (told.outcome, told.embedder_id, told.candidates) == ("miss (no_embedder)", None, ())


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


def named(guard: Any) -> Any:
    guard.name = guard.__name__
    return guard
