"""How much a cache file holds, and who has to leave: totals kept by triggers, checked before they are believed.

The totals stand in one row beside the tables. A file can be damaged without being unreadable, and a limit that rests on
wrong totals would evict everything, or nothing, or never come to an end. So whatever looks wrong is counted anew.

The totals of each tier stand beside them. No limit rests on these, so they are checked only when they are asked for.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from llmcache_plugins.counters import Share
from llmcache_plugins.stores.capacity import ALIAS_OVERHEAD, ENTRY_OVERHEAD

__all__ = ["Accounts", "Totals"]

_LAST_STAMP = 2**62  # far beyond what is ever counted, and adding to it does not overflow
_SLACK = 65_536  # no overhead of any version is larger

# Text and answer are part of the body, which escapes them: in UTF-8 they are never longer than it.
_SIZE_LIMIT = "length(body) + ifnull(length(vector), 0)"
_BAD_SIZE = f"(typeof(size) != 'integer' OR size < 1 OR size > {_SIZE_LIMIT} + {_SLACK})"
_BAD_ALIAS_SIZE = f"(typeof(size) != 'integer' OR size < 1 OR size > length(body) + {_SLACK})"
_BAD_INSERTED = f"(typeof(inserted) != 'integer' OR inserted NOT BETWEEN 1 AND {_LAST_STAMP})"
_BAD_PRIORITY = (
    "(typeof(priority) != 'real' OR abs(priority) > 1e300 OR typeof(weight) != 'real' OR abs(weight) > 1e300)"
)
_BAD_TIER = "(typeof(tier) != 'text')"
_BAD = f"{_BAD_SIZE} OR {_BAD_INSERTED} OR {_BAD_PRIORITY} OR {_BAD_TIER}"
# Another number of edits than there ever was: nobody relies on a copy made before.
_MENDED = """
INSERT OR REPLACE INTO state (id, stamp, entries, aliases, bytes, edits, policies)
VALUES (1, ?, ?, ?, ?, abs(random() / 4), ifnull((SELECT policies FROM state), ''))
"""
_COUNTED_SHARES = "SELECT tier, count(*), CAST(total(size) AS INTEGER) FROM entries GROUP BY tier"
_LOWEST = "SELECT id, priority, inserted FROM entries WHERE inserted != ? ORDER BY priority, inserted LIMIT 1"
_LOWEST_IN_TIER = _LOWEST.replace("WHERE", "WHERE tier = ? AND")
_COUNTED = f"""
SELECT e.stamp, e.number, a.number, e.size + a.size, e.bad + a.bad FROM
    (SELECT count(*) AS number, total(size) AS size, total({_BAD}) AS bad,
            max(0, ifnull(max(inserted), 0)) AS stamp FROM entries) e,
    (SELECT count(*) AS number, total(size) AS size, total({_BAD_ALIAS_SIZE}) AS bad FROM aliases) a
