"""The near misses of other processes: the file that `near_miss_file=` writes, read again when it has changed."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from pathlib import Path
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.quality import NearMissRecord
from llmcache_plugins.types import MissReason, Namespace

__all__ = ["NearMissFile"]

_LIMIT = 1000


class NearMissFile:
    """The last thousand near misses of a file, of one namespace and those below it: several tenants may write to one.
    A line that is none is passed over; a file that is gone for the moment (it is being rotated) has none.

    Raises:
        ConfigError: there is no such file.
    """

    def __init__(self, path: Path, namespace: Namespace = ()) -> None:
        if not path.is_file():
            raise ConfigError(f"no such file: {path}; open_cache(near_miss_file=...) writes it")
        self._path = path
        self._namespace = namespace
        self._lock = threading.Lock()
        self._seen: tuple[int, int] = (-1, -1)
        self._records: tuple[NearMissRecord, ...] = ()

    def records(self) -> tuple[NearMissRecord, ...]:
        """Newest last."""
        with self._lock:
            try:
                found = self._path.stat()
                state = (found.st_mtime_ns, found.st_size)
                if state != self._seen:
                    self._records = self._read()
                    self._seen = state
            except OSError:
                self._seen, self._records = (-1, -1), ()
            return self._records

    def _read(self) -> tuple[NearMissRecord, ...]:
        """It is never larger than 10 MB, and so read whole."""
        with self._path.open(encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
        found: deque[NearMissRecord] = deque()
        for line in reversed(lines):  # the newest: no more lines are taken apart than have to be
            record = _record(line)
            if record is not None and record.namespace[: len(self._namespace)] == self._namespace:
                found.appendleft(record)
                if len(found) == _LIMIT:
                    break
        return tuple(found)


def _record(line: str) -> NearMissRecord | None:
    try:
        row: Any = json.loads(line)
        record = NearMissRecord(
            row["asked"],
            row["stored"],
            float(row["similarity"]),
            float(row["confidence"]),
            tuple(row["vetoed_by"]),
            MissReason(row["reason"]),
            float(row["at"]),
            tuple(row["namespace"]),
            row.get("reference", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    if not all(map(math.isfinite, (record.similarity, record.confidence, record.at))):
        return None
    texts = (record.asked, record.stored, record.reference, *record.vetoed_by, *record.namespace)
    return record if all(isinstance(text, str) for text in texts) else None
