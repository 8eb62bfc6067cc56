"""What `cache.report` says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Request, open_cache
from llmcache_plugins.counters import AdaptiveStats, CacheStats, LookupCounts, StoreStats
from llmcache_plugins.money import MoneySettings
from llmcache_plugins.quality import Validation
from llmcache_plugins.recorded import Event, LookupEvent, ValidationEvent
from llmcache_plugins.report import Alert, Report, report_of
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.types import Entry, Hit

NOW = 1_700_000_000.0
HOUR = 3600.0


@pytest.fixture
def example(example_events: list[Event]) -> Report:
    statistics = Statistics()
    for event in example_events:
        statistics(event)
    stats = statistics.snapshot({"memory": StoreStats(entries=60, size_bytes=471_859, evictions=8)})
    return report_of(stats, at=NOW, since=NOW - HOUR, money=MoneySettings(monthly_lookups=100_000))


def test_the_numbers_of_the_example_come_out(example: Report) -> None:
    """Of the values below the means and sums are 3,300 / 130, 193,000 / 60 and 386.7, by hand."""
    assert (example.lookups, example.hit_count, example.miss_count) == (190, 130, 60)
    assert round(100 * example.hit_rate, 2) == 68.42
    assert example.timings["hit"].mean == pytest.approx(0.0253846, abs=1e-7)
    assert example.uncached_seconds == pytest.approx(3.2166667, abs=1e-7)
    assert example.seconds_saved == pytest.approx(386.7)
    assert round(example.money.net, 2) == 12.99
    assert (example.money.call_cost, example.money.hit_cost) == (0.10, 0.0001)
    assert (round(example.size_bytes / 2**20, 2), example.evictions) == (0.45, 8)
    assert [
        (name, round(100 * one.hit_rate, 2), one.hits, one.lookups) for name, one in example.query_types.items()
    ] == [
        ("config_queries", 88.89, 40, 45),
        ("bgp_queries", 83.33, 50, 60),
        ("device_queries", 60.0, 30, 50),
        ("troubleshooting", 28.57, 10, 35),
    ]
    assert example.money.projection is not None
    assert example.money.projection.without_cache == pytest.approx(10_000.0)
    assert example.money.projection.month == pytest.approx(100_000 * 130 / 190 * 0.0999)


def test_the_json_has_the_same_numbers_as_the_report(example: Report) -> None:
    content = json.loads(json.dumps(example.as_json(), allow_nan=False))
    assert (content["version"], content["at"], content["since"]) == (1, NOW, NOW - HOUR)
    assert (content["lookups"], content["hit_count"], content["miss_count"]) == (190, 130, 60)
    assert content["hit_rate"] == example.hit_rate
    assert content["timings"]["hit"]["mean"] == example.timings["hit"].mean
    assert content["uncached_seconds"] == example.uncached_seconds
    assert content["seconds_saved"] == example.seconds_saved
    assert (content["money"]["net"], content["money"]["gross"]) == (example.money.net, example.money.gross)
    assert content["money"]["projection"]["month"] == example.money.projection.month  # type: ignore[union-attr]
    assert (content["size_bytes"], content["evictions"], content["entries"]) == (471_859, 8, 60)
    assert [one["query_type"] for one in content["query_types"]] == list(example.query_types)
    assert [one["hit_rate"] for one in content["query_types"]] == [g.hit_rate for g in example.query_types.values()]


def test_text_and_markdown_say_it_too(example: Report) -> None:
    said = ("68.42%", "25.38 ms", "3,216.67 ms", "386.70 s", "$12.99", "0.45 MiB", "88.89%", "28.57%", "$10,000.00")
    text, markdown = str(example), example.to_markdown()
    assert [one for one in said if one not in text] == []
    assert [one for one in said if one not in markdown] == []
    assert text.index("config_queries") < text.index("bgp_queries") < text.index("troubleshooting")
    assert "130 of 130 hits count as $0.10 each" in text
    assert "| config_queries | 88.89% | 40 | 45 |" in markdown
    assert markdown.startswith("# Cache report\n")


def test_each_row_of_a_markdown_table_has_as_many_cells_as_its_head(example: Report) -> None:
    rows = [line for line in example.to_markdown().splitlines() if line.startswith("|")]
    widths = [line.count("|") for line in rows]
    heads = [number for number, line in enumerate(rows) if line.startswith(("| :--",))]
    assert heads
    for start, end in zip(heads, [*[head - 1 for head in heads[1:]], len(rows)], strict=True):
        assert set(widths[start - 1 : end]) == {widths[start]}


def test_names_that_users_give_break_no_table_and_reach_no_terminal() -> None:
    stats = CacheStats(
        namespaces={("a|b\n\x1b[31m", "c"): LookupCounts(1, 1)}, query_types={"x" * 500: LookupCounts(1)}
    )
    report = report_of(stats, at=NOW)
    text, markdown = str(report), report.to_markdown()
    assert "a|b??[31m/c" in text
    assert r"a\|b??\[31m/c" in markdown
    assert "\x1b" not in text + markdown
    assert "x" * 60 not in text
    assert json.loads(json.dumps(report.as_json()))["namespaces"][0]["namespace"] == ["a|b\n\x1b[31m", "c"]


# ---------------------------------------------------------------- quality


def validated(ok: int, rejected: int, reported: int = 0, **more: Any) -> CacheStats:
    hits = {"semantic": 1000}
    return CacheStats(hits=hits, validated=ok + rejected, rejected=rejected, reported=reported, **more)


def test_the_false_hit_rate_has_an_interval() -> None:
    found = report_of(validated(95, 3, 2), at=NOW).false_hits
    assert (found.wrong, found.checked, found.rate) == (5, 100, 0.05)
    assert (found.low, found.high) == pytest.approx((0.0215, 0.1118), abs=1e-4)  # Wilson's interval of 5 in 100


def test_checks_of_the_adaptive_policy_count_and_undecided_ones_do_not() -> None:
    adaptive = AdaptiveStats(
        max_error_rate=0.01, requests=100, checked=25, agreed=19, differed=1, unknown=5, near_agreed=9, near_differed=9,
        near_unknown=9, wrong_at_most=1.0, wrong_allowed=1.0, threshold=0.9, check_chance=0.1,
    )  # fmt: skip
    found = report_of(CacheStats(hits={"semantic": 80}, adaptive=(adaptive,)), at=NOW).false_hits
    assert (found.wrong, found.checked, found.rate) == (1, 20, 0.05)


def test_reports_of_users_alone_tell_no_rate() -> None:
    report = report_of(validated(0, 0, 3), at=NOW, money=MoneySettings(false_hit_cost=2.0))
    assert (report.false_hits.rate, report.false_hits.wrong) == (None, 3)
    assert report.as_json()["false_hits"]["rate"] is None
    assert "is not known" in str(report)
    assert report.money.costs["false_hits"] == pytest.approx(6.0)  # what they reported was wrong at least


def test_wrong_answers_are_priced_by_their_rate() -> None:
    money = MoneySettings(false_hit_cost=2.0)
    assert report_of(validated(95, 5), at=NOW, money=money).money.costs["false_hits"] == pytest.approx(0.05 * 1000 * 2)


def test_near_misses_are_those_that_something_kept_from_being_served() -> None:
    misses = {"no_candidates": 9, "below_threshold": 8, "guard_conflict": 3, "low_confidence": 2, "rejected": 1}
    near = report_of(CacheStats(misses=misses), at=NOW).near_misses
    assert near == {"guard_conflict": 3, "low_confidence": 2, "rejected": 1}


def test_answers_that_are_served_while_they_are_renewed_are_told() -> None:
    statistics = Statistics()
    entry = Entry("s", "k", "n", (), "q", '"a"', 0.0, None)
    for is_stale in (True, False, True):
        statistics(LookupEvent(Hit(entry, "exact", "hot", 1.0, 1.0, 0.0, 1, 0.1, is_stale=is_stale), ()))
    assert report_of(statistics.snapshot({}), at=NOW).freshness.stale_hits == 2


# ---------------------------------------------------------------- trend


def test_the_trend_tells_what_has_changed_since_an_earlier_report() -> None:
    before = report_of(CacheStats(hits={"exact": 10}, misses={"expired": 90}), at=NOW, since=NOW - HOUR)
    earlier = json.loads(json.dumps(before.as_json()))
    stats = CacheStats(hits={"exact": 70}, misses={"expired": 130}, stores={"m": StoreStats(entries=7)})
    now = report_of(stats, at=NOW + HOUR, since=NOW - HOUR, earlier=earlier)
    assert now.trend is not None
    assert (now.trend.at, now.trend.lookups, now.trend.hit_rate) == (NOW, 100, 0.6)
    assert now.trend.changes["hit_rate"].by == pytest.approx(0.25)
    assert now.trend.changes["entries"].by == 7
    assert now.trend.changes["false_hit_rate"].by is None
    assert "100 lookups between the two, 60.00% of them hits" in str(now)
    assert now.as_json()["trend"]["changes"]["hits"] == {"before": 10, "now": 70, "by": 60}


def test_counts_that_began_anew_have_nothing_between_them() -> None:
    earlier = report_of(CacheStats(hits={"exact": 10}), at=NOW, since=NOW - HOUR).as_json()
    again = report_of(CacheStats(hits={"exact": 70}), at=NOW + HOUR, since=NOW, earlier=earlier)
    assert again.trend is not None
    assert (again.trend.lookups, again.trend.hit_rate) == (None, None)
    assert "began anew" in str(again)


@pytest.mark.parametrize(
    "earlier", [{}, {"version": 2, "at": 1.0}, {"version": 1}, {"version": 1, "at": "x"}, [], "text"]
)
def test_what_is_no_report_cannot_be_compared_with(earlier: Any) -> None:
    with pytest.raises(ConfigError, match="JSON of a report"):
        report_of(CacheStats(), at=NOW, earlier=earlier)


def test_a_damaged_report_leaves_its_numbers_out() -> None:
    earlier = {"version": 1, "at": 1.0, "lookups": "many", "timings": [], "money": None, "hit_count": True}
    report = report_of(CacheStats(hits={"exact": 1}), at=NOW, earlier=earlier)
    assert report.trend is not None
    assert {change.before for change in report.trend.changes.values()} == {None}


# ---------------------------------------------------------------- alerts


def test_alerts_come_first() -> None:
    report = report_of(
        CacheStats(), at=NOW, alerts=[("hit rate", "warning", "41 % of 1,000"), Alert("a", "urgent", "b")]
    )
    assert report.alerts == (Alert("hit rate", "warning", "41 % of 1,000"), Alert("a", "urgent", "b"))
    assert str(report).index("41 % of 1,000") < str(report).index("Overall")
    assert report.as_json()["alerts"][1] == {"name": "a", "level": "urgent", "text": "b"}


@pytest.mark.parametrize("alert", ["abc", ("a", "b"), ("a", "b", 3), None])
def test_what_is_no_alert_is_refused(alert: Any) -> None:
    with pytest.raises(ConfigError, match="an alert must be"):
        report_of(CacheStats(), at=NOW, alerts=[alert])


# ---------------------------------------------------------------- of a cache


def test_a_cache_reports_what_it_has_counted_since_it_was_opened() -> None:
    clock = FakeClock()
    with open_cache("memory://", embedder=None, clock=clock, namespace="acme") as cache:
        began = clock.now()
        cache.get_or_generate(Request("a", model="m"), lambda: "said")
        clock.advance(2 * HOUR)
        cache.lookup(Request("a", model="m"))
        report = cache.report()
        again = cache.report(since=report.as_json())
        assert cache.stats().lookups == 2
    assert (report.at, report.since, report.namespace) == (began + 2 * HOUR, began, ("acme",))
    assert (report.lookups, report.hits, report.is_shared, report.money.seconds) == (2, {"exact": 1}, False, 2 * HOUR)
    assert report.namespaces[("acme",)].hit_rate == 0.5
    assert again.trend is not None
    assert (again.trend.lookups, again.trend.hit_rate) == (0, None)


async def test_a_cache_reports_in_an_event_loop_what_it_does_elsewhere() -> None:
    async with open_cache("memory://", embedder=None, clock=FakeClock()) as cache:
        await cache.aget_or_generate("a", lambda: "said")
        assert await cache.areport() == cache.report()
        assert await cache.areport(shared=True) == cache.report(shared=True)


def test_a_shared_report_counts_all_processes_of_a_store(tmp_path: Any) -> None:
    url = f"disk://{tmp_path / 'cache.db'}"
    with open_cache(url, embedder=None, node_id="one", maintenance="manual") as first:
        first.get_or_generate("a", lambda: "said")
        first.maintain()
        with open_cache(url, embedder=None, node_id="two", maintenance="manual") as second:
            second.lookup("a")
            report = second.report(shared=True)
    assert (report.lookups, report.hit_rate, report.processes, report.is_shared) == (2, 0.5, 2, True)


def test_wrong_arguments_of_a_report_are_refused() -> None:
    with open_cache("memory://", embedder=None) as cache:
        with pytest.raises(ConfigError, match="must be MoneySettings, not dict"):
            cache.report(money={"call_cost": 1})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="JSON of a report"):
            cache.report(since={"version": 0})


def test_a_report_of_nothing_is_one() -> None:
    report = report_of(CacheStats(), at=NOW)
    assert "nothing was counted yet" in str(report)
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["money"]["projection"] is None
    assert report.to_markdown().endswith("\n")


def test_a_report_quotes_no_question_and_no_answer() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.get_or_generate("a question of one's own", lambda: "an answer of one's own")
        cache.lookup("a question of one's own")
        report = cache.report()
    assert "one's own" not in f"{report}{report!r}{report.to_markdown()}{report.as_json()}"


def test_a_validator_that_refuses_shows_in_the_rate() -> None:
    statistics = Statistics()
    for ok in (True, True, True, False):
        statistics(ValidationEvent(Validation(ok), ()))
    assert report_of(statistics.snapshot({}), at=NOW).false_hits.rate == 0.25
