"""Every event as a line of JSON in a file that is rotated, written behind the lookups."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.recorded import Event
from llmcache_plugins.telemetry.backlog import Backlog
from llmcache_plugins.telemetry.feed import Behind, Noted
from llmcache_plugins.telemetry.fields import Light, fields_of
from llmcache_plugins.telemetry.line_file import LineFile

__all__ = ["EventLog"]


class EventLog(Behind):
    """A recorder that appends to a JSON Lines file, which only its owner may read (mode 0600).

    A thread of its own writes, `interval` seconds behind; what does not fit into its queue, and what a full disk keeps
    from being written for too long, is counted in `dropped`. `close()` writes what still waits, as the end of the
    interpreter does. One file belongs to one process, for rotation moves it away: name it after the process where there
    are several. A forked child writes to its parent's file, each line whole.

    Args:
        path: `<path>.1` is the one before, `.2` the one before that, and so on.
        most_bytes: the size from which on a file is put away.
        kept_files: how many of those are kept, besides the one that is written.
        limit: how many events may wait.
        interval: seconds between two writes.
        now: wall clock, seconds.

    Raises:
        ConfigError: a number out of range, or a path that is a folder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        most_bytes: int = 10 * 1024 * 1024,
        kept_files: int = 5,
        limit: int = 10_000,
        interval: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        for name, number, least in (("most_bytes", most_bytes, 1024), ("kept_files", kept_files, 1)):
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise ConfigError(f"{name} must be a whole number from {least:,} on, not {number!r}")
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ConfigError("path must be the name of a file, events.jsonl for example")
        if Path(path).is_dir():
            raise ConfigError(f"path {os.fspath(path)!r} is a folder; name a file in it")
        super().__init__(now)
        self._file = LineFile(Path(path), most_bytes, kept_files)
        self._backlog: Backlog[tuple[float, Event | Light]] = Backlog(
            self._write, "llmcache event log", limit=limit, interval=interval
        )

    def take(self, noted: Noted) -> None:
        at, _, event = noted
        self._backlog.put((at, event))

    @property
    def dropped(self) -> int:
        """Events that are in no file and never will be."""
        return super().dropped + self._file.dropped

    def flush(self) -> None:
        """Write everything that waits now; waits for the disk."""
        super().flush()
        self._file.write()

    def close(self) -> None:
        """Write everything and end the thread. Later events are dropped."""
        super().close()
        self._file.write()

    def _write(self, events: list[tuple[float, Event | Light]]) -> None:
        for at, event in events:
            self._file.add({"at": at, **fields_of(event)})
        self._file.write()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
