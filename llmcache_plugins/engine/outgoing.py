"""Flows that read the entries of a cache, page by page, for another one or for a file.

The cache may be in use. An entry that is replaced meanwhile comes twice, the later one last; one that is stored
meanwhile comes, or does not. Invalidations that come meanwhile are told at the end: who has the entries repeats them.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace

from llmcache_plugins.engine.epochs import EPOCHS, begun_at, epochs_in
from llmcache_plugins.engine.invalidation_flow import HELD_BACK
from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import Acquire, Invalidations, ReadNotes, Select, SequenceOf, StatsOf, Vectors
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import KEY_VERSION
from llmcache_plugins.protocols import SEALED_BY
from llmcache_plugins.selection import Invalidation, Page, Selector
from llmcache_plugins.transfer.records import Header, Record
from llmcache_plugins.transfer.report import Tally
from llmcache_plugins.types import FloatArray, Namespace, Stored

__all__ = ["MARKED", "Outgoing", "are_related"]

MARKED = 60.0
"""Seconds for which a store is marked: nobody takes the mark away, it ends by itself."""

_PAGE = 200  # entries in memory at a time


class Outgoing:
    """The entries of one cache, on their way out.

    Args:
        rules: of the cache.
        namespace: what is stored at and below it.
        now: the time; what has expired by then stays.
        has_vectors: with their vectors.
        tally: counts what is read and what stays.
        mark: name of a lease by which the other end knows this store; empty for a file.
    """

    def __init__(
        self, rules: Rules, namespace: Namespace, now: float, tally: Tally, *, has_vectors: bool, mark: str = ""
    ) -> None:
        self._mark = mark
        self._bottom = rules.bottom
        self._embedder_id = rules.embedder_id
        self._namespace = namespace
        self._now = now
        self._has_vectors = has_vectors
        self._tally = tally
        self._after: int | None = 0
        self._begun: Mapping[Namespace, float] = {}
        self._sequence = 0
        self._damaged = 0

    def begin(self) -> Flow[Header]:
        """
        Raises:
            ConfigError: what is stored is sealed, and there is no key to open it.
        """
        if self._mark:
            yield Acquire(self._bottom, self._mark, "source", self._now, self._now + MARKED)
        self._sequence = yield SequenceOf(self._bottom)
        if (yield ReadNotes(self._bottom, SEALED_BY)):
            raise ConfigError(
                "these entries are sealed, and this cache has no key: open it with encryption_key= "
                "(LLMCACHE_ENCRYPTION_KEY)"
            )
        stats = yield StatsOf(self._bottom)
        self._damaged = stats.damaged
        epochs = epochs_in((yield ReadNotes(self._bottom, EPOCHS)))
        epochs = {name: epoch for name, epoch in epochs.items() if are_related(name, self._namespace)}
        begun = {name: begun_at(epoch) for name, epoch in epochs.items()}
        self._begun = {name: start for name, start in begun.items() if start is not None}
        self._tally.about = None if self._namespace else stats.entries
        return Header(
            exported_at=self._now,
            key_version=KEY_VERSION,
            product=f"llmcache-plugins {_version()}",
            namespace=self._namespace,
            embedder_id=self._embedder_id,
            epochs=epochs,
            about=self._tally.about,
        )

    def page(self) -> Flow[list[Record] | None]:
        """The next entries, oldest stored first; None behind the last."""
        if self._after is None:
            return None
        page: Page = yield Select(self._bottom, Selector(namespace=self._namespace), _PAGE, self._after)
        self._after = page.after
        self._tally.add("read", len(page.rows))
        rows = [stored for stored in page.rows if self._is_wanted(stored)]
        vectors: dict[tuple[str, str], FloatArray] = {}
        if self._has_vectors:
            by_embedder: dict[str, list[tuple[str, str]]] = {}
            for entry in (stored.entry for stored in rows):
                if entry.embedder_id is not None and entry.is_candidate:
                    by_embedder.setdefault(entry.embedder_id, []).append((entry.scope, entry.key))
            for embedder_id, addresses in by_embedder.items():
                vectors |= yield Vectors(self._bottom, embedder_id, addresses)
        return [_record(stored, vectors.get((stored.entry.scope, stored.entry.key))) for stored in rows]

    def end(self) -> Flow[list[Invalidation]]:
        """What was invalidated since the beginning."""
        stats = yield StatsOf(self._bottom)
        self._tally.add("damaged", max(stats.damaged - self._damaged, 0))
        self._tally.is_complete = True
        sequence = yield SequenceOf(self._bottom)
        if sequence == self._sequence:
            return []
        log: list[Invalidation] = yield Invalidations(self._bottom, 0.0)
        return [
            one
            for one in log
            if one.number > self._sequence
            and one.mode != HELD_BACK  # nothing was invalidated by that alone
            and are_related(one.selector.namespace, self._namespace)
        ]

    def _is_wanted(self, stored: Stored) -> bool:
        entry = stored.entry
        if entry.is_expired(self._now):
            self._tally.add("expired")
            return False
        above = (entry.namespace[:length] for length in range(len(entry.namespace) + 1))
        if any(entry.created_at < self._begun[name] for name in above if name in self._begun):
            self._tally.add("outdated")
            return False
        return True


def are_related(one: Namespace, other: Namespace) -> bool:
    """Is one of them at or below the other?"""
    return all(a == b for a, b in zip(one, other, strict=False))


def _record(stored: Stored, vector: FloatArray | None) -> Record:
    embedder_id = None if vector is None else stored.entry.embedder_id
    entry = replace(stored.entry, vector=vector, embedder_id=embedder_id)
    return Record(entry, stored.tier, stored.access_count, stored.last_access)


def _version() -> str:
    try:
        return importlib.metadata.version("llmcache-plugins")
    except importlib.metadata.PackageNotFoundError:  # a copy of the source on the path
        return "unknown"
