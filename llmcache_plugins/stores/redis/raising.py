"""What a served read raises: the formulas of the known eviction policies run on the server."""

from __future__ import annotations

from collections.abc import Mapping

from llmcache_plugins.policies.eviction import CostAware, Fifo, Lfu, Lru, RandomOrder
from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.stores.redis.commands import Argument

__all__ = ["Rules"]


class Rules:
    """For each tier, how a read changes the priority of an entry there: `order` (it is the latest now), `keep` or
    `decay` (see `Lfu`).

    Args:
        policy: of every tier that has none of its own.
        by_tier: policies by name of the tier.
    """

    def __init__(self, policy: EvictionPolicy, by_tier: Mapping[str, EvictionPolicy]) -> None:
        rules = {"*": policy, **by_tier}
        self._is_own = {tier: _kind_of(rule) == "own" for tier, rule in rules.items()}
        self.arguments: tuple[Argument, ...] = (
            len(rules),
            *(part for tier, rule in rules.items() for part in _rule(tier, rule)),
        )

    @property
    def has_own(self) -> bool:
        """Is there a policy of the user's own, which only this process can ask?"""
        return any(self._is_own.values())

    def is_own(self, tier: str) -> bool:
        return self._is_own.get(tier, self._is_own["*"])

    @staticmethod
    def is_by_order(policy: EvictionPolicy) -> bool:
        """Is the priority of what is stored the order of that write, which the server gives?"""
        return type(policy) in (Lru, Fifo)


def _rule(tier: str, policy: EvictionPolicy) -> tuple[Argument, ...]:
    kind = _kind_of(policy)
    half_life = policy.half_life if isinstance(policy, Lfu | CostAware) else 1.0
    return tier, "keep" if kind == "own" else kind, half_life


def _kind_of(policy: EvictionPolicy) -> str:
    known = {Lru: "order", Fifo: "keep", RandomOrder: "keep", Lfu: "decay", CostAware: "decay"}
    return known.get(type(policy), "own")  # a subclass may say something else
