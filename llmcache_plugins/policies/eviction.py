"""In which order entries leave a store that is full. Pure.

Each policy turns an entry's history into one number that a read can only raise and that needs no ageing, so that a
store can keep entries in order (see `protocols.EvictionPolicy`).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.types import Entry

__all__ = ["EVICTION_POLICIES", "CostAware", "Fifo", "Lfu", "Lru", "RandomOrder", "eviction_policy"]

_HALF_LIFE = 3600.0
_TOKENS_PER_SECOND = 50.0  # weighs a measured duration against counted tokens where only one of them is known


@dataclass(frozen=True, slots=True)
class Lru:
    """The least recently used first."""

    name: str = "lru"

    def weight(self, entry: Entry, size: int) -> float:
        return 0.0

    def on_put(self, weight: float, now: float, order: int) -> float:
        return float(order)

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        return float(order) if order > priority else priority


@dataclass(frozen=True, slots=True)
class Fifo:
    """The oldest first, however often it is read."""

    name: str = "fifo"

    def weight(self, entry: Entry, size: int) -> float:
        return 0.0

    def on_put(self, weight: float, now: float, order: int) -> float:
        return float(order)

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        return priority


@dataclass(frozen=True, slots=True)
class RandomOrder:
    """Any of them; which, is settled when an entry is stored."""

    name: str = "random"

    def weight(self, entry: Entry, size: int) -> float:
        return 0.0

    def on_put(self, weight: float, now: float, order: int) -> float:
        # A digest and no generator: pure, without a lock, and another order for every write.
        digest = hashlib.blake2b(str(order).encode("ascii"), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2.0**48

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        return priority


@dataclass(frozen=True, slots=True)
class Lfu:
    """The least frequently used first, where a read counts half after each `half_life` seconds.

    The sum of 2^((t - now) / half_life) over the reads at t orders entries the same way at any `now`, so the base-2
    logarithm of the sum of 2^(t / half_life) is kept. Being stored counts as one read.
    """

    half_life: float = _HALF_LIFE
    name: str = "lfu"

    def __post_init__(self) -> None:
        if not self.half_life > 0:
            raise ConfigError(f"half_life must be seconds above 0, not {self.half_life!r}")

    def weight(self, entry: Entry, size: int) -> float:
        return 0.0

    def on_put(self, weight: float, now: float, order: int) -> float:
        return now / self.half_life

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        return max(priority, _log2_sum(priority, now / self.half_life + math.log2(max(reads, 1))))


@dataclass(frozen=True, slots=True)
class CostAware:
    """What is cheapest to have again for the room it takes first: cost of a new answer times aged frequency, per byte
    (greedy-dual-size-frequency: L. Cherkasova, HPL-98-69, 1998; here with the ageing of `Lfu` in place of the inflation
    value). The cost is that of the stored call: its tokens, or where these are unknown its duration."""

    half_life: float = _HALF_LIFE
    name: str = "cost_aware"

    def __post_init__(self) -> None:
        if not self.half_life > 0:
            raise ConfigError(f"half_life must be seconds above 0, not {self.half_life!r}")

    def weight(self, entry: Entry, size: int) -> float:
        return math.log2(_cost_of(entry) / max(size, 1))

    def on_put(self, weight: float, now: float, order: int) -> float:
        return now / self.half_life + weight

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        reads_now = now / self.half_life + math.log2(max(reads, 1))
        return max(priority, _log2_sum(priority - weight, reads_now) + weight)


def _cost_of(entry: Entry) -> float:
    tokens = entry.usage.input_tokens + 4.0 * entry.usage.output_tokens  # a token out costs about four times one in
    if tokens <= 0 and entry.generation_seconds:
        tokens = entry.generation_seconds * _TOKENS_PER_SECOND
    return max(tokens, 1.0)


def _log2_sum(a: float, b: float) -> float:
    """log2(2^a + 2^b), without overflow."""
    high, low = (a, b) if a >= b else (b, a)
    return high + math.log2(1.0 + 2.0 ** max(low - high, -60.0))


EVICTION_POLICIES: tuple[str, ...] = ("lru", "lfu", "fifo", "random", "cost_aware")


def eviction_policy(name: str) -> EvictionPolicy:
    """The policy of this name, with its defaults.

    Raises:
        ConfigError: there is none.
    """
    made: dict[str, EvictionPolicy] = {
        policy.name: policy for policy in (Lru(), Lfu(), Fifo(), RandomOrder(), CostAware())
    }
    if name not in made:
        raise ConfigError(f"eviction must be one of {', '.join(EVICTION_POLICIES)}, not {name!r}")
    return made[name]
