"""One SQLite file: how it is made, opened, locked and closed, and what its errors mean."""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

from llmcache_plugins.errors import StoreCorrupt, StoreError, StoreUnavailable, why
from llmcache_plugins.stores.file_identity import FilesInUse, make_file
from llmcache_plugins.stores.schema import APPLICATION_ID, SCHEMA_VERSION, create, migrate

__all__ = ["SqliteFile", "store_error"]

_log = logging.getLogger(__name__)

_WAL_LIMIT = 16 * 1024 * 1024
_LEAST_PATIENCE = 1.0  # seconds for another thread's write, also for those who do not wait for other processes
_ATTEMPTS = 3

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# UnicodeError: names that are no UTF-8, in a file whose list of tables is damaged as well as in what is stored.
_OF_THE_DRIVER = (sqlite3.Error, OSError, UnicodeError, OverflowError)
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "it is locked by another process",
    sqlite3.SQLITE_LOCKED: "it is locked",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "access is not permitted",
    sqlite3.SQLITE_AUTH: "access is not permitted",
    sqlite3.SQLITE_NOMEM: "memory ran out",
    sqlite3.SQLITE_PROTOCOL: "its lock could not be had",
    sqlite3.SQLITE_INTERRUPT: "the call was interrupted",
}


def store_error(error: Exception, path: Path) -> StoreError:
    """The error of the store for one of the driver or of the file system: the one place that knows both."""
    if isinstance(error, OSError):
        return StoreUnavailable(f"the cache file {path} cannot be used: {why(error)}")
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in _CORRUPT:
        return StoreCorrupt(
            f"{path} is damaged or no cache file; it was left as it is. Move it away to start with an empty cache, or "
            f"give another path"
        )
    if primary in _UNAVAILABLE:
        return StoreUnavailable(f"the cache file {path} cannot be used: {_UNAVAILABLE[primary]}")
    return StoreError(f"the cache file {path} refused a statement: {type(error).__name__}")


Functions: TypeAlias = Mapping[str, tuple[int, Callable[..., Any]]]


class _Handle(NamedTuple):
    connection: sqlite3.Connection
    files: FilesInUse


