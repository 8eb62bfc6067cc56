"""The accounts of a warming: rate, budget, failures."""

from __future__ import annotations

import pytest

from llmcache_plugins import ConfigError, Usage
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.warming import Budget, Plan
from llmcache_plugins.warming.resume import read_done, write_done


def make_plan(count: int = 100, clock: FakeClock | None = None, **settings: object) -> Plan[int]:
    clock = clock or FakeClock()
    return Plan(range(count), monotonic=clock.monotonic, **settings)  # type: ignore[arg-type]


def spend(plan: Plan[int], tokens: list[int]) -> int:
    """Ask one after the other; how many calls were made."""
    for number, cost in enumerate(tokens):
        if plan.take() is None or plan.begin() is None:
            return number
        plan.end(Usage(output_tokens=cost))
    return len(tokens)


def test_the_rate_spaces_the_calls() -> None:
    clock = FakeClock()
    plan = make_plan(clock=clock, rate=4)
    assert plan.begin() == 0.0
    assert plan.begin() == pytest.approx(0.25)
    clock.advance(0.1)
    assert plan.begin() == pytest.approx(0.15)
    clock.advance(0.15)
    assert plan.begin() == 0.0
    clock.advance(10)  # what was not used is no credit
    assert plan.begin() == 0.0
    assert plan.begin() == pytest.approx(0.25)


def test_a_budget_of_calls_is_kept_exactly() -> None:
    plan = make_plan(budget=Budget.of(3))
    assert spend(plan, [1] * 10) == 3
    report = plan.report()
    assert (report.stopped, report.calls, report.remaining) == ("calls", 3, 97)


def test_failed_calls_count_towards_the_budget() -> None:
    plan = make_plan(budget=Budget(calls=2))
    for _ in range(2):
        plan.take()
        assert plan.begin() == 0.0
        plan.fail("TimeoutError")
    assert plan.begin() is None
    assert plan.report().failures == {"TimeoutError": 2}


def test_no_call_is_begun_that_would_pass_the_tokens_if_it_cost_as_much_as_the_dearest() -> None:
    assert spend(make_plan(budget=Budget(tokens=100)), [10] * 50) == 10
    assert (
        spend(make_plan(budget=Budget(tokens=100)), [40, *[10] * 50]) == 4
    )  # at 70 one more like the first is too much


def test_money_is_what_cost_of_says() -> None:
    plan = make_plan(budget=Budget(money=1.0), cost_of=lambda usage: usage.output_tokens / 100)
    assert spend(plan, [25] * 50) == 4
    report = plan.report()
    assert report.cost == pytest.approx(1.0)
    assert report.stopped == "money"


def test_the_first_call_runs_alone_and_calls_under_way_are_counted() -> None:
    plan = make_plan(budget=Budget(tokens=100))
    assert plan.begin() == 0.0
    again = plan.begin()
    assert again is not None  # nobody knows yet what a call costs
    assert again > 0
    plan.end(Usage(output_tokens=30))
    assert [plan.begin(), plan.begin()] == [0.0, 0.0]  # 30 spent, 60 under way
    again = plan.begin()
    assert again is not None
    assert again > 0  # these may turn out cheaper
    plan.end(Usage(output_tokens=5))
    plan.end(Usage(output_tokens=5))
    assert plan.begin() == 0.0


def test_a_call_that_failed_is_under_way_no_more() -> None:
    plan = make_plan(budget=Budget(tokens=100))
    assert plan.begin() == 0.0
    plan.fail("TimeoutError")
    assert plan.begin() == 0.0
    plan.fail("LookupError", has_begun=False)  # another question's prompt could not be made
    assert plan.begin() != 0.0  # the call before still is


def test_no_money_at_all_makes_no_call() -> None:
    plan = make_plan(budget=Budget(money=0.0), cost_of=lambda usage: 1.0)
    assert plan.begin() is None


def test_a_budget_that_would_never_be_reached_stops_it() -> None:
    plan = make_plan(budget=Budget(tokens=100))
    assert spend(plan, [0] * 10) == 1
    assert plan.report().stopped == "usage unknown"


def test_failures_in_a_row_end_it_and_a_success_between_does_not() -> None:
    plan = make_plan(most_failures=3)
    for failure in ("a", "a", "", "a", "a", "b"):
        plan.take()
        assert plan.begin() == 0.0
        plan.end(Usage(), failure)
    assert plan.take() is None
    assert plan.report().stopped == "failures"
    assert plan.report().failures == {"a": 4, "b": 1}


def test_what_an_earlier_run_has_done_is_not_handed_out() -> None:
    plan = make_plan(3, done={0, 2})
    assert [plan.take(), plan.take()] == [1, None]
    assert plan.progress().skipped == 2


@pytest.mark.parametrize(
    "settings", [{"rate": 0}, {"rate": float("inf")}, {"most_failures": 0}, {"budget": Budget(money=1.0)}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        make_plan(**settings)


@pytest.mark.parametrize("budget", [{"calls": -1}, {"tokens": 1.5}, {"money": -0.1}, {"money": float("nan")}])
def test_budgets_out_of_range_are_refused(budget: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Budget(**budget)  # type: ignore[arg-type]


def test_a_fraction_of_calls_is_taken_for_money_and_refused() -> None:
    with pytest.raises(ConfigError, match="money"):
        Budget.of(2.5)  # type: ignore[arg-type]


def test_what_was_kept_is_read_back_and_what_is_broken_is_nothing() -> None:
    assert read_done(write_done(["b", "a"])) == {"a", "b"}
    for broken in (None, "", "{", "[]", '{"version": 9, "done": ["a"]}', '{"version": 1, "done": 3}'):
        assert read_done(broken) == set()
