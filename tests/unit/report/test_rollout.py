"""What a report says of a roll-out."""

from __future__ import annotations

import json

import pytest

from llmcache_plugins import Rollout, open_cache
from llmcache_plugins.counters import CacheStats
from llmcache_plugins.money import MoneySettings, Price, PriceTable
from llmcache_plugins.recorded import ComparisonEvent, Event, GroupLookupEvent, LookupEvent, StageEvent, UpdateEvent
from llmcache_plugins.report import report_of, rollout_of
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.telemetry import SharedStatistics, Statistics
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.types import Entry, Hit, Miss, MissReason, UpdateOutcome, Usage

PRICES = MoneySettings(prices=PriceTable((Price(model="m", input=1.0, output=1.0),)))
ENTRY = Entry("scope", "key", "normal", (), "secret", '"secret"', 0.0, None, model="m", usage=Usage(1_000_000, 0))
HIT = Hit(ENTRY, "exact", "memory", 1.0, 1.0, 0.0, 1, 0.001)


def traffic() -> list[Event]:
    """100 served requests, 60 of them hits; 200 of the control group, of which 100 would have been."""
    call = UpdateEvent(UpdateOutcome(True), (), "m", Usage(1_000_000, 0), 2.0)
    served: list[Event] = [GroupLookupEvent(HIT, (), model="m", group="served")] * 60
    for _ in range(40):
        served.append(GroupLookupEvent(Miss(MissReason.NO_CANDIDATES), (), model="m", group="served"))
        served.append(UpdateEvent(call.outcome, (), "m", call.usage, 2.0, group="served"))
    control: list[Event] = []
    for number in range(200):
        withheld = HIT if number < 100 else None
        reason = MissReason.WITHHELD if withheld else MissReason.NO_CANDIDATES
        control.append(GroupLookupEvent(Miss(reason), (), model="m", group="control", withheld=withheld))
        control.append(UpdateEvent(call.outcome, (), "m", call.usage, 1.9 + 0.2 * (number % 2), group="control"))
    compared: list[Event] = [ComparisonEvent("same", "exact", ())] * 45 + [
        ComparisonEvent("different", "exact", ())
    ] * 5
    return [*served, *control, *compared, ComparisonEvent("unclear", "exact", ()), StageEvent(0.1, 0.5, "proven", 0, 0)]


def counted(events: list[Event]) -> CacheStats:
    statistics = Statistics()
    for event in events:
        statistics(event)
    return statistics.snapshot({})


def test_both_groups_come_out() -> None:
    found = rollout_of(counted(traffic()), PRICES, fraction=0.5)
    assert found is not None
    assert (found.served.lookups, found.served.hits.value, found.served.calls) == (100, 0.6, 40)
    assert (found.control.lookups, found.control.hits.value, found.control.calls) == (200, 0.5, 200)
    assert found.control.seconds == pytest.approx(2.0)
    assert found.served.seconds == pytest.approx((60 * 0.001 + 40 * 2.0) / 100)
    assert (found.fraction, found.steps) == (0.5, {"proven": 1})


def test_the_error_is_of_the_requests_and_has_an_interval() -> None:
    """5 of 50 compared, of 100 would-be hits in 200 requests: 5 wrong in a sample of 100 requests; with the unclear one
    6 in 102."""
    found = rollout_of(counted(traffic()), PRICES)
    assert found is not None
    assert (found.same, found.different, found.unclear) == (45, 5, 1)
    assert found.wrong_hits.value == 0.1
    assert found.error_rate.value == 0.05
    assert (found.error_rate.low, found.error_rate.high) == pytest.approx((0.02154, 0.12244), abs=1e-5)


def test_what_is_saved_is_the_difference_of_the_groups() -> None:
    """Served: 100 answers of 0.8006 s, variance by hand; control: 200 of 2 s that are 0.1 s off."""
    found = rollout_of(counted(traffic()), PRICES)
    assert found is not None
    assert found.seconds_saved == pytest.approx(2.0 - 0.8006)
    spread = ((60 * 0.7996**2 + 40 * 1.1994**2) / 99 / 100 + 200 * 0.1**2 / 199 / 200) ** 0.5
    assert found.seconds_saved_low == pytest.approx(2.0 - 0.8006 - 1.959964 * spread, abs=1e-4)
    assert found.seconds_saved_high == pytest.approx(2.0 - 0.8006 + 1.959964 * spread, abs=1e-4)
    assert found.cost_saved == pytest.approx(1.0 - 0.4 - 60 * 0.0001 / 300)  # what hits cost is spread over all
    assert (found.served.spared, found.control.spared) == (60.0, 100.0)