class SqliteFile:
    """Two guarded connections to one file: one reads, one writes.

    A single connection would let every reader of the process wait while a write waits for another process' lock, and
    one for each thread leaks with the threads of an executor. Two are enough: in WAL mode readers never wait.

    A file that is removed or replaced is let go of at the next use, and the one at the path is opened or made.

    Args:
        path: of the file; made, with its folder, when it is not there.
        busy_timeout: seconds to wait for a lock.
        on_replaced: called when another file is read from now on; nobody else reads meanwhile.
        functions: what statements may call, by name: how many arguments it has, and what it does.

    Raises:
        StoreCorrupt: the file is damaged, of another program or of a later version; it is left as it is.
        StoreUnavailable: it cannot be opened or is locked.
    """

    def __init__(
        self, path: Path, *, busy_timeout: float, on_replaced: Callable[[], None], functions: Functions
    ) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self.is_closed = False
        self._is_outdated = False
        self._read_lock = Lock()
        self._write_lock = Lock()
        self._on_replaced = on_replaced
        self._functions = functions
        with self._errors():
            self._writer: _Handle | None = self._connect()
            self._reader: _Handle | None = self._connect()
            self._read_from = self._reader.files.database

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The reading connection; every statement sees what is committed by then."""
        with self._read_lock:  # for long nobody reads
            try:
                handle = self._reader
                if handle is None or not handle.files.is_in_place():
                    handle = self._reopened()
                yield handle.connection
            except _OF_THE_DRIVER as error:
                raise store_error(error, self.path) from error

    def _reopened(self) -> _Handle:
        self._check_open()
        handle, self._reader = self._reader, None
        _let_go(handle)
        handle = self._reader = self._connect()
        if handle.files.database != self._read_from:
            self._read_from = handle.files.database
            _log.warning("%s was removed or replaced: going on with the file that is there now", self.path)
            self._on_replaced()
        return handle

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The reading connection; all statements see one and the same state."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection in a transaction: all or nothing."""
        with self._errors(), self._turn_to_write():
            connection = self._begin_writing()
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.rollback()

    def _begin_writing(self) -> sqlite3.Connection:
        for _ in range(_ATTEMPTS):
            if self._writer is None or not self._writer.files.is_in_place():
                handle, self._writer = self._writer, None
                _let_go(handle)
                self._writer = self._connect()
            connection, files = self._writer
            connection.execute("BEGIN IMMEDIATE")  # at once: a read that turns into a write can fail half-way
            if files.is_in_place():  # once more: it may have waited for long
                try:
                    self.check_version(connection)
                except BaseException:
                    connection.rollback()
                    raise
                return connection
            connection.rollback()
        raise StoreUnavailable(f"{self.path} is replaced all the time")

    def close(self) -> None:
        """Release file and connections; a second call does nothing."""
        with self._write_lock, self._read_lock:
            self.is_closed = True
            self._disconnect()

    def before_fork(self) -> None:
        """Close the connections, which must not be carried into another process; they are opened again when needed."""
        self._write_lock.acquire()
        self._read_lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        self._read_lock.release()
        self._write_lock.release()

    def _disconnect(self) -> None:
        handles = (self._reader, self._writer)
        self._reader = self._writer = None
        for handle in handles:
            _let_go(handle)

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        seconds = max(self._busy_timeout, _LEAST_PATIENCE)
        if not self._write_lock.acquire(timeout=seconds):
            raise StoreUnavailable(f"the cache file {self.path} is busy: waited {seconds:g} s for another thread")
        try:
            self._check_open()
            yield
        finally:
            self._write_lock.release()

    def _check_open(self) -> None:
        if self.is_closed:
            raise StoreUnavailable(f"the store of {self.path} is closed")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _OF_THE_DRIVER as error:
            raise store_error(error, self.path) from error

    def _connect(self) -> _Handle:
        for _ in range(_ATTEMPTS):
            make_file(self.path)
            before = FilesInUse.of(self.path)
            connection = self._open()
            files = FilesInUse.of(self.path)
            if files.database == before.database is not None:
                return _Handle(connection, files)
            connection.close()
        raise StoreUnavailable(f"{self.path} is replaced all the time")

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            # Text of a damaged file need not be UTF-8; it must not raise where one row is read among others.
            connection.text_factory = functools.partial(str, encoding="utf-8", errors="replace")
            connection.execute("PRAGMA trusted_schema = OFF")
            for name, (arguments, function) in self._functions.items():
                connection.create_function(name, arguments, function, deterministic=True)
            version = self._version_of(connection)
            self._use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            if version != SCHEMA_VERSION:
                self._bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def check_version(self, connection: sqlite3.Connection) -> None:
        """A process of a later version may have brought the file up to date since it was opened here. What this one
        wrote into it would not be what that one expects.

        Raises:
            StoreUnavailable: one has.
        """
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version <= SCHEMA_VERSION:
            self._is_outdated = False
            return
        said = (
            f"{self.path} was brought up to date by a later version of llmcache-plugins while it was open (file "
            f"version {version}, this one writes {SCHEMA_VERSION}); it is left alone. Upgrade this process, too"
        )
        if not self._is_outdated:
            self._is_outdated = True
            _log.warning("%s", said)
        error = StoreUnavailable(said)
        error.is_told = True
        raise error

    def _version_of(self, connection: sqlite3.Connection) -> int:
        """The file's schema version, 0 for an empty file. Nothing is written before this has been asked."""
        # In one transaction: another process may be making the file just now.
        ends_here = not connection.in_transaction
        if ends_here:
            connection.execute("BEGIN")
        try:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            if ends_here:
                connection.rollback()
        if not application_id and not version and not tables:
            return 0
        if application_id != APPLICATION_ID:
            raise StoreCorrupt(f"{self.path} is a database of another program; it was left as it is. Give another path")
        if not 0 < version <= SCHEMA_VERSION:
            raise StoreCorrupt(
                f"{self.path} was written by a later version of llmcache-plugins (file version {version}, this one "
                f"reads {SCHEMA_VERSION}); it was left as it is. Upgrade, or give another path"
            )
        return int(version)

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        """Make or migrate the tables: all of it or, when the process is killed meanwhile, nothing."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version_of(connection)  # another process may have been quicker
            if not version:
                create(connection)
            elif version != SCHEMA_VERSION:
                migrate(connection, version)
                connection.execute("UPDATE state SET edits = edits + 1")  # who has it open looks at its version
                _log.info("%s: version %d of the file is now version %d", self.path, version, SCHEMA_VERSION)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.rollback()

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # Two processes that make the file at the same time: SQLite does not wait here by itself.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise StoreUnavailable(f"the file system of {self.path} cannot hold a cache file: it has no shared memory")


def _let_go(handle: _Handle | None) -> None:
    """Close a connection, without a trace of its file when that is not at its path any more."""
    if handle is not None:
        with suppress(OSError, StoreError):
            if not handle.files.is_in_place():
                handle.files.remove_logs()
        with suppress(sqlite3.Error):
            handle.connection.close()
