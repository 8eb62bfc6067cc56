"""What caches of several configurations would answer of a log: its keys alone are played through, no text, no vector.

The orders of eviction and the rules of the tiers are those of the real cache. What differs: every entry has the same
size, residency is looked at when an entry is read, and a hit is never refused.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.logs.trace import Trace
from llmcache_plugins.policies.eviction import eviction_policy
from llmcache_plugins.policies.placement import Placement, TierConfig, default_tiers
from llmcache_plugins.protocols import EvictionPolicy

__all__ = ["EVICTIONS", "Configuration", "Simulated", "configurations", "simulate"]

EVICTIONS: tuple[str, ...] = ("lru", "lfu", "fifo", "random")
"""Orders that can be simulated; `cost_aware` weighs answers, which a log does not hold."""
_BYTES = 2**62  # no tier is full by its bytes here


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One cache to try.

    Args:
        name: shows in the table.
        tiers: hottest first, each with `max_entries`; that of the last is the capacity of all.
        ttl: seconds; None for ever.

    Raises:
        ConfigError: the last tier has no `max_entries`, an eviction cannot be simulated, or `ttl` is not above 0.
    """

    name: str
    tiers: tuple[TierConfig, ...]
    ttl: float | None = None

    def __post_init__(self) -> None:
        Placement(self.tiers)
        if self.tiers[-1].max_entries is None:
            raise ConfigError(f"the last tier of {self.name!r} needs max_entries: it is the capacity of all tiers")
        for tier in self.tiers:
            if tier.policy.name not in EVICTIONS:
                raise ConfigError(f"eviction must be one of {', '.join(EVICTIONS)}, not {tier.policy.name!r}")
        if self.ttl is not None and not self.ttl > 0:
            raise ConfigError(f"ttl must be seconds above 0 or None, not {self.ttl!r}")

    @property
    def entries(self) -> int:
        return self.tiers[-1].max_entries or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of one configuration. Rates are shares of all calls, in [0, 1]; `by_tier` is empty for one tier."""

    name: str
    entries: int
    ttl: float | None
    hit_rate: float
    by_tier: dict[str, float] = field(default_factory=dict)
    evictions: int = 0
    expirations: int = 0


def configurations(
    sizes: Sequence[int], ttls: Sequence[float | None] = (None,), evictions: Sequence[str] = EVICTIONS
) -> list[Configuration]:
    """One tier with each of the evictions, and the three default tiers, at every size and time to live.

    Raises:
        ConfigError: a size is below 1, a time to live not above 0, or an eviction is unknown.
    """
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"a size must be an integer of at least 1, not {size!r}")
    for name in evictions:
        if eviction_policy(name).name not in EVICTIONS:
            raise ConfigError(f"eviction must be one of {', '.join(EVICTIONS)}, not {name!r}")
    found = []
    for size in sizes:
        for ttl in ttls:
            for name in evictions:
                one = TierConfig("all", max_entries=size, eviction=name)
                found.append(Configuration(name=name, tiers=(one,), ttl=ttl))
            found.append(Configuration(name="three tiers", tiers=default_tiers(size, _BYTES), ttl=ttl))
    return found


def simulate(trace: Trace, configuration: Configuration, tell: Callable[[int], None] | None = None) -> Simulated:
    """Play a trace through one configuration, from an empty cache; what is missed is stored.

    Args:
        trace: the calls.
        configuration: the cache.
        tell: hears how many calls are done, every 10,000.

    Raises:
        ConfigError: there is a time to live, and the trace has no times.
    """
    if configuration.ttl is not None and not trace.is_timed:
        raise ConfigError("a ttl can be simulated only for a log whose calls have times")
    cache = _Cache(configuration)
    for number, (key, at) in enumerate(trace):
        cache.ask(key, at)
        if tell is not None and number % 10_000 == 0:
            tell(number)
    calls = max(1, len(trace))
    names = [tier.name for tier in configuration.tiers]
    by_tier = {name: hits / calls for name, hits in zip(names, cache.hits, strict=True)} if len(names) > 1 else {}
    return Simulated(
        name=configuration.name,
        entries=configuration.entries,
        ttl=configuration.ttl,
        hit_rate=sum(cache.hits) / calls,
        by_tier=by_tier,
        evictions=cache.evictions,
        expirations=cache.expirations,
    )


class _Entry:
    __slots__ = ("expires", "priority", "read_at", "reads", "seat", "tier")

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.priority = self.read_at = 0.0
        self.reads = self.seat = self.tier = 0


class _Cache:
    def __init__(self, configuration: Configuration) -> None:
        self._tiers = configuration.tiers
        self._ttl = configuration.ttl
        self._policies: list[EvictionPolicy] = [tier.policy for tier in self._tiers]
        # Nothing is known of an answer, so every one starts where answers without tags and volatility do.
        self._start = next((n for n, tier in enumerate(self._tiers) if tier.is_start), min(1, len(self._tiers) - 1))
        self._capacity = configuration.entries
        self._entries: dict[int, _Entry] = {}
        self._queues = [_Queue() for _ in self._tiers]
        self._order = 0
        self.hits = [0] * len(self._tiers)
        self.evictions = self.expirations = 0

    def ask(self, key: int, at: float) -> None:
        self._order += 1
        entry = self._entries.get(key)
        if entry is not None and at >= entry.expires:
            self._drop(key, entry)
            self.expirations += 1
            entry = None
        if entry is None:
            self._store(key, at)
        else:
            self._read(key, entry, at)

    def _store(self, key: int, at: float) -> None:
        entry = _Entry(at + self._ttl if self._ttl is not None else float("inf"))
        self._entries[key] = entry
        self._join(key, entry, self._start, at)
        if len(self._entries) > self._capacity:
            self._evict(at, key)

    def _read(self, key: int, entry: _Entry, at: float) -> None:
        self._settle_down(key, entry, at)
        tier = entry.tier
        self.hits[tier] += 1
        entry.reads += 1
        entry.read_at = at
        entry.priority = self._policies[tier].on_read(entry.priority, 0.0, 1, at, self._order)
        promote_at = self._tiers[tier].promote_at
        if tier and promote_at is not None and entry.reads >= promote_at:
            self._move(key, entry, tier - 1, at)

    def _settle_down(self, key: int, entry: _Entry, at: float) -> None:
        """Where it would stand by now: an entry that nobody read goes down a tier after each residency."""
        tier, idle = entry.tier, at - entry.read_at
        while tier < len(self._tiers) - 1:
            residency = self._tiers[tier].residency
            if residency is None or idle < residency:
                break
            idle -= residency
            tier += 1
        if tier != entry.tier:
            self._move(key, entry, tier, at)

    def _join(self, key: int, entry: _Entry, tier: int, at: float) -> None:
        entry.tier, entry.reads, entry.read_at, entry.seat = tier, 0, at, self._order
        entry.priority = self._policies[tier].on_put(0.0, at, self._order)
        self._queues[tier].push(key, entry)
        most = self._tiers[tier].max_entries
        while tier < len(self._tiers) - 1 and most is not None and len(self._queues[tier]) > most:
            lowest = self._queues[tier].pop(self._entries, but=key)
            if lowest is None:
                break
            self._join(lowest, self._entries[lowest], tier + 1, at)

    def _move(self, key: int, entry: _Entry, tier: int, at: float) -> None:
        self._queues[entry.tier].leave()
        self._join(key, entry, tier, at)

    def _drop(self, key: int, entry: _Entry) -> None:
        self._queues[entry.tier].leave()
        del self._entries[key]

    def _evict(self, at: float, newest: int) -> None:
        """Who is placed last leaves first, and the newest only where nobody else is there, as in the stores."""
        for queue in reversed(self._queues):
            lowest = queue.pop(self._entries, but=newest)
            if lowest is not None:
                if at >= self._entries[lowest].expires:
                    self.expirations += 1
                else:
                    self.evictions += 1
                del self._entries[lowest]
                return


class _Queue:
    """The keys of one tier, lowest priority first. Who has left, or has been read since, is found out at the top."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, key: int, entry: _Entry) -> None:
        heapq.heappush(self._heap, (entry.priority, entry.seat, key))
        self._count += 1

    def leave(self) -> None:
        self._count -= 1

    def pop(self, entries: dict[int, _Entry], but: int) -> int | None:
        """Take the lowest out; not `but`."""
        held: tuple[float, int, int] | None = None
        found = None
        for priority, seat, key in self._taken():
            entry = entries.get(key)
            if entry is None or entry.seat != seat:
                continue
            if entry.priority > priority:
                heapq.heappush(self._heap, (entry.priority, seat, key))
            elif key == but:
                held = (priority, seat, key)
            else:
                found = key
                self._count -= 1
                break
        if held is not None:
            heapq.heappush(self._heap, held)
        return found

    def _taken(self) -> Iterator[tuple[float, int, int]]:
        while self._heap:
            yield heapq.heappop(self._heap)
