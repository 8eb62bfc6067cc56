"""What is counted of each event: numbers that only grow, by counter and label, so that those of processes add up."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from llmcache_plugins.counters import (
    LATENCY_BOUNDS,
    CacheStats,
    Latency,
    LookupCounts,
    ModelUse,
    StoreStats,
    TierStats,
)
from llmcache_plugins.recorded import (
    ErrorEvent,
    Event,
    EvictionsEvent,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    MoveEvent,
    PressureEvent,
    ReportEvent,
    ResolutionEvent,
    ServerPressureEvent,
    StoreEvent,
    UpdateEvent,
    ValidationEvent,
)
from llmcache_plugins.types import Bypass, Hit, Miss, Namespace, Usage

__all__ = ["OTHERS", "Counts", "as_json", "cache_stats", "count", "from_json", "plus", "store_stats"]

Counts: TypeAlias = dict[str, dict[Hashable, float]]
"""By counter, by label."""

OTHERS = "(others)"
_MOST_LABELS = 256  # of one counter: namespaces may be tenants, of which there can be very many
_ALONE = ""  # label of a counter that has none
_TOKENS = ("input", "output", "cache_creation", "cache_read")
_BY_NAMESPACE = ("hits_by_namespace", "misses_by_namespace", "bypasses_by_namespace")
_BY_TYPE = ("query_types", "missed_query_types")
# Labels are a model and what of it: "calls", "unknown" (calls of unknown usage), tokens.
_BY_MODEL = ("saved", "spent", "warmed")
_IN_PARTS = frozenset((*_BY_NAMESPACE, *_BY_MODEL))  # labels that are tuples


def count(event: Event, counts: Counts, namespace: Namespace = ()) -> None:
    """Add one event.

    Args:
        namespace: the cache's own, which events leave out.
    """
    if isinstance(event, LookupEvent):
        _count_lookup(event, counts, (*namespace, *event.namespace) if namespace else event.namespace)
    elif isinstance(event, UpdateEvent):
        _count_use(counts, "warmed" if event.is_warming else "spent", event.model, event.usage)
        if event.seconds is not None:
            _time(counts, "model", event.seconds)
        if event.outcome.stored:
            _add(counts, "updates")
        else:
            _add(counts, "refusals", event.outcome.reason)
    elif isinstance(event, ErrorEvent):
        _add(counts, "errors", event.component)
        if event.is_left_alone:
            _add(counts, "left_alone", event.component)
    elif isinstance(event, ValidationEvent):
        if not event.has_failed:  # an ErrorEvent said so already; nothing is known about the match
            _add(counts, "validated")
            _add(counts, "rejected", by=not event.validation.ok)
    elif isinstance(event, JudgeEvent):
        _add(counts, "judged", event.outcome)
        _add(counts, "judge_cost", by=event.cost)
        if event.outcome == "paused":
            _add(counts, "left_alone", "judge")
    elif isinstance(event, ResolutionEvent):
        _add(counts, "resolved", event.outcome)
        if event.outcome == "paused":
            _add(counts, "left_alone", "resolver")
    elif isinstance(event, MoveEvent):
        _add(counts, "demotions" if event.is_demotion else "promotions", event.source, event.count)
    elif isinstance(event, ReportEvent):
        _add(counts, "reported")
    elif isinstance(event, InvalidationEvent):
        _add(counts, "invalidated", by=event.count)
    elif isinstance(event, StoreEvent):
        _add(counts, "evictions", event.store, event.evictions)
        _add(counts, "expirations", event.store, event.expirations)
        _add(counts, "damaged", event.store, event.damaged)
    elif isinstance(event, PressureEvent):
        _add(counts, "warnings", "tier")
    elif isinstance(event, ServerPressureEvent):
        _add(counts, "warnings", "memory")
    elif isinstance(event, EvictionsEvent):
        _add(counts, "warnings", "evictions" if event.by == "cache" else "server_evictions")


def _count_lookup(event: LookupEvent, counts: Counts, namespace: Namespace) -> None:
    outcome = event.outcome
    if isinstance(outcome, Hit):
        _add(counts, "hits", outcome.kind)
        _add(counts, "stale_hits", by=outcome.is_stale)
        _add(counts, "tier_hits", outcome.tier)
        _add(counts, _BY_TYPE[0], event.query_type or outcome.entry.profile.query_type)
        _add(counts, _BY_NAMESPACE[0], namespace)
        _count_use(counts, "saved", outcome.entry.model, outcome.entry.usage)
        _add(counts, "seconds_saved", by=outcome.latency_saved or 0.0)
        _time(counts, "hit", outcome.latency)
    elif isinstance(outcome, Miss):
        _add(counts, "misses", outcome.reason.value)
        _add(counts, _BY_TYPE[1], event.query_type)
        _add(counts, _BY_NAMESPACE[1], namespace)
        _time(counts, "miss", outcome.latency)
    elif isinstance(outcome, Bypass):
        _add(counts, "bypasses")
        _add(counts, _BY_NAMESPACE[2], namespace)


def _count_use(counts: Counts, counter: str, model: str, usage: Usage) -> None:
    """One call of a model that was made, or that a hit has spared."""
    _add(counts, counter, (model, "calls"))
    tokens = _tokens_of(usage)
    if not any(tokens):
        _add(counts, counter, (model, "unknown"))
        return
    for name, number in zip(_TOKENS, tokens, strict=True):
        if number:
            _add(counts, counter, (model, name), number)


def _tokens_of(usage: Usage) -> tuple[int, int, int, int]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
    )


def _time(counts: Counts, kind: str, seconds: float) -> None:
    _add(counts, f"{kind}_latency", bisect_left(LATENCY_BOUNDS, seconds))
    _add(counts, "latency_seconds", kind, seconds)


def _add(counts: Counts, counter: str, label: Hashable = _ALONE, by: float = 1) -> None:
    labels = counts.get(counter)
    if labels is None:
        labels = counts[counter] = {}
    if label not in labels and len(labels) >= _MOST_LABELS:
        label = _others(counter, label)
    labels[label] = labels.get(label, 0) + by


def _others(counter: str, label: Hashable) -> Hashable:
    """Under which a label is counted that comes too late to be told apart."""
    return (OTHERS, label[-1]) if counter in _BY_MODEL and isinstance(label, tuple) else OTHERS


def plus(
    counts: Mapping[str, Mapping[Hashable, float]], more: Mapping[str, Mapping[Hashable, float]], sign: int = 1
) -> Counts:
    """The sum of both; with `sign=-1` what `counts` has more, nothing below 0."""
    total: Counts = {counter: dict(labels) for counter, labels in counts.items()}
    for counter, labels in more.items():
        kept = total.setdefault(counter, {})
        for label, number in labels.items():
            if label not in kept and len(kept) >= _MOST_LABELS:
                label = _others(counter, label)
            kept[label] = max(0, kept.get(label, 0) + sign * number)
    return total


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
    models = _models(counts)
    return CacheStats(
        hits=_table(counts, "hits"),
        misses=_table(counts, "misses"),
        bypasses=_number(counts, "bypasses"),
        stale_hits=_number(counts, "stale_hits"),
        updates=_number(counts, "updates"),
        refusals=_table(counts, "refusals"),
        errors=_table(counts, "errors"),
        left_alone=_table(counts, "left_alone"),
        tokens_saved=_sum(use.saved for use in models.values()),
        models=models,
        seconds_saved=float(counts.get("seconds_saved", {}).get(_ALONE, 0.0)),
        validated=_number(counts, "validated"),
        rejected=_number(counts, "rejected"),
        judged=_table(counts, "judged"),
        judge_cost=float(counts.get("judge_cost", {}).get(_ALONE, 0.0)),
        resolved=_table(counts, "resolved"),
        reported=_number(counts, "reported"),
        invalidated=_number(counts, "invalidated"),
        namespaces=_namespaces(counts),
        query_types=_query_types(counts),
        latency={kind: found for kind in ("hit", "miss", "model") if (found := _latency(counts, kind)).count},
        warnings=_table(counts, "warnings"),
        tiers=_counted(counts, tiers),
        stores=dict(stores),
    )


def store_stats(
    counts: Mapping[str, Mapping[Hashable, float]], stores: Mapping[str, StoreStats]
) -> dict[str, StoreStats]:
    """The sizes of these stores, with what was counted: that of all entries alone is, by whatever name."""
    evictions, expirations, damaged = (
        sum(_table(counts, counter).values()) for counter in ("evictions", "expirations", "damaged")
    )
    return {
        name: replace(stats, evictions=evictions, expirations=expirations, damaged=damaged)
        for name, stats in stores.items()
    }


def _number(counts: Mapping[str, Mapping[Hashable, float]], counter: str, label: Hashable = _ALONE) -> int:
    return int(counts.get(counter, {}).get(label, 0))


def _table(counts: Mapping[str, Mapping[Hashable, float]], counter: str) -> dict[str, int]:
    return {str(label): int(number) for label, number in counts.get(counter, {}).items() if number}


def _namespaces(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[Namespace, LookupCounts]:
    names = dict.fromkeys(label for counter in _BY_NAMESPACE for label in counts.get(counter, ()))
    return {
        name if isinstance(name, tuple) else (str(name),): LookupCounts(
            *(_number(counts, counter, name) for counter in _BY_NAMESPACE)
        )
        for name in names
    }


def _query_types(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, LookupCounts]:
    hits, misses = (_table(counts, counter) for counter in _BY_TYPE)
    names = dict.fromkeys((*hits, *misses))
    return {name or "unknown": LookupCounts(hits.get(name, 0), misses.get(name, 0)) for name in names}


def _models(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, ModelUse]:
    """By name. A label that is no pair comes from a damaged record."""
    used = {counter: counts.get(counter, {}) for counter in _BY_MODEL}
    labels = [label for found in used.values() for label in found if isinstance(label, tuple) and len(label) == 2]
    models = {}
    for model in dict.fromkeys(str(label[0]) for label in labels):
        saved, spent, warmed = (
            {name: int(found.get((model, name), 0)) for name in ("calls", "unknown", *_TOKENS)}
            for found in used.values()
        )
        models[model] = ModelUse(
            hits=saved["calls"],
            hits_without_usage=saved["unknown"],
            saved=Usage(*(saved[name] for name in _TOKENS)),
            calls=spent["calls"],
            calls_without_usage=spent["unknown"],
            spent=Usage(*(spent[name] for name in _TOKENS)),
            warmed=warmed["calls"],
            warmed_without_usage=warmed["unknown"],
            warmed_spent=Usage(*(warmed[name] for name in _TOKENS)),
        )
    return models


def _sum(usages: Iterable[Usage]) -> Usage:
    return Usage(*(sum(numbers) for numbers in zip((0, 0, 0, 0), *map(_tokens_of, usages), strict=True)))


def _latency(counts: Mapping[str, Mapping[Hashable, float]], kind: str) -> Latency:
    found = counts.get(f"{kind}_latency", {})
    buckets = tuple(int(found.get(place, 0)) for place in range(len(LATENCY_BOUNDS) + 1))
    return Latency(sum(buckets), float(counts.get("latency_seconds", {}).get(kind, 0.0)), buckets)


def _counted(counts: Mapping[str, Mapping[Hashable, float]], tiers: Mapping[str, TierStats]) -> dict[str, TierStats]:
    """The tiers with what was counted of them. A lookup has missed in every tier above the one that answered."""
    counted: dict[str, TierStats] = {}
    missed = sum(_table(counts, "misses").values())
    for name, tier in reversed(list(tiers.items())):
        hits = _number(counts, "tier_hits", name)
        counted[name] = replace(
            tier,
            hits=hits,
            misses=missed,
            promotions=_number(counts, "promotions", name),
            demotions=_number(counts, "demotions", name),
        )
        missed += hits
    return {name: counted[name] for name in tiers}
