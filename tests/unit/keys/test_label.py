"""Structured questions: their readable names, and what makes two of them one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.keys.label import QueryContext, bucket_end

NOW = datetime(2026, 2, 11, 14, 23, 45, tzinfo=UTC).timestamp()


def test_label_reads_as_in_the_documents() -> None:
    asked = QueryContext("rtr-001", "interface_status", {"interface": "Gi0/0"}, time_sensitivity="hour")
    version, level, query_type, entity, digits, bucket = asked.label(NOW).split(":")
    assert (version, level, query_type, entity) == ("v1", "device", "interface_status", "rtr-001")
    assert len(digits) == 4
    assert int(digits, 16) >= 0
    assert bucket == "2026-02-11-14"


@pytest.mark.parametrize(
    ("sensitivity", "bucket"),
    [
        ("minute", "2026-02-11-14-23"),
        ("hour", "2026-02-11-14"),
        ("day", "2026-02-11"),
        (None, "static"),
        ("real-time", "2026-02-11-14-23"),
        ("near-real-time", "2026-02-11-14"),
        ("static", "static"),
    ],
)
def test_time_buckets_are_utc(sensitivity: str | None, bucket: str) -> None:
    label = QueryContext("rtr-001", "status", time_sensitivity=sensitivity).label(NOW)
    assert label.endswith(f":{bucket}")


def test_an_entity_that_is_none_is_no_entity() -> None:
    nothing = QueryContext("", "best_practices", level="global")
    assert nothing.label(NOW).startswith("v1:global:best_practices:none:")
    assert QueryContext("None", "best_practices", level="global") == nothing


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Interface": "Gi0/0", "Status": "UP"}, {"status": "up", "interface": "gi0/0"}),
        ({"interface": " gi0/0 "}, {"interface": "gi0/0"}),
        ({"load": 0.801}, {"load": 0.799}),
        ({"count": 1}, {"count": 1.0}),
        ({"interfaces": ["Gi0/1", "Gi0/0"]}, {"interfaces": ["gi0/0", "gi0/1"]}),
        ({"filter": {"State": "Up"}}, {"filter": {"state": "up"}}),
    ],
)
def test_parameters_that_mean_the_same_are_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = QueryContext("rtr-001", "q", one), QueryContext("RTR-001", "Q", other)
    assert first.label(NOW) == second.label(NOW)
    assert first.content(NOW) == second.content(NOW)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"load": 0.8}, {"load": 0.81}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        ({"a": ["x", "x"]}, {"a": ["x"]}),
    ],
)
def test_parameters_that_differ_are_two(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert repr(QueryContext("r", "q", one).content(NOW)) != repr(QueryContext("r", "q", other).content(NOW))


def test_no_value_runs_into_the_next() -> None:
    labels = {
        QueryContext("b:c", "a").label(NOW),
        QueryContext("c", "a:b").label(NOW),
        QueryContext("b%3ac", "a").label(NOW),
        QueryContext("b c", "a").label(NOW),
    }
    assert len(labels) == 4
    assert all(len(label.split(":")) == 6 for label in labels)


def test_tags_name_what_the_answer_depends_on() -> None:
    asked = QueryContext("RTR-001", "interface_status", {"Interfaces": ["Gi0/0", "Gi0/1"], "verbose": True})
    assert asked.tags == (
        "device:rtr-001",
        "type:interface_status",
        "level:device",
        "interface:gi0/0",
        "interface:gi0/1",
    )
    assert QueryContext("", "best_practices", level="global").tags == ("type:best_practices", "level:global")


@pytest.mark.parametrize(
    ("sensitivity", "seconds"), [("minute", 15.0), ("hour", 36 * 60 + 15.0), ("day", 9.5 * 3600 + 6 * 60 + 15.0)]
)
def test_a_bucket_ends_with_its_minute_hour_or_day(sensitivity: str, seconds: float) -> None:
    assert bucket_end(QueryContext("r", "q", time_sensitivity=sensitivity).label(NOW)) == NOW + seconds


@pytest.mark.parametrize(
    "label", ["", "mine", "v1:a:b:c:d:static", "v1:a:b:c:d:2026-13-45", "v2:a:b:c:d:2026-02-11-14"]
)
def test_other_labels_have_no_bucket(label: str) -> None:
    assert bucket_end(label) is None


@pytest.mark.parametrize(
    "given",
    [
        {"level": "planet"},
        {"time_sensitivity": "second"},
        {"query_type": " "},
        {"parameters": {"A": 1, "a": 1}},
        {"parameters": {"a": object()}},
        {"parameters": {"a": float("nan")}},
        {"parameters": {"a": {1: 2}}},
        {"parameters": ["a"]},
        {"entity": None},
    ],
)
def test_what_is_no_context_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        QueryContext(**{"entity": "rtr-001", "query_type": "status", **given})
