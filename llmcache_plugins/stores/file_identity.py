"""Which file a connection has open, for a path may lead to another one by now.

SQLite goes on with a file that was removed or replaced under it, and finds the write-ahead log by name: the log of the
file that is gone would be taken for a part of the file that came, and destroy it (see "Mispairing database files" and
"Unlinking or renaming" in https://www.sqlite.org/howtocorrupt.html). When SQLite closes a file that is not at its path
any more it leaves the log where it is (tried with 3.40), so it is removed here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llmcache_plugins.errors import StoreUnavailable

if sys.platform != "win32":  # which removes no open file
    import fcntl

__all__ = ["FilesInUse", "make_file"]

_LOGS = ("-wal", "-shm")  # the write-ahead log and its index
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class FilesInUse:
    """The database file of one connection and the logs beside it, by device and inode.

    Made right after the connection was; `remove_logs` wants it still open, or the numbers might belong to others.
    """

    path: str
    database: tuple[int, int] | None
    real_path: str  # the logs lie beside the file a link leads to
    logs: tuple[tuple[int, int] | None, ...]

    @classmethod
    def of(cls, path: Path) -> FilesInUse:
        real_path = os.path.realpath(path)
        return cls(str(path), _identity(str(path)), real_path, tuple(_identity(real_path + log) for log in _LOGS))

    def is_in_place(self) -> bool:
        """True while the path leads to the same file: one call of the system."""
        return _identity(self.path) == self.database is not None

    def remove_logs(self) -> None:
        """Remove the logs if they are those of this file and it is gone."""
        with _locked_folder(Path(self.real_path).parent):
            if _identity(self.real_path) != self.database:
                for log, identity in zip(_LOGS, self.logs, strict=True):
                    if identity is not None and _identity(self.real_path + log) == identity:
                        Path(self.real_path + log).unlink()


def make_file(path: Path) -> None:
    """An empty file only its owner can read, if there is none: it will hold prompts and answers."""
    if path.exists():
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked_folder(path.parent):
        if path.exists():
            return
        for log in _LOGS:  # of a file that is gone; whoever has it open keeps them without their names
            with suppress(FileNotFoundError):
                Path(f"{path}{log}").unlink()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # asked before each use: a Path costs as much as the call itself
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """One process at a time makes files and removes logs: nobody removes a log that somebody else has just begun."""
    if sys.platform == "win32" or not folder.is_dir():
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(f"the folder {folder} is locked by another process") from error
                time.sleep(0.01)
            except OSError:  # a file system without such locks
                break
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: a forked child may have a copy
    finally:
        os.close(descriptor)
