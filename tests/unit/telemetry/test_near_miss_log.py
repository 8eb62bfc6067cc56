"""The near-miss log: what is kept, in which order, in memory and in a file."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, Miss, Request, SemanticCache, open_cache
from llmcache_plugins.recorded import ErrorEvent, LookupEvent
from llmcache_plugins.telemetry import LineFile, NearMissLog
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import MissReason, NearMiss, Verdict

NEAR = NearMiss("Show rtr-001", 0.96, MissReason.GUARD_CONFLICT, "k", (Verdict("numbers", "conflict", "1 / 2"),))


def missed(*near_misses: NearMiss, asked: str = "Show rtr-002") -> LookupEvent:
    return LookupEvent(Miss(MissReason.GUARD_CONFLICT, near_misses, asked=asked), ("tenant",))


def opened(**settings: Any) -> SemanticCache:
    groups = dict.fromkeys(("Show rtr-001", "Show rtr-002", "Show rtr-003"), "r")
    cache = open_cache("memory://", embedder=FakeEmbedder(groups), clock=FakeClock(), **settings)
    for question in ("Show rtr-001", "else"):
        cache.update(question, "x")
    return cache


def test_near_misses_of_a_cache_newest_last() -> None:
    with opened(namespace="app") as cache:
        cache.lookup("Show rtr-002")
        cache.lookup("Show rtr-003")
        assert isinstance(cache.lookup("Show rtr-001"), Hit)
        first, second = cache.near_misses()
        assert (first.asked, second.asked) == ("Show rtr-002", "Show rtr-003")
        assert (first.stored, first.reason, first.namespace) == ("Show rtr-001", "guard_conflict", ("app",))
        assert "numbers" in first.vetoed_by
        assert first.at <= second.at
        assert "rtr" not in repr(first)


def test_far_candidates_are_logged_only_where_there_is_nothing_nearer() -> None:
    with opened() as cache:
        cache.lookup("Show rtr-002")  # "else" is a candidate too, and far
        cache.lookup("unlike all others")
        assert [(near.asked, near.reason) for near in cache.near_misses()] == [
            ("Show rtr-002", "guard_conflict"),
            ("unlike all others", "below_threshold"),
        ]


def test_full_namespace_is_kept() -> None:
    log = NearMissLog(10, now=float, namespace=("app",))
    log(missed(NEAR))
    assert log.snapshot()[0].namespace == ("app", "tenant")


def test_oldest_records_go_first() -> None:
    log = NearMissLog(2, now=float)
    for asked in "abc":
        log(missed(NEAR, asked=asked))
    assert [record.asked for record in log.snapshot()] == ["b", "c"]


def test_hits_and_other_events_are_not_logged() -> None:
    log = NearMissLog(2, now=float)
    log(ErrorEvent("hot", "StoreError"))
    log(missed())
    assert log.snapshot() == ()


def test_log_can_be_switched_off() -> None:
    with opened(near_miss_log=0) as cache:
        cache.lookup("Show rtr-002")
        assert cache.near_misses() == ()


# ------------------------------------------------------------------------------------------------------- the file
def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_file_holds_one_json_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "near.jsonl"
    with opened(near_miss_file=path) as cache:
        cache.lookup(Request("Show rtr-002"))
        cache.lookup("Show rtr-003")
    rows = lines_of(path)
    assert [row["asked"] for row in rows] == ["Show rtr-002", "Show rtr-003"]
    names = ["asked", "stored", "similarity", "confidence", "vetoed_by", "reason", "at", "namespace", "reference"]
    assert list(rows[0]) == names
    assert rows[0]["stored"] == "Show rtr-001"
    assert path.stat().st_mode & 0o077 == 0  # nobody else reads prompts


async def test_file_is_written_for_asynchronous_lookups_too(tmp_path: Path) -> None:
    path = tmp_path / "near.jsonl"
    async with opened(near_miss_file=str(path), near_miss_log=0) as cache:
        await cache.alookup("Show rtr-002")
    assert len(lines_of(path)) == 1


def test_lookups_leave_the_writing_to_another_thread(tmp_path: Path) -> None:
    waiting: list[Any] = []
    log = NearMissLog(10, now=float, file=LineFile(tmp_path / "near.jsonl"), submit=waiting.append)
    log(missed(NEAR))
    assert not (tmp_path / "near.jsonl").exists()
    waiting[0]()
    assert len(lines_of(tmp_path / "near.jsonl")) == 1


def test_questions_survive_whatever_they_are_made_of(tmp_path: Path) -> None:
    log = NearMissLog(10, now=float, file=LineFile(tmp_path / "near.jsonl"))
    log(missed(NEAR, asked="a\nb \u2028 \U0001f600 \ud800"))
    assert len((tmp_path / "near.jsonl").read_bytes().split(b"\n")) == 2
    assert json.loads((tmp_path / "near.jsonl").read_text())["asked"].startswith("a\nb \u2028 \U0001f600")


def test_file_is_rotated_by_size(tmp_path: Path) -> None:
    log = NearMissLog(10, now=float, file=LineFile(tmp_path / "near.jsonl", 300))
    for asked in "abcde":
        log(missed(NEAR, asked=asked))
    kept = [row["asked"] for name in ("near.jsonl.1", "near.jsonl") for row in lines_of(tmp_path / name)]
    assert kept == list("abcde")[-len(kept) :]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["near.jsonl", "near.jsonl.1"]


def test_file_that_cannot_be_written_costs_one_warning_and_no_lookup(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    log = NearMissLog(10, now=float, file=LineFile(tmp_path / "file" / "near.jsonl"))
    with caplog.at_level(logging.WARNING):
        log(missed(NEAR))
        log(missed(NEAR))
    assert len(caplog.records) == 1
    assert "rtr" not in caplog.text
    assert len(log.snapshot()) == 2


def test_forked_child_writes_its_own_lines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[Any] = []
    log = NearMissLog(10, now=float, file=LineFile(tmp_path / "near.jsonl"), submit=waiting.append)
    log(missed(NEAR, asked="of the parent"))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    log(missed(NEAR, asked="of the child"))
    waiting[-1]()
    assert [row["asked"] for row in lines_of(tmp_path / "near.jsonl")] == ["of the child"]


@pytest.mark.parametrize("path", ["", 3])
def test_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(ConfigError, match="near_miss_file must be the path of a file or None"):
        open_cache("memory://", embedder=None, near_miss_file=path)
