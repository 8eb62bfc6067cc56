"""`cache.analyze`: a verdict, and what to change, with the numbers it rests on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, ConfigError, Entry, Request, SemanticCache, TierConfig, open_cache
from llmcache_plugins.analysis import Recommendation, Survey, advise, judge
from llmcache_plugins.counters import CacheStats, TierStats
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FaultyStore
from llmcache_plugins.types import Profile, Stored

NOW = 1_700_000_000.0
HOUR = 3600.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, clock=clock, profiler=None) as cache:
        yield cache


def stored(
    number: int = 0,
    *,
    reads: int = 0,
    age: float = 0.0,
    life: float | None = 24 * HOUR,
    read_after: float = 0.0,
    query_type: str = "general",
    label: str = "",
) -> Stored:
    created_at = NOW - age
    entry = Entry(
        scope="s",
        key=f"key-{number}",
        normalised_key="n",
        namespace=(),
        text=f"question {number}",
        answer_json='"x"',
        created_at=created_at,
        expires_at=None if life is None else created_at + life,
        profile=Profile(query_type),
        label=label,
    )
    return Stored(entry, reads, created_at + read_after if reads else None, tier="warm")


def survey_of(rows: list[Stored], **settings: Any) -> Survey:
    survey = Survey(NOW, **settings)
    for row in rows:
        survey.add(row)
    return survey


def advice(
    stats: CacheStats | None = None, rows: list[Stored] | None = None, **settings: Any
) -> dict[str, Recommendation]:
    found = advise(stats or CacheStats(), survey_of(rows or []), CacheConfig(**settings))
    return {f"{one.kind} {one.setting}".strip(): one for one in found}


def tiers(**last: Any) -> dict[str, TierStats]:
    return {"hot": TierStats(max_entries=10), "cold": TierStats(**{"max_entries": 1000, **last})}


# ---------------------------------------------------------------- the verdict
@pytest.mark.parametrize(("hits", "verdict"), [(600, "good"), (599, "fair"), (300, "fair"), (299, "poor"), (0, "poor")])
def test_the_verdict_follows_the_hit_rate(hits: int, verdict: str) -> None:
    stats = CacheStats(hits={"exact": hits}, misses={"no_candidates": 1000 - hits})
    found = judge(stats, survey_of([]))
    assert (found.verdict, found.basis, found.hit_rate, found.count) == (verdict, "lookups", hits / 1000, 1000)
    assert found.low <= hits / 1000 <= found.high


def test_a_verdict_that_more_lookups_may_change_says_so() -> None:
    sure = judge(CacheStats(hits={"exact": 900}, misses={"expired": 100}), survey_of([]))
    unsure = judge(CacheStats(hits={"exact": 62}, misses={"expired": 38}), survey_of([]))
    assert not any("may change" in reason for reason in sure.reasons)
    assert any("may change the verdict (fair to good)" in reason for reason in unsure.reasons)


def test_exact_and_semantic_rates_are_told_apart() -> None:
    hits = {"exact": 30, "normalised": 10, "semantic": 15, "alias": 5}
    found = judge(CacheStats(hits=hits, misses={"expired": 40}), survey_of([]))
    assert (found.exact_rate, found.semantic_rate) == (0.4, 0.2)


def test_too_little_seen_is_no_verdict() -> None:
    found = judge(CacheStats(hits={"exact": 99}), survey_of([stored(reads=3)]))
    assert (found.verdict, found.basis, found.hit_rate) == ("unknown", "nothing", None)


def test_without_lookups_the_reads_of_the_entries_tell() -> None:
    found = judge(CacheStats(), survey_of([stored(number, reads=4) for number in range(100)]))
    assert (found.verdict, found.basis, found.hit_rate) == ("good", "reads", 0.8)
    assert any("true rate is lower" in reason for reason in found.reasons)


# ---------------------------------------------------------------- what there is
def test_hotspots_are_the_most_read_first_and_show_no_text_unasked() -> None:
    rows = [stored(number, reads=number % 7) for number in range(300)]
    hot = survey_of(rows).hotspots(3)
    assert [(one.reads, one.key) for one in hot] == [(6, "key-6"), (6, "key-13"), (6, "key-20")]
    assert hot[0].share == pytest.approx(6 / sum(row.access_count for row in rows))
    assert hot[0].text == ""
    assert survey_of(rows, with_text=True).hotspots(1)[0].text == "question 6"


def test_entries_are_counted_by_what_they_are_about_and_how_long_they_live() -> None:
    label = "v1:device:interface_status:rtr-001:a3f2:2026"
    rows = [
        stored(1, reads=2, query_type="status", life=30, label=label),
        stored(2, query_type="definition", life=None),
        stored(3, query_type="definition", life=10, age=10),
        stored(4, query_type="definition", life=300),
    ]
    survey = survey_of(rows)
    assert {name: (group.entries, group.reads) for name, group in survey.query_types.items()} == {
        "status": (1, 2),
        "definition": (3, 0),
    }
    assert list(survey.labels) == ["device:interface_status"]
    assert dict(survey.remaining) == {"expired": 1, "under 1 min": 1, "under 1 h": 1, "for ever": 1}


def test_coverage_is_the_share_of_reads_of_the_most_read() -> None:
    survey = survey_of([stored(number, reads=90 if number == 0 else 1) for number in range(11)])
    assert dict(survey.coverage) == {1: 0.9, 10: 0.99}


# ---------------------------------------------------------------- what follows
def test_nothing_seen_nothing_recommended() -> None:
    assert advice() == {}


def test_a_full_store_that_evicts_should_be_larger() -> None:
    rows = [stored(number) for number in range(100)]
    full = tiers(max_entries=100, utilisation=1.0, evictions=50)
    found = advice(CacheStats(updates=200, tiers=full), rows)["size max_entries"]
    assert found.value == 150  # what was evicted would have had room
    assert found.evidence == {"utilisation": 1.0, "evictions": 50, "updates": 200}
    assert advice(CacheStats(updates=200, tiers=tiers(max_entries=100, utilisation=1.0, evictions=3)), rows) == {}


def test_a_store_that_is_full_of_bytes_should_have_more_of_these() -> None:
    full = tiers(max_entries=10_000, max_bytes=1000, utilisation=0.95, evictions=50)
    found = advice(CacheStats(updates=200, tiers=full), [stored(number) for number in range(100)])
    assert found["size max_bytes"].value == 1500


def test_a_full_upper_tier_below_which_much_is_served_should_be_larger() -> None:
    def stats(hot: int) -> CacheStats:
        upper = TierStats(max_entries=10, utilisation=1.0, hits=hot)
        return CacheStats(hits={"exact": 200}, tiers={"hot": upper, "cold": TierStats(max_entries=1000)})

    assert advice(stats(hot=100))["tiers max_entries"].value == 20
    assert advice(stats(hot=190)) == {}


def test_exact_repeats_of_expired_answers_ask_for_a_longer_life() -> None:
    stats = CacheStats(hits={"exact": 50}, misses={"expired": 40, "no_candidates": 10})
    found = advice(stats)["ttl ttl"]
    assert found.evidence == {"expired": 40, "lookups": 100, "hit rate at most": 0.9}
    assert "ttl ttl" not in advice(CacheStats(hits={"exact": 50}, misses={"expired": 20}))  # too few to tell


def test_answers_that_are_read_soon_or_never_may_live_shorter_where_room_is_short() -> None:
    rows = [stored(number, reads=1, age=13 * HOUR, read_after=600.0) for number in range(60)]
    full = CacheStats(tiers=tiers(max_entries=60, utilisation=1.0))
    assert advice(full, rows)["ttl ttl"].value == 1200
    assert "ttl ttl" not in advice(CacheStats(tiers=tiers(utilisation=0.06)), rows)  # there is room
    young = [replace(row, entry=replace(row.entry, created_at=NOW - HOUR)) for row in rows]
    assert "ttl ttl" not in advice(full, young)  # who knows what they will be read for
    late = [stored(number, reads=1, age=13 * HOUR, read_after=12 * HOUR) for number in range(60)]
    assert "ttl ttl" not in advice(full, late)


def test_near_misses_errors_and_a_missing_embedder_are_told() -> None:
    assert "matching" in advice(CacheStats(hits={"exact": 70}, misses={"guard_conflict": 20, "low_confidence": 10}))
    assert "matching" in advice(CacheStats(hits={"exact": 70}, misses={"no_embedder": 30}))
    assert "errors" in advice(CacheStats(hits={"exact": 100}, errors={"embedder": 1}))
    assert advice(CacheStats(hits={"exact": 100}, misses={"low_confidence": 10})) == {}


def test_answers_nobody_asks_for_again_are_told() -> None:
    ripe = [stored(number, age=20 * HOUR, reads=number % 10 == 0) for number in range(100)]
    assert advice(rows=ripe)["traffic"].evidence["unread"] == 90
    assert "traffic" not in advice(rows=[stored(number) for number in range(100)])  # they have just been stored


def test_few_questions_that_make_up_the_traffic_are_worth_warming() -> None:
    assert "warming" in advice(rows=[stored(number, reads=5 if number < 50 else 0) for number in range(300)])
    assert "warming" not in advice(rows=[stored(number, reads=1) for number in range(300)])


def test_a_cache_that_stays_empty_may_be_smaller_after_a_whole_life() -> None:
    stats = CacheStats(tiers=tiers(max_entries=10_000, utilisation=0.01))
    rows = [stored(number, age=23 * HOUR) for number in range(100)]
    assert advice(stats, rows, ttl=24 * HOUR)["size max_entries"].value == 200
    assert "size max_entries" not in advice(stats, rows, ttl=72 * HOUR)


# ---------------------------------------------------------------- the verb
def test_a_cache_is_analysed_and_nothing_is_counted(cache: SemanticCache) -> None:
    for number in range(60):
        cache.update(Request(f"question number {number}", query_type="status"), "x")
    for number in range(60):
        for _ in range(2):
            cache.lookup(f"question number {number}")
    before = cache.stats()
    found = cache.analyze(top=3)
    assert (found.entries, found.surveyed, found.reads) == (60, 60, 120)
    assert (found.efficiency.verdict, found.efficiency.count) == ("good", 120)
    assert found.query_types["status"].entries == 60
    assert len(found.hotspots) == 3
    assert cache.stats() == before
    assert asyncio.run(cache.aanalyze(top=3)) == found


def test_only_the_cache_s_own_namespace_is_looked_at(clock: FakeClock) -> None:
    store = MemoryStore(max_entries=100, max_bytes=10**6)
    tier = [TierConfig("only", store=store)]
    with (
        open_cache(tiers=tier, embedder=None, clock=clock, namespace="mine") as mine,
        open_cache(tiers=tier, embedder=None, clock=clock, namespace="other") as other,
    ):
        mine.update("a question", "x")
        other.update("a question", "x")
        other.update("another question", "x")
        assert mine.analyze().surveyed == 1


def test_more_entries_than_wanted_are_not_read(cache: SemanticCache) -> None:
    for number in range(20):
        cache.update(f"question number {number}", "x")
    found = cache.analyze(most_entries=7)
    assert (found.surveyed, found.entries) == (7, 20)


def test_the_text_shows_no_question_unless_asked(cache: SemanticCache) -> None:
    cache.update("a secret question", "x")
    cache.lookup("a secret question")
    assert "secret" not in str(cache.analyze())
    assert "secret" not in json.dumps(cache.analyze().as_json())
    assert "secret" not in repr(cache.analyze(with_text=True))
    assert "a secret question" in str(cache.analyze(with_text=True))


def test_the_text_names_verdict_tiers_and_evidence(cache: SemanticCache) -> None:
    for number in range(120):
        cache.lookup(f"question number {number}")
    text = str(cache.analyze())
    assert "efficiency: poor, 0.0% answered" in text
    assert "hot" in text
    assert "evidence: misses without an embedder 120, lookups 120" in text


def test_a_broken_store_is_spared_or_raised(clock: FakeClock) -> None:
    store = FaultyStore(MemoryStore(max_entries=10, max_bytes=10**6))
    with open_cache(tiers=[TierConfig("only", store=store)], embedder=None, clock=clock) as cache:
        store.fail({"select"})
        assert cache.analyze().surveyed == 0
        store.heal()


@pytest.mark.parametrize("settings", [{"top": 0}, {"top": 101}, {"top": True}, {"most_entries": 0}])
def test_bounds_out_of_range_are_refused(settings: dict[str, Any], cache: SemanticCache) -> None:
    with pytest.raises(ConfigError):
        cache.analyze(**settings)
