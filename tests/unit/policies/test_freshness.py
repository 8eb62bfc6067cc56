"""How long an answer may be served, and which setting decides."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.policies.freshness import Freshness
from llmcache_plugins.types import Profile

DAY = 86_400.0


@pytest.mark.parametrize(
    ("volatility", "ttl"),
    [("static", 7 * DAY), ("stable", 4 * 3600.0), ("dynamic", 300.0), ("volatile", 30.0), ("", DAY), ("odd", DAY)],
)
def test_classes_have_the_documented_times(volatility: str, ttl: float) -> None:
    assert Freshness().ttl_of(Profile(volatility=volatility)) == ttl


def test_the_first_that_says_something_decides() -> None:
    profile = Profile("status", "volatile", ("device:rtr-001", "site:ny1"))
    by_type = Freshness(by_volatility={"volatile": 10.0}, by_query_type={"status": 60.0})
    assert Freshness(by_volatility={"volatile": 10.0}).ttl_of(profile) == 10.0
    assert by_type.ttl_of(profile) == 60.0
    tagged = Freshness(by_query_type={"status": 60.0}, by_tag={"device:*": 500.0, "site:ny?": 400.0, "site:ny1": None})
    assert tagged.ttl_of(profile) == 400.0  # of the tags the shortest, although a query type says less
    assert tagged.ttl_of(Profile("status", "volatile", ("device",))) == 60.0


def test_none_is_for_ever() -> None:
    assert Freshness(by_volatility={"static": None}).ttl_of(Profile(volatility="static")) is None
    assert Freshness(by_query_type={"definition": None}).ttl_of(Profile("definition")) is None
    assert Freshness(by_tag={"manual:*": None}).ttl_of(Profile(tags=("manual:7",))) is None
    assert Freshness(default=None, is_default_given=True).ttl_of(Profile()) is None


@pytest.mark.parametrize(
    ("volatility", "ttl"),
    [("static", 3600.0), ("stable", 3600.0), ("dynamic", 300.0), ("volatile", 30.0), ("", 3600.0)],
)
def test_a_given_default_is_a_ceiling_for_classes_nobody_set(volatility: str, ttl: float) -> None:
    assert Freshness(default=3600.0, is_default_given=True).ttl_of(Profile(volatility=volatility)) == ttl


def test_a_class_the_user_set_may_live_longer_than_the_default() -> None:
    given = Freshness(default=60.0, is_default_given=True, by_volatility={"static": DAY})
    assert given.ttl_of(Profile(volatility="static")) == DAY
    assert given.ttl_of(Profile(volatility="stable")) == 60.0


def test_a_default_of_ever_leaves_the_classes_alone() -> None:
    given = Freshness(default=None, is_default_given=True)
    assert given.ttl_of(Profile(volatility="volatile")) == 30.0
    assert given.ttl_of(Profile(volatility="static")) == 7 * DAY


@pytest.mark.parametrize(
    "given",
    [
        {"by_volatility": {"static": 0}},
        {"by_query_type": {"status": -1}},
        {"by_tag": {"a": float("inf")}},
        {"by_tag": {"": 1}},
        {"by_volatility": {"static": True}},
        {"by_volatility": [("static", 1)]},
    ],
)
def test_tables_that_mean_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="ttl_by_"):
        Freshness(**given)


def test_a_pattern_finds_devices_however_they_are_written() -> None:
    short = Freshness(by_tag={"device:RTR-*": 60.0, "ticket:INC*": 30.0})
    assert short.ttl_of(Profile(tags=("device:rtr-001",))) == 60.0
    assert short.ttl_of(Profile(tags=("ticket:INC1",))) == 30.0
    assert short.ttl_of(Profile(tags=("ticket:inc1",))) == 86_400.0
