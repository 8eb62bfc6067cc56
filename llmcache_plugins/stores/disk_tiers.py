"""Which entries a cache file has, and the tier of each: an attribute, so that a move loses nothing."""

from __future__ import annotations

from collections.abc import Sequence

from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.stores.disk_core import DiskCore
from llmcache_plugins.stores.rows import ENTRY
from llmcache_plugins.stores.selecting import selection_of
from llmcache_plugins.types import Stored

__all__ = ["DiskTiers"]

_ENTRIES = f"{ENTRY}, e.scope, e.key, e.inserted"
_LOWEST = f"SELECT {_ENTRIES} FROM entries e WHERE e.tier = ? ORDER BY e.priority, e.inserted LIMIT ?"
_PLACE = """
UPDATE entries SET tier = :tier, placed_at = :now, priority = :priority, weight = :weight,
    base_reads = CASE WHEN :is_demotion THEN access_count ELSE base_reads END
WHERE id = :id
"""


class DiskTiers(DiskCore):
    """The verbs about many entries: which there are, and where they belong."""

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        if limit < 1:
            return Page()
        if selector.idle_since is not None:
            self._flush()  # a read that is not written yet counts, too
        query, values = selection_of(selector).ordered(_ENTRIES, "{order} > ?", [after])
        with self._file.reading() as connection:
            rows = connection.execute(f"{query} LIMIT ?", [*values, limit + 1]).fetchall()
            found = [self._rows.stored(row, row[-3], row[-2]) for row in rows[:limit]]
        return Page(
            tuple(stored for stored in found if isinstance(stored, Stored)),
            rows[limit - 1][-1] if len(rows) > limit else None,
        )

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        if limit < 1:
            return []
        self._flush()
        with self._file.reading() as connection:
            rows = connection.execute(_LOWEST, (tier, limit)).fetchall()
            found = [self._rows.stored(row, row[-3], row[-2]) for row in rows]
        return [stored for stored in found if isinstance(stored, Stored)]

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        find = "SELECT id, body, size FROM entries WHERE scope = ? AND key = ?"
        placed = 0
        with self._writing() as connection:
            stamp = self._accounts.stamps(connection, len(addresses)) - len(addresses)
            for order, address in enumerate(addresses, start=stamp + 1):
                row = connection.execute(find, address).fetchone()
                if row is None:
                    continue
                weight = self._weight(tier, row[1], row[2])
                changed = {
                    "id": row[0],
                    "tier": tier,
                    "now": now,
                    "weight": weight,
                    "priority": self._priorities.on_put(tier, weight, now, order),
                    "is_demotion": is_demotion,
                }
                placed += connection.execute(_PLACE, changed).rowcount
        return placed
