"""Curves, the rules of other caches and the streams of the quality benchmark, on cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.curves import curve_of, mean_over
from benchmarks.quality.peers import FIXED, VerifiedEntry, VerifiedPolicy
from benchmarks.quality.streams import COSINES, Stream, one_cosine, pooled, replay_cosine, replay_verified
from llmcache_plugins import Request
from llmcache_plugins.evaluation import LabelledRequest, PreparedEmbedder, StreamScores, request_of
from llmcache_plugins.testing import FakeEmbedder

SCORES = np.array([0.9, 0.8, 0.8, 0.7, 0.6, -np.inf])
LABELS = np.array([1, 1, 0, 1, 0, 1])


def test_curve_counts_what_each_threshold_serves_and_ties_together() -> None:
    curve = curve_of(SCORES, LABELS)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.right.tolist() == [1, 2, 3, 3]
    assert curve.wrong.tolist() == [0, 1, 1, 2]
    assert (curve.positives, curve.negatives) == (4, 2)


def test_area_is_average_precision() -> None:
    assert curve_of(SCORES, LABELS).area == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)
    perfect = curve_of(np.array([0.9, 0.8, 0.1]), np.array([1, 1, 0]))
    assert perfect.area == pytest.approx(1.0)


@pytest.mark.parametrize(("most", "threshold", "right"), [(0.0, 0.9, 1), (0.49, 0.9, 1), (0.5, 0.7, 3), (1.0, 0.6, 3)])
def test_best_is_the_loosest_threshold_within_the_wrong_hits(most: float, threshold: float, right: int) -> None:
    best = curve_of(SCORES, LABELS).best(most)
    assert (best.threshold, best.right) == (threshold, right)


def test_best_serves_nothing_when_the_first_hit_is_wrong() -> None:
    assert curve_of(np.array([0.9, 0.8]), np.array([0, 1])).best(0.0).right == 0


def test_mean_over_families_weighs_families_alike() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.95])
    labels = np.array([0, 0, 0, 0, 1])
    families = ["a", "b", "b", "b", "control"]
    mean, best = mean_over(scores, labels, families, 0.5)
    assert mean == pytest.approx(0.5)  # all of a, none of b
    assert (best.threshold, best.right, best.wrong) == (0.9, 1, 1)


def rows_of(*requests: tuple[str, str]) -> list[LabelledRequest]:
    return [LabelledRequest(id="", request=Request(text), label=label) for text, label in requests]


def stream_of(*requests: tuple[str, str]) -> Stream:
    groups = {"hi": "greeting", "hello": "greeting", "hey": "greeting", "bye": "parting"}
    return Stream.of(rows_of(*requests), PreparedEmbedder(FakeEmbedder(groups)))


def test_cosine_rule_serves_the_nearest_stored_row() -> None:
    stream = stream_of(("hi", "x"), ("bye", "y"), ("hello", "x"), ("bye", "y"), ("hey", "x"))
    assert replay_cosine(stream, 0.9) == [None, None, 0, 1, 0]
    assert replay_cosine(stream, 0.999) == [None, None, None, 1, None]


def test_text_that_does_not_fit_is_matched_exactly_only() -> None:
    long = "a" * 2000
    assert replay_cosine(stream_of((long, "x"), (long + "b", "x"), (long, "x")), 0.1) == [None, None, 0]


def test_another_history_is_another_scope_unless_the_last_turn_stands_alone() -> None:
    def chat(text: str) -> Request:
        return request_of({"messages": [{"role": "system", "content": text}, {"role": "user", "content": "hi"}]})

    rows = [LabelledRequest(id="", request=chat(text), label="x") for text in ("one", "two")]
    embedder = PreparedEmbedder(FakeEmbedder())
    assert replay_cosine(Stream.of(rows, embedder), 0.9) == [None, None]
    assert replay_cosine(Stream.of(rows, embedder, last_turn_alone=True), 0.9) == [None, 0]


def test_fixed_peers_have_their_published_thresholds() -> None:
    assert {peer.cosine for peer in FIXED} == {0.6, 0.8, 0.9}
    assert [peer.name for peer in FIXED if peer.reads_last_turn_alone] == ["GPTCache (cosine 0.60)"]


def test_verified_entry_learns_where_its_answer_is_right() -> None:
    entry, unlearnt = VerifiedEntry(), VerifiedEntry()
    for similarity, is_right in ((0.95, True), (0.9, True), (0.6, False), (0.5, False), (0.92, True), (0.65, False)):
        entry.observe(similarity, is_right)
    assert entry.surely_right(0.98) > unlearnt.surely_right(0.98)
    assert entry.surely_right(0.55) < unlearnt.surely_right(0.55)
    assert entry.surely_right(0.95) > entry.surely_right(0.8) > entry.surely_right(0.65)


def test_verified_policy_explores_more_under_a_smaller_budget() -> None:
    entry = VerifiedEntry()
    for similarity, is_right in ((0.95, True), (0.7, False), (0.9, True), (0.6, False)):
        entry.observe(similarity, is_right)
    strict, loose = (VerifiedPolicy(delta).explore_probability(entry, 0.88) for delta in (0.01, 0.05))
    assert 0.0 < loose < strict < 1.0


def test_verified_replay_serves_a_repeat_once_it_has_learnt() -> None:
    served = replay_verified(stream_of(*[("hi", "x")] * 60), 0.05)
    assert served[0] is None
    assert set(served[1:]) == {None, 0}
    assert served[40:].count(0) > served[:20].count(0)


def scores(requests: int, right: int, wrong: int) -> StreamScores:
    return StreamScores(
        requests=requests, right=right, wrong=wrong, unjudged=0, variants=0, variants_hit=0, variants_right=0
    )


def test_hint3_is_pooled_and_unscored_streams_are_left_out() -> None:
    found = pooled(
        {"hint3_curekart": scores(90, 9, 0), "hint3_sofmattress": scores(10, 0, 1), "querylog": scores(5, 5, 0)}
    )
    assert list(found) == ["hint3"]
    assert (found["hint3"].requests, found["hint3"].right, found["hint3"].wrong) == (100, 9, 1)


def test_one_cosine_must_hold_on_every_stream_from_there_on() -> None:
    def methods(wrong_below: float) -> dict[str, StreamScores]:
        found = {
            f"cosine {cosine:.3f}": scores(100, 50 if cosine < 0.97 else 20, 5 if cosine < wrong_below else 0)
            for cosine in COSINES
        }
        return {**found, "exact and normalised": scores(100, 1, 0)}

    threshold, mean = one_cosine({"hwu64": methods(0.90), "osschat": methods(0.975)})
    assert (threshold, mean) == (0.975, 0.20)
    never = {"hwu64": {**methods(0.9), "cosine 0.995": scores(100, 0, 9)}}
    assert one_cosine(never) == (1.0, 0.01)
