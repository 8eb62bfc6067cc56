"""Warming by the clock, inside the application's own process. `llmcache warm` does the same from cron."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, Self

from llmcache_plugins.errors import ConfigError, MissingExtraError

__all__ = ["Schedule"]

_log = logging.getLogger(__name__)
_LATE = 3600  # seconds: a laptop that slept at two still refreshes before the morning


class Schedule:
    """Runs jobs at an hour of the night or every so often, in a thread of its own; APScheduler keeps the time.

    One run of a job at a time; runs that were missed are made up for by one, if it is not an hour late. A job that
    raises is logged, and runs again the next time. The threads end with `close`, with the `with` block, or with the
    process. A forked child has no schedule: start one there.

    Args:
        timezone: of the hours; None for that of the machine.

    Raises:
        MissingExtraError: APScheduler is not installed.

    Example:
        schedule = Schedule()
        schedule.nightly(lambda: cache.warm(top_questions(read_log("log.jsonl"), 100), generate), hour=2)
    """

    def __init__(self, *, timezone: tzinfo | None = None) -> None:
        try:
            from apscheduler.schedulers.background import BackgroundScheduler
        except ImportError as error:
            raise MissingExtraError("warming by the clock", "schedule") from error
        defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": _LATE}
        self._timezone = timezone
        zone = {} if timezone is None else {"timezone": timezone}
        self._scheduler: Any = BackgroundScheduler(daemon=True, job_defaults=defaults, **zone)
        self._scheduler.start()
        self._is_closed = False

    def nightly(self, job: Callable[[], object], *, hour: int = 2, minute: int = 0, name: str = "") -> None:
        """Run `job` every day at this time.

        Raises:
            ConfigError: there is no such time, `job` cannot be called, or the schedule is closed.
        """
        for what, value, end in (("hour", hour, 24), ("minute", minute, 60)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < end:
                raise ConfigError(f"{what} must be an integer from 0 to {end - 1}, not {value!r}")
        self._add(job, name, "cron", hour=hour, minute=minute)

    def every(self, seconds: float, job: Callable[[], object], *, name: str = "") -> None:
        """Run `job` again and again, the first time in `seconds`.

        Raises:
            ConfigError: `seconds` is not above 0, `job` cannot be called, or the schedule is closed.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 10 * 365 * 86400:
            raise ConfigError(f"seconds must be a number above 0, not {seconds!r}")
        self._add(job, name, "interval", seconds=seconds)

    def next_runs(self) -> dict[str, datetime]:
        """When each job runs next, by its name."""
        return {job.name: job.next_run_time for job in self._scheduler.get_jobs() if job.next_run_time is not None}

    def close(self) -> None:
        """Start nothing any more; a job that runs just now ends by itself. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._scheduler.shutdown(wait=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _add(self, job: Callable[[], object], name: str, trigger: str, **when: Any) -> None:
        if not callable(job):
            raise ConfigError(f"a job must be callable, not {type(job).__name__}")
        if self._is_closed:
            raise ConfigError("the schedule is closed")
        name = name or getattr(job, "__name__", type(job).__name__)
        self._scheduler.add_job(_run, trigger, args=(job, name), name=name, **when)


def _run(job: Callable[[], object], name: str) -> None:
    try:
        job()
    except Exception as error:  # noqa: BLE001  # whatever a user's job raises must not end the schedule
        # Its text may quote a prompt: only the class is logged.
        _log.warning("the scheduled job %s failed (%s); it runs again the next time", name, type(error).__name__)
