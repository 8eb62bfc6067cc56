"""What must hold of the evidence and the confidence whatever the two texts are."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.matching.calibration import calibration_for
from llmcache_plugins.matching.evidence import evidence_of

WORDS = st.sampled_from(
    [
        "how",
        "do",
        "i",
        "reset",
        "the",
        "bgp",
        "session",
        "on",
        "rtr-001",
        "rtr-002",
        "10.0.0.1",
        "Paris",
        "what",
        "is",
        "a",
        "and",
        "or",
        "vs",
        "cat",
        "mouse",
        "configure",
        "configuration",
        "daily",
        "5",
        "ms",
        "größe",
        "你好",
        "?",
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join))
COSINES = st.floats(-1.0, 1.0)
MINILM = calibration_for("all-MiniLM-L6-v2/int8w/384/unit/acd657c560bc")
assert MINILM is not None


@given(TEXTS, TEXTS, COSINES)
def test_evidence_is_symmetric_and_finite(left: str, right: str, similarity: float) -> None:
    found = evidence_of(left, right, similarity, (), ())
    assert found == evidence_of(right, left, similarity, (), ())
    assert all(math.isfinite(number) for number in found)


@given(TEXTS, TEXTS, COSINES, st.lists(COSINES, max_size=7))
def test_confidence_is_a_probability(left: str, right: str, similarity: float, others: list[float]) -> None:
    assert MINILM is not None
    assert 0.0 <= MINILM.confidence(left, right, similarity, others, ()) <= 1.0


@given(TEXTS, TEXTS, COSINES, COSINES)
def test_confidence_never_falls_with_the_cosine(left: str, right: str, one: float, other: float) -> None:
    assert MINILM is not None
    low, high = sorted((one, other))
    assert MINILM.confidence(left, right, low, (), ()) <= MINILM.confidence(left, right, high, (), ()) + 1e-12


@given(st.floats(0.0001, 0.5), st.floats(0.0001, 0.5))
def test_a_smaller_budget_asks_for_more_confidence(one: float, other: float) -> None:
    assert MINILM is not None
    small, large = sorted((one, other))
    assert 0.0 < MINILM.min_confidence(large) <= MINILM.min_confidence(small) < 1.0
    assert MINILM.grey_from(small) <= MINILM.min_confidence(small)
