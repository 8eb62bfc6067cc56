"""A file of vectors by embedder and digest of the text: what one run has embedded, the next one need not.

It is a cache of a cache: whatever goes wrong with it costs an embedding, never an answer. What goes wrong is logged
once. A damaged file of ours is begun anew; a file of somebody else is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.paths import as_path
from llmcache_plugins.types import FloatArray

__all__ = ["VectorCacheFile"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_APPLICATION_ID = 0x4C4D4356  # "LMCV", in the file's header: whose file this is
_VERSION = 1
_NUMBER = slice(68, 72)  # of the header, where SQLite keeps the application id: https://www.sqlite.org/fileformat.html
_PATIENCE = 0.2  # seconds for another process' lock; embedding takes no longer
_REST = 60.0  # seconds until a file that cannot be used is tried again
_BATCH = 500  # digests in one question; SQLite allows 999 everywhere
_MARKS = 1000  # reads that are not written down yet: a read must not cost a write
_ROOM = 0.05  # of the capacity: freed at once, so that not every write has to look for the oldest
_NOT_OURS = "is no file of vectors; it is left as it is"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_INHERITED: list[sqlite3.Connection] = []  # kept, for what is collected is closed

# `used` is a stamp that grows with every write, no time: the order stays right when a clock jumps.
_SCHEMA = (
    "CREATE TABLE embedders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE vectors (embedder INTEGER NOT NULL, digest BLOB NOT NULL, used INTEGER NOT NULL, "
    "check_sum INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE (embedder, digest))",
    "CREATE INDEX vectors_used ON vectors (used)",
    "CREATE TABLE state (entries INTEGER NOT NULL)",
    "INSERT INTO state VALUES (0)",
    "CREATE TRIGGER added AFTER INSERT ON vectors BEGIN UPDATE state SET entries = entries + 1; END",
    "CREATE TRIGGER removed AFTER DELETE ON vectors BEGIN UPDATE state SET entries = entries - 1; END",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)


class _Foreign(Exception):
    """The file is another program's, or of a later version."""


