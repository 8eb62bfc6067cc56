"""The store in one SQLite file: several threads and processes, nothing lost when one of them is killed.

Entries are read from the file; vectors are kept in memory for the search, too, and follow a log of changes in the
file, so that what another process writes is found at the next look-up.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import CodecError, ConfigError, StoreError, StoreUnavailable
from llmcache_plugins.protocols import Capabilities
from llmcache_plugins.stores.accounting import Accounts
from llmcache_plugins.stores.capacity import alias_bytes, check_limits, entry_bytes
from llmcache_plugins.stores.codec import decode_alias, decode_entry, encode_alias, encode_vector
from llmcache_plugins.stores.forking import follow_forks
from llmcache_plugins.stores.matrix import Match, as_vector
from llmcache_plugins.stores.replica import VectorReplica
from llmcache_plugins.stores.rows import ENTRY, ENTRY_WITH_VECTOR, RowReader, namespace_path, row_of
from llmcache_plugins.stores.sqlite_file import SqliteFile
from llmcache_plugins.stores.touches import TouchBuffer
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Namespace, Pending, Stored

__all__ = ["DiskStore"]

_log = logging.getLogger(__name__)
_CAPABILITIES = Capabilities(is_blocking=True, is_persistent=True, is_shared=True)
_SEARCH_ATTEMPTS = 3
_FOUND_AT_ONCE = 500  # SQLite takes 999 values in one statement, or more
_LONGEST_WAIT = 3600.0
_CHANGES_KEPT = 8192  # who is further behind reads all vectors again
_TRIM_EVERY = 128

_GET = f"""
SELECT {ENTRY}, NULL FROM entries e WHERE e.scope = :scope AND e.key = :key
UNION ALL
SELECT {ENTRY}, a.body FROM aliases a JOIN entries e ON e.scope = a.scope AND e.key = a.target_key
WHERE a.scope = :scope AND a.key = :key
LIMIT 1
"""
_GET_NORMALISED = f"""
SELECT {ENTRY}, e.key FROM entries e WHERE scope = ? AND normalised_key = ? ORDER BY inserted DESC
"""
_FIND = f"SELECT {ENTRY_WITH_VECTOR}, e.key, e.inserted FROM entries e WHERE scope = ? AND key IN "
_PUT = """
INSERT INTO entries (scope, key, normalised_key, namespace, is_candidate, expires_at, size, inserted, used,
                     embedder_id, body, vector)
VALUES (:scope, :key, :normalised_key, :namespace, :is_candidate, :expires_at, :size, :stamp, :stamp,
        :embedder_id, :body, :vector)
ON CONFLICT (scope, key) DO UPDATE SET
    normalised_key = :normalised_key, namespace = :namespace, is_candidate = :is_candidate, expires_at = :expires_at,
    size = :size, inserted = :stamp, used = :stamp, access_count = 0, last_access = NULL,
    embedder_id = :embedder_id, body = :body, vector = :vector
