"""Counters of one process, fed by the engine's events."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from llmcache_plugins.counters import CacheStats, StoreStats, TierStats
from llmcache_plugins.protocols import (
    ErrorEvent,
    Event,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    MoveEvent,
    ReportEvent,
    ResolutionEvent,
    UpdateEvent,
    ValidationEvent,
)
from llmcache_plugins.types import Bypass, Hit, Miss, Usage

__all__ = ["Statistics"]


class Statistics:
    """A recorder that adds everything up. One lock, held for a few additions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hits: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._tier_hits: Counter[str] = Counter()
        self._promotions: Counter[str] = Counter()
        self._demotions: Counter[str] = Counter()
        self._bypasses = 0
        self._updates = 0
        self._tokens = [0, 0, 0, 0]
        self._seconds = 0.0
        self._validated = 0
        self._rejected = 0
        self._judged: Counter[str] = Counter()
        self._judge_cost = 0.0
        self._resolved: Counter[str] = Counter()
        self._reported = 0
        self._invalidated = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, LookupEvent):
            self._lookup(event)
        elif isinstance(event, UpdateEvent):
            with self._lock:
                if event.outcome.stored:
                    self._updates += 1
                else:
                    self._refusals[event.outcome.reason] += 1
        elif isinstance(event, ErrorEvent):
            with self._lock:
                self._errors[event.component] += 1
        elif isinstance(event, ValidationEvent):
            if event.has_failed:
                return  # an ErrorEvent said so already; nothing is known about the match
            with self._lock:
                self._validated += 1
                self._rejected += not event.validation.ok
        elif isinstance(event, JudgeEvent):
            with self._lock:
                self._judged[event.outcome] += 1
                self._judge_cost += event.cost
        elif isinstance(event, ResolutionEvent):
            with self._lock:
                self._resolved[event.outcome] += 1
        elif isinstance(event, MoveEvent):
            with self._lock:
                (self._demotions if event.is_demotion else self._promotions)[event.source] += event.count
        elif isinstance(event, ReportEvent):
            with self._lock:
                self._reported += 1
        elif isinstance(event, InvalidationEvent):
            with self._lock:
                self._invalidated += event.count

    def _lookup(self, event: LookupEvent) -> None:
        outcome = event.outcome
        with self._lock:
            if isinstance(outcome, Hit):
                self._hits[outcome.kind] += 1
                self._tier_hits[outcome.tier] += 1
                usage, tokens = outcome.entry.usage, self._tokens
                tokens[0] += usage.input_tokens
                tokens[1] += usage.output_tokens
                tokens[2] += usage.cache_creation_input_tokens
                tokens[3] += usage.cache_read_input_tokens
                self._seconds += outcome.latency_saved or 0.0
            elif isinstance(outcome, Miss):
                self._misses[outcome.reason.value] += 1
            elif isinstance(outcome, Bypass):
                self._bypasses += 1

    def snapshot(
        self, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats] = MappingProxyType({})
    ) -> CacheStats:
        """All counters at one moment.

        Args:
            stores: sizes of the stores, by name.
            tiers: sizes of the tiers, by name, hottest first.
        """
        with self._lock:
            return CacheStats(
                hits=dict(self._hits),
                misses=dict(self._misses),
                bypasses=self._bypasses,
                updates=self._updates,
                refusals=dict(self._refusals),
                errors=dict(self._errors),
                tokens_saved=Usage(*self._tokens),
                seconds_saved=self._seconds,
                validated=self._validated,
                rejected=self._rejected,
                judged=dict(self._judged),
                judge_cost=self._judge_cost,
                resolved=dict(self._resolved),
                reported=self._reported,
                invalidated=self._invalidated,
                tiers=self._counted(tiers),
                stores=dict(stores),
            )

    def _counted(self, tiers: Mapping[str, TierStats]) -> dict[str, TierStats]:
        """The tiers with what was counted of them. A lookup has missed in every tier above the one that answered."""
        counted: dict[str, TierStats] = {}
        missed = self._misses.total()
        for name, tier in reversed(list(tiers.items())):
            hits = self._tier_hits[name]
            counted[name] = replace(
                tier, hits=hits, misses=missed, promotions=self._promotions[name], demotions=self._demotions[name]
            )
            missed += hits
        return {name: counted[name] for name in tiers}
