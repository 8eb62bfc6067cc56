"""Recorders that share a queue: each hears everything, and none suffers from another."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ddsketch")
pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llmcache_plugins import open_cache
from llmcache_plugins.recorded import Event
from llmcache_plugins.telemetry import EventLog, LatencyRecorder, OpenTelemetryRecorder
from llmcache_plugins.telemetry.feed import Feed, fed


def told(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def counted(reader: InMemoryMetricReader) -> int:
    found = reader.get_metrics_data()
    assert found is not None
    metrics = found.resource_metrics[0].scope_metrics[0].metrics
    (lookups,) = (one for one in metrics if one.name == "llmcache.lookup.duration")
    points: Any = lookups.data.data_points
    return sum(point.count for point in points)


def threads() -> int:
    return sum(one.name == "llmcache recorders" for one in threading.enumerate())


def test_each_recorder_of_a_cache_hears_everything_from_one_queue(tmp_path: Path) -> None:
    reader = InMemoryMetricReader()
    log, latencies = EventLog(tmp_path / "events.jsonl"), LatencyRecorder()
    spans = OpenTelemetryRecorder(meter=MeterProvider([reader]).get_meter("test"))
    heard: list[Event] = []
    with open_cache("memory://", embedder=None, recorders=[log, heard.append, latencies, spans]) as cache:
        cache.get_or_generate("What is BGP?", lambda: "A routing protocol.")
        cache.lookup("What is BGP?")
        before = time.time()
        percentiles = latencies.percentiles()
        log.flush()
        spans.flush()
    assert {kind: one.count for kind, one in percentiles.items()} == {"miss": 1, "model": 1, "hit": 1}
    assert told(log._file._path) == ["lookup", "update", "lookup"]
    assert [json.loads(line)["at"] <= before for line in log._file._path.read_text().splitlines()] == [True] * 3
    assert counted(reader) == 2
    assert len(heard) == 3
    for one in (log, latencies, spans):
        one.close()
        assert one.dropped == 0


def test_caches_with_the_same_recorders_share_a_feed_and_its_thread_ends_with_them(tmp_path: Path) -> None:
    log, latencies = EventLog(tmp_path / "events.jsonl"), LatencyRecorder()
    before = threads()
    for _ in range(3):
        with open_cache("memory://", embedder=None, recorders=[log, latencies]) as cache:
            cache.lookup("What is BGP?")
    assert threads() == before + 1
    latencies.close()
    assert latencies.percentiles()["miss"].count == 3
    with open_cache("memory://", embedder=None, recorders=[log, latencies]) as cache:
        cache.lookup("What is OSPF?")
    log.close()
    assert told(tmp_path / "events.jsonl") == ["lookup"] * 4
    assert latencies.dropped == 1
    for _ in range(100):
        if threads() == before:
            break
        time.sleep(0.05)
    assert threads() == before
    with open_cache("memory://", embedder=None, recorders=[log, latencies]) as cache:
        cache.lookup("What is OSPF?")
    assert (log.dropped, latencies.dropped) == (1, 2)


def test_disk_that_hangs_holds_up_no_other_recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, go_on = threading.Event(), threading.Event()
    log, latencies = EventLog(tmp_path / "events.jsonl", interval=0.01), LatencyRecorder(interval=0.01)
    write = log._file.write

    def hanging() -> None:
        hangs.set()
        assert go_on.wait(30)
        write()

    monkeypatch.setattr(log._file, "write", hanging)
    with open_cache("memory://", embedder=None, recorders=[log, latencies]) as cache:
        cache.lookup("What is BGP?")
        assert hangs.wait(10)
        for _ in range(50):
            cache.lookup("What is OSPF?")
        assert latencies.percentiles()["miss"].count == 51
    go_on.set()
    log.close()
    latencies.close()
    assert told(tmp_path / "events.jsonl") == ["lookup"] * 51


class OnlyMisses(EventLog):
    """A filter of a user's."""

    def __call__(self, event: Event) -> None:
        if type(event).__name__ == "LookupEvent":
            super().__call__(event)


def clocked(path: Path) -> EventLog:
    return EventLog(path, now=lambda: 7.0)


@pytest.mark.parametrize("make", [OnlyMisses, clocked])
def test_recorder_with_a_way_of_its_own_is_called_itself(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    recorders = [make(tmp_path / "events.jsonl"), LatencyRecorder()]
    assert fed(recorders) == recorders
    with open_cache("memory://", embedder=None, recorders=recorders) as cache:
        cache.get_or_generate("What is BGP?", lambda: "A routing protocol.")
    for one in recorders:
        one.close()
    events = told(tmp_path / "events.jsonl")
    assert events == (["lookup"] if make is OnlyMisses else ["lookup", "update"])


def test_one_alone_needs_no_feed_and_one_named_twice_is_one(tmp_path: Path) -> None:
    log, latencies = EventLog(tmp_path / "events.jsonl"), LatencyRecorder()
    assert fed([log, print]) == [log, print]
    first, feed = fed([print, log, latencies, log])
    assert first is print
    assert isinstance(feed, Feed)
    assert fed([log, latencies]) == [feed]


def test_end_of_the_interpreter_loses_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from llmcache_plugins import open_cache\n"
        "from llmcache_plugins.telemetry import EventLog, LatencyRecorder\n"
        "recorders = [EventLog(sys.argv[1], interval=3600), LatencyRecorder(interval=3600)]\n"
        "cache = open_cache('memory://', embedder=None, recorders=recorders)\n"
        "cache.lookup('What is BGP?')\n"
    )
    for number in range(3):
        path = tmp_path / f"{number}.jsonl"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
        assert told(path) == ["lookup"]
