"""What all verbs of the store on disk rest on: the file, its accounts, and what of it is kept in memory."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreError, StoreUnavailable
from llmcache_plugins.protocols import Capabilities
from llmcache_plugins.stores.accounting import Accounts
from llmcache_plugins.stores.codec import decode_entry
from llmcache_plugins.stores.forking import follow_forks
from llmcache_plugins.stores.priorities import Priorities
from llmcache_plugins.stores.replica import VectorReplica
from llmcache_plugins.stores.rows import RowReader
from llmcache_plugins.stores.selecting import tag_fits
from llmcache_plugins.stores.sqlite_file import SqliteFile
from llmcache_plugins.stores.touches import TouchBuffer, Touches
from llmcache_plugins.types import Entry

__all__ = ["DiskCore"]

_log = logging.getLogger(__name__)
_CAPABILITIES = Capabilities(is_blocking=True, is_persistent=True, is_shared=True)
_CHANGES_KEPT = 8192  # who is further behind reads all vectors again
_TRIM_EVERY = 128

_TOUCH = """
UPDATE entries SET access_count = access_count + :count, last_access = :now,
    priority = priority_on_read(tier, priority, weight, :count, :now, :order)
WHERE scope = :scope AND key = :key
"""
_TO_ORDER = """
SELECT id, priority, weight, size, access_count, last_access, created_at, body FROM entries WHERE tier = ?
ORDER BY priority, inserted
"""


class DiskCore:
    """The file and the transactions; the verbs are classes over this one."""

    def __init__(
        self, path: Path, *, max_entries: int, max_bytes: int, priorities: Priorities, busy_timeout: float
    ) -> None:
        self._max_bytes = max_bytes
        self._priorities = priorities
        self._accounts = Accounts(max_entries, max_bytes, priorities.first_tiers)
        self._is_doubtful = False
        self._counts: Counter[str] = Counter()
        self._writes = 0
        self._touches = TouchBuffer()
        self._rows = RowReader(self._touches)
        self._process = os.getpid()
        self._replica = VectorReplica()
        self._files_seen = 0
        self._version_seen: tuple[int, object] | None = None
        self._file = SqliteFile(
            path,
            busy_timeout=busy_timeout,
            on_replaced=self._start_anew,
            functions={"priority_on_read": (6, priorities.on_read), "tag_fits": (2, tag_fits)},
        )
        self._check()
        follow_forks(self)
        _log.info("opened %s", self._file.path)

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    @property
    def path(self) -> Path:
        return self._file.path

    def stats(self) -> StoreStats:
        with self._file.snapshot() as connection:
            totals = self._accounts.totals(connection)
            shares = self._accounts.shares(connection, totals.entries)
        return StoreStats(
            entries=totals.entries,
            aliases=totals.aliases,
            size_bytes=totals.size,
            evictions=self._counts["evictions"],
            expirations=self._counts["expirations"],
            damaged=self._rows.damaged + self._replica.damaged,
            shares=shares,
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
                if self._is_doubtful:
                    self._settle(connection)
                self._accounts.begin(connection)
                if touched:
                    self._write_touches(connection, touched)
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

    def _write_touches(self, connection: sqlite3.Connection, touched: Touches) -> None:
        first = self._accounts.stamps(connection, len(touched)) - len(touched) + 1
        connection.executemany(
            _TOUCH,
            [
                {"count": count, "now": now, "order": order, "scope": scope, "key": key}
                for order, ((scope, key), (count, now)) in enumerate(touched.items(), start=first)
            ],
        )

    def _check(self) -> None:
        """Mend totals that are not those of the tables, whoever damaged them, and priorities of other policies."""
        with self._file.snapshot() as connection:
            is_wrong = not self._accounts.add_up(connection)
            row = connection.execute("SELECT policies FROM state").fetchone()
        if is_wrong:
            _log.warning("the totals of %s do not add up: they are counted anew", self._file.path)
        self._is_doubtful = is_wrong or row != (self._priorities.names(),)
        if self._is_doubtful:
            with suppress(StoreUnavailable), self._writing():  # locked or read-only: done with the next write
                pass

    def _settle(self, connection: sqlite3.Connection) -> None:
        """What `_check` says, in a transaction: nothing about this file is certain."""
        if not self._accounts.add_up(connection):
            self._accounts.mend(connection)
        names = self._priorities.names()
        if connection.execute("SELECT policies FROM state").fetchone() != (names,):
            self._accounts.begin(connection)
            self._order_anew(connection, names)
        self._is_doubtful = False

    def _order_anew(self, connection: sqlite3.Connection, names: str) -> None:
        """Give the entries of tiers whose policy is another than before the numbers of the one they have now."""
        (before,) = connection.execute("SELECT policies FROM state").fetchone()
        for (tier,) in connection.execute("SELECT DISTINCT tier FROM entries").fetchall():
            if not isinstance(tier, str) or not self._priorities.has_changed(tier, before):
                continue
            policy = self._priorities.of(tier)
            rows = connection.execute(_TO_ORDER, (tier,)).fetchall()
            stamp = self._accounts.stamps(connection, len(rows)) - len(rows)
            for order, (row, _, _, size, reads, last_access, created_at, body) in enumerate(rows, start=stamp + 1):
                weight = self._weight(tier, body, size)
                stored_at = created_at if isinstance(created_at, float) else 0.0
                priority = self._priorities.on_put(tier, weight, stored_at, order)
                if isinstance(reads, int) and reads > 0 and isinstance(last_access, float):
                    priority = policy.on_read(priority, weight, reads, last_access, order)
                connection.execute("UPDATE entries SET priority = ?, weight = ? WHERE id = ?", (priority, weight, row))
        connection.execute("UPDATE state SET policies = ?", (names,))

    def _weight(self, tier: str, body: object, size: object) -> float:
        """Of an entry that is in the file already."""
        entry = decode_entry(body)
        if not isinstance(entry, Entry):
            return 0.0
        return self._priorities.weight(tier, entry, size if isinstance(size, int) else 1)

    def _start_anew(self) -> None:
        """Another file lies at the path: forget the vectors of the one before, and trust no totals."""
        self._replica.forget()
        self._files_seen += 1
        self._is_doubtful = True

    def _flush(self) -> None:
        """Write the touches; when that fails they wait for the next write: a read was served all the same."""
        if self._touches:
            with suppress(StoreError), self._writing():
                pass

    def _make_room(self, connection: sqlite3.Connection, *, kept: int, added: int) -> None:
        self._counts["evictions"] += self._accounts.make_room(connection, kept=kept, added=added)