"""
_TOUCH = """
UPDATE entries SET access_count = access_count + ?, last_access = ?, used = ? WHERE scope = ? AND key = ?
"""
# Candidates without a vector of this embedder. Three ranges of the index, because one "is not" would read all of it.
_PENDING = " UNION ALL ".join(
    f"SELECT inserted, key, body FROM entries WHERE scope = :scope AND is_candidate AND embedder_id {other}"
    for other in ("IS NULL", "< :id", "> :id")
)
_PENDING_COUNT = f"SELECT count(*) FROM ({_PENDING.replace('inserted, key, body', '1')})"
_PENDING_NEWEST = f"SELECT body, key FROM ({_PENDING}) ORDER BY inserted DESC LIMIT :limit"


class DiskStore:
    """Keeps everything in an SQLite file (WAL mode). Least recently used entries leave first, whoever wrote them.

    A write is durable when the verb returns, whatever happens to the process; when the machine loses power the last
    ones may be missing, and the file is still whole. The file keeps the size it once had.

    Args:
        path: of the file; made, with its folder, when it is not there (readable by its owner only).
        max_entries: capacity in entries; as many aliases are kept besides, the oldest leave first.
        max_bytes: capacity in bytes of texts, answers and vectors (see `stores.capacity`).
        busy_timeout: seconds to wait for another process' lock.

    Raises:
        ConfigError: a limit is below 1, or `path` names no file.
        StoreCorrupt: the file is damaged, of another program or of a later version; it is left as it is.
        StoreUnavailable: the file cannot be opened or is locked.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        busy_timeout: float = 5.0,
    ) -> None:
        check_limits(max_entries, max_bytes)
        if os.fspath(path) in ("", ":memory:"):
            raise ConfigError(
                f"path must name a file, not {os.fspath(path)!r}; use MemoryStore to keep nothing on disk"
            )
        if not 0 <= busy_timeout <= _LONGEST_WAIT:
            raise ConfigError(f"busy_timeout must be a number from 0 to {_LONGEST_WAIT:g}, not {busy_timeout!r}")
        self._max_bytes = max_bytes
        self._accounts = Accounts(max_entries, max_bytes)
        self._is_doubtful = False
        self._counts: Counter[str] = Counter()
        self._writes = 0
        self._touches = TouchBuffer()
        self._rows = RowReader(self._touches)
        self._process = os.getpid()
        self._replica = VectorReplica()
        self._file = SqliteFile(Path(path), busy_timeout=busy_timeout, on_replaced=self._start_anew)
        self._check()
        follow_forks(self)
        _log.info("opened %s", self._file.path)

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    @property
    def path(self) -> Path:
        return self._file.path

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        """As the protocol says. The entry comes without its vector, of which an exact hit has no use."""
        with self._file.reading() as connection:
            row = connection.execute(_GET, {"scope": scope, "key": key}).fetchone()
            if row is None:
                return None
            if row[-1] is None:
                return self._rows.stored(row, scope, key)
            alias = decode_alias(row[-1])
            if isinstance(alias, Alias) and (alias.scope, alias.key) == (scope, key):
                return self._rows.stored(row, scope, alias.target_key, alias)
            self._rows.damaged += 1
            return alias if isinstance(alias, Damaged) else Damaged("bad_bytes")

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        """As the protocol says, without vectors."""
        found: list[Stored] = []
        if limit < 1:
            return found
        with self._file.reading() as connection, closing(connection.cursor()) as rows:
            for row in rows.execute(_GET_NORMALISED, (scope, normalised_key)):
                stored = self._rows.stored(row, scope, row[-1])
                if isinstance(stored, Stored):
                    found.append(stored)
                if len(found) == limit:
                    break
        return found

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        wanted = {"scope": scope, "id": embedder_id, "limit": max(limit, 0)}
        with self._file.snapshot() as connection:
            index = self._replica.index(connection, embedder_id)
            (pending,) = connection.execute(_PENDING_COUNT, wanted).fetchone()
            rows = []
            if pending and limit > 0:
                rows = connection.execute(_PENDING_NEWEST, wanted).fetchall()
            with_vector = 0 if index is None else index.count(scope)
        found = [(decode_entry(body), key) for body, key in rows]
        return Census(
            pending + with_vector, tuple(Pending(key, entry.text) for entry, key in found if isinstance(entry, Entry))
        )

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        for _ in range(_SEARCH_ATTEMPTS - 1):
            with self._file.reading() as connection:
                index = self._replica.index(connection, embedder_id)
            if index is None:
                return []
            matches = index.search(scope, vector, limit=limit, now=now)  # holds no lock
            if not matches:
                return []
            with self._file.reading() as connection:
                candidates = self._candidates(connection, scope, embedder_id, matches)
            if len(candidates) == len(matches):
                return candidates
        with self._file.snapshot() as connection:
            index = self._replica.index(connection, embedder_id)
            if index is None:
                return []
            matches = index.search(scope, vector, limit=limit, now=now)
            return self._candidates(connection, scope, embedder_id, matches)

    def _candidates(
        self, connection: sqlite3.Connection, scope: str, embedder_id: str, matches: Sequence[Match]
    ) -> list[Candidate]:
        """Matches whose entry is still the one that was found; damaged ones are found no more."""
        rows = {}
        for start in range(0, len(matches), _FOUND_AT_ONCE):
            keys = [match.key for match in matches[start : start + _FOUND_AT_ONCE]]
            for row in connection.execute(f"{_FIND}({','.join('?' * len(keys))})", (scope, *keys)):
                rows[row[5]] = row
        candidates = []
        for key, order, similarity in matches:
            row = rows.get(key)
            if row is None or row[6] != order or row[3] != embedder_id:
                continue
            stored = self._rows.stored(row, scope, key)
            if isinstance(stored, Stored):
                candidates.append(Candidate(stored.entry, similarity, stored.access_count))
            else:
                self._replica.leave_out(scope, key)
        return candidates

    def put(self, entry: Entry) -> bool:
        row, size = row_of(entry), entry_bytes(entry)
        with self._writing() as connection:
            connection.execute("DELETE FROM aliases WHERE scope = ? AND key = ?", (entry.scope, entry.key))
            if size > self._max_bytes:  # what it was to replace is out of date
                connection.execute("DELETE FROM entries WHERE scope = ? AND key = ?", (entry.scope, entry.key))
                return False
            stamp = self._accounts.stamps(connection, 1)
            connection.execute(_PUT, row | {"stamp": stamp})
            self._make_room(connection, kept=stamp, added=size)
        return True

    def put_alias(self, alias: Alias) -> None:
        try:
            body = encode_alias(alias)
        except CodecError as error:
            raise StoreError(f"an alias cannot be stored: {error}") from error
        there = "SELECT (SELECT 1 FROM entries WHERE scope = :s AND key = :target), "
        there += "(SELECT 1 FROM entries WHERE scope = :s AND key = :key)"
        with self._writing() as connection:
            named = {"s": alias.scope, "target": alias.target_key, "key": alias.key}
            has_target, is_entry = connection.execute(there, named).fetchone()
            if not has_target or is_entry:
                return
            connection.execute("DELETE FROM aliases WHERE scope = ? AND key = ?", (alias.scope, alias.key))
            connection.execute(
                "INSERT INTO aliases (scope, key, target_key, size, body) VALUES (?, ?, ?, ?, ?)",
                (alias.scope, alias.key, alias.target_key, alias_bytes(alias), body),
            )
            self._accounts.trim_aliases(connection, added=alias_bytes(alias))

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        find = "SELECT id, body FROM entries WHERE scope = ? AND key = ? AND is_candidate"
        give = "UPDATE entries SET vector = ?, embedder_id = ?, size = ? WHERE id = ?"
        added = 0
        with self._writing() as connection:
            for key, vector in vectors.items():
                array = as_vector(vector)
                row = connection.execute(find, (scope, key)).fetchone()
                entry = None if row is None else decode_entry(row[1])
                if not isinstance(entry, Entry):
                    continue
                size = entry_bytes(replace(entry, vector=array))
                connection.execute(give, (encode_vector(array), embedder_id, size, row[0]))
                added += array.nbytes
            self._make_room(connection, kept=-1, added=added)

    def touch(self, scope: str, key: str, now: float) -> None:
        if self._file.is_closed:
            raise StoreUnavailable(f"the store of {self._file.path} is closed")
        if self._touches.add(scope, key, now):
            self._flush()

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        removed = 0
        with self._writing() as connection:
            for table in ("aliases", "entries"):  # aliases first: they leave with their entry, and would not be counted
                for key in set(keys):
                    found = connection.execute(f"DELETE FROM {table} WHERE scope = ? AND key = ?", (scope, key))
                    removed += found.rowcount
        return removed

    def sweep(self, now: float, *, limit: int) -> int:
        if limit < 1:
            return 0
        expired = "SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
        with self._writing() as connection:
            removed = connection.execute(f"DELETE FROM entries WHERE id IN ({expired})", (now, limit)).rowcount
        self._counts["expirations"] += removed
        return removed

    def clear(self, namespace: Namespace | None = None) -> int:
        path = namespace_path(namespace or ())
        with self._writing() as connection:
            if path:
                below = "DELETE FROM entries WHERE substr(namespace, 1, ?) = ?"
                removed = connection.execute(below, (len(path), path)).rowcount
            else:  # whatever it is, also what is damaged
                removed = connection.execute("DELETE FROM entries").rowcount
                connection.execute("DELETE FROM aliases")
        _log.info("cleared %d entries of %s", removed, self._file.path)
        return removed

    def stats(self) -> StoreStats:
        with self._file.reading() as connection:
            totals = self._accounts.totals(connection)
        return StoreStats(
            entries=totals.entries,
            aliases=totals.aliases,
            size_bytes=totals.size,
            evictions=self._counts["evictions"],
            expirations=self._counts["expirations"],
            damaged=self._rows.damaged + self._replica.damaged,
        )

    def close(self) -> None:
        """Write the access counts that are still in memory and release the file."""
        self._flush()
        self._file.close()

    def before_fork(self) -> None:
        self._flush()
        self._file.before_fork()
        self._touches.lock.acquire()

    def after_fork(self) -> None:
        if os.getpid() != self._process:
            self._process = os.getpid()
            # A thread that is not here any more may have held a lock of these, and the parent writes its own touches.
            self._replica = VectorReplica()
            self._rows.touches = self._touches = TouchBuffer()
        else:
            self._touches.lock.release()
        self._file.after_fork()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that first writes the touches made so far, so that eviction knows them."""
        touched = self._touches.take()
        try:
            with self._file.writing() as connection:
                if self._is_doubtful and not self._accounts.add_up(connection):
                    self._accounts.mend(connection)
                self._is_doubtful = False
                self._accounts.mend_if_wrong(connection)
                if touched:
                    last = self._accounts.stamps(connection, len(touched))
                    connection.executemany(
                        _TOUCH,
                        [
                            (count, now, last - len(touched) + place, scope, key)
                            for place, ((scope, key), (count, now)) in enumerate(touched.items(), start=1)
                        ],
                    )
                self._writes += 1
                if self._writes % _TRIM_EVERY == 0:
                    connection.execute(
                        "DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?", (_CHANGES_KEPT,)
                    )
                yield connection
        except BaseException as error:
            self._touches.give_back(touched)
            # A refused statement may come from damage that the totals do not show.
            self._is_doubtful |= isinstance(error, StoreError) and not isinstance(error, StoreUnavailable)
            raise

    def _check(self) -> None:
        """Mend totals that are not those of the tables, whoever damaged them."""
        with self._file.snapshot() as connection:
            self._is_doubtful = not self._accounts.add_up(connection)
        if self._is_doubtful:
            _log.warning("the totals of %s do not add up: they are counted anew", self._file.path)
            with suppress(StoreUnavailable), self._writing():  # locked or read-only: done with the next write
                pass

    def _start_anew(self) -> None:
        """Another file lies at the path: forget the vectors of the one before, and trust no totals."""
        self._replica.forget()
        self._is_doubtful = True

    def _flush(self) -> None:
        """Write the touches; when that fails they wait for the next write: a read was served all the same."""
        if self._touches:
            with suppress(StoreError), self._writing():
                pass

    def _make_room(self, connection: sqlite3.Connection, *, kept: int, added: int) -> None:
        self._counts["evictions"] += self._accounts.make_room(connection, kept=kept, added=added)
