"""What an adaptive policy learns: partitions, entries, costs, checks that come to nothing."""

from __future__ import annotations

from random import Random

import pytest

from llmcache_plugins.matching.learner import BURST, Learner
from llmcache_plugins.matching.ledger import CLOSED
from llmcache_plugins.matching.trust import NEVER

HERE, THERE = ("here",), ("there",)


def learner(*, rate: float = 0.05, prior: float = 0.9, shadow_rate: float = 0.05) -> Learner:
    return Learner(rate, prior, shadow_rate, Random(1))


def ask(one: Learner, times: int, partition: tuple[str, ...] = HERE) -> None:
    for _ in range(times):
        one.count(partition)


def test_begins_with_the_prior() -> None:
    assert learner().threshold(HERE) == 0.9
    assert learner(prior=NEVER).threshold(HERE) == NEVER


def test_without_a_prior_it_opens_by_evidence() -> None:
    one = learner(prior=NEVER)
    for number in range(300):
        ask(one, 1)
        one.learn(HERE, f"entry {number}", 0.9, CLOSED, True)
    assert one.threshold(HERE) <= 0.9


def test_small_partition_borrows_from_the_whole_and_goes_its_own_way() -> None:
    one = learner()
    ask(one, 2000)
    assert one.threshold(THERE) == one.threshold(HERE) < 0.9
    ask(one, 50, THERE)
    for number in range(8):
        one.learn(THERE, f"entry {number}", 0.8, CLOSED, False)
    assert one.threshold(THERE) > 0.8
    assert one.threshold(HERE) < 0.8


def test_entry_that_was_wrong_is_not_trusted_with_less() -> None:
    one = learner()
    one.learn(HERE, "entry", 0.8, CLOSED, False)
    assert one.doubts("entry", 0.8)
    assert one.weigh("entry", 0.75).fate == "leave"
    assert not one.doubts("entry", 0.81)
    assert not one.doubts("other", 0.5)


def test_checks_stay_within_their_share() -> None:
    one = learner(rate=0.5, shadow_rate=0.02)
    checks = []
    for number in range(6000):
        ask(one, 1)
        one.saw(0.95)
        weighed = one.weigh(f"entry {number}", 0.95)
        if weighed.fate != "serve":
            one.learn(HERE, f"entry {number}", 0.95, weighed.chance, True)
        checks.append(one.checks)
        assert one.checks <= BURST + 0.02 * (number + 1) + 1
    assert checks[-1] > checks[3000]  # and never stop


def test_threshold_rises_where_all_would_be_hits_could_not_be_checked() -> None:
    one = learner(rate=0.01, shadow_rate=0.01)
    coin = Random(3)
    for _ in range(3000):
        ask(one, 1)
        one.saw(coin.random())
    one.checks = BURST + 30
    ask(one, 64)
    assert 0.8 < one.threshold(HERE) < 1.0


def test_equal_scores_are_served_within_what_checks_may_cost() -> None:
    one, served = learner(rate=0.05, shadow_rate=0.05), 0
    for number in range(3000):
        ask(one, 1)
        one.saw(0.95)
        if one.threshold(HERE) <= 0.95:
            weighed = one.weigh(f"entry {number}", 0.95)
            served += weighed.fate == "serve"
            if weighed.fate != "serve":
                one.learn(HERE, f"entry {number}", 0.95, weighed.chance, True)
    assert served > 500
    assert one.checks <= BURST + 0.05 * 3000 + 1


def test_checks_that_come_to_nothing_close_the_cache() -> None:
    one = learner()
    assert one.chance() < CLOSED
    for _ in range(64):
        one.learn(HERE, "entry", 0.9, 0.2, None)
    assert one.chance() == CLOSED
    for _ in range(64):
        one.learn(HERE, "entry", 0.9, CLOSED, True)
    assert one.chance() < CLOSED


def test_checks_that_partly_come_to_nothing_are_made_more_often() -> None:
    one = learner()
    sure = one.chance()
    for number in range(64):
        one.learn(HERE, "entry", 0.9, CLOSED, None if number % 4 == 0 else True)
    assert one.chance() == pytest.approx(sure / 0.75, rel=0.05)


def test_nobody_can_say_is_no_evidence() -> None:
    one = learner()
    one.learn(HERE, "entry", 0.95, CLOSED, None)
    assert not one.doubts("entry", 0.9)
    assert one.threshold(HERE) == 0.9


def test_memory_is_bounded() -> None:
    one = learner()
    for number in range(6000):
        one.count((f"tenant {number}", f"scope {number}"))
        one.learn((), f"entry {number}", 0.5, CLOSED, False)
    assert len(one._parts) <= 1024
    assert len(one._doubted) <= 4096


def test_state_tells_what_is_known() -> None:
    one = learner()
    ask(one, 10)
    state = one.state()
    assert (state.requests, state.checks, state.wrong_at_most) == (10, 0, 0.0)
    assert state.threshold == 0.9
    assert 0.0 < state.chance < 1.0