class VectorCacheFile:
    """Vectors on disk. Safe to share between threads, processes and forked children; a call waits for the disk.

    Keeps digests of texts, never texts. Vectors tell something of their texts all the same: keep the file as private
    as the cache's own. Opened at its first use.

    Args:
        path: of the file; made, with its folder, when it is not there.
        max_entries: how many vectors it holds; those read or written longest ago go first.

    Raises:
        ConfigError: `max_entries` is not an integer of at least 1.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_entries: int = 50_000) -> None:
        if not isinstance(max_entries, int) or isinstance(max_entries, bool) or max_entries < 1:
            raise ConfigError(f"max_entries must be an integer of at least 1, not {max_entries!r}")
        self.path = as_path(path)
        self._max_entries = max_entries
        self._connection: sqlite3.Connection | None = None
        self._begin()

    def _begin(self) -> None:
        """As new; also in a forked child, where a lock may be held for ever, and the parent's connection must neither
        be used nor closed."""
        if self._connection is not None:
            _INHERITED.append(self._connection)
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._connection = None
        self._thread: ThreadPoolExecutor | None = None
        self._rests_until = 0.0
        self._marks: dict[tuple[str, bytes], None] = {}
        self._said: set[str] = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, max_entries={self._max_entries})"

    def get(self, embedder_id: str, digests: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """The vectors that are known, float32; a damaged one is not."""
        return (self._spared(partial(self._get, embedder_id, digests)) or {}) if digests else {}

    def put(self, embedder_id: str, vectors: Mapping[bytes, FloatArray]) -> None:
        """Keep vectors by digest."""
        if vectors:
            self._spared(partial(self._put, embedder_id, vectors))

    async def aget(self, embedder_id: str, digests: Sequence[bytes]) -> dict[bytes, FloatArray]:
        """`get` for event loops: a thread waits for the disk."""
        return await self._in_thread(partial(self.get, embedder_id, digests))

    async def aput(self, embedder_id: str, vectors: Mapping[bytes, FloatArray]) -> None:
        """`put` for event loops."""
        await self._in_thread(partial(self.put, embedder_id, vectors))

    def close(self) -> None:
        """Note what was read, and release the file. It is opened again when it is used again."""
        if self._process != os.getpid():
            return self._begin()
        if self._marks and self._connection is not None:
            self._spared(partial(self._put, "", {}))
        with self._lock:
            self._disconnect()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=False)

    # ---------------------------------------------------------------- inside
    async def _in_thread(self, call: Callable[[], T]) -> T:
        # A thread of its own: those of the loop may all wait for an embedding.
        if self._process != os.getpid():
            self._begin()
        with self._starting:  # `_lock` is held while somebody waits for the disk
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmcache-vectors")
            thread = self._thread
        return await asyncio.get_running_loop().run_in_executor(thread, call)

    def _spared(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What the work gives; None when the file cannot be used."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            if time.monotonic() < self._rests_until:
                return None
            for _ in range(2):
                try:
                    if self._connection is None:
                        self._connection = self._connect()
                    return work(self._connection)
                except _Foreign as error:
                    self._rest(str(error))
                    return None
                except sqlite3.Error as error:
                    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                    if code in _BUSY:
                        return None  # the next one may be luckier; nothing is lost but a vector
                    if code not in _DAMAGED:
                        self._rest(f"cannot be used ({type(error).__name__}, {code})")
                        return None
                    self._disconnect()
                    if not self._is_marked_ours():
                        self._rest(_NOT_OURS)
                        return None
                    self._remove()
                except OSError as error:
                    self._rest(f"cannot be used ({why(error)})")
                    return None
            self._rest("is damaged again and again")
            return None

    def _rest(self, why: str) -> None:
        self._disconnect()
        self._rests_until = time.monotonic() + _REST
        if why not in self._said:
            self._said.add(why)
            _log.warning("the file of vectors %s %s; texts are embedded without it", self.path, why)

    def _remove(self) -> None:
        _log.warning("the file of vectors %s is damaged; it is begun anew", self.path)
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                self.path.with_name(self.path.name + suffix).unlink()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._check_header()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)  # before SQLite makes it for everybody to read
        os.close(descriptor)
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with _writing(connection):
                if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in _SCHEMA:
                        connection.execute(statement)
                (number,) = connection.execute("PRAGMA application_id").fetchone()
                (version,) = connection.execute("PRAGMA user_version").fetchone()
            if number != _APPLICATION_ID:
                raise _Foreign(_NOT_OURS)
            if version != _VERSION:
                raise _Foreign("was written by another version of llmcache-plugins")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_header(self) -> None:
        """Before anything is opened: SQLite would write into whatever database it finds."""
        header = self._header()
        # Somebody else's database may have no number either; but one that is just being made has nothing but a log.
        is_begun = header[_NUMBER] == bytes(4) and self.path.with_name(f"{self.path.name}-wal").exists()
        if header and not is_begun and not self._is_marked_ours():
            raise _Foreign(_NOT_OURS)

    def _is_marked_ours(self) -> bool:
        return self._header()[_NUMBER] == _APPLICATION_ID.to_bytes(4, "big")

    def _header(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(100)
        except FileNotFoundError:
            return b""

    def _get(
        self, embedder_id: str, digests: Sequence[bytes], connection: sqlite3.Connection
    ) -> dict[bytes, FloatArray]:
        found: dict[bytes, FloatArray] = {}
        for start in range(0, len(digests), _BATCH):
            batch = digests[start : start + _BATCH]
            rows = connection.execute(
                "SELECT digest, check_sum, vector FROM vectors WHERE embedder = (SELECT id FROM embedders WHERE "
                f"name = ?) AND digest IN ({','.join('?' * len(batch))})",
                (embedder_id, *batch),
            )
            for digest, check_sum, content in rows:
                if content and len(content) % 4 == 0 and zlib.crc32(content) == check_sum:
                    found[digest] = np.frombuffer(content, "<f4").astype(np.float32)
        self._marks.update(dict.fromkeys((embedder_id, digest) for digest in found))
        if len(self._marks) >= _MARKS:
            with contextlib.suppress(sqlite3.OperationalError):  # locked: the next one may be luckier
                self._put("", {}, connection)
        return found

    def _put(self, embedder_id: str, vectors: Mapping[bytes, FloatArray], connection: sqlite3.Connection) -> None:
        with _writing(connection):
            (stamp,) = connection.execute("SELECT coalesce(max(used), 0) + 1 FROM vectors").fetchone()
            connection.executemany(
                "UPDATE vectors SET used = ? WHERE embedder = (SELECT id FROM embedders WHERE name = ?) AND digest = ?",
                [(stamp, name, digest) for name, digest in self._marks],
            )
            if vectors:
                connection.execute("INSERT INTO embedders (name) VALUES (?) ON CONFLICT DO NOTHING", (embedder_id,))
                (number,) = connection.execute("SELECT id FROM embedders WHERE name = ?", (embedder_id,)).fetchone()
                connection.executemany(
                    "INSERT INTO vectors (embedder, digest, used, check_sum, vector) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (embedder, digest) DO UPDATE SET used = excluded.used, "
                    "check_sum = excluded.check_sum, vector = excluded.vector",
                    [(number, digest, stamp, *_packed(vector)) for digest, vector in vectors.items()],
                )
            self._make_room(connection)
        self._marks.clear()

    def _make_room(self, connection: sqlite3.Connection) -> None:
        (entries,) = connection.execute("SELECT entries FROM state").fetchone()
        if entries > self._max_entries:
            excess = entries - self._max_entries + int(_ROOM * self._max_entries)
            connection.execute(
                "DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors ORDER BY used, rowid LIMIT ?)", (excess,)
            )


@contextlib.contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()


def _packed(vector: FloatArray) -> tuple[int, bytes]:
    content = np.ascontiguousarray(vector, "<f4").tobytes()
    return zlib.crc32(content), content
