"""The near misses of one cache: kept in memory, and on request in a file, to find pairs that are worth labelling."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmcache_plugins.protocols import Event, LookupEvent
from llmcache_plugins.types import Miss, MissReason, Namespace, NearMissRecord

__all__ = ["NearMissLog"]

_log = logging.getLogger(__name__)
_FILE_BYTES = 10 * 1024 * 1024  # then the file becomes `<name>.1`, and the one before that goes


class NearMissLog:
    """A recorder of what was nearly served: candidates near enough to be judged, else the nearest one of a miss.

    Args:
        limit: how many records stay in memory; the oldest go first.
        namespace: the cache's own, put before each request's.
        path: also append them to this file, one JSON object a line. It holds questions in clear.
        submit: runs a function in another thread; lookups never wait for the file.
        file_bytes: the size at which the file is rotated.
    """

    def __init__(
        self,
        limit: int,
        *,
        namespace: Namespace = (),
        path: Path | None = None,
        submit: Callable[[Callable[[], None]], Any] | None = None,
        file_bytes: int = _FILE_BYTES,
    ) -> None:
        self._records: deque[NearMissRecord] = deque(maxlen=limit)
        self._namespace = namespace
        self._file = None if path is None else _File(path, file_bytes)
        self._submit = submit

    def __call__(self, event: Event) -> None:
        if not isinstance(event, LookupEvent) or not isinstance(event.outcome, Miss):
            return
        for place, near in enumerate(event.outcome.near_misses):
            if place and near.reason is MissReason.BELOW_THRESHOLD:
                continue
            record = NearMissRecord(
                event.asked,
                near.question,
                near.similarity,
                near.confidence,
                near.vetoed_by,
                near.reason,
                event.at,
                (*self._namespace, *event.namespace),
            )
            self._records.append(record)
            if self._file is not None:
                self._file.add(record)
        if self._file is not None and event.outcome.near_misses:
            self._file.write() if self._submit is None else self._submit(self._file.write)

    def snapshot(self) -> tuple[NearMissRecord, ...]:
        """What is in memory, newest last."""
        return tuple(self._records.copy())  # a copy in one step: another thread may append

    def close(self) -> None:
        """Write what is not yet in the file."""
        if self._file is not None:
            self._file.write()


class _File:
    """Lines on their way to a file. A file that cannot be written costs the lines and one warning, no lookup."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lines: deque[str] = deque(maxlen=10_000)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._is_failing = False

    def add(self, record: NearMissRecord) -> None:
        self._lines.append(json.dumps(record.row(), ensure_ascii=False) + "\n")

    def write(self) -> None:
        """Append all lines that wait."""
        if self._pid != os.getpid():  # a forked child: its parent writes what waited, and may have held the lock
            self._pid, self._lock, self._lines = os.getpid(), threading.Lock(), deque(maxlen=self._lines.maxlen)
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
                    _log.warning("near misses cannot be written to their file (%s)", type(error).__name__)

    def _append(self, text: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # other users read no prompts
        with os.fdopen(descriptor, "ab") as file:
            file.write(text)
            size = file.tell()
        if size >= self._most_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
