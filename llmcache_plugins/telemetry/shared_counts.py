"""What all processes count, added up: each keeps its own counts in the store they share."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from llmcache_plugins.counters import SharedStats, StoreStats, TierStats
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.protocols import Store
from llmcache_plugins.telemetry.counting import Counts, cache_stats, plus, store_stats
from llmcache_plugins.telemetry.statistics import Statistics
from llmcache_plugins.telemetry.tallied import TOTAL, Tally, Total, decoded, emptied, folded, gone, total_in

__all__ = ["SharedStatistics"]

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class _Written:
    """What is in the store under this process' name, or may be."""

    number: int
    at: float
    counts: Counts = field(repr=False)
    text: str = field(repr=False)


class SharedStatistics:
    """The counts of this process among those of all others.

    The process writes everything it has counted, each time, and only over what it wrote before. When somebody took it
    for gone meanwhile and folded its counts into the total, or all was set to 0, it goes on under another name with
    what it has counted since. So nothing is lost and nothing counted twice, whenever a process, a write or a folding
    breaks off.

    Args:
        statistics: what this process counts.
        node: the node id.
        now: wall clock, seconds.
    """

    def __init__(self, statistics: Statistics, node: Callable[[], str], now: Callable[[], float]) -> None:
        self._statistics = statistics
        self._node = node
        self._now = now
        self._base: Counts = {}  # of what was counted: not for this process to tell
        self._begin_anew()

    def after_fork(self) -> None:
        """The child has copies of the parent's counts, which the parent tells itself."""
        self._statistics.after_fork()
        self._base = self._statistics.counts()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._since = self._now()
        self._rename()

    def _rename(self) -> None:
        self._name = f"{self._node()}#{uuid.uuid4().hex[:12]}"
        self._kept: _Written | None = None  # what the store said it has
        self._tried: _Written | None = None  # what it may have, for its answer did not come

    # ---------------------------------------------------------------- writing
    def publish(self, store: Store) -> None:
        """Write what was counted since the last time, if anything was."""
        with self._lock:
            if self._tried is not None and self._kept is None:
                # The first write of a name that was folded meanwhile leaves the store as one that never arrived does.
                self._find_out(store.tallies(), self._tried)
            for _ in range(_ATTEMPTS):
                if self._tried is None:
                    counts = self._own()
                    if not self._is_new(counts):
                        return
                    self._tried = self._written(counts)
                # What was tried before is tried again as it was: only so can it be told from what others did.
                tried, kept = self._tried, self._kept
                if store.tally({self._name: tried.text}, expected={self._name: None if kept is None else kept.text}):
                    self._kept, self._tried = tried, None
                else:
                    self._find_out(store.tallies(), tried)

    @property
    def has_news(self) -> bool:
        """Was anything counted since the last time? Asks no store."""
        return self._tried is not None or self._is_new(self._own())

    def _is_new(self, counts: Counts) -> bool:
        if self._kept is not None:
            return self._kept.counts != counts
        return any(any(labels.values()) for labels in counts.values())

    def _own(self) -> Counts:
        counts = self._statistics.counts()
        return plus(counts, self._base, -1) if self._base else counts

    def _written(self, counts: Counts) -> _Written:
        number, now = 1 if self._kept is None else self._kept.number + 1, self._now()
        tally = Tally(self._node(), number, now, self._since, counts)
        return _Written(number, now, counts, tally.encoded())

    def _find_out(self, records: Mapping[str, str], tried: _Written) -> None:
        """The store has something else under this name than what it was last known to have."""
        text, kept, self._tried = records.get(self._name), self._kept, None
        if text == tried.text:
            self._kept = tried  # the answer was lost, not the write
            return
        if text is not None:  # the store went back to an earlier state, or somebody has damaged it
            found = decoded({self._name: text}).get(self._name)
            number = tried.number if found is None else found.number
            self._kept = _Written(number, tried.at, {} if found is None else found.counts, text)
            return
        total = total_in(records)
        if total is not None:
            write = total.writes.get(self._name)
            if write is not None and write[0] == tried.number:
                kept = tried
            elif write is None and (TOTAL not in records or kept is None or kept.at > total.forgotten):
                self._kept = None  # the store has lost its data: everything is written again
                return
        if kept is not None:
            self._base = plus(self._base, kept.counts)
        self._since = self._now() if kept is None else kept.at
        self._rename()

    def fold(self, store: Store) -> int:
        """Add the counts of processes that are gone to the total; of how many."""
        records = store.tallies()
        tallies, total = decoded(records), total_in(records)
        if total is None:  # written by a later version: that may fold
            return 0
        leaving = {name: tallies[name] for name in gone(tallies, self._now()) if name != self._name}
        if not leaving:
            return 0
        changes = {TOTAL: folded(total, leaving).encoded(), **dict.fromkeys(leaving)}
        return len(leaving) if store.tally(changes, expected=_as_found(records, leaving)) else 0

    def reset(self, store: Store) -> None:
        """Begin anew, for all processes.

        Raises:
            StoreError: the store is broken, or so many processes write at this moment that it could not be done.
        """
        for _ in range(_ATTEMPTS):
            records = store.tallies()
            total = emptied(total_in(records) or Total(), decoded(records), self._now())
            changes = {**dict.fromkeys(records), TOTAL: total.encoded()}
            if store.tally(changes, expected=_as_found(records, records)):
                return
        raise StoreUnavailable("the counts could not be set to 0, for others kept writing theirs; try again")

    # ---------------------------------------------------------------- reading
    def read(self, store: Store, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> SharedStats:
        """Everything added up, as the store has it, with these sizes."""
        records = store.tallies()
        total, tallies = total_in(records) or Total(), list(decoded(records).values())
        if self._kept is not None and self._name not in records and self._name not in total.writes:
            return self.own(stores, tiers)  # a store that keeps nothing, or has just lost everything
        everything, by_node = total.counts, dict[str, Counts]()
        for tally in tallies:
            everything = plus(everything, tally.counts)
            by_node[tally.node] = plus(by_node.get(tally.node, {}), tally.counts)
        return SharedStats(
            total=cache_stats(everything, store_stats(everything, stores), _with_evictions(tiers, everything)),
            nodes={node: cache_stats(counts, {}, _only_counted(tiers)) for node, counts in sorted(by_node.items())},
            since=min(
                [tally.since for tally in tallies] + ([] if total.since is None else [total.since]), default=None
            ),
        )

    def own(self, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> SharedStats:
        """What this process alone has counted; asks no store."""
        counts = self._own()
        stats = cache_stats(counts, store_stats(counts, stores), tiers)
        return SharedStats(total=stats, nodes={self._node(): stats}, since=self._since, is_complete=False)


def _as_found(records: Mapping[str, str], names: Iterable[str]) -> dict[str, str | None]:
    """What has to be unchanged for these, and for the total."""
    return {name: records.get(name) for name in (*names, TOTAL)}


def _with_evictions(tiers: Mapping[str, TierStats], counts: Counts) -> dict[str, TierStats]:
    """What leaves a cache for want of room leaves its last tier."""
    evicted = int(sum(counts.get("evictions", {}).values()))
    last = list(tiers)[-1:]
    return {name: replace(tier, evictions=evicted if name in last else 0) for name, tier in tiers.items()}


def _only_counted(tiers: Mapping[str, TierStats]) -> dict[str, TierStats]:
    """Without sizes: those are of the store."""
    return {name: TierStats() for name in tiers}
