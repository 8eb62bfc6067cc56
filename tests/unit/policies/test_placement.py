"""Where an entry starts, when it moves, and how full a tier is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.counters import Share
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.placement import Placement, Pressure, TierConfig, default_tiers
from llmcache_plugins.types import Entry, Profile

DEFAULT = Placement(default_tiers(10_000, 256 * 2**20))


def entry_of(*tags: str, volatility: str = "") -> Entry:
    return Entry("s", "k", "n", (), "q", '"a"', 0.0, None, profile=Profile(volatility=volatility, tags=tags))


# ------------------------------------------------------------------------------------------------- the default tiers
def test_default_tiers_are_those_of_the_table() -> None:
    hot, warm, cold = DEFAULT.tiers
    assert (hot.name, hot.residency, hot.max_entries, hot.policy.name) == ("hot", 300.0, 1000, "lru")
    assert (warm.name, warm.residency, warm.max_entries, warm.policy.name) == ("warm", 3600.0, 5000, "lfu")
    assert (cold.name, cold.residency, cold.max_entries, cold.policy.name) == ("cold", None, 10_000, "lru")
    assert (warm.promote_at, cold.promote_at) == (10, 5)


@pytest.mark.parametrize(("size", "hot", "warm"), [(1, 1, 1), (50, 5, 25), (10_000, 1000, 5000), (10**6, 1000, 5000)])
def test_upper_tiers_never_take_more_than_their_part_of_a_small_cache(size: int, hot: int, warm: int) -> None:
    tiers = default_tiers(size, 1000)
    assert [tier.max_entries for tier in tiers] == [hot, warm, size]
    assert [tier.max_bytes for tier in tiers] == [100, 500, 1000]


def test_new_entries_start_in_warm_and_static_ones_in_cold() -> None:
    assert DEFAULT.start_of(entry_of()) == "warm"
    assert DEFAULT.start_of(entry_of(volatility="volatile")) == "warm"
    assert DEFAULT.start_of(entry_of(volatility="static")) == "cold"


def test_tags_choose_a_tier_before_volatility_does() -> None:
    tiers = (TierConfig("hot", tags=("vip:*",)), TierConfig("warm"), TierConfig("cold", volatilities=("static",)))
    placement = Placement(tiers)
    assert placement.start_of(entry_of("vip:rtr-001", volatility="static")) == "hot"
    assert placement.start_of(entry_of("vips", volatility="static")) == "cold"
    assert placement.start_of(entry_of("vips")) == "warm"
    devices = Placement([TierConfig("hot", tags=("device:RTR-*",)), TierConfig("warm")])
    assert devices.start_of(entry_of("device:rtr-001")) == "hot"


@pytest.mark.parametrize(("names", "start"), [(("only",), "only"), (("a", "b"), "b"), (("a", "b", "c", "d"), "b")])
def test_without_a_word_new_entries_start_in_the_second_tier(names: tuple[str, ...], start: str) -> None:
    assert Placement([TierConfig(name) for name in names]).start_of(entry_of()) == start


# --------------------------------------------------------------------------------------------------------- promotion
def test_entries_move_up_after_five_and_ten_reads() -> None:
    assert [DEFAULT.promotion("cold", reads) for reads in (4, 5, 6)] == [None, "warm", "warm"]
    assert [DEFAULT.promotion("warm", reads) for reads in (9, 10)] == [None, "hot"]
    assert DEFAULT.promotion("hot", 1000) is None


def test_what_a_store_placed_in_no_tier_counts_as_the_last() -> None:
    assert DEFAULT.name_of("") == DEFAULT.name_of("of other settings") == "cold"
    assert DEFAULT.promotion("", 5) == "warm"
    shares = DEFAULT.shares({"": Share(1, 10), "cold": Share(2, 20), "old": Share(3, 30), "hot": Share(4, 40)})
    assert shares == {"hot": Share(4, 40), "warm": Share(), "cold": Share(6, 60)}


def test_tier_without_a_number_of_reads_promotes_nothing() -> None:
    assert Placement([TierConfig("a"), TierConfig("b")]).promotion("b", 10**6) is None


def test_entries_move_down_by_one_tier() -> None:
    assert [DEFAULT.below(name) for name in DEFAULT.names] == ["warm", "cold", "cold"]


# ---------------------------------------------------------------------------------------------------------- capacity
def test_a_tier_within_its_limits_has_no_surplus() -> None:
    tier = TierConfig("t", max_entries=100, max_bytes=1000)
    assert tier.surplus(Share(100, 1000)) == 0
    assert TierConfig("t").surplus(Share(10**6, 10**9)) == 0


def test_surplus_leaves_a_fiftieth_of_the_tier_free() -> None:
    assert TierConfig("t", max_entries=100).surplus(Share(101, 1)) == 3
    assert TierConfig("t", max_entries=1).surplus(Share(2, 1)) == 1
    assert TierConfig("t", max_bytes=1000).surplus(Share(11, 1100)) == 2


@given(st.integers(1, 10_000), st.integers(1, 10**7), st.integers(1, 20_000), st.integers(1, 2 * 10**7))
def test_after_the_surplus_has_gone_the_tier_is_within_its_limits(
    max_entries: int, max_bytes: int, entries: int, size: int
) -> None:
    tier, share = TierConfig("t", max_entries=max_entries, max_bytes=max_bytes), Share(entries, max(size, entries))
    surplus = tier.surplus(share)
    assert 0 <= surplus <= entries
    left = entries - surplus
    assert left <= max_entries
    if entries:
        assert left * share.size_bytes / entries <= max_bytes * 1.000001


@given(st.integers(1, 10_000), st.integers(0, 9_999))
def test_headroom_ends_where_the_next_level_begins(max_entries: int, entries: int) -> None:
    tier = TierConfig("t", max_entries=max_entries)
    before = Share(min(entries, max_entries - 1), 1)
    room = tier.headroom(before)
    assert room >= 1
    levels = [0.85, 0.9, 1.0]
    reached = [level <= before.entries / max_entries for level in levels]
    just_before = [level <= (before.entries + room - 1) / max_entries for level in levels]
    assert just_before == reached or room == 1


def test_utilisation_is_that_of_the_scarcer_good() -> None:
    tier = TierConfig("t", max_entries=100, max_bytes=1000)
    assert tier.utilisation(Share(50, 900)) == 0.9
    assert tier.utilisation(Share(95, 900)) == 0.95
    assert TierConfig("t").utilisation(Share(95, 900)) == 0.0


# ----------------------------------------------------------------------------------------------------------- warnings
def test_each_level_is_told_once_until_it_was_left_by_five_points() -> None:
    pressure = Pressure()
    told = [pressure.crossed(full) for full in (0.84, 0.85, 0.89, 0.90, 1.0, 0.86, 0.91, 0.84, 0.91, 0.79, 0.86)]
    assert told == [None, 0.85, None, 0.9, None, None, None, None, 0.9, None, 0.85]


def test_a_jump_over_both_levels_is_told_once() -> None:
    assert [Pressure().crossed(full) for full in (0.99,)] == [0.9]


# ------------------------------------------------------------------------------------------------------------ settings
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name of a tier must be"),
        ({"residency": 0}, "residency of tier 't' must be seconds above 0"),
        ({"residency": True}, "residency of tier"),
        ({"max_entries": 0}, "max_entries of tier 't' must be an integer of at least 1"),
        ({"max_bytes": 1.5}, "max_bytes of tier"),
        ({"promote_at": 0}, "promote_at of tier"),
        ({"eviction": "oldest"}, "eviction must be one of"),
        ({"tags": ("",)}, "tags of tier"),
        ({"volatilities": (1,)}, "volatilities of tier"),
    ],
)
def test_wrong_settings_of_a_tier_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TierConfig(**{"name": "t", **changes})


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ([], "at least one"),
        (["hot"], "at least one TierConfig"),
        ([TierConfig("a"), TierConfig("a")], "different names"),
        ([TierConfig("a", is_start=True), TierConfig("b", is_start=True)], "is_start"),
        ([TierConfig("a", promote_at=3), TierConfig("b")], "promote_at must be None for the first tier, 'a'"),
        ([TierConfig("a"), TierConfig("b", residency=3)], "residency must be None for the last tier, 'b'"),
    ],
)
def test_a_stack_that_makes_no_sense_is_refused(tiers: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Placement(tiers)
