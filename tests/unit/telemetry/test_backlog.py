"""Values on their way: none is waited for, none is lost without being counted."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.telemetry.backlog import Backlog


def test_values_arrive_in_order_by_themselves() -> None:
    seen: list[int] = []
    arrived = threading.Event()

    def work(values: list[int]) -> None:
        seen.extend(values)
        if len(seen) == 250:
            arrived.set()

    backlog = Backlog(work, "test", interval=0.01)
    for number in range(250):
        backlog.put(number)
    assert arrived.wait(10)
    assert seen == list(range(250))
    backlog.close()


def test_half_full_queue_is_visited_before_its_time() -> None:
    arrived = threading.Event()
    backlog: Backlog[int] = Backlog(lambda values: arrived.set(), "test", limit=10, interval=3600)
    for number in range(6):
        backlog.put(number)
    assert arrived.wait(10)
    backlog.close()


def test_what_does_not_fit_is_dropped_and_counted_while_the_place_is_slow() -> None:
    seen: list[int] = []
    busy, go_on = threading.Event(), threading.Event()

    def work(values: list[int]) -> None:
        busy.set()
        assert go_on.wait(10)
        seen.extend(values)

    backlog = Backlog(work, "test", limit=10, interval=0.01)
    backlog.put(-1)
    assert busy.wait(10)
    start = time.perf_counter()
    for number in range(25):
        backlog.put(number)
    assert time.perf_counter() - start < 1
    assert backlog.dropped == 15
    go_on.set()
    backlog.close()
    assert seen == [-1, *range(10)]


def test_work_that_raises_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    is_broken = True
    seen: list[str] = []

    def work(values: list[str]) -> None:
        if is_broken:
            raise OSError("password")
        seen.extend(values)

    backlog = Backlog(work, "test", interval=3600)
    for value in "abc":
        backlog.put(value)
        is_broken = value != "c"
        backlog.flush()
    assert (seen, backlog.dropped) == (["c"], 2)
    assert [record.getMessage() for record in caplog.records] == ["test: OSError, and what was to be told is lost"]
    backlog.close()


def test_closed_backlog_has_told_everything_and_counts_what_comes_later() -> None:
    seen: list[int] = []
    backlog = Backlog(seen.extend, "test", interval=3600)
    backlog.put(1)
    backlog.close()
    backlog.close()
    backlog.put(2)
    assert (seen, backlog.dropped) == ([1], 1)


def test_thread_ends_when_nobody_has_the_backlog() -> None:
    backlog: Backlog[int] = Backlog(lambda values: None, "test of the end", interval=0.01)
    backlog.put(1)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "test of the end"]
    gone = weakref.ref(backlog)
    del backlog
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert gone() is None


def test_end_of_the_interpreter_loses_nothing() -> None:
    code = (
        "from llmcache_plugins.telemetry.backlog import Backlog\n"
        "backlog = Backlog(print, 'test', interval=3600)\n"
        "backlog.put('told')\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['told']\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_begins_with_an_empty_queue_and_a_thread_of_its_own() -> None:
    read, write = os.pipe()

    def work(values: list[bytes]) -> None:
        os.write(write, b"".join(values))

    backlog = Backlog(work, "test")
    backlog.put(b"parent ")
    with backlog._working, backlog._counting:  # as if a thread was at it
        child = os.fork()
        if child == 0:
            backlog.put(b"child ")
            backlog.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    backlog.close()
    assert os.read(read, 100) == b"child parent "
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("settings", [{"limit": 0}, {"limit": 1.5}, {"interval": 0}, {"interval": "1"}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(settings))} must be"):
        Backlog(print, "test", **settings)  # type: ignore[arg-type]
