"""When an answer is fresh, when it is served although it is not, and when it is renewed early. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from llmcache_plugins.types import Entry, Stored

__all__ = ["Staleness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """What the settings of these names say; see `CacheConfig`.

    >>> rule = Staleness(stale_while_revalidate=60.0)
    >>> rule.kept_for
    60.0
    """

    stale_while_revalidate: float = 0.0
    lazy_stale_limit: float = 300.0
    refresh_ahead: float = 0.0
    refresh_ahead_reads: int = 10

    @property
    def kept_for(self) -> float:
        """Seconds an entry is of use after its end: sweeps leave it alone for so long."""
        return self.stale_while_revalidate

    def is_fresh(self, entry: Entry, now: float) -> bool:
        """May it be served without further ado?"""
        return entry.stale_at is None and not entry.is_expired(now)

    def is_servable(self, entry: Entry, now: float) -> bool:
        """May it be served while somebody renews it, although it is not fresh? Both windows have to be open where an
        entry was marked and has come to its end too."""
        if entry.expires_at is not None and entry.expires_at <= now - self.stale_while_revalidate:
            return False
        return entry.stale_at is None or now - entry.stale_at < self.lazy_stale_limit

    def is_due(self, stored: Stored, now: float) -> bool:
        """Is a fresh entry so popular, and so near its end, that it is renewed before anybody has to wait?"""
        entry = stored.entry
        if not self.refresh_ahead or entry.expires_at is None or stored.reads + 1 < self.refresh_ahead_reads:
            return False
        lifetime = entry.expires_at - entry.created_at
        return entry.expires_at - now <= self.refresh_ahead * lifetime
