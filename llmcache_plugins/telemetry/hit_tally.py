"""Hits, added up by what they have in common.

A hit counts in ten tables. One by one, that was an eighth of the time of an exact hit; here it is one look-up, and the
tables are told when somebody wants to read them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TypeAlias

from llmcache_plugins.counters import LATENCY_BOUNDS
from llmcache_plugins.telemetry.tables import Counts, add, add_tokens, tokens_of
from llmcache_plugins.types import Hit, Namespace

__all__ = ["HitTally"]

# Kind, tier, is it stale, query type, namespace below the cache's own, model.
_Shape: TypeAlias = tuple[str, str, bool, str, Namespace, str]

_MOST_SHAPES = 256  # then the tables are told, which keep the number of their labels within bounds by themselves


class _Sum:
    """Of hits of one shape: how many, how many without usage, tokens, seconds they have spared and taken, and how many
    took how long."""

    __slots__ = ("number", "places", "seconds", "spared", "tokens", "unknown")

    def __init__(self) -> None:
        self.number = self.unknown = 0
        self.tokens = [0, 0, 0, 0]
        self.spared = self.seconds = 0.0
        self.places = [0] * (len(LATENCY_BOUNDS) + 1)


class HitTally:
    """Hits that no table has been told of yet. Not for several threads at once."""

    def __init__(self) -> None:
        self._sums: dict[_Shape, _Sum] = {}

    @property
    def is_full(self) -> bool:
        return len(self._sums) >= _MOST_SHAPES

    def add(self, hit: Hit, query_type: str, namespace: Namespace) -> None:
        """One more.

        Args:
            query_type: of the question; empty for that of the entry.
            namespace: below the cache's own.
        """
        entry = hit.entry
        shape = (hit.kind, hit.tier, hit.is_stale, query_type or entry.profile.query_type, namespace, entry.model)
        found = self._sums.get(shape)
        if found is None:
            found = self._sums[shape] = _Sum()
        found.number += 1
        found.places[bisect_left(LATENCY_BOUNDS, hit.latency)] += 1
        found.seconds += hit.latency
        if entry.generation_seconds is not None:
            found.spared += hit.latency_saved or 0.0
        used = tokens_of(entry.usage)
        if any(used):
            tokens = found.tokens
            for place in range(4):
                tokens[place] += used[place]
        else:
            found.unknown += 1

    def tell(self, counts: Counts, namespace: Namespace) -> None:
        """Add all of it to the tables, and begin anew.

        Args:
            namespace: the cache's own.
        """
        for (kind, tier, is_stale, query_type, below, model), found in self._sums.items():
            number = found.number
            add(counts, "hits", kind, number)
            add(counts, "stale_hits", by=number if is_stale else 0)
            add(counts, "tier_hits", tier, number)
            add(counts, "query_types", query_type, number)
            add(counts, "hits_by_namespace", (*namespace, *below), number)
            add_tokens(counts, "saved", model, number, found.unknown, found.tokens)
            add(counts, "seconds_saved", by=found.spared)
            for place, times in enumerate(found.places):
                if times:
                    add(counts, "hit_latency", place, times)
            add(counts, "latency_seconds", "hit", found.seconds)
        self._sums.clear()
