"""Where questions come from: logs, the time of the week, inventories, events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Request
from llmcache_plugins.warming import (
    LogRow,
    Wanted,
    after_discovery,
    from_event,
    from_topology,
    predictive,
    read_log,
    top_questions,
)
from llmcache_plugins.warming.wanted import as_wanted

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def texts(wanted: list[Wanted]) -> list[str]:
    return [one.text for one in wanted]


def at(days_ago: float, hour: int = 9, minute: int = 10) -> float:
    day = MONDAY - timedelta(days=days_ago)
    return day.replace(hour=hour, minute=minute).timestamp()


# ---------------------------------------------------------------- logs
def test_plain_lines_and_json_lines_are_read_alike(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        'What is BGP?\n\n{"query": "What is OSPF?", "timestamp": "2026-03-02T09:00:00+01:00", "count": 3}\n'
        '{"asked": "Show vlans", "at": 5.5}\n{"text": "Show users", "time": "1970-01-01T00:01:00"}\n',
        encoding="utf-8",
    )
    assert read_log(log) == [
        LogRow("What is BGP?"),
        LogRow("What is OSPF?", datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp(), 3),
        LogRow("Show vlans", 5.5),
        LogRow("Show users", 60.0),  # UTC where the log does not say
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{"question": 3}',
        '{"what": "x"}',
        '{"question": "x"',
        '{"question": "x", "count": 0}',
        '{"text": "x", "at": "soon"}',
    ],
)
def test_a_line_that_is_no_question_is_named(line: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"fine\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2"):
        read_log(log)


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_log(tmp_path / "none")


def test_the_most_frequent_questions_come_first_with_their_counts() -> None:
    rows = ["ask me", LogRow("show bgp", count=4), "Ask  me?", "c d", "Ask me"]
    found = top_questions(rows, 2)
    assert [(one.text, one.priority) for one in found] == [("show bgp", 4.0), ("ask me", 3.0)]


def test_a_question_is_warmed_in_its_commonest_spelling() -> None:
    assert texts(top_questions(["What is BGP", "what is bgp?", "what is bgp?"], 1)) == ["what is bgp?"]


def test_what_was_asked_less_often_than_least_is_left_out() -> None:
    assert texts(top_questions(["a b", "a b", "c d"], 10, least=2)) == ["a b"]


def test_top_takes_at_least_one() -> None:
    with pytest.raises(ConfigError, match="n must be"):
        top_questions(["a"], 0)


# ---------------------------------------------------------------- the time of the week
def test_predicted_is_what_was_asked_at_this_hour_and_weekday() -> None:
    rows = [
        LogRow("monday morning", at(7)),
        LogRow("monday morning", at(14)),
        LogRow("tuesday morning", at(6)),
        LogRow("monday evening", at(7, hour=18)),
        LogRow("no time"),
        LogRow("later today", at(0)),
    ]
    assert texts(predictive(rows, MONDAY, 10)) == ["monday morning", "tuesday morning"]


def test_one_on_the_same_weekday_outweighs_three_on_others() -> None:
    rows = [LogRow("other day", at(days)) for days in (6, 5, 4)] + [LogRow("same day", at(7))]
    assert texts(predictive(rows, MONDAY, 1)) == ["same day"]


def test_what_was_asked_lately_outweighs_what_was_asked_long_ago() -> None:
    rows = [LogRow("old", at(70)), LogRow("old", at(77)), LogRow("new", at(7))]
    assert texts(predictive(rows, MONDAY, 2)) == ["new", "old"]


def test_the_window_reaches_past_midnight() -> None:
    late = MONDAY.replace(hour=23, minute=30)
    row = LogRow("tuesday at 0:10", at(6, hour=0))
    assert texts(predictive([row, LogRow("x", at(7, hour=12))], late, 5)) == ["tuesday at 0:10"]
    assert predictive([row], late, 5)[0].priority == pytest.approx(0.5 ** (6.97 / 14), rel=0.01)  # a Monday's evening


def test_the_hour_is_that_of_the_given_time_zone() -> None:
    there = timezone(timedelta(hours=9))
    rows = [LogRow("asked at nine over there", at(7, hour=0))]
    assert texts(predictive(rows, MONDAY.replace(tzinfo=there), 5)) == ["asked at nine over there"]
    assert predictive(rows, MONDAY, 5) == []


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        predictive([], datetime(2026, 3, 2), 5)


# ---------------------------------------------------------------- inventories
def test_every_template_about_every_device() -> None:
    wanted = from_topology(["show interfaces on {device}", "BGP summary of {device}"], {"device": ["r1", "r2"]})
    assert texts(wanted) == [
        "show interfaces on r1",
        "show interfaces on r2",
        "BGP summary of r1",
        "BGP summary of r2",
    ]
    request = wanted[0].request
    assert isinstance(request, Request)
    assert request.tags == ("device:r1",)  # so that an event of r1 finds the answer


def test_several_placeholders_make_every_combination_and_rows_do_not() -> None:
    product = from_topology(["{a} on {b}"], {"a": ["1", "2"], "b": ["x", "y"]})
    assert texts(product) == ["1 on x", "1 on y", "2 on x", "2 on y"]
    rows = from_topology(["{a} on {b}", "all of {b}"], [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}, {"b": "x"}])
    assert texts(rows) == ["1 on x", "2 on y", "all of x", "all of y"]


@pytest.mark.parametrize(
    ("template", "entities"),
    [
        ("show {site}", {"device": ["r1"]}),
        ("show {device", {"device": ["r1"]}),
        ("show {device.__class__}", {"device": ["r1"]}),
        ("show {device!r}", {"device": ["r1"]}),
        ("show {0}", {"device": ["r1"]}),
        ("show {device}", {"device": "rtr-001"}),
        ("show {site}", [{"device": "r1"}]),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str, entities: Any) -> None:
    with pytest.raises(ConfigError):
        from_topology([template], entities)


def test_a_template_that_would_make_a_bill_is_refused() -> None:
    names = [str(number) for number in range(400)]
    with pytest.raises(ConfigError, match="160,000 questions"):
        from_topology(["{a} {b}"], {"a": names, "b": names})


def test_after_a_discovery_only_what_is_new_is_asked() -> None:
    templates = ["show {device}", "route from {device} to {site}"]
    known = {"device": ["r1"], "site": ["x"]}
    assert texts(after_discovery(templates, {"device": ["r1", "r2"], "site": ["x"]}, known)) == [
        "show r2",
        "route from r2 to x",
    ]
    assert len(after_discovery(templates, known, {})) == 2  # nothing was known


# ---------------------------------------------------------------- events
def test_an_event_raises_its_questions_about_what_it_names() -> None:
    wanted = from_event("bgp_neighbor_down", {"device": "rtr-001", "neighbor": "10.0.0.2"})
    assert "Why is BGP neighbor 10.0.0.2 down on rtr-001?" in texts(wanted)
    assert wanted[0].source == "event bgp_neighbor_down"


def test_questions_about_what_an_event_does_not_name_are_left_out() -> None:
    questions = {"down": ["Why is {device} down?", "Why is {interface} of {device} down?", "Who is on call?"]}
    assert texts(from_event("down", {"device": "r1"}, questions)) == ["Why is r1 down?", "Who is on call?"]
    assert from_event("unheard of", {"device": "r1"}, questions) == []


def test_an_attribute_is_text() -> None:
    with pytest.raises(ConfigError, match="device"):
        from_event("down", {"device": 3}, {})  # type: ignore[dict-item]


# ---------------------------------------------------------------- order
def test_priority_decides_and_then_the_order_given() -> None:
    assert texts(as_wanted(["a", Wanted("b", 2), "c", Wanted("d", -1), Request("e")])) == ["b", "a", "c", "e", "d"]


@pytest.mark.parametrize("questions", ["one question", [""], [3], [Wanted], None, 5])
def test_what_is_no_question_is_refused(questions: Any) -> None:
    with pytest.raises(ConfigError):
        as_wanted(questions)


def test_a_priority_is_a_number() -> None:
    with pytest.raises(ConfigError, match="priority"):
        Wanted("a", float("nan"))
