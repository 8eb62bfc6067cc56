"""What the flows know of tiers: the rules, which copies are good, and how full each tier was when last looked at."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from llmcache_plugins.counters import Share, StoreStats, TierStats
from llmcache_plugins.policies.placement import Placement, Pressure
from llmcache_plugins.recorded import PressureEvent

__all__ = ["Copy", "Tiering"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Copy:
    """What is known of one copy: whose it is, the version of the last tier's store when it was read there, how often
    the entry has been served, and whether the copy's store keeps it (one that is too large is not tried again)."""

    tier: str
    version: Hashable
    access_count: int
    reads: int
    is_kept: bool = True


class Tiering:
    """The tiers of one cache. Safe to use from several threads.

    Args:
        placement: the rules.
        copies: step index of the store that keeps a tier's copies, by the tier's name.
        unchanged: says of one entry whether it is as it was at a version of the last tier's store (see
            `TracksChanges`); None where only the version itself tells.
    """

    def __init__(
        self,
        placement: Placement,
        copies: Mapping[str, int] | None = None,
        unchanged: Callable[[Hashable, str, str], bool] | None = None,
    ) -> None:
        self.placement = placement
        self._unchanged = unchanged
        self.copies = dict(copies or {})
        # Twice what fits: a copy that is made anew before the old one was missed keeps its place.
        self._most_copies = 2 * sum(t.max_entries or 10_000 for t in placement.tiers if t.name in self.copies)
        self._known: OrderedDict[tuple[str, str], Copy] = OrderedDict()
        self.looked_at: dict[str, int] = {}  # how far each tier was looked through for what is to move up
        self._pressures = {name: Pressure() for name in placement.names}
        self._left = dict.fromkeys(placement.names, 0)  # entries that may come before a tier is looked at again
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child a lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()
        self._balancing = threading.Lock()
        self._renewed: set[tuple[str, str]] = set()  # copies that somebody makes at the moment

    # ---------------------------------------------------------------- copies
    def copy_of(self, address: tuple[str, str]) -> Copy | None:
        return self._known.get(address)

    def is_current(self, copy: Copy, address: tuple[str, str], version: Hashable) -> bool:
        """Is the copy as good as the truth, whose store has this version now?"""
        return copy.version == version or (self._unchanged is not None and self._unchanged(copy.version, *address))

    def begin_copy(self, address: tuple[str, str], known: Copy | None) -> bool:
        """Take the right to make a copy in place of the one that was known when the truth was read. False when somebody
        else is at it, or was quicker: of two truths the older one might be stored under the version of the newer."""
        with self._lock:
            if address in self._renewed or self._known.get(address) is not known:
                return False
            self._renewed.add(address)
            return True

    def end_copy(self, address: tuple[str, str]) -> None:
        self._renewed.discard(address)

    def keep(self, address: tuple[str, str], copy: Copy) -> None:
        with self._lock:
            self._known[address] = copy
            self._known.move_to_end(address)
            while len(self._known) > self._most_copies:
                self._known.popitem(last=False)

    def drop(self, address: tuple[str, str]) -> Copy | None:
        with self._lock:
            return self._known.pop(address, None)

    def count(self, address: tuple[str, str]) -> None:
        """The entry was served once more, from wherever."""
        copy = self._known.get(address)
        if copy is not None:
            copy.access_count += 1
            copy.reads += 1

    # ---------------------------------------------------------------- how full
    def is_due(self, tier: str) -> bool:
        """One more entry was placed there: is it time to look how full the tiers are?"""
        left = self._left[tier] = self._left[tier] - 1  # unlocked: a lost step delays the look by one entry
        return left <= 0

    def measured(self, shares: Mapping[str, Share], whole: Share) -> list[PressureEvent]:
        """The tiers hold this now; what there is to tell of it.

        Args:
            shares: by tier, as `Placement.shares` gives it.
            whole: everything, which is what counts for the last tier.
        """
        told = []
        for tier in self.placement.tiers:
            share = whole if tier is self.placement.last else shares[tier.name]
            self._left[tier.name] = tier.headroom(share)
            utilisation = tier.utilisation(share)
            with self._lock:
                level = self._pressures[tier.name].crossed(utilisation)
            if level is not None:
                # What is too much for an upper tier moves down; what is too much for the last one is lost.
                weight = logging.WARNING if tier is self.placement.last else logging.INFO
                _log.log(weight, "tier %s is %.0f %% full", tier.name, 100.0 * utilisation)
                told.append(PressureEvent(tier.name, level, utilisation))
        return told

    def stats(self, bottom: StoreStats) -> dict[str, TierStats]:
        """The tiers as they are now, by name, hottest first."""
        shares, last = self.placement.shares(bottom.shares), self.placement.last
        whole = Share(bottom.entries, bottom.size_bytes)
        return {
            tier.name: TierStats(
                shares[tier.name].entries,
                shares[tier.name].size_bytes,
                tier.max_entries,
                tier.max_bytes,
                tier.utilisation(whole if tier is last else shares[tier.name]),
                evictions=bottom.evictions if tier is last else 0,
            )
            for tier in self.placement.tiers
        }

    def begin_balance(self) -> bool:
        """Take the right to move what is too much; False when somebody else has it."""
        return self._balancing.acquire(blocking=False)

    def end_balance(self) -> None:
        self._balancing.release()
