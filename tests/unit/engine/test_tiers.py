"""Tiers as a user sees them: where answers are, when they move, what is counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, Miss, Request, SemanticCache, TierConfig, open_cache
from llmcache_plugins.engine.maintaining import Maintained
from llmcache_plugins.recorded import Event, MoveEvent, PressureEvent
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

GROUPS = {"What are the BGP states?": "bgp", "Which states does BGP have?": "bgp", "List the states of BGP": "bgp"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "disk"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"disk://{tmp_path}/cache.db"


Open = Callable[..., SemanticCache]


@pytest.fixture
def opened(url: str, clock: FakeClock) -> Any:
    caches: list[SemanticCache] = []

    def make(**settings: Any) -> SemanticCache:
        given: dict[str, Any] = {"embedder": None, "clock": clock, "maintenance": "manual", **settings}
        caches.append(open_cache(url, **given))
        return caches[-1]

    yield make
    for cache in caches:
        cache.close()


def tier_of(cache: SemanticCache, question: str) -> str:
    outcome = cache.lookup(question)
    assert isinstance(outcome, Hit), outcome
    return outcome.tier


def where(cache: SemanticCache) -> list[int]:
    """How many entries each tier has."""
    return [tier.entries for tier in cache.stats().tiers.values()]


def small(*sizes: int | None, **last: Any) -> list[TierConfig]:
    """Tiers of these sizes: A, B, C; new entries start in the first."""
    tiers = [TierConfig(chr(65 + place), max_entries=size) for place, size in enumerate(sizes)]
    return [TierConfig("A", max_entries=sizes[0], is_start=True), *tiers[1:]]


# ---------------------------------------------------------------------------------------------------------- promotion
def test_twelve_reads_from_cold_are_promoted_at_the_fifth_and_the_tenth(opened: Open) -> None:
    tiers = [
        TierConfig("hot"),
        TierConfig("warm", promote_at=10),
        TierConfig("cold", promote_at=5, is_start=True),
    ]
    cache = opened(tiers=tiers)
    cache.update("What are the BGP states?", "six")
    assert [tier_of(cache, "What are the BGP states?") for _ in range(12)] == ["cold"] * 5 + ["warm"] * 5 + ["hot"] * 2
    moves = {name: (tier.promotions, tier.demotions) for name, tier in cache.stats().tiers.items()}
    assert moves == {"hot": (0, 0), "warm": (1, 0), "cold": (1, 0)}
    assert [(tier.hits, tier.misses) for tier in cache.stats().tiers.values()] == [(2, 10), (5, 5), (5, 0)]


def test_second_level_is_promoted_to_the_first_at_three_by_configuration(opened: Open) -> None:
    cache = opened(tiers=[TierConfig("L1"), TierConfig("L2", promote_at=3), TierConfig("L3", promote_at=5)])
    cache.update("q", "a")
    assert [tier_of(cache, "q") for _ in range(5)] == ["L2", "L2", "L2", "L1", "L1"]


def test_reads_by_meaning_promote_too(opened: Open) -> None:
    cache = opened(embedder=FakeEmbedder(GROUPS), tiers=[TierConfig("top"), TierConfig("bottom", promote_at=2)])
    cache.update("What are the BGP states?", "six")
    kinds = []
    for question in ("Which states does BGP have?", "what are the bgp states", "List the states of BGP"):
        outcome = cache.lookup(question)
        assert isinstance(outcome, Hit)
        kinds.append((outcome.kind, outcome.tier))
    assert kinds == [("semantic", "bottom"), ("normalised", "bottom"), ("semantic", "top")]


def test_promotions_and_demotions_are_events(opened: Open, clock: FakeClock) -> None:
    events: list[Event] = []
    cache = opened(
        recorders=[events.append], tiers=[TierConfig("top", residency=10.0), TierConfig("bottom", promote_at=1)]
    )
    cache.update("q", "a")
    cache.lookup("q")
    clock.advance(11)
    cache.maintain()
    moves = [event for event in events if isinstance(event, MoveEvent)]
    assert moves == [MoveEvent("bottom", "top", 1, "reads"), MoveEvent("top", "bottom", 1, "idle")]


def test_after_a_demotion_reads_count_from_the_start(opened: Open, clock: FakeClock) -> None:
    cache = opened(tiers=[TierConfig("top", residency=10.0), TierConfig("bottom", promote_at=3)])
    cache.update("q", "a")
    assert [tier_of(cache, "q") for _ in range(4)] == ["bottom", "bottom", "bottom", "top"]
    clock.advance(11)
    cache.maintain()
    assert [tier_of(cache, "q") for _ in range(4)] == ["bottom", "bottom", "bottom", "top"]


def test_maintenance_promotes_what_a_failing_store_left_behind(clock: FakeClock) -> None:
    store = FaultyStore(MemoryStore())
    tiers = [TierConfig("top"), TierConfig("bottom", store=store, promote_at=2)]
    with open_cache(tiers=tiers, embedder=None, clock=clock, maintenance="manual") as cache:
        cache.update("q", "a")
        store.fail({"place"})
        assert [tier_of(cache, "q") for _ in range(3)] == ["bottom"] * 3
        assert cache.stats().errors["store"] == 2
        store.heal()
        assert cache.maintain().done["promoted"] == 1
        assert tier_of(cache, "q") == "top"


def test_static_answers_start_in_cold_and_tags_may_choose_a_tier(opened: Open) -> None:
    static = Request("What is a VLAN?", volatility="static")
    tagged = Request("Which ports are up?", tags=("vip:rtr-001",), volatility="static")
    cache = opened()
    cache.update(static, "a")
    assert [tier.entries for tier in cache.stats().tiers.values()] == [0, 0, 1]
    cache = opened(tiers=[TierConfig("top", tags=("vip:*",)), TierConfig("bottom", volatilities=("static",))])
    cache.clear()
    for request in (static, tagged):
        cache.update(request, "a")
    assert where(cache) == [1, 1]


# ----------------------------------------------------------------------------------------------------------- demotion
def test_idle_entries_move_down_tier_by_tier_and_are_still_served(opened: Open, clock: FakeClock) -> None:
    cache = opened(ttl=None)
    cache.update("q", "a")
    for _ in range(10):
        cache.lookup("q")
    assert where(cache) == [1, 0, 0]
    clock.advance(301)
    assert cache.maintain().done["idle"] == 1
    assert where(cache) == [0, 1, 0]
    clock.advance(3500)
    assert cache.maintain().done["idle"] == 0
    clock.advance(101)
    assert cache.maintain().done["idle"] == 1
    assert where(cache) == [0, 0, 1]
    assert tier_of(cache, "q") == "cold"


def test_a_read_keeps_an_entry_in_its_tier(opened: Open, clock: FakeClock) -> None:
    cache = opened(ttl=None)
    for question in ("read", "unread"):
        cache.update(question, "a")
    for _ in range(4):
        clock.advance(3000)
        cache.lookup("read")
        cache.maintain()
    assert (tier_of(cache, "read"), tier_of(cache, "unread")) == ("warm", "cold")


def test_many_idle_entries_move_in_one_pass(opened: Open, clock: FakeClock) -> None:
    cache = opened(ttl=None, tiers=[TierConfig("top", residency=10.0, is_start=True), TierConfig("bottom")])
    for number in range(1100):
        cache.update(f"q{number}", "a")
    clock.advance(11)
    assert cache.maintain().done["idle"] == 1100
    assert where(cache) == [0, 1100]


def test_what_is_too_much_moves_down_and_nothing_is_lost(opened: Open, clock: FakeClock) -> None:
    cache = opened(tiers=small(2, 3, None))
    for number in range(9):
        clock.advance(1)
        cache.update(f"q{number}", number)
    assert where(cache) == [2, 3, 4]
    assert [cache.lookup(f"q{number}").answer for number in range(9)] == list(range(9))  # type: ignore[union-attr]
    assert [tier_of(cache, f"q{number}") for number in (8, 6, 0)] == ["A", "B", "C"]


def test_byte_limit_of_a_tier_moves_entries_down(opened: Open) -> None:
    tiers = [TierConfig("top", max_bytes=20_000, is_start=True), TierConfig("bottom")]
    cache = opened(tiers=tiers)
    for number in range(40):
        cache.update(f"q{number}", "x" * 1000)
    top, bottom = cache.stats().tiers.values()
    assert 0 < top.size_bytes <= 20_000
    assert top.entries + bottom.entries == 40
    assert top.demotions == bottom.entries


def test_the_tier_s_own_order_says_who_moves_down(opened: Open, clock: FakeClock) -> None:
    tiers = [TierConfig("top", max_entries=2, eviction="fifo", is_start=True), TierConfig("bottom")]
    cache = opened(tiers=tiers)
    for question in ("first", "second"):
        cache.update(question, "a")
        clock.advance(1)
    cache.lookup("first")
    cache.update("third", "a")
    assert [tier_of(cache, q) for q in ("first", "second", "third")] == ["bottom", "top", "top"]


def test_eviction_takes_the_last_tier_first(opened: Open, clock: FakeClock) -> None:
    cache = opened(tiers=small(1, 3))
    for question in ("a", "b", "c"):
        cache.update(question, question)
        clock.advance(1)
    for _ in range(3):
        assert tier_of(cache, "c") == "A"
    cache.update("d", "d")
    assert isinstance(cache.lookup("a"), Miss)
    assert [tier_of(cache, question) for question in ("b", "c", "d")] == ["B", "B", "A"]
    last = cache.stats().tiers["B"]
    assert (last.evictions, last.utilisation) == (1, 1.0)


def test_an_answer_is_stored_although_nobody_can_say_how_full_the_tiers_are(clock: FakeClock) -> None:
    store = FaultyStore(MemoryStore())
    tiers = [TierConfig("top", max_entries=1, is_start=True), TierConfig("bottom", store=store)]
    with open_cache(tiers=tiers, embedder=None, clock=clock, maintenance="manual") as cache:
        store.fail({"stats", "lowest"})
        assert all(cache.update(f"q{number}", "a").stored for number in range(3))
        store.heal()
        assert where(cache) == [3, 0]
        assert cache.maintain().done["capacity"] == 2
        assert where(cache) == [1, 2]


# ------------------------------------------------------------------------------------------- the best match of all wins
def test_a_hot_entry_never_hides_a_better_cold_one(opened: Open) -> None:
    groups = {"asked": "near", "cold": "near"}
    tiers = [TierConfig("hot", promote_at=None), TierConfig("cold", promote_at=1)]
    cache = opened(
        embedder=FakeEmbedder(groups, similarity=0.97), tiers=tiers, similarity_threshold=0.05, use_guards=False
    )
    cache.update("hot and far away", "wrong")
    assert tier_of(cache, "hot and far away") == "cold"
    assert tier_of(cache, "hot and far away") == "hot"
    cache.update("cold", "right")
    outcome = cache.lookup("asked")
    assert isinstance(outcome, Hit)
    assert (outcome.answer, outcome.tier) == ("right", "cold")


# ------------------------------------------------------------------------------------------------------------ warnings
def test_a_tier_that_gets_full_is_told_once_for_each_level(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    cache = opened(recorders=[events.append], max_entries=100, tiers=[TierConfig("only")])
    with caplog.at_level(logging.WARNING, "llmcache_plugins"):
        for number in range(130):
            cache.update(f"q{number}", "a")
        cache.maintain()
    told = [event for event in events if isinstance(event, PressureEvent)]
    assert [(event.tier, event.level) for event in told] == [("only", 0.85), ("only", 0.9)]
    assert [record.message for record in caplog.records] == ["tier only is 85 % full", "tier only is 90 % full"]
    cache.clear()
    cache.maintain()
    for number in range(86):
        cache.update(f"q{number}", "a")
    assert [event.level for event in events if isinstance(event, PressureEvent)] == [0.85, 0.9, 0.85]


# ------------------------------------------------------------------------------------------------------------ settings
def test_entries_of_tiers_that_are_no_more_are_taken_over_by_the_last(tmp_path: Path, clock: FakeClock) -> None:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(
        url, embedder=None, clock=clock, tiers=[TierConfig("old", is_start=True), TierConfig("b")]
    ) as cache:
        cache.update("q", "a")
    with open_cache(url, embedder=None, clock=clock, maintenance="manual") as cache:
        assert tier_of(cache, "q") == "cold"
        assert cache.maintain().done["adopted"] == 1
        assert cache.maintain().done["adopted"] == 0
        assert tier_of(cache, "q") == "cold"


def test_last_tier_may_name_the_store_of_all_entries(tmp_path: Path) -> None:
    store = f"disk://{tmp_path}/cache.db"
    with open_cache(tiers=[TierConfig("hot"), TierConfig("cold", store=store)], embedder=None) as cache:
        cache.update("q", "a")
    with open_cache(store, embedder=None) as cache:
        assert isinstance(cache.lookup("q"), Hit)


def test_two_places_for_the_entries_are_refused() -> None:
    with pytest.raises(ConfigError, match="both say where the entries are"):
        open_cache("memory://", tiers=[TierConfig("hot"), TierConfig("cold", store="memory://")])


def test_a_wrong_store_of_copies_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown kind of cache URL"):
        open_cache(f"disk://{tmp_path}/cache.db", tiers=[TierConfig("hot", store="ftp://x"), TierConfig("cold")])


def test_a_cache_that_keeps_nothing_has_no_tiers() -> None:
    with open_cache("null://", embedder=None, maintenance="manual") as cache:
        cache.update("q", "a")
        assert isinstance(cache.lookup("q"), Miss)
        assert list(cache.stats().tiers) == ["null"]
        assert cache.maintain().failed == ()


# ------------------------------------------------------------------------------------------------------------ on a loop
async def test_moves_are_the_same_on_an_event_loop(opened: Open, clock: FakeClock) -> None:
    cache = opened(tiers=[TierConfig("top", residency=10.0), TierConfig("bottom", promote_at=2)])
    await cache.aupdate("q", "a")
    tiers = []
    for _ in range(4):
        outcome = await cache.alookup("q")
        assert isinstance(outcome, Hit)
        tiers.append(outcome.tier)
    assert tiers == ["bottom", "bottom", "top", "top"]
    clock.advance(11)
    assert (await cache.amaintain()).done["idle"] == 1
    assert (await asyncio.to_thread(tier_of, cache, "q")) == "bottom"
    stats = await cache.astats()
    assert [(tier.promotions, tier.demotions) for tier in stats.tiers.values()] == [(0, 1), (1, 0)]


def test_a_closed_cache_is_not_maintained(opened: Open) -> None:
    cache = opened()
    cache.close()
    assert cache.maintain() == Maintained()
