"""Choosing a setting by labelled pairs: each setting decides as a cache of that setting would."""

from __future__ import annotations

import random
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.evaluation import Interval, LabelledPair, open_replay_cache, replay_pairs, request_of
from llmcache_plugins.evaluation.tune import Setting, pairs_needed, recommend, settings_for, tune
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import Hit

CALIBRATED = "all-MiniLM-L6-v2/int8w/384/unit/acd657c560bc"
WORDINGS = ["How do I {} on {}?", "how can I {} on {}", "What is the way to {} on {}?", "Tell me how to {} on {}"]
TASKS = [
    "configure OSPF",
    "configure BGP",
    "enable telnet",
    "disable telnet",
    "reset the password",
    "upgrade the image",
]
DEVICES = ["a router", "rtr-001", "rtr-002", "the core switches in Berlin"]


def made_pairs(count: int) -> list[LabelledPair]:
    """Rewordings, look-alikes, exact repeats, and equal questions under unlike system prompts."""
    chance = random.Random(7)
    pairs = []
    for number in range(count):
        task, device = chance.choice(TASKS), chance.choice(DEVICES)
        other = chance.choice([(task, device), (chance.choice(TASKS), device), (task, chance.choice(DEVICES))])
        a, b = chance.choice(WORDINGS).format(task, device), chance.choice(WORDINGS).format(*other)
        label = int(other == (task, device))
        if number % 10 == 0:
            pairs.append(pair(number, in_chat("Be brief.", a), in_chat("Be rude.", b), 0))
        else:
            pairs.append(pair(number, a, b, label))
    return pairs


