"""Which tier an entry is in: where it starts, when it moves up or down, and how full a tier is. Pure.

Tiers stand hottest first. The last one is the bottom: its capacity is that of all tiers together, for it holds every
entry, and what leaves it leaves the cache. So an entry moves by a change of its tier's name alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmcache_plugins.counters import Share
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.eviction import eviction_policy
from llmcache_plugins.protocols import EvictionPolicy, Store
from llmcache_plugins.selection import canonical_tag, tag_pattern
from llmcache_plugins.types import Entry

__all__ = ["Placement", "Pressure", "TierConfig", "default_tiers"]

_BATCH = 0.02  # of a tier's capacity: what is freed at once beyond the limit, so that not every write has to move one
_LEVELS = (0.85, 0.90)
_SLACK = 0.05  # a level is left only this far below it: a tier that swings about 85 % warns once


@dataclass(frozen=True, slots=True, kw_only=True)
class TierConfig:
    """One tier of a cache; durations in seconds, sizes in bytes.

    Args:
        name: shows in hits, statistics and logs.
        store: where copies for exact look-ups are kept, a URL or a store; None for no copies: the tier is then but an
            attribute of the entries in the last tier's store. For the last tier the store of all entries, in place of
            the cache's URL; a store object keeps the limits and the eviction it was made with.
        residency: how long an entry may stay without being read before it moves down; None for ever. Not for the last
            tier: there an entry stays until it expires or is evicted.
        max_entries: capacity; what is too much moves down. For the last tier that of all tiers together, and what is
            too much is evicted. None for no limit (last tier: the cache's own `max_entries`).
        max_bytes: the same in bytes (texts, answers and vectors).
        eviction: which entries leave first: `"lru"`, `"lfu"`, `"fifo"`, `"random"`, `"cost_aware"`, or a policy.
        promote_at: reads after which an entry moves up by one tier; None for never. Not for the first tier.
        volatilities: new answers of these classes start here.
        tags: new answers with a tag that fits one of these patterns start here.
        is_start: all other new answers start here. Without any such tier: in the second one.

    Raises:
        ConfigError: a value is out of its range; names the field, the rule and the value.
    """

    name: str = field(kw_only=False)
    store: Store | str | None = None
    residency: float | None = None
    max_entries: int | None = None
    max_bytes: int | None = None
    eviction: str | EvictionPolicy = "lru"
    promote_at: int | None = None
    volatilities: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    is_start: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name):
            raise ConfigError(f"name of a tier must be a non-empty string, not {self.name!r}")
        if self.residency is not None and not (_is_number(self.residency) and self.residency > 0):
            raise ConfigError(
                f"residency of tier {self.name!r} must be seconds above 0 or None, not {self.residency!r}"
            )
        for name in ("max_entries", "max_bytes", "promote_at"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(
                    f"{name} of tier {self.name!r} must be an integer of at least 1 or None, not {value!r}"
                )
        for name in ("volatilities", "tags"):
            given = getattr(self, name)
            texts = (given,) if isinstance(given, str) else tuple(given)
            if not all(isinstance(text, str) and text for text in texts):
                raise ConfigError(f"{name} of tier {self.name!r} must be non-empty strings, not {given!r}")
            object.__setattr__(self, name, texts)
        if isinstance(self.eviction, str):
            eviction_policy(self.eviction)

    @property
    def policy(self) -> EvictionPolicy:
        return eviction_policy(self.eviction) if isinstance(self.eviction, str) else self.eviction

    def utilisation(self, share: Share) -> float:
        """How full the tier is, by entries or bytes, whichever is more; 0.0 without a limit."""
        by_entries = share.entries / self.max_entries if self.max_entries else 0.0
        return max(by_entries, share.size_bytes / self.max_bytes if self.max_bytes else 0.0)

    def surplus(self, share: Share) -> int:
        """How many entries have to move down: none while the tier is within its capacity, else as many as leave a
        fiftieth of it free."""
        if not share.entries or self.utilisation(share) <= 1.0:
            return 0
        most = float(share.entries)
        if self.max_entries:
            most = min(most, self.max_entries - math.floor(self.max_entries * _BATCH))
        if self.max_bytes and share.size_bytes:
            most = min(most, self.max_bytes * (1.0 - _BATCH) / (share.size_bytes / share.entries))
        return max(1, share.entries - math.floor(most))

    def headroom(self, share: Share) -> int:
        """How many average entries may come before the tier has to be looked at again: to the next warning, or to the
        one that is too much."""
        now = self.utilisation(share)
        goal = next((level for level in _LEVELS if now < level), 1.0)
        rooms = []
        if self.max_entries:
            rooms.append(self.max_entries * goal - share.entries)
        if self.max_bytes:
            average = share.size_bytes / share.entries if share.entries else self.max_bytes / 100.0
            rooms.append((self.max_bytes * goal - share.size_bytes) / average if average else math.inf)
        nearest = min(rooms, default=math.inf)
        return 1_000_000 if math.isinf(nearest) else max(1, math.ceil(nearest))


def default_tiers(max_entries: int, max_bytes: int) -> tuple[TierConfig, ...]:
    """Hot, warm and cold for a cache of this capacity: hot takes at most a tenth of it, warm at most a half."""
    return (
        TierConfig(
            "hot", residency=300.0, max_entries=min(1000, max(1, max_entries // 10)), max_bytes=max(1, max_bytes // 10)
        ),
        TierConfig(
            "warm",
            residency=3600.0,
            max_entries=min(5000, max(1, max_entries // 2)),
            max_bytes=max(1, max_bytes // 2),
            eviction="lfu",
            promote_at=10,
            is_start=True,
        ),
        TierConfig(
            "cold",
            max_entries=max_entries,
            max_bytes=max_bytes,
            eviction="lru",
            promote_at=5,
            volatilities=("static",),
        ),
    )


class Placement:
    """The rules of a stack of tiers.

    Args:
        tiers: hottest first.

    Raises:
        ConfigError: no tier, two of one name, two where new entries start, or a rule that the first or the last tier
            cannot have.
    """

    def __init__(self, tiers: Sequence[TierConfig]) -> None:
        _check(tiers)
        self.tiers = tuple(tiers)
        self.names = tuple(tier.name for tier in self.tiers)
        self.last = self.tiers[-1]
        self._places = {name: place for place, name in enumerate(self.names)}
        self._start = next((tier.name for tier in self.tiers if tier.is_start), self.names[min(1, len(tiers) - 1)])
        self._by_volatility = {word: tier.name for tier in self.tiers for word in tier.volatilities}
        self._by_tag = [(tag_pattern(canonical_tag(tag)), tier.name) for tier in self.tiers for tag in tier.tags]
        self._promotions = {
            tier.name: (tier.promote_at, above.name)
            for above, tier in zip(self.tiers, self.tiers[1:], strict=False)
            if tier.promote_at is not None
        }

    @property
    def policies(self) -> Mapping[str, EvictionPolicy]:
        """The eviction policy of each tier, by its name."""
        return {tier.name: tier.policy for tier in self.tiers}

    def name_of(self, tier: str) -> str:
        """The tier that counts for an entry: its own, or the last one where a store knows none of these names."""
        return tier if tier in self._places else self.last.name

    def start_of(self, entry: Entry) -> str:
        """Where a new entry is placed: by its tags, by its volatility, or where new entries start."""
        for pattern, name in self._by_tag:
            if any(pattern.fullmatch(tag) for tag in entry.profile.tags):
                return name
        return self._by_volatility.get(entry.profile.volatility, self._start)

    def promotion(self, tier: str, reads: int) -> str | None:
        """The tier an entry moves up to after its `reads`-th read in this one; None when it stays."""
        found = self._promotions.get(tier) or self._promotions.get(self.name_of(tier))
        return None if found is None or reads < found[0] else found[1]

    def below(self, tier: str) -> str:
        """The tier under this one; the last is under itself."""
        return self.names[min(self._places[tier] + 1, len(self.names) - 1)]

    def shares(self, shares: Mapping[str, Share]) -> dict[str, Share]:
        """What a store says of its tiers, for these tiers: what is placed in none of them is in the last one."""
        totals = dict.fromkeys(self.names, Share())
        for name, share in shares.items():
            name = self.name_of(name)
            before = totals[name]
            totals[name] = Share(before.entries + share.entries, before.size_bytes + share.size_bytes)
        return totals


class Pressure:
    """Says once when a tier gets as full as 85 % and as 90 %; again only after it has been 5 points below."""

    __slots__ = ("_level",)

    def __init__(self) -> None:
        self._level = 0.0

    def crossed(self, utilisation: float) -> float | None:
        """The highest level that was reached just now, or None.

        >>> pressure = Pressure()
        >>> [pressure.crossed(full) for full in (0.5, 0.86, 0.84, 0.87, 0.95, 0.79, 0.9)]
        [None, 0.85, None, None, 0.9, None, 0.9]
        """
        reached = max((level for level in _LEVELS if utilisation >= level), default=0.0)
        if reached > self._level:
            self._level = reached
            return reached
        if utilisation < self._level - _SLACK:
            self._level = max((level for level in _LEVELS if utilisation >= level - _SLACK), default=0.0)
        return None


def _check(tiers: Sequence[TierConfig]) -> None:
    if not tiers or not all(isinstance(tier, TierConfig) for tier in tiers):
        raise ConfigError("tiers must be at least one TierConfig, hottest first")
    names = [tier.name for tier in tiers]
    if len(set(names)) < len(names):
        raise ConfigError(f"tiers must have different names, not {names!r}")
    if sum(tier.is_start for tier in tiers) > 1:
        raise ConfigError("is_start may be True for one tier only: that is where new entries start")
    if tiers[0].promote_at is not None and len(tiers) > 1:
        raise ConfigError(f"promote_at must be None for the first tier, {names[0]!r}: nothing is above it")
    if tiers[-1].residency is not None:
        raise ConfigError(
            f"residency must be None for the last tier, {names[-1]!r}: an entry stays there until it expires (see ttl) "
            f"or is evicted"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
