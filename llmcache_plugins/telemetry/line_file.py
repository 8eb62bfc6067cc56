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
_MOST_WAITING = 10_000
_ENCODER = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each line


class LineFile:
    """Lines on their way to a file. A file that cannot be written costs one warning and no lookup; its lines wait for
    the next time, and beyond 10,000 of them the oldest go.

    Args:
        most_bytes: the size at which the file becomes `<name>.1`; None for never.
        kept_files: how many of those there are, `<name>.2` before `<name>.1` and so on; the oldest one goes.
    """

    def __init__(self, path: Path, most_bytes: int | None = 10 * 1024 * 1024, kept_files: int = 1) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._kept_files = kept_files
        self._is_failing = False
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._dropped = 0
        self._lines: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._queue = threading.Lock()  # held for moments alone: lookups add lines
        self._file = threading.Lock()  # held while the disk works

    @property
    def dropped(self) -> int:
        """Lines that went because too many were waiting."""
        return self._dropped

    def never_rotated(self) -> LineFile:
        """The same file for lines of which none may go."""
        return LineFile(self._path, None)

    def add(self, row: Mapping[str, JsonValue]) -> None:
        """Put one JSON object in the line of those that wait."""
        self._look_for_fork()
        line = (_ENCODER.encode(row) + "\n").encode("utf-8", "backslashreplace")
        with self._queue:
            self._dropped += len(self._lines) == _MOST_WAITING
            self._lines.append(line)

    def write(self) -> bool:
        """Append all lines that wait; False when they have to wait on."""
        self._look_for_fork()
        with self._file:
            with self._queue:
                waiting = bytearray(b"".join(self._lines))
                self._lines.clear()
            if not waiting:
                return True
            try:
                self._append(waiting)
                self._rotate()
                self._is_failing = False
                return True
            except OSError as error:
                self._put_back(bytes(waiting))
                if not self._is_failing:
                    self._is_failing = True
                    _log.warning("%s cannot be written (%s); the cache goes on", self._path.name, type(error).__name__)
                return False

    def _look_for_fork(self) -> None:
        """In a forked child: its parent writes what waited, and may have held the locks."""
        if self._pid != os.getpid():
            self._start()

    def _put_back(self, text: bytes) -> None:
        """What could not be written waits before what came since; of too many lines the newest stay."""
        lines = text.splitlines(keepends=True)
        with self._queue:
            room = _MOST_WAITING - len(self._lines)
            self._dropped += max(0, len(lines) - room)
            self._lines.extendleft(reversed(lines[-room:] if room else ()))

    def _append(self, waiting: bytearray) -> None:
        """Append what waits and take from it what is written: a disk may be full in the middle of a line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # other users read no prompts
        try:
            while waiting:
                del waiting[: os.write(descriptor, waiting)]
        finally:
            os.close(descriptor)

    def _rotate(self) -> None:
        if self._most_bytes is None or self._path.stat().st_size < self._most_bytes:
            return
        older = [self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._kept_files + 1)]
        for source, target in zip(reversed([self._path, *older[:-1]]), reversed(older), strict=True):
            if source.exists():
                source.replace(target)
