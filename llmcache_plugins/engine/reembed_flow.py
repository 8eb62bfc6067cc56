"""Flows that give the entries of a store vectors of another embedder, a page at a time, while the store is in use.

A store holds one vector of an entry, so each entry changes over at one moment: before it only caches with the old
embedder match it by meaning, after it only those with the new one. Nothing else of the entry is written. So nothing
can come back or be lost: who was removed meanwhile is not there to be given a vector; who was replaced has the same
question, for a key is a digest of it; times, reads, tiers and what is marked stale are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import (
    Embed,
    Fits,
    ReadNotes,
    Select,
    SetVectors,
    StatsOf,
    Vectors,
    WriteNote,
)
from llmcache_plugins.engine.vector_moves import MOVES, embedder_in, move_note, moves_in
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.protocols import SEALED_BY
from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.transfer.reembed import ReembedSettings, ReembedTally
from llmcache_plugins.types import Entry, FloatArray, Namespace, Stored

__all__ = ["Reembed"]

_MOST_FAILURES = 10  # texts in a row, each alone: then it is the embedder, not the texts

Address = tuple[str, str]


class Reembed:
    """The vectors of one cache, on their way to its own embedder.

    Args:
        rules: of the cache; it has an embedder.
        namespace: what is stored at and below it.
        settings: how many at a time, and whether it is a trial.
        now: the time; what has expired by then stays as it is.
        tally: counts what is done.
    """

    def __init__(
        self, rules: Rules, namespace: Namespace, settings: ReembedSettings, now: float, tally: ReembedTally
    ) -> None:
        assert rules.embedder_id is not None
        self._embedder_id = rules.embedder_id
        self._bottom = rules.bottom
        self._tiers = list(range(len(rules.tiers)))
        self._namespace = namespace
        self._batch = settings.batch
        self._is_dry_run = settings.dry_run
        self._now = now
        self._tally = tally
        self._after: int | None = 0
        self._damaged: dict[int, int] = {}
        self._failures = 0  # in a row

    def begin(self) -> Flow[bool]:
        """Tell all processes what is coming. True when that is news to them.

        Raises:
            ConfigError: what is stored is sealed, and there is no key to open it.
            StoreError: the store failed.
        """
        if (yield ReadNotes(self._bottom, SEALED_BY)):
            raise ConfigError(
                "these entries are sealed, and this cache has no key: open it with encryption_key= "
                "(LLMCACHE_ENCRYPTION_KEY)"
            )
        about = 0
        for tier in self._tiers:
            stats = yield StatsOf(tier)
            about += stats.entries
            self._damaged[tier] = stats.damaged
        self._tally.about = None if self._namespace else about
        told: Mapping[str, str] = yield ReadNotes(self._bottom, MOVES)
        is_told = embedder_in(moves_in(told), self._namespace, self._now) == self._embedder_id
        yield from self._note(self._now)
        return not (is_told or self._is_dry_run)

    def page(self) -> Flow[int | None]:
        """Move the next entries, oldest stored first; how many were embedded, None when there are no more.

        Raises:
            StoreError: the store failed. What was moved stays moved.
            EmbedderError: the embedder fails at whatever it is given.
        """
        if not self._tiers:
            return None
        tier = self._tiers[0]
        page: Page = yield Select(tier, Selector(namespace=self._namespace), self._batch, self._after or 0)
        self._after = page.after
        self._tally.counts["read"] += len(page.rows)
        wanted = yield from self._to_be_moved(page.rows)
        if wanted and not self._is_dry_run:
            yield from self._move(tier, wanted)
        else:
            self._count_moved(wanted)
        if page.after is None:
            stats = yield StatsOf(tier)
            self._tally.counts["damaged"] += max(stats.damaged - self._damaged[tier], 0)
            del self._tiers[0]
        return 0 if self._is_dry_run else len(wanted)

    def end(self, now: float) -> Flow[None]:
        """The time for which the move counts begins anew.

        Raises:
            StoreError: the store failed.
        """
        yield from self._note(now)
        self._tally.is_complete = True

    def _note(self, now: float) -> Flow[None]:
        if not self._is_dry_run:
            yield WriteNote(self._bottom, *move_note(self._namespace, self._embedder_id, now))

    def _to_be_moved(self, rows: Sequence[Stored]) -> Flow[list[Entry]]:
        wanted = []
        for entry in (stored.entry for stored in rows):
            if entry.is_expired(self._now):
                self._tally.counts["expired"] += 1
            elif not entry.is_candidate:
                self._tally.counts["exact_only" if entry.text else "without_text"] += 1
            elif entry.embedder_id == self._embedder_id:
                self._tally.counts["current"] += 1
            elif (yield Fits(entry.text)):
                wanted.append(entry)
            else:
                self._tally.counts["unreadable"] += 1
        return wanted

    def _move(self, tier: int, wanted: Sequence[Entry]) -> Flow[None]:
        vectors = yield from self._embedded(wanted)
        by_scope: dict[str, dict[str, FloatArray]] = {}
        for (scope, key), vector in vectors.items():
            by_scope.setdefault(scope, {})[key] = vector
        for scope, given in by_scope.items():
            yield SetVectors(tier, scope, self._embedder_id, given)
        # Asked, not believed: what was removed meanwhile got none.
        there: dict[Address, FloatArray] = yield Vectors(tier, self._embedder_id, list(vectors))
        self._count_moved([entry for entry in wanted if _address(entry) in there])
        missing = [entry for entry in wanted if _address(entry) in vectors.keys() - there.keys()]
        if missing:
            keys = tuple(entry.key for entry in missing)
            left: Page = yield Select(tier, Selector(keys=keys), len(keys))
            unchanged = {(_address(stored.entry), stored.entry.created_at) for stored in left.rows}
            for entry in missing:
                is_there = (_address(entry), entry.created_at) in unchanged
                self._tally.counts["refused" if is_there else "gone"] += 1

    def _embedded(self, wanted: Sequence[Entry]) -> Flow[dict[Address, FloatArray]]:
        """By address; one text that the embedder fails at costs nobody else his vector."""
        try:
            rows = yield Embed([entry.text for entry in wanted])
            self._failures = 0
            return {_address(entry): row for entry, row in zip(wanted, rows, strict=True)}
        except EmbedderError:
            found: dict[Address, FloatArray] = {}
            for entry in wanted:
                try:
                    found[_address(entry)] = (yield Embed([entry.text]))[0]
                    self._failures = 0
                except EmbedderError:
                    self._failures += 1
                    if self._failures >= _MOST_FAILURES:
                        raise
                    self._tally.counts["failed"] += 1
            return found

    def _count_moved(self, entries: Sequence[Entry]) -> None:
        self._tally.counts["moved"] += len(entries)
        self._tally.moved_from.update(entry.embedder_id or "" for entry in entries)


def _address(entry: Entry) -> Address:
    return entry.scope, entry.key
