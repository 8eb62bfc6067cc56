"""Who leaves a cache file first: what the eviction policies say, as numbers beside the entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass

from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.types import Entry

__all__ = ["Priorities"]


class Priorities:
    """The policies of all tiers. Whatever they give, what is stored is a finite number.

    Args:
        policy: of every tier that has none of its own.
        by_tier: policies by name of the tier.
        last_tier: who is placed there, or in no tier, leaves before all others.
    """

    def __init__(self, policy: EvictionPolicy, by_tier: Mapping[str, EvictionPolicy], last_tier: str) -> None:
        self._policy = policy
        self._by_tier = dict(by_tier)
        self.first_tiers = tuple({"": None, last_tier: None})

    def of(self, tier: str) -> EvictionPolicy:
        return self._by_tier.get(tier, self._policy)

    def weight(self, tier: str, entry: Entry, size: int) -> float:
        return _finite(self.of(tier).weight(entry, max(size, 1)))

    def on_put(self, tier: str, weight: float, now: float, order: int) -> float:
        return _finite(self.of(tier).on_put(weight, now, order))

    def on_read(self, tier: str, priority: object, weight: object, reads: int, now: float, order: int) -> float:
        """For use in a statement: the first three are what the row holds, which may be damaged."""
        if type(priority) is not float or type(weight) is not float:
            priority, weight = _finite(priority), _finite(weight)
        return _finite(self._by_tier.get(tier, self._policy).on_read(priority, weight, reads, now, order))

    def names(self) -> str:
        """Which policies these are, to be stored beside the numbers they gave; that of no tier stands for the rest."""
        return json.dumps({"": _name_of(self._policy)} | {tier: _name_of(p) for tier, p in self._by_tier.items()})

    def has_changed(self, tier: str, names: object) -> bool:
        """Are the numbers of this tier's entries of another policy than now? `names` are those of then."""
        known = _read(names)
        return known.get(tier, known.get("", _LRU)) != _name_of(self.of(tier))


_HIGHEST = 1e300
_LRU = "lru"  # what files of version 1, which name no policy, were kept by


def _name_of(policy: EvictionPolicy) -> str:
    # A policy with settings of its own gives other numbers. Of other objects the repr may be another one every time.
    name, has_settings = policy.name, is_dataclass(policy)
    return f"{name} {policy!r}" if has_settings and name != _LRU else name


def _read(names: object) -> dict[str, object]:
    if not isinstance(names, str):
        return {}
    try:
        read = json.loads(names) if names else {}
    except ValueError:
        read = {}
    return read if isinstance(read, dict) else {}


def _finite(value: object) -> float:
    if type(value) is float and -_HIGHEST <= value <= _HIGHEST:  # as nearly always
        return value
    return float(value) if isinstance(value, int | float) and -_HIGHEST <= value <= _HIGHEST else 0.0
