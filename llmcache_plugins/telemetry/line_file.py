"""A file of JSON objects, one a line, that is appended to from a busy process."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from llmcache_plugins.types import JsonValue

__all__ = ["LineFile"]

_log = logging.getLogger(__name__)


class LineFile:
    """Lines on their way to a file. A file that cannot be written costs the lines and one warning, no lookup.

    Args:
        most_bytes: the size at which the file becomes `<name>.1`, and the one before that goes.
    """

    def __init__(self, path: Path, most_bytes: int = 10 * 1024 * 1024) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lines: deque[str] = deque(maxlen=10_000)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._is_failing = False

    def add(self, row: Mapping[str, JsonValue]) -> None:
        """Put one JSON object in the line of those that wait."""
        self._look_for_fork()
        self._lines.append(json.dumps(row, ensure_ascii=False) + "\n")

    def write(self) -> None:
        """Append all lines that wait."""
        self._look_for_fork()
        with self._lock:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if not lines:
                return
            try:
                self._append("".join(lines).encode("utf-8", "backslashreplace"))
                self._is_failing = False
            except OSError as error:
                if not self._is_failing:
                    self._is_failing = True
                    _log.warning("%s cannot be written (%s); the cache goes on", self._path.name, type(error).__name__)

    def _look_for_fork(self) -> None:
        """In a forked child: its parent writes what waited, and may have held the lock."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._lines = os.getpid(), threading.Lock(), deque(maxlen=self._lines.maxlen)

    def _append(self, text: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # other users read no prompts
        with os.fdopen(descriptor, "ab") as file:
            file.write(text)
            size = file.tell()
        if size >= self._most_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
