"""Events in a file: all of them, no text, none in the way of a lookup."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, open_cache
from llmcache_plugins.recorded import ErrorEvent, Event, StoreEvent
from llmcache_plugins.telemetry import EventLog
from llmcache_plugins.testing import FakeClock


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_event_is_a_line_without_a_text(tmp_path: Path, day: list[Event]) -> None:
    path = tmp_path / "folder" / "events.jsonl"
    with EventLog(path, now=lambda: 12.5) as log, open_cache("memory://", embedder=None, recorders=[log]) as cache:
        for event in day:
            cache._emit(event)
    found = [row for row in rows(path) if row["event"] == "lookup"]
    assert [row["outcome"] for row in found].count("hit") == 130
    assert [row["outcome"] for row in found].count("miss") == 60
    assert sum(row.get("latency_saved", 0) for row in found) == pytest.approx(386.7)
    assert {row["at"] for row in found} == {12.5}
    assert "secret" not in path.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="modes are of POSIX")
def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log(StoreEvent("memory", 1))
    assert stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode) == 0o600


def test_full_file_is_put_away_and_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, most_bytes=1024, kept_files=2) as log:
        for number in range(101):
            log(StoreEvent("memory", number))
            log.flush()
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    kept = [row["evictions"] for name in reversed(names) for row in rows(tmp_path / name)]
    assert kept == list(range(kept[0], 101))
    assert all(1024 <= (tmp_path / name).stat().st_size < 1200 for name in names[1:])


def test_file_that_cannot_be_written_costs_no_lookup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "folder").write_text("in the way")
    log = EventLog(tmp_path / "folder" / "events.jsonl")
    with open_cache("memory://", embedder=None, recorders=[log]) as cache:
        cache.lookup("a")
        log.flush()
        cache.lookup("a")
        (tmp_path / "folder").unlink()
        log.close()
    assert [row["event"] for row in rows(tmp_path / "folder" / "events.jsonl")] == ["lookup", "lookup"]
    assert log.dropped == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_events_that_wait_too_long_for_the_disk_are_counted(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    log = EventLog(tmp_path / "folder" / "events.jsonl", limit=20_000)
    for _ in range(10_150):
        log(ErrorEvent("hot", "StoreUnavailable"))
    log.flush()
    (tmp_path / "folder").unlink()
    log.close()
    assert (log.dropped, len(rows(tmp_path / "folder" / "events.jsonl"))) == (150, 10_000)


def test_event_that_does_not_fit_is_counted_and_a_lookup_goes_on(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.close()
    with open_cache("memory://", embedder=None, recorders=[log], clock=FakeClock()) as cache:
        assert not cache.lookup("a")
    assert log.dropped >= 1


def test_lookup_never_opens_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened, by = tmp_path / "events.jsonl", threading.Event(), set()
    open_file = os.open

    def watched(name: Any, *arguments: Any) -> int:
        if name == path:
            by.add(threading.current_thread().name)
            opened.set()
        return open_file(name, *arguments)

    monkeypatch.setattr(os, "open", watched)
    log = EventLog(path, limit=100, interval=0.01)
    with open_cache("memory://", embedder=None, recorders=[log]) as cache:
        for _ in range(60):
            cache.lookup("a")
        assert opened.wait(10)
        assert by == {"llmcache event log"}
    log.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"most_bytes": 10}, "most_bytes must be a whole number from 1,024 on, not 10"),
        ({"kept_files": 0}, "kept_files must be"),
        ({"path": ""}, "name of a file"),
        ({"path": "."}, "is a folder"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        EventLog(**{"path": tmp_path / "events.jsonl", **settings})
