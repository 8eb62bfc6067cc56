"""Jobs by the clock."""

from __future__ import annotations

import sys
import threading
from datetime import UTC

import pytest

from llmcache_plugins import ConfigError, MissingExtraError
from llmcache_plugins.warming import Schedule


def test_a_nightly_job_is_due_at_its_hour() -> None:
    with Schedule(timezone=UTC) as schedule:
        schedule.nightly(lambda: None, hour=2, minute=30, name="refresh")
        due = schedule.next_runs()["refresh"]
        assert (due.hour, due.minute, due.second) == (2, 30, 0)


def test_a_job_runs_again_although_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    runs, twice = [0], threading.Event()

    def job() -> None:
        runs[0] += 1
        if runs[0] == 2:
            twice.set()  # one run at a time: by now the first has ended
        raise RuntimeError("a secret prompt")

    with Schedule() as schedule:
        schedule.every(0.01, job, name="nightly refresh")
        assert twice.wait(30)
    assert "nightly refresh failed (RuntimeError)" in caplog.text
    assert "secret" not in caplog.text


def test_nothing_is_added_to_a_closed_schedule() -> None:
    schedule = Schedule()
    schedule.close()
    schedule.close()
    with pytest.raises(ConfigError, match="closed"):
        schedule.every(1, lambda: None)


@pytest.mark.parametrize(("hour", "minute"), [(24, 0), (-1, 0), (2, 60), (True, 0), (2.5, 0)])
def test_there_is_no_such_time(hour: int, minute: int) -> None:
    with Schedule() as schedule, pytest.raises(ConfigError):
        schedule.nightly(lambda: None, hour=hour, minute=minute)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), True])
def test_there_is_no_such_interval(seconds: float) -> None:
    with Schedule() as schedule, pytest.raises(ConfigError):
        schedule.every(seconds, lambda: None)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apscheduler.schedulers.background", None)
    with pytest.raises(MissingExtraError, match=r"llmcache-plugins\[schedule\]"):
        Schedule()
