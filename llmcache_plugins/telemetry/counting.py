"""What is counted of each event: numbers that only grow, by counter and label, so that those of processes add up."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from llmcache_plugins.counters import CacheStats, LookupCounts, StoreStats, TierStats
from llmcache_plugins.recorded import (
    ComparisonEvent,
    ErrorEvent,
    Event,
    EvictionsEvent,
    GroupLookupEvent,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    MoveEvent,
    PressureEvent,
    ReportEvent,
    ResolutionEvent,
    ServerPressureEvent,
    StageEvent,
    StoreEvent,
    UpdateEvent,
    ValidationEvent,
)
from llmcache_plugins.telemetry.grouped import (
    ARMS,
    GROUPED,
    arms_in,
    count_call,
    count_comparison,
    count_lookup,
    count_report,
    groups_in,
)
from llmcache_plugins.telemetry.hit_tally import HitTally
from llmcache_plugins.telemetry.tables import (
    ALONE,
    BY_MODEL,
    OTHERS,
    Counts,
    add,
    add_time,
    add_use,
    latency_in,
    models_in,
    number_in,
    plus,
    table_in,
    tokens_of,
)
from llmcache_plugins.types import Bypass, Hit, Miss, Namespace, Usage

__all__ = ["OTHERS", "Counts", "as_json", "cache_stats", "count", "from_json", "plus", "store_stats"]

_BY_NAMESPACE = ("hits_by_namespace", "misses_by_namespace", "bypasses_by_namespace")
_BY_TYPE = ("query_types", "missed_query_types")
_IN_PARTS = frozenset((*_BY_NAMESPACE, *BY_MODEL, GROUPED, ARMS))  # labels that are tuples


def count(event: Event, counts: Counts, namespace: Namespace = ()) -> None:
    """Add one event.

    Args:
        namespace: the cache's own, which events leave out.
    """
    if isinstance(event, LookupEvent):
        _count_lookup(event, counts, namespace)
    elif isinstance(event, UpdateEvent):
        _count_update(event, counts)
    elif isinstance(event, ErrorEvent):
        add(counts, "errors", event.component)
        if event.is_left_alone:
            add(counts, "left_alone", event.component)
    elif isinstance(event, ValidationEvent):
        if not event.has_failed:  # an ErrorEvent said so already; nothing is known about the match
            add(counts, "validated")
            add(counts, "rejected", by=not event.validation.ok)
    elif isinstance(event, JudgeEvent):
        add(counts, "judged", event.outcome)
        add(counts, "judge_cost", by=event.cost)
        if event.outcome == "paused":
            add(counts, "left_alone", "judge")
    elif isinstance(event, ResolutionEvent):
        add(counts, "resolved", event.outcome)
        if event.outcome == "paused":
            add(counts, "left_alone", "resolver")
    elif isinstance(event, ComparisonEvent):
        count_comparison(event, counts)
    elif isinstance(event, StageEvent):
        add(counts, "stages", event.reason)
    elif isinstance(event, MoveEvent):
        add(counts, "demotions" if event.is_demotion else "promotions", event.source, event.count)
    elif isinstance(event, ReportEvent):
        add(counts, "reported")
        count_report(event, counts)
    elif isinstance(event, InvalidationEvent):
        add(counts, "invalidated", by=event.count)
    elif isinstance(event, StoreEvent):
        add(counts, "evictions", event.store, event.evictions)
        add(counts, "expirations", event.store, event.expirations)
        add(counts, "damaged", event.store, event.damaged)
    elif isinstance(event, PressureEvent):
        add(counts, "warnings", "tier")
    elif isinstance(event, ServerPressureEvent):
        add(counts, "warnings", "memory")
    elif isinstance(event, EvictionsEvent):
        add(counts, "warnings", "evictions" if event.by == "cache" else "server_evictions")


def _count_lookup(event: LookupEvent, counts: Counts, namespace: Namespace) -> None:
    if isinstance(event.outcome, Hit):
        hits = HitTally()
        hits.add(event.outcome, event.query_type, event.namespace)
        hits.tell(counts, namespace)
    else:
        _count_no_hit(event, counts, (*namespace, *event.namespace))
    if isinstance(event, GroupLookupEvent):
        count_lookup(event, counts)


def _count_update(event: UpdateEvent, counts: Counts) -> None:
    add_use(counts, "warmed" if event.is_warming else "spent", event.model, event.usage)
    if event.group:
        count_call(event, counts)
    if event.seconds is not None:
        add_time(counts, "model", event.seconds)
    if event.outcome.stored:
        add(counts, "updates")
    else:
        add(counts, "refusals", event.outcome.reason)


def _count_no_hit(event: LookupEvent, counts: Counts, namespace: Namespace) -> None:
    outcome = event.outcome
    if isinstance(outcome, Miss):
        add(counts, "misses", outcome.reason.value)
        add(counts, _BY_TYPE[1], event.query_type)
        add(counts, _BY_NAMESPACE[1], namespace)
        add_time(counts, "miss", outcome.latency)
    elif isinstance(outcome, Bypass):
        add(counts, "bypasses")
        add(counts, _BY_NAMESPACE[2], namespace)


def as_json(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, dict[str, float]]:
    """With labels that JSON can have: a namespace as a JSON list."""
    return {
        counter: {_as_text(label): number for label, number in labels.items() if number}
        for counter, labels in counts.items()
    }


def from_json(content: Any) -> Counts | None:
    """What `as_json` made, or None when it is anything else."""
    if not isinstance(content, dict):
        return None
    counts: Counts = {}
    for counter, labels in content.items():
        if not isinstance(labels, dict):
            return None
        for label, number in labels.items():
            if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number < math.inf:
                return None
            counts.setdefault(counter, {})[_as_label(counter, label)] = number
    return counts


def _as_text(label: Hashable) -> str:
    return json.dumps(label) if isinstance(label, tuple) else str(label)


def _as_label(counter: str, text: str) -> Hashable:
    if counter in _IN_PARTS and text.startswith("["):
        try:
            parts = json.loads(text)
        except ValueError:
            return text
        return tuple(map(str, parts))
    return int(text) if counter.endswith("_latency") and text.isdecimal() else text


def cache_stats(
    counts: Mapping[str, Mapping[Hashable, float]], stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]
) -> CacheStats:
    """The counts by name.

    Args:
        stores: sizes of the stores, by name.
        tiers: sizes of the tiers, by name, hottest first.
    """
    models = models_in(counts)
    return CacheStats(
        hits=table_in(counts, "hits"),
        misses=table_in(counts, "misses"),
        bypasses=number_in(counts, "bypasses"),
        stale_hits=number_in(counts, "stale_hits"),
        updates=number_in(counts, "updates"),
        refusals=table_in(counts, "refusals"),
        errors=table_in(counts, "errors"),
        left_alone=table_in(counts, "left_alone"),
        tokens_saved=_sum(use.saved for use in models.values()),
        models=models,
        seconds_saved=float(counts.get("seconds_saved", {}).get(ALONE, 0.0)),
        validated=number_in(counts, "validated"),
        rejected=number_in(counts, "rejected"),
        judged=table_in(counts, "judged"),
        judge_cost=float(counts.get("judge_cost", {}).get(ALONE, 0.0)),
        resolved=table_in(counts, "resolved"),
        reported=number_in(counts, "reported"),
        invalidated=number_in(counts, "invalidated"),
        namespaces=_namespaces(counts),
        query_types=_query_types(counts),
        latency={kind: found for kind in ("hit", "miss", "model") if (found := latency_in(counts, kind)).count},
        warnings=table_in(counts, "warnings"),
        groups=groups_in(counts),
        stages=table_in(counts, "stages"),
        arms=arms_in(counts),
        tiers=_counted(counts, tiers),
        stores=dict(stores),
    )


def store_stats(
    counts: Mapping[str, Mapping[Hashable, float]], stores: Mapping[str, StoreStats]
) -> dict[str, StoreStats]:
    """The sizes of these stores, with what was counted: that of all entries alone is, by whatever name."""
    evictions, expirations, damaged = (
        sum(table_in(counts, counter).values()) for counter in ("evictions", "expirations", "damaged")
    )
    return {
        name: replace(stats, evictions=evictions, expirations=expirations, damaged=damaged)
        for name, stats in stores.items()
    }


def _namespaces(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[Namespace, LookupCounts]:
    names = dict.fromkeys(label for counter in _BY_NAMESPACE for label in counts.get(counter, ()))
    return {
        name if isinstance(name, tuple) else (str(name),): LookupCounts(
            *(number_in(counts, counter, name) for counter in _BY_NAMESPACE)
        )
        for name in names
    }


def _query_types(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, LookupCounts]:
    hits, misses = (table_in(counts, counter) for counter in _BY_TYPE)
    names = dict.fromkeys((*hits, *misses))
    return {name or "unknown": LookupCounts(hits.get(name, 0), misses.get(name, 0)) for name in names}


def _sum(usages: Iterable[Usage]) -> Usage:
    return Usage(*(sum(numbers) for numbers in zip((0, 0, 0, 0), *map(tokens_of, usages), strict=True)))


def _counted(counts: Mapping[str, Mapping[Hashable, float]], tiers: Mapping[str, TierStats]) -> dict[str, TierStats]:
    """The tiers with what was counted of them. A lookup has missed in every tier above the one that answered."""
    counted: dict[str, TierStats] = {}
    missed = sum(table_in(counts, "misses").values())
    for name, tier in reversed(list(tiers.items())):
        hits = number_in(counts, "tier_hits", name)
        counted[name] = replace(
            tier,
            hits=hits,
            misses=missed,
            promotions=number_in(counts, "promotions", name),
            demotions=number_in(counts, "demotions", name),
        )
        missed += hits
    return {name: counted[name] for name in tiers}
