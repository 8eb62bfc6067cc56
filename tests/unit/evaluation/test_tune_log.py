"""Which near misses are worth a label."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Answer, Request, open_cache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.evaluation.tune_log import LoggedMiss, propose, read_log
from llmcache_plugins.matching.lexical import LexicalMatcher


def miss(asked: str, stored: str, **values: Any) -> LoggedMiss:
    return LoggedMiss(**{"asked": asked, "stored": stored, "similarity": 0.9, "confidence": 0.0, **values})


def record(**values: Any) -> str:
    row = {"asked": "hi", "stored": "hello", "similarity": 0.9, "confidence": 0.5, "vetoed_by": [], "reason": "x"}
    return json.dumps({**row, "at": 1.0, "namespace": [], **values})


def test_the_log_of_a_cache_is_read(tmp_path: Path) -> None:
    path = tmp_path / "near.jsonl"
    with closing(open_cache("memory://", embedder=LexicalMatcher(), near_miss_file=path)) as cache:
        cache.update(Request("Show BGP status on rtr-001"), Answer("up"))
        cache.lookup(Request("Show BGP status on rtr-002"))
        cache.lookup(Request("Show the whole BGP table and status on rtr-001"))
    vetoed, unsure = read_log(path).misses
    assert vetoed.asked == "Show BGP status on rtr-002"
    assert "identifiers" in vetoed.vetoed_by
    assert unsure.vetoed_by == ()
    assert 0 < unsure.confidence < 0.75


def test_a_pair_met_again_counts_once_in_any_order_and_spelling(tmp_path: Path) -> None:
    path = tmp_path / "near.jsonl"
    lines = [record(), record(asked="Hello", stored=" HI! "), record(asked="other")]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read_log(path)
    assert [one.count for one in found.misses] == [2, 1]
    assert (found.lines, found.unreadable) == (3, 0)


def test_broken_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "near.jsonl"
    broken = ['{"asked": "h', "[]", "3", "{}", record(asked=None), record(similarity="near"), record(similarity=None)]
    path.write_text("\n".join([record(), *broken, ""]), encoding="utf-8")
    found = read_log(path)
    assert len(found.misses) == 1
    assert found.unreadable == len(broken)


@pytest.mark.parametrize("content", ["", "\n\n", "not JSON\n"])
def test_a_log_without_near_misses_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "near.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="holds no near misses"):
        read_log(path)


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_log(tmp_path / "none.jsonl")


def test_what_came_nearest_to_being_served_is_first() -> None:
    low, high, far = (
        miss("red apples", "green pears", confidence=0.4),
        miss("fast cars", "quick vans", confidence=0.8),
        miss("old houses", "new flats", similarity=0.7),
    )
    assert propose([low, far, high], 3) == [high, low, far]


def test_a_pair_that_is_often_asked_goes_before_a_rare_one() -> None:
    rare, often = miss("red apples", "green pears", confidence=0.6), miss("fast cars", "quick vans", confidence=0.5)
    assert propose([rare, LoggedMiss(**{**as_dict(often), "count": 100})], 2)[0].asked == "fast cars"


def as_dict(one: LoggedMiss) -> dict[str, Any]:
    names = ("asked", "stored", "similarity", "confidence", "vetoed_by", "count")
    return {name: getattr(one, name) for name in names}


def test_threshold_and_guards_take_turns() -> None:
    unsure = [miss(f"thing{n} word{n}", f"item{n} term{n}", confidence=0.9) for n in range(5)]
    numbers = [miss(f"port{n} name{n}", f"plug{n} title{n}", vetoed_by=("numbers",)) for n in range(5)]
    names = [miss(f"town{n} place{n}", f"city{n} spot{n}", vetoed_by=("names",)) for n in range(5)]
    groups = [one.group for one in propose([*numbers, *names, *unsure], 8)]
    assert groups.count("threshold") == 4
    assert groups.count("veto: numbers") == groups.count("veto: names") == 2


def test_a_veto_by_one_guard_says_more_than_one_by_two() -> None:
    alone = miss("a b c", "d e f", similarity=0.8, vetoed_by=("numbers",))
    both = miss("g h i", "j k l", similarity=0.95, vetoed_by=("numbers", "dates"))
    assert alone.value > both.value


def test_what_is_like_an_earlier_pair_waits() -> None:
    template = [
        miss(f"show the status of port {n}", f"display the state of port {n}", confidence=0.9) for n in range(5)
    ]
    other = miss("when do cats sleep", "at what time do cats rest", confidence=0.2)
    assert propose([*template, other], 2) == [template[0], other]
    assert len(propose([*template, other], 50)) == 6


def test_a_stored_question_comes_once_before_others_do() -> None:
    first, second = (
        miss(asked, "When do cats sleep?", confidence=0.8) for asked in ("cat bed time", "feline night rest")
    )
    other = miss("fast cars", "quick vans", confidence=0.1)
    assert propose([first, second, other], 2) == [first, other]


def test_a_row_is_ready_to_be_labelled() -> None:
    row = miss("asked", "stored", confidence=0.51239, count=3).as_row()
    assert (row["a"], row["b"], row["label"], row["confidence"]) == ("stored", "asked", None, 0.5124)


@pytest.mark.parametrize("values", [{"similarity": 10**400}, {"similarity": 1e300}, {"confidence": 7.0}])
def test_a_number_out_of_range_is_no_near_miss(tmp_path: Path, values: dict[str, Any]) -> None:
    path = tmp_path / "near.jsonl"
    path.write_text("\n".join([record(), record(asked="other", **values)]), encoding="utf-8")
    found = read_log(path)
    assert [one.asked for one in found.misses] == ["hi"]
    assert found.unreadable == 1


def test_a_logged_miss_shows_no_question() -> None:
    assert "secret" not in repr(miss("my secret", "your secret"))
