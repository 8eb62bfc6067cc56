"""One background thread of a cache: started when there is something to keep, gone when the cache is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from llmcache_plugins.engine.forking import follow_forks

__all__ = ["Housekeeper"]

_log = logging.getLogger(__name__)
_LONGEST_WAIT = 10.0  # seconds `close` waits for a pass under way: the stores are closed behind it


class Housekeeper:
    """Calls each work at intervals of its own, in one thread.

    The thread is a daemon, so that no program waits for it at its end, and does not live on in a forked child: there
    the next `start` makes a new one.

    Args:
        chores: what is to be done, and the real seconds between two passes of it, whatever the cache's clock says;
            none for no thread at all. It must not hold the cache, or a cache that nobody closes would live for ever.
    """

    def __init__(self, chores: Sequence[tuple[Callable[[], Any], float]]) -> None:
        self._chores = tuple(chores)
        self.after_fork()
        follow_forks(self)

    def after_fork(self) -> None:
        """In a forked child the thread does not live, and the lock may be held by somebody who does not either."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs or there shall be none. Costs next to nothing when it runs."""
        if self._thread is not None or not self._chores:
            return
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                arguments = (self._chores, self._stop)
                thread = threading.Thread(target=_keep, args=arguments, name="llmcache-maintenance", daemon=True)
                with suppress(RuntimeError):  # no more threads: that is no reason to store nothing
                    thread.start()
                    self._thread = thread

    def stop(self) -> None:
        """Let the thread end; it is not started again."""
        self._stop.set()

    def close(self) -> None:
        """Let the thread end, and wait for the pass it may be at."""
        self.stop()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():  # a pass may close the cache
            thread.join(_LONGEST_WAIT)


def _keep(chores: Sequence[tuple[Callable[[], Any], float]], stop: threading.Event) -> None:
    due = [time.monotonic() + interval for _, interval in chores]
    while not stop.wait(max(0.0, min(due) - time.monotonic())):
        for place, (work, interval) in enumerate(chores):
            if time.monotonic() < due[place] or stop.is_set():
                continue
            try:
                work()
            except Exception as error:
                _log.warning("maintenance failed (%s); the next pass tries again", type(error).__name__)
            due[place] = time.monotonic() + interval
