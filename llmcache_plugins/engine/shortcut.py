"""The short way of an exact hit where nobody else has a say in it.

Nearly every hit is one: the entry is in this process, fresh, stored under this very key, and stays in its tier. Such a
hit is a handful of plain calls here; as steps of a flow it takes twice as long. Whatever else there is, nothing
included, is left to the flow, which begins at the beginning: only it knows what to do about it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from llmcache_plugins.engine.drivers import Health, Tier
from llmcache_plugins.engine.rules import Found, Rules
from llmcache_plugins.protocols import Clock
from llmcache_plugins.types import Identity, Stored

__all__ = ["Shortcut"]


class Shortcut:
    """Finds and serves exact hits out of the memory of this process.

    Args:
        rules: of look-ups.
        tiers: the one store that holds every entry, then those of copies, as the rules number them.
        health: while anything fails, the flow tells when it is well again.
        clock: for what is expired.
    """

    def __init__(self, rules: Rules, tiers: Sequence[Tier], health: Health, clock: Clock) -> None:
        bottom = tiers[rules.bottom]
        self._store, self._async_store = bottom.store, bottom.async_store
        self._is_blocking = bottom.store.capabilities.is_blocking
        self._stores = [tier.store for tier in tiers]
        self._names = rules.tiers
        self._tiering = rules.tiering
        self._copies = {} if rules.tiering is None else rules.tiering.copies
        self._health = health
        self._now = clock.now

    @staticmethod
    def is_open(rules: Rules, *, is_rolling_out: bool) -> bool:
        """May a cache with these rules take it at all?"""
        return len(rules.tiers) == 1 and not rules.staleness.refresh_ahead and not is_rolling_out

    def find(self, identity: Identity, version: Hashable) -> Found | None:
        """The hit, counted as a read; None to begin at the beginning.

        Args:
            version: of the last tier's store, when it was asked for since the lookup began.
        """
        try:
            now = self._now()
            found = self._look(identity, version, now)
            if found is not None:
                self._store.touch(identity.scope, identity.key, now)
                if self._copies and self._tiering is not None:
                    self._tiering.count((identity.scope, identity.key))
        except Exception:  # the flow meets it, too, and says so
            return None
        return found

    async def afind(self, identity: Identity, version: Hashable) -> Found | None:
        """`find` for event loops: what is read is in memory, and what may block is awaited."""
        try:
            now = self._now()
            found = self._look(identity, version, now)
            if found is not None:
                await self._async_store.touch(identity.scope, identity.key, now)
                if self._copies and self._tiering is not None:
                    self._tiering.count((identity.scope, identity.key))
        except Exception:
            return None
        return found

    def _look(self, identity: Identity, version: Hashable, now: float) -> Found | None:
        if not self._health.is_well:
            return None
        stored = self._copied(identity, version) if self._is_blocking else self._kept(identity)
        if stored is None:
            return None
        entry = stored.entry
        if entry.stale_at is not None or (entry.expires_at is not None and entry.expires_at <= now):
            return None
        tiering = self._tiering
        if tiering is None:
            return Found(stored, "exact", self._names[0])
        if tiering.placement.promotion(stored.tier, stored.reads + 1) is not None:
            return None
        return Found(stored, "exact", tiering.placement.name_of(stored.tier))

    def _kept(self, identity: Identity) -> Stored | None:
        """From a store in memory."""
        stored = self._store.get(identity.scope, identity.key)
        return stored if isinstance(stored, Stored) and stored.alias is None else None

    def _copied(self, identity: Identity, version: Hashable) -> Stored | None:
        """A copy in memory that is as good as the truth."""
        tiering = self._tiering
        if tiering is None or version is None:
            return None
        address = identity.scope, identity.key
        copy = tiering.copy_of(address)
        if copy is None or not copy.is_kept or not tiering.is_current(copy, address, version):
            return None
        kept = self._stores[tiering.copies[copy.tier]].get(*address)
        if not isinstance(kept, Stored):
            return None
        return Stored(kept.entry, copy.access_count, kept.last_access, tier=copy.tier, reads=copy.reads)
