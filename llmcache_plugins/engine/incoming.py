"""Flows that store entries from a file or another cache.

They remove nothing but what they brought. Run again after an interruption they do the rest: what is there already is as
new, and stays.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace

from llmcache_plugins.engine.epochs import EPOCHS, Epochs, epoch_of, epochs_in
from llmcache_plugins.engine.invalidation_flow import HELD_BACK
from llmcache_plugins.engine.outgoing import MARKED, are_related
from llmcache_plugins.engine.reports import key_of_reports
from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import (
    Acquire,
    Delete,
    Invalidations,
    Put,
    ReadNotes,
    Select,
    SequenceOf,
    StatsOf,
)
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import KEY_VERSION
from llmcache_plugins.selection import Invalidation, Page, Selector
from llmcache_plugins.transfer.records import Header, Record
from llmcache_plugins.transfer.report import Tally
from llmcache_plugins.transfer.settings import TransferSettings
from llmcache_plugins.types import Entry, Namespace

__all__ = ["Incoming"]

_PAGE = 500


class Incoming:
    """A cache on whose way entries are.

    Args:
        rules: of the cache.
        epochs: of its store.
        namespaces: what is not at or below both of them is left out.
        settings: how.
        now: the time; what has expired by then is left out.
        tally: counts what is stored and what is left out.
        keeps_all: the text of every question may be stored.
        mark: name of a lease that the store of the other end has; empty for a file.
    """

    def __init__(
        self,
        rules: Rules,
        epochs: Epochs,
        namespaces: tuple[Namespace, Namespace],
        settings: TransferSettings,
        now: float,
        tally: Tally,
        *,
        keeps_all: bool,
        mark: str = "",
    ) -> None:
        self._rules = rules
        self._keeps_all = keeps_all
        self._epochs = epochs
        self._namespaces = namespaces
        self._mark = mark
        self._settings = settings
        self._now = now
        self._tally = tally
        self._seen = 0
        self._evictions = 0
        self._log: list[Invalidation] = []
        self._header = Header(exported_at=now, key_version=KEY_VERSION)
        self._own: dict[Namespace, str] = {}
        self._brought = array("q")  # hashes of addresses: eight bytes for each, as nobody knows what is still to come

    def begin(self, header: Header) -> Flow[None]:
        """
        Raises:
            ConfigError: its scopes and keys are digests of another kind, or both ends have the same store.
        """
        if header.key_version != KEY_VERSION:
            raise ConfigError(
                f"these entries have keys of version {header.key_version}, and this llmcache-plugins makes version "
                f"{KEY_VERSION}: no look-up would find them. Import them with the release that wrote them"
                + (f" ({header.product})" if header.product else "")
            )
        self._header = header
        bottom = self._rules.bottom
        if self._mark and (yield Acquire(bottom, self._mark, "target", self._now, self._now + MARKED)) is None:
            raise ConfigError("both caches have the same store: there is nothing to copy")
        self._seen = yield SequenceOf(bottom)  # first: what is invalidated from now on, the store itself keeps out
        if not self._settings.bring_back:
            log = yield Invalidations(bottom, header.exported_at)
            self._log = [one for one in log if one.mode != HELD_BACK]
        self._evictions = (yield StatsOf(bottom)).evictions
        yield from self._take_epochs_over()

    def page(self, records: Sequence[Record]) -> Flow[None]:
        wanted = [record for record in records if self._is_wanted(record)]
        present = yield from self._present([record.entry.key for record in wanted])
        for record in wanted:
            before = present.get(record.address)
            if before is not None and not self._may_replace(before, record.entry):
                self._tally.add("kept")
                if before.created_at == record.entry.created_at:  # brought by a run that was interrupted
                    self._brought.append(hash(record.address))
                continue
            kept = self._kept(record.entry)
            if kept is None:
                self._tally.add("refused")
                continue
            record = replace(record, entry=kept)
            if not self._settings.vectors and record.entry.vector is not None:
                record = replace(record, entry=replace(record.entry, vector=None, embedder_id=None))
            if self._settings.dry_run or (yield from self._put(record)):
                present[record.address] = record.entry
                self._brought.append(hash(record.address))
                self._tally.add("stored")
                self._tally.add("replaced", before is not None)
                self._tally.add("vectors", record.entry.vector is not None)

    def end(self, invalidations: Sequence[Invalidation]) -> Flow[None]:
        if self._settings.dry_run:
            return
        brought = frozenset(self._brought) if invalidations else frozenset()
        for invalidation in invalidations:
            yield from self._repeat(invalidation, brought)
        evictions = (yield StatsOf(self._rules.bottom)).evictions
        self._tally.add("evicted", max(evictions - self._evictions, 0))

    def _is_wanted(self, record: Record) -> bool:
        entry = record.entry
        reason = ""
        if not all(entry.namespace[: len(above)] == above for above in self._namespaces):
            reason = "elsewhere"
        elif entry.is_expired(self._now):
            reason = "expired"
        elif epoch_of(self._header.epochs, entry.namespace) != epoch_of(self._own, entry.namespace):
            reason = "unreachable"
        elif any(one.undoes(entry, record.tier) for one in self._log):
            reason = "invalidated"
        if reason:
            self._tally.add(reason)
        return not reason

    def _kept(self, entry: Entry) -> Entry | None:
        """The entry as this cache may keep it; None when it may not. Without the whole text of its question it is
        matched exactly only, as one that is stored by an update; reports of wrong answers quote questions."""
        if self._keeps_all:
            return entry
        if entry.normalised_key == key_of_reports(entry.scope):
            return None
        text = self._rules.kept(entry.text)
        if text is None or text == entry.text:
            return None if text is None else entry
        return replace(entry, text=text, is_candidate=False, vector=None, embedder_id=None)

    def _may_replace(self, before: Entry, entry: Entry) -> bool:
        if self._settings.existing == "replace" or before.is_expired(self._now):
            return True
        return self._settings.existing == "newer" and entry.created_at > before.created_at

    def _present(self, keys: Sequence[str]) -> Flow[dict[tuple[str, str], Entry]]:
        """What is stored under these keys, by address."""
        found: dict[tuple[str, str], Entry] = {}
        after: int | None = 0 if keys else None
        while after is not None:
            page: Page = yield Select(self._rules.bottom, Selector(keys=tuple(keys)), len(keys), after)
            found |= {(stored.entry.scope, stored.entry.key): stored.entry for stored in page.rows}
            after = page.after
        return found

    def _put(self, record: Record) -> Flow[bool]:
        """Store it in every tier that holds all entries; False when the last one did not keep it."""
        rules = self._rules
        place = "" if rules.tiering is None else record.tier
        for tier in reversed(range(len(rules.tiers))):
            seen = self._seen if tier == rules.bottom else None
            if not (yield Put(tier, record.entry, place, seen)) and tier == rules.bottom:
                log = yield Invalidations(rules.bottom, 0.0)
                is_late = any(one.number > self._seen and one.undoes(record.entry, record.tier) for one in log)
                self._tally.add("invalidated" if is_late else "refused")
                return False
        return True

    def _take_epochs_over(self) -> Flow[None]:
        """Where nothing is stored, go on in the epochs the entries were stored in: their keys are made of these."""
        bottom = self._rules.bottom
        theirs = self._header.epochs
        self._own = epochs_in((yield ReadNotes(bottom, EPOCHS)))
        for namespace in sorted({*theirs, *self._own}, key=len):
            epoch = theirs.get(namespace)
            if epoch == self._own.get(namespace) or not self._concerns(namespace):
                continue
            page: Page = yield Select(bottom, Selector(namespace=namespace), 1)
            if page.rows or page.after is not None:
                continue  # their epoch would make these unreachable
            if not self._settings.dry_run:
                yield from self._epochs.set_flow(namespace, epoch)
            self._own.pop(namespace, None)
            if epoch is not None:
                self._own[namespace] = epoch

    def _concerns(self, namespace: Namespace) -> bool:
        return all(are_related(namespace, other) for other in self._namespaces)

    def _repeat(self, invalidation: Invalidation, brought: frozenset[int]) -> Flow[None]:
        """Remove, of what was brought, what was invalidated where it came from while it was read: also what was only
        marked there, unless it came with its mark; that costs a model call where it is asked for."""
        selector = invalidation.selector
        if not self._concerns(selector.namespace):
            return
        # What was stored after it is as new as it can be.
        until = math.nextafter(invalidation.at, math.inf)
        stored_before = until if selector.stored_before is None else min(selector.stored_before, until)
        deepest = max(selector.namespace, *self._namespaces, key=len)
        selector = replace(selector, namespace=deepest, stored_before=stored_before, is_stale=None)
        is_lazy = invalidation.mode != "now"
        after: int | None = 0
        while after is not None:
            page: Page = yield Select(self._rules.bottom, selector, _PAGE, after)
            after = page.after
            by_scope: dict[str, list[str]] = {}
            for entry in (stored.entry for stored in page.rows):
                is_marked = is_lazy and entry.stale_at is not None  # read after it was marked: it is so here, too
                if hash((entry.scope, entry.key)) in brought and not is_marked:
                    by_scope.setdefault(entry.scope, []).append(entry.key)
            for scope, keys in by_scope.items():
                for tier in reversed(range(len(self._rules.tiers))):
                    removed = yield Delete(tier, scope, keys)
                    if tier == self._rules.bottom:
                        self._tally.add("removed", removed)
        self._tally.add("invalidations")