"""


class Totals(NamedTuple):
    """What the file holds; `stamp` is the last number that was given to a write or a read."""

    stamp: int
    entries: int
    aliases: int
    size: int


class Accounts:
    """The limits of a store, kept by eviction. Methods that change anything are called in a write transaction.

    Args:
        max_entries: as many entries and as many aliases.
        max_bytes: of both together.
        first_tiers: who is placed there leaves before all others.
    """

    def __init__(self, max_entries: int, max_bytes: int, first_tiers: Sequence[str]) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._stamp = 0  # the last one given, while a transaction is open
        self._first_tiers = tuple(first_tiers)

    def totals(self, connection: sqlite3.Connection) -> Totals:
        """As they are written, or counted when those cannot be right. Changes nothing."""
        return _written(connection) or _counted(connection)[0]

    def shares(self, connection: sqlite3.Connection, entries: int) -> dict[str, Share]:
        """What is placed in each tier, of `entries` in all: as it is written, or counted when that cannot be right."""
        rows = connection.execute("SELECT tier, entries, bytes FROM shares WHERE entries != 0").fetchall()
        if not all(map(_is_share, rows)) or sum(number for _, number, _ in rows) != entries:
            rows = connection.execute(_COUNTED_SHARES).fetchall()
        return {row[0]: Share(row[1], row[2]) for row in rows if _is_share(row)}

    def add_up(self, connection: sqlite3.Connection) -> bool:
        """True when the totals are those of the tables, and no row has a size or stamp that cannot be. Reads every row,
        but not its body."""
        written = _written(connection)
        counted, damaged = _counted(connection)
        shares = connection.execute("SELECT * FROM shares WHERE entries != 0 ORDER BY tier").fetchall()
        if shares != connection.execute(f"{_COUNTED_SHARES} ORDER BY tier").fetchall():
            return False
        return not damaged and written is not None and written[1:] == counted[1:] and written.stamp >= counted.stamp

    def begin(self, connection: sqlite3.Connection) -> None:
        """To be called first in every transaction. Counts anew when the totals are of no use."""
        totals = _written(connection)
        if totals is None:
            self.mend(connection)
            totals = self.totals(connection)
        self._stamp = totals.stamp

    def mend(self, connection: sqlite3.Connection) -> None:
        """Give rows with an impossible size, stamp or priority a possible one, and count everything anew."""
        for (row,) in connection.execute(f"SELECT id FROM entries WHERE {_BAD_SIZE}").fetchall():
            # The trigger adds the new size and subtracts the old one, which may be infinite: from 0 that is a number.
            connection.execute("UPDATE state SET bytes = 0")
            connection.execute("DELETE FROM shares")
            connection.execute(f"UPDATE entries SET size = {_SIZE_LIMIT} + {ENTRY_OVERHEAD} WHERE id = ?", (row,))
        connection.execute("DELETE FROM shares")  # what is in there may not be counted with
        connection.execute(f"UPDATE aliases SET size = length(body) + {ALIAS_OVERHEAD} WHERE {_BAD_ALIAS_SIZE}")
        connection.execute(f"UPDATE entries SET tier = '' WHERE {_BAD_TIER}")
        connection.execute(f"UPDATE entries SET priority = 0, weight = 0 WHERE {_BAD_PRIORITY}")
        unordered = connection.execute(f"SELECT id FROM entries WHERE {_BAD_INSERTED}").fetchall()
        connection.execute(f"UPDATE entries SET inserted = 0 WHERE {_BAD_INSERTED}")
        counted, _ = _counted(connection)
        written = _written(connection)
        stamp = counted.stamp if written is None else max(counted.stamp, written.stamp)
        for (row,) in unordered:  # each a stamp of its own: who reads them in pages goes by it
            stamp += 1
            connection.execute("UPDATE entries SET inserted = ? WHERE id = ?", (stamp, row))
        connection.execute(_MENDED, (stamp, *counted[1:]))
        connection.execute("DELETE FROM shares")
        connection.execute(f"INSERT INTO shares {_COUNTED_SHARES}")

    def stamps(self, connection: sqlite3.Connection, count: int) -> int:
        """Take `count` numbers that nobody has had; the last of them."""
        self._stamp += count
        connection.execute("UPDATE state SET stamp = ?", (self._stamp,))
        return self._stamp

    def make_room(self, connection: sqlite3.Connection, *, kept: int, added: int) -> int:
        """Evict until the limits hold; how many entries that were.

        Args:
            kept: the entry with this stamp stays.
            added: bytes this transaction has added, or more.
        """
        totals = self._believable(connection, added)
        evicted = 0
        while totals.entries > self._max_entries or totals.size > self._max_bytes:
            lowest = self._lowest(connection, kept)
            if lowest is not None:
                connection.execute("DELETE FROM entries WHERE id = ?", (lowest,))
                evicted += 1
            elif not _drop_oldest_alias(connection):  # the newest entry's own wordings, when nothing else is left
                break
            totals = self.totals(connection)
        return evicted

    def _lowest(self, connection: sqlite3.Connection, kept: int) -> int | None:
        """Who is to leave first, other than the entry with this stamp."""
        lowest = [connection.execute(_LOWEST_IN_TIER, (tier, kept)).fetchone() for tier in self._first_tiers]
        rows = [row for row in lowest if row is not None] or connection.execute(_LOWEST, (kept,)).fetchall()
        # Damage that is not noticed yet may have put a text among the numbers: that row is the one to leave.
        rows.sort(key=lambda row: row[1:] if isinstance(row[1], float) and isinstance(row[2], int) else (-math.inf, 0))
        return rows[0][0] if rows else None

    def trim_aliases(self, connection: sqlite3.Connection, *, added: int) -> None:
        """Drop the oldest aliases until the limits hold, but no entry."""
        totals = self._believable(connection, added)
        while totals.aliases > self._max_entries or totals.size > self._max_bytes:
            if not _drop_oldest_alias(connection):
                break
            totals = self.totals(connection)

    def _believable(self, connection: sqlite3.Connection, added: int) -> Totals:
        """The totals. The limits held before this transaction, so that it cannot have gone far beyond them; totals that
        say otherwise are of a store with wider limits, or wrong."""
        totals = _written(connection)
        if (
            totals is None
            or max(totals.entries, totals.aliases) > self._max_entries + 1
            or totals.size > self._max_bytes + added
        ):
            self.mend(connection)
            totals = self.totals(connection)
        return totals


def _is_share(row: Sequence[object]) -> bool:
    return isinstance(row[0], str) and all(isinstance(value, int) and value >= 0 for value in row[1:])


def _written(connection: sqlite3.Connection) -> Totals | None:
    """The totals as the triggers keep them; None when they are absent or impossible."""
    row = connection.execute("SELECT stamp, entries, aliases, bytes FROM state").fetchone()
    if row is None or not all(isinstance(value, int) and value >= 0 for value in row):
        return None
    totals = Totals(*row)
    is_possible = totals.stamp <= _LAST_STAMP and totals.size >= totals.entries + totals.aliases
    return totals if is_possible else None


def _counted(connection: sqlite3.Connection) -> tuple[Totals, bool]:
    """The totals of the tables, and whether a row has a size or stamp that cannot be."""
    stamp, entries, aliases, size, damaged = connection.execute(_COUNTED).fetchone()
    # With a damaged row these may be anything; `total` adds up floats, which never overflows as `sum` does.
    stamp = min(stamp, _LAST_STAMP) if isinstance(stamp, int) else 0
    size = int(size) if size is not None and 0 <= size <= _LAST_STAMP else 0  # None: infinity less infinity
    return Totals(stamp, entries, aliases, size), bool(damaged)


def _drop_oldest_alias(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("DELETE FROM aliases WHERE id IN (SELECT min(id) FROM aliases)").rowcount)