def in_chat(system: str, question: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": question}]}


def pair(number: int, a: Any, b: Any, label: int, **more: Any) -> LabelledPair:
    return LabelledPair(id=str(number), a=request_of(a), b=request_of(b), label=label, **more)


class CalibratedEmbedder(FakeEmbedder):
    """Vectors that the calibration of the default embedder takes for its own."""

    @property
    def embedder_id(self) -> str:
        return CALIBRATED


def near_embedder(pairs: list[LabelledPair], make: type[FakeEmbedder] = FakeEmbedder) -> FakeEmbedder:
    """Every question is near every other: all is left to thresholds and guards."""
    return make({request.text: "all" for one in pairs for request in (one.a, one.b)}, similarity=0.93, dimension=32)


@pytest.mark.parametrize("kind", ["lexical", "embedder", "calibrated"])
def test_every_setting_decides_as_a_cache_of_that_setting(kind: str) -> None:
    pairs = made_pairs(60)
    make = CalibratedEmbedder if kind == "calibrated" else FakeEmbedder
    embedder = LexicalMatcher() if kind == "lexical" else near_embedder(pairs, make)
    trials = tune(pairs, embedder).trials
    assert len({trial.counts for trial in trials}) > 4  # the settings differ on these pairs
    for trial in trials:
        with open_replay_cache(embedder, rows=len(pairs), **trial.setting.arguments) as cache:
            hits = [isinstance(one, Hit) for one in replay_pairs(cache, [(one.a, one.b) for one in pairs])]
        right = sum(hit and one.label == 1 for hit, one in zip(hits, pairs, strict=True))
        assert (trial.counts.right, trial.counts.wrong) == (right, sum(hits) - right), str(trial.setting)


def test_labels_change_no_hit() -> None:
    pairs = made_pairs(60)
    turned = [LabelledPair(id=one.id, a=one.a, b=one.b, label=1 - one.label) for one in pairs]
    for one, other in zip(tune(pairs, LexicalMatcher()).trials, tune(turned, LexicalMatcher()).trials, strict=True):
        assert (one.counts.right, one.counts.wrong) == (other.counts.wrong, other.counts.right)


def test_ambiguous_pairs_are_left_out() -> None:
    pairs = made_pairs(60)
    more = [*pairs, pair(99, "same words", "same words", 0, ambiguous="volatile_answer")]
    assert tune(more, LexicalMatcher()).trials == tune(pairs, LexicalMatcher()).trials


@pytest.mark.parametrize(("same", "other"), [(10, 9), (0, 30), (30, 0), (40, 4), (4, 40)])
def test_too_few_labels_are_refused(same: int, other: int) -> None:
    pairs = [pair(n, f"question {n}", f"question number {n}", int(n < same)) for n in range(same + other)]
    with pytest.raises(ConfigError, match=f"{same} of label 1 and {other} of label 0"):
        tune(pairs, LexicalMatcher())


@pytest.mark.parametrize("budget", [0.0, -1.0, 0.6, float("nan")])
def test_a_budget_out_of_range_is_refused(budget: float) -> None:
    with pytest.raises(ConfigError, match="max_error_rate"):
        tune(made_pairs(60), LexicalMatcher(), max_error_rate=budget)


def test_an_embedder_without_calibration_has_no_budgets_in_its_grid() -> None:
    assert not [one for one in settings_for(FakeEmbedder()) if one.max_error_rate is not None]
    assert [one for one in settings_for(LexicalMatcher()) if one.max_error_rate is not None]


def test_budgets_are_tried_where_a_calibration_keeps_them() -> None:
    embedder = CalibratedEmbedder()
    budgets = [one for one in settings_for(embedder) if one.max_error_rate is not None]
    assert len(budgets) > 3
    assert all(one.use_guards for one in budgets)  # without the guards a cosine decides, which has a row already
    assert [one.max_error_rate for one in budgets] == sorted(one.max_error_rate or 0.0 for one in budgets)


@pytest.mark.parametrize("embedder", [FakeEmbedder(), CalibratedEmbedder()])
def test_no_two_settings_decide_alike(embedder: Embedder) -> None:
    policies = [(one.use_guards, one.policy.policy_id) for one in settings_for(embedder) if one.policy]
    assert len(policies) == len(set(policies)) == len(settings_for(embedder))


def chosen(rows: dict[Setting, list[bool]], labels: list[int], budget: float = 0.1) -> Setting | None:
    found = recommend(list(rows), list(rows.values()), labels, [n % 5 for n in range(len(labels))], budget)
    return None if found is None else found.trial.setting


STRICT, LOOSE = Setting(similarity_threshold=0.95), Setting(similarity_threshold=0.8)
BARE = Setting(similarity_threshold=0.8, use_guards=False)


def test_the_most_right_hits_within_the_budget_are_recommended() -> None:
    labels = [1] * 10 + [0] * 10
    few, many = [n < 3 for n in range(20)], [n < 9 for n in range(20)]
    assert chosen({STRICT: few, LOOSE: many}, labels) == LOOSE
    wrong = [n < 9 or n > 16 for n in range(20)]  # 9 right, 3 wrong of 20
    assert chosen({STRICT: few, LOOSE: wrong}, labels) == STRICT
    assert chosen({STRICT: few, LOOSE: wrong}, labels, budget=0.15) == LOOSE
    assert chosen({LOOSE: wrong}, labels) is None


def test_guards_are_given_up_only_for_a_gain_without_a_wrong_hit_more() -> None:
    labels = [1] * 200 + [0] * 200

    def hits(right: int, wrong: int) -> list[bool]:
        return [n < right or 200 <= n < 200 + wrong for n in range(400)]

    assert chosen({LOOSE: hits(100, 2), BARE: hits(103, 2)}, labels) == LOOSE
    assert chosen({LOOSE: hits(100, 2), BARE: hits(104, 2)}, labels) == BARE
    assert chosen({LOOSE: hits(100, 2), BARE: hits(150, 3)}, labels) == LOOSE


def test_a_recommendation_is_sure_when_its_interval_is_within_the_budget() -> None:
    for rows, is_sure in ((200, False), (400, True)):
        labels = [1, 0] * (rows // 2)
        found = recommend([STRICT], [[label == 1 for label in labels]], labels, [0] * rows, 0.01)
        assert found is not None
        assert found.is_sure is is_sure
        assert found.pairs_needed == 381


@pytest.mark.parametrize(("error_rate", "budget"), [(0.0, 0.01), (0.001, 0.01), (0.004, 0.02), (0.0, 0.002)])
def test_as_many_pairs_as_needed_are_enough(error_rate: float, budget: float) -> None:
    needed = pairs_needed(error_rate, budget)
    assert needed is not None
    assert Interval.wilson(round(error_rate * needed), needed).high <= budget
    assert Interval.wilson(round(error_rate * needed / 2), needed // 2).high > budget


def test_no_number_of_pairs_proves_an_error_rate_at_the_budget() -> None:
    assert pairs_needed(0.01, 0.01) is None
    assert pairs_needed(0.02, 0.01) is None


def test_held_out_hits_are_of_settings_chosen_on_other_pairs() -> None:
    # The loose setting is wrong in one fold alone: without that fold it is chosen, and pays for it there.
    labels = [1] * 25 + [0] * 25
    folds = [n % 5 for n in range(50)]
    loose = [n < 25 or (folds[n] == 0) for n in range(50)]
    strict = [n < 10 for n in range(50)]
    found = recommend([STRICT, LOOSE], [strict, loose], labels, folds, 0.05)
    assert found is not None
    assert found.trial.setting == STRICT
    assert found.trial.counts.wrong == 0
    assert found.held_out.wrong == 5
    assert found.held_out.rows == 50


def test_the_saving_is_that_of_right_hits_in_a_thousand_requests() -> None:
    trial = next(trial for trial in tune(made_pairs(60), LexicalMatcher()).trials if trial.counts.wrong)
    assert trial.saving(0.02) == pytest.approx(20 * trial.counts.right / 60)
