"""Values on their way to a slow place: a lookup leaves them here, and a thread of its own takes them there."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from llmcache_plugins.errors import ConfigError

__all__ = ["Backlog"]

_log = logging.getLogger(__name__)
T = TypeVar("T")
_AT_ONCE = 100  # values; then the other threads get their turn, so that no lookup waits long for the interpreter


class Backlog(Generic[T]):
    """A bounded queue and the daemon thread that empties it. What does not fit is counted and dropped.

    The thread starts with the first value, ends with `close()` or when nobody has the backlog any more, and is started
    anew in a forked child, which begins with an empty queue: the parent works off what it had. At the end of the
    interpreter what still waits is worked off.

    Args:
        work: is given a few values, oldest first, never two calls at once. Those that it raises at are dropped.
        name: of the thread, and for the log.
        limit: how many values may wait.
        interval: seconds between two visits to the queue; it is also visited when it is half full.
        forked: is called in a forked child, where a lock that `work` takes may be held by nobody who lives.
        feeds_others: `work` fills other backlogs, which are emptied after this one at the end of the interpreter.

    Raises:
        ConfigError: `limit` or `interval` is out of range.
    """

    def __init__(
        self,
        work: Callable[[list[T]], None],
        name: str,
        *,
        limit: int = 10_000,
        interval: float = 1.0,
        forked: Callable[[], None] | None = None,
        feeds_others: bool = False,
    ) -> None:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise ConfigError(f"limit must be a whole number from 1 on, not {limit!r}")
        if not isinstance(interval, int | float) or isinstance(interval, bool) or not 0 < interval <= 3600:
            raise ConfigError(f"interval must be seconds, more than 0 and at most 3600, not {interval!r}")
        self._work = work
        self._name = name
        self.limit = limit
        self.interval = float(interval)
        self.feeds_others = feeds_others
        self._is_closed = False
        self._forked = forked
        self._begin()
        _living.add(self)

    def after_fork(self) -> None:
        """Begin with nothing: the thread and what its locks guard stayed in the parent."""
        self._begin()
        if self._forked is not None:
            self._forked()

    def _begin(self) -> None:
        self._waiting: deque[T] = deque()
        self._dropped = 0
        self._is_failing = False
        self._thread: threading.Thread | None = None
        self._quiet = 0  # so many may wait before `put` has anything to do besides: the only number it looks at
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._counting = threading.Lock()

    @property
    def dropped(self) -> int:
        """Values that were lost: no room, a place that cannot be reached, or put in after `close()`."""
        return self._dropped

    def put(self, value: T) -> None:
        """Leave a value. Waits for nothing, and never raises."""
        waiting = self._waiting
        waiting.append(value)
        if len(waiting) > self._quiet:
            self._attend()

    def _attend(self) -> None:
        """There is no thread yet, or much waits, or nobody is going to work it off."""
        if self._is_closed or len(self._waiting) > self.limit:
            with suppress(IndexError):  # the thread has just taken it
                self._waiting.pop()
                self._lose(1)
            return
        if self._thread is None:
            self._start()
        if len(self._waiting) > self.limit // 2:
            self._wake.set()

    def flush(self) -> None:
        """Work off everything that waits now, in this thread."""
        self._work_off()

    def close(self) -> None:
        """Work off everything and end the thread. A second call does nothing; what comes later is dropped."""
        self._is_closed = True
        self._quiet = 0
        self._wake.set()
        self._work_off()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(
                target=_run, args=(weakref.ref(self), self._wake, self.interval), name=self._name, daemon=True
            )
            try:
                thread.start()
            except (
                RuntimeError
            ):  # no more threads, or the interpreter is ending: the queue fills, and the next one tries
                return
            self._thread = thread
            self._quiet = self.limit // 2
            if self._is_closed:  # meanwhile, in another thread
                self._quiet = 0

    def _work_off(self) -> None:
        with self._working:
            left = len(self._waiting)  # not what comes meanwhile: that would never end
            while left > 0:
                values = [self._waiting.popleft() for _ in range(min(left, _AT_ONCE))]
                left -= len(values)
                try:
                    self._work(values)
                    self._is_failing = False
                except Exception as error:
                    self._lose(len(values))
                    if not self._is_failing:
                        self._is_failing = True
                        _log.warning("%s: %s, and what was to be told is lost", self._name, type(error).__name__)
                time.sleep(0)

    def _lose(self, number: int) -> None:
        with self._counting:
            self._dropped += number


def _run(reference: weakref.ref[Backlog[Any]], wake: threading.Event, interval: float) -> None:
    while True:
        wake.wait(interval)
        backlog = reference()
        if backlog is None or backlog._is_closed:
            return
        wake.clear()
        backlog._work_off()
        del backlog


_living: weakref.WeakSet[Backlog[Any]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for backlog in list(_living):
        backlog.after_fork()


def _at_exit() -> None:
    for backlog in sorted(_living, key=lambda one: not one.feeds_others):
        backlog.close()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
