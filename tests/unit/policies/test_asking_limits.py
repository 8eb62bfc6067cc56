"""Budget, breaker and remembered verdicts, by a clock that is told."""

from __future__ import annotations

import pytest

from llmcache_plugins.policies.asking_limits import Breaker, Budget, Verdicts

HOUR = 3600.0


def calls_until_refused(budget: Budget, cost: float, now: float = 0.0) -> int:
    calls = 0
    while budget.allows(now, 0) and calls < 100:
        budget.spend(now, cost)
        calls += 1
    return calls


def test_without_a_budget_everything_is_allowed() -> None:
    assert calls_until_refused(Budget(None), 5.0) == 100


@pytest.mark.parametrize(("most", "cost", "calls"), [(1.0, 0.1, 10), (1.0, 0.3, 3), (0.1, 0.3, 1), (1.0, 0.0, 100)])
def test_budget_is_not_exceeded_but_buys_at_least_one_call(most: float, cost: float, calls: int) -> None:
    assert calls_until_refused(Budget(most), cost) == calls


def test_what_was_spent_counts_for_24_hours() -> None:
    budget = Budget(1.0)
    for hour in range(4):
        budget.spend(hour * HOUR, 0.25)
    assert not budget.allows(23.9 * HOUR, 0)
    assert budget.allows(24 * HOUR, 0)
    budget.spend(24 * HOUR, 0.25)
    assert not budget.allows(24 * HOUR, 0)
    assert budget.spent(1000 * HOUR) == 0.0


def test_calls_under_way_count_as_much_as_the_last_one() -> None:
    budget = Budget(1.0)
    budget.spend(0.0, 0.25)
    assert [budget.allows(1.0, under_way) for under_way in (0, 2, 3)] == [True, True, False]


def test_a_call_that_does_not_say_what_it_costs_costs_the_flat_price() -> None:
    budget = Budget(1.0, flat=0.5)
    assert [budget.spend(0.0, None), budget.spend(0.0, 0.0)] == [0.5, 0.0]
    assert budget.spent(0.0) == 0.5


def test_money_of_many_calls_is_kept_in_few_slices() -> None:
    budget = Budget(1e9)
    for second in range(10_000):
        budget.spend(float(second), 1.0)
    assert budget.spent(10_000.0) == pytest.approx(10_000.0)
    assert len(budget._slices) <= 10_000 / 60 + 1


def test_breaker_pauses_after_time_outs_in_a_row_only() -> None:
    breaker = Breaker(after=3, pause=30.0)
    for _ in range(5):
        breaker.timed_out(0.0)
        breaker.timed_out(0.0)
        breaker.returned()
    assert breaker.allows(0.0)
    for _ in range(3):
        breaker.timed_out(0.0)
    assert [breaker.allows(now) for now in (0.0, 29.9)] == [False, False]


def test_breaker_lets_one_try_after_the_pause_and_doubles_it_when_that_hangs_too() -> None:
    breaker = Breaker(after=1, pause=30.0, longest=100.0)
    breaker.timed_out(0.0)
    assert [breaker.allows(now) for now in (30.0, 31.0, 59.0)] == [True, False, False]
    breaker.timed_out(40.0)  # the try
    assert [breaker.allows(now) for now in (99.0, 100.0)] == [False, True]
    breaker.timed_out(110.0)
    assert [breaker.allows(now) for now in (209.0, 210.0)] == [False, True]  # 100 s at most
    breaker.returned()
    assert breaker.allows(211.0)


def test_time_outs_of_calls_that_were_under_way_do_not_lengthen_the_pause() -> None:
    breaker = Breaker(after=2, pause=30.0)
    for _ in range(10):
        breaker.timed_out(0.0)
    assert breaker.allows(30.0)


def test_a_try_that_never_ends_is_followed_by_another_one() -> None:
    breaker = Breaker(after=1, pause=30.0)
    breaker.timed_out(0.0)
    assert [breaker.allows(now) for now in (30.0, 59.0, 60.0)] == [True, False, True]


def test_verdicts_forget_the_one_looked_up_longest_ago() -> None:
    verdicts = Verdicts(most=2)
    verdicts.keep("a", 1.0, 0.0)
    verdicts.keep("b", 0.0, 0.0)
    assert verdicts.get("a", 0.0) is not None
    verdicts.keep("c", 0.0, 0.0)
    assert [verdicts.get(pair, 0.0) is None for pair in "abc"] == [False, True, False]


def test_that_a_judge_could_not_say_is_forgotten_soon() -> None:
    verdicts = Verdicts(undecided=300.0)
    verdicts.keep("a", None, 0.0)
    verdicts.keep("b", 0.0, 0.0)
    assert verdicts.get("a", 299.0) is not None
    assert verdicts.get("a", 300.0) is None
    assert verdicts.get("b", 1e9) is not None
    assert len(verdicts) == 1
