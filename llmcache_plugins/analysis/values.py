"""The value that `analyze` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from llmcache_plugins.analysis.table import text_of
from llmcache_plugins.counters import TierStats
from llmcache_plugins.types import JsonValue, Namespace

__all__ = ["Analysis", "Efficiency", "Group", "Hotspot", "Recommendation"]


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How much of the traffic the cache answers.

    Args:
        verdict: `"good"` from 60 % on, `"fair"` from 30 % on, else `"poor"`; `"unknown"` when too little was seen.
        basis: what it rests on: `"lookups"` of this process; where those are too few `"reads"`, the served reads of the
            entries that are there; or `"nothing"`.
        hit_rate: None when nothing is known.
        low: where the hit rate lies with 95 % confidence (Wilson), from here ...
        high: ... to here.
        count: how many look-ups (or reads and entries) it rests on.
        exact_rate: of the lookups, those answered by the same text but for case, spaces and closing punctuation.
        semantic_rate: of the lookups, those answered by meaning.
        reasons: why, for people.
    """

    verdict: Literal["good", "fair", "poor", "unknown"]
    basis: Literal["lookups", "reads", "nothing"]
    hit_rate: float | None = None
    low: float = 0.0
    high: float = 1.0
    count: int = 0
    exact_rate: float | None = None
    semantic_rate: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hotspot:
    """An entry that is read much. `text` is empty unless it was asked for."""

    key: str
    reads: int
    share: float
    query_type: str
    label: str = ""
    tier: str = ""
    age: float = 0.0
    expires_in: float | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """Entries of one kind and their served reads."""

    entries: int = 0
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What might be changed.

    Args:
        kind: what it is about, `"size"`, `"ttl"`, `"matching"`, ...
        text: what to do and why.
        evidence: the numbers it rests on, by name.
        setting: the setting to change; empty when there is none.
        value: what to set it to; None when the numbers do not say.
    """

    kind: str
    text: str
    evidence: Mapping[str, float]
    setting: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a cache looks like at one moment. `print` it.

    Counters are those of this process since it opened the cache; entries are all that the store holds under the
    cache's namespace, whoever stored them.

    Args:
        at: when, wall clock.
        entries: all entries of the namespace.
        surveyed: of these, how many were looked at: the oldest, where there are more than were to be read.
        reads: served reads of these.
        efficiency: how much of the traffic is answered.
        hotspots: the entries read most, most read first.
        coverage: share of the reads that the so many most read entries have, by how many.
        query_types: entries and reads by what is asked for (the intents), most read first.
        labels: the same by the readable label's level and type, where entries have labels.
        remaining: entries by how long they still live, shortest first; see `Survey` for the bounds.
        tiers: how full each tier is and what it has done.
        recommendations: what follows.
    """

    at: float
    namespace: Namespace
    entries: int
    surveyed: int
    reads: int
    efficiency: Efficiency
    hotspots: tuple[Hotspot, ...] = ()
    coverage: Mapping[int, float] = field(default_factory=dict)
    query_types: Mapping[str, Group] = field(default_factory=dict)
    labels: Mapping[str, Group] = field(default_factory=dict)
    remaining: Mapping[str, int] = field(default_factory=dict)
    tiers: Mapping[str, TierStats] = field(default_factory=dict)
    recommendations: tuple[Recommendation, ...] = ()

    def as_json(self) -> dict[str, JsonValue]:
        """All of it, as JSON."""
        content = asdict(self)
        content["namespace"] = list(self.namespace)
        content["coverage"] = {str(count): share for count, share in self.coverage.items()}
        return content

    def __str__(self) -> str:
        return text_of(self)