def test_little_is_said_of_little() -> None:
    found = rollout_of(counted(traffic()[:2]), PRICES)
    assert found is not None
    assert (found.seconds_saved, found.cost_saved, found.control.seconds) == (None, None, None)
    assert (found.error_rate.low, found.error_rate.high) == (0.0, 1.0)


def test_without_a_rollout_there_is_no_section() -> None:
    report = report_of(counted([LookupEvent(HIT, ())]), at=0.0)
    assert report.rollout is None
    assert "Roll-out" not in str(report)


def test_the_report_shows_it_and_no_text() -> None:
    report = report_of(counted(traffic()), at=0.0, money=PRICES, fraction=0.5)
    shown = str(report)
    assert "50% of the requests are served now." in shown
    assert "of all requests: 5.00% (95 % interval 2.15% to 12.24%)" in shown
    assert "secret" not in shown
    assert "Roll-out" in report.to_markdown()
    content = json.loads(json.dumps(report.as_json()))
    assert content["rollout"]["control"]["hits"]["count"] == 100


def test_replicas_add_up() -> None:
    clock, store, events = FakeClock(), MemoryStore(), traffic()
    shared = []
    for part, node in ((events[:250], "a"), (events[250:], "b")):
        statistics = Statistics()
        shared.append(SharedStatistics(statistics, lambda node=node: node, clock.now))
        for event in part:
            statistics(event)
        shared[-1].publish(store)
    total = shared[0].read(store, {}, {}).total
    alone = rollout_of(counted(events), PRICES)
    together = rollout_of(total, PRICES)
    assert alone is not None
    assert together is not None
    assert (together.served, together.error_rate, together.wrong_hits) == (
        alone.served,
        alone.error_rate,
        alone.wrong_hits,
    )
    assert together.seconds_saved_low == pytest.approx(alone.seconds_saved_low)
    assert total.stages == {"proven": 1}


def test_a_cache_reports_its_own() -> None:
    rollout = Rollout(stages=(0.5, 1.0))
    with open_cache("memory://", embedder=None, rollout=rollout, answers_agree=lambda new, old: new == old) as cache:
        for number in range(40):
            cache.get_or_generate(f"question {number % 20}", lambda: "up")
        found = cache.report().rollout
        assert found is not None
        assert found.fraction == 0.5
        assert found.served.hits.count + found.control.hits.count == 20
        shared = cache.report(shared=True).rollout
        assert shared is not None
        assert shared.control.lookups == found.control.lookups


def test_what_was_compared_is_checked_for_the_false_hit_rate_too() -> None:
    report = report_of(counted(traffic()), at=0.0)
    assert (report.false_hits.checked, report.false_hits.rate) == (50, 0.1)


def test_what_is_worse_with_a_cache_is_said_so() -> None:
    events: list[Event] = []
    for group, seconds, tokens in (("served", 2.0, 2_000_000), ("control", 1.0, 1_000_000)):
        for _ in range(40):
            events.append(GroupLookupEvent(Miss(MissReason.NO_CANDIDATES), (), model="m", group=group))
            events.append(UpdateEvent(UpdateOutcome(True), (), "m", Usage(tokens, 0), seconds, group=group))
    shown = str(report_of(counted(events), at=0.0, money=PRICES))
    assert "A served request is answered 1.000 s later in the mean" in shown
    assert "It costs $1.00 more." in shown


def test_nobody_waits_for_a_renewal() -> None:
    """It costs money, and no user's time."""
    renewal = UpdateEvent(UpdateOutcome(True), (), "m", Usage(1, 0), 2.0, group="served", is_renewal=True)
    found = rollout_of(counted([GroupLookupEvent(HIT, (), model="m", group="served"), renewal]), PRICES)
    assert found is not None
    assert (found.served.calls, found.served.timed, found.served.seconds) == (1, 1, 0.001)
