"""Reads the numbers of a cache now and then, in a thread of its own, and wakes whoever waits for the next ones."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from llmcache_plugins.dashboard.api import Refused
from llmcache_plugins.errors import StoreError

__all__ = ["Watch"]

_log = logging.getLogger(__name__)


class Watch:
    """The latest numbers as JSON text, each with a growing number.

    Args:
        read: gives them; may raise whatever it likes, and block. Never called twice at once.
        interval: seconds between two readings.
    """

    def __init__(self, read: Callable[[], dict[str, Any]], interval: float) -> None:
        self._read = read
        self._interval = interval
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        self._due = threading.Event()
        self._is_closed = False
        self._is_failing = False
        self._number = 0
        self._text = ""
        self._thread = threading.Thread(target=self._run, name="llmcache-dashboard-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def refresh(self) -> str:
        """Read now, in this thread; what was read."""
        with self._reading:
            try:
                content = self._read()
                self._is_failing = False
            except Exception as error:
                content = {"error": _said(error)}
                if not self._is_failing:
                    self._is_failing = True
                    _log.warning("the dashboard cannot read the cache (%s)", type(error).__name__)
            text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        with self._changed:
            self._number += 1
            self._text = text
            self._changed.notify_all()
        return text

    def next_after(self, number: int, timeout: float) -> tuple[int, str | None]:
        """The numbers that came after these, with their own number; None when none came within `timeout` seconds, or
        none will ever come again."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._number > number, timeout)
            if self._is_closed or self._number <= number:
                return number, None
            return self._number, self._text

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        """End the thread, and let nobody wait any longer. A second call does nothing."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._due.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)  # a reading from a store that hangs ends with its time-out

    def _run(self) -> None:
        while not self._is_closed:
            self.refresh()
            self._due.wait(self._interval)


def _said(error: Exception) -> str:
    """In words where they are ours; what others say may quote a question or an address."""
    if isinstance(error, StoreError):
        return "the store does not answer"
    return str(error) if isinstance(error, Refused) else type(error).__name__
