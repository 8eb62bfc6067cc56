"""Scores on cases counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins import Request
from llmcache_plugins.evaluation import Interval, LabelledPair, LabelledRequest, Rate, score_pairs, score_stream


def pair(label: int, **fields: Any) -> LabelledPair:
    return LabelledPair(id="", a=Request("a"), b=Request("b"), label=label, **fields)


def request(label: str, seen: str = "new") -> LabelledRequest:
    return LabelledRequest(id="", request=Request("q"), label=label, seen=seen)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval_agrees_with_published_values(count: int, total: int, low: float, high: float) -> None:
    interval = Rate(count, total).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


def test_nothing_counted_says_nothing() -> None:
    assert Rate(0, 0).value == 0.0
    assert Rate(0, 0).interval == Interval(0.0, 1.0)


def test_pairs_by_hand() -> None:
    rows = [pair(1), pair(1), pair(1), pair(0), pair(0)]
    scores = score_pairs(rows, [True, True, False, True, False]).as_json()
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["wrong_hit_rate"] == pytest.approx(1 / 2)
    assert scores["error_rate"] == pytest.approx(1 / 5)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["rows"] == 5
    assert scores["counts"] == {"right": 2, "missed": 1, "wrong": 1, "refused": 1}
    assert scores["fractions"]["recall"] == [2, 3]


def test_every_rate_has_its_interval_around_it() -> None:
    scores = score_pairs([pair(1), pair(0)], [True, False]).as_json()
    for name in ("recall", "wrong_hit_rate", "error_rate", "precision"):
        low, high = scores["intervals"][name]
        assert low <= scores[name] <= high


def test_ambiguous_rows_are_apart() -> None:
    rows = [pair(1), pair(0, ambiguous="language_policy"), pair(0, ambiguous="language_policy")]
    scores = score_pairs(rows, [True, True, False]).as_json()
    assert scores["rows"] == 1
    assert scores["wrong_hit_rate"] == 0.0
    assert scores["ambiguous"]["language_policy"]["wrong_hit_rate"] == 0.5


def test_mean_over_families_is_plain_and_leaves_controls_out() -> None:
    rows = [pair(0, family="unit")] + [pair(0, family="number")] * 4 + [pair(1, family="control")]
    scores = score_pairs(rows, [True, True, False, False, False, True]).as_json()
    assert scores["mean_wrong_hit_rate"] == pytest.approx((1.0 + 0.25) / 2)
    assert scores["wrong_hit_rate"] == pytest.approx(2 / 5)
    assert scores["by_family"]["control"]["recall"] == 1.0


def test_breakdowns_name_what_the_rows_name() -> None:
    rows = [pair(1, source="s", kind="k", lang="en"), pair(0, source="t", kind="far", lang="de")]
    scores = score_pairs(rows, [True, False]).as_json()
    assert set(scores["by_source"]) == {"s", "t"}
    assert scores["by_kind"]["k"]["recall"] == 1.0
    assert scores["by_lang"]["de"]["counts"]["refused"] == 1
    assert "by_family" not in scores


def test_paraphrases_with_other_numbers_are_also_given_apart() -> None:
    rows = [pair(1, kind="paraphrase_numdiff"), pair(1, kind="paraphrase")]
    scores = score_pairs(rows, [False, True]).as_json()
    assert scores["recall"] == 0.5
    assert scores["paraphrase_numdiff"]["recall"] == 0.0
    assert scores["without_paraphrase_numdiff"]["recall"] == 1.0


def test_stream_by_hand() -> None:
    rows = [
        request("x"),
        request("y"),
        request("x", "variant"),
        request("y", "variant"),
        request("x", "variant"),
        request("x", "exact"),
    ]
    scores = score_stream(rows, [None, None, 0, 0, None, 0]).as_json()
    assert scores["hit_rate"] == pytest.approx(3 / 6)
    assert scores["error_rate"] == pytest.approx(1 / 6)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["variant_hit_rate"] == pytest.approx(2 / 3)
    assert scores["unjudged_rate"] == 0.0
    assert scores["counts"]["variants_right"] == 1


def test_hit_between_two_unknown_classes_is_unjudged() -> None:
    rows = [request("?a"), request("?b"), request("?a"), request("c"), request("?d")]
    scores = score_stream(rows, [None, 0, 0, 0, 3]).as_json()
    assert scores["unjudged_rate"] == pytest.approx(1 / 5)  # ?b from ?a
    assert scores["counts"]["right"] == 1  # ?a from ?a
    assert scores["counts"]["wrong"] == 2  # c from ?a, ?d from c
    assert scores["hit_rate"] == pytest.approx(4 / 5)
    assert scores["precision"] == pytest.approx(1 / 3)


def test_outcomes_must_fit_the_rows() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        score_pairs([pair(1)], [])
