"""Numbers that only grow, by counter and label: how they are added to, and read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias

from llmcache_plugins.counters import LATENCY_BOUNDS, Latency, ModelUse
from llmcache_plugins.types import Usage

__all__ = [
    "ALONE",
    "BY_MODEL",
    "OTHERS",
    "Counts",
    "add",
    "add_time",
    "add_tokens",
    "add_use",
    "latency_in",
    "models_in",
    "number_in",
    "plus",
    "table_in",
    "tokens_of",
]

Counts: TypeAlias = dict[str, dict[Hashable, float]]
"""By counter, by label."""

OTHERS = "(others)"
ALONE = ""  # label of a counter that has none
# Labels are a model and what of it: "calls", "unknown" (calls of unknown usage), tokens.
BY_MODEL = ("saved", "spent", "warmed", "served_saved", "served_spent", "control_saved", "control_spent")
_MOST_LABELS = 256  # of one counter: namespaces may be tenants, of which there can be very many
_TOKENS = ("input", "output", "cache_creation", "cache_read")


def add(counts: Counts, counter: str, label: Hashable = ALONE, by: float = 1) -> None:
    labels = counts.get(counter)
    if labels is None:
        labels = counts[counter] = {}
    if label not in labels and len(labels) >= _MOST_LABELS:
        label = _others(counter, label)
    labels[label] = labels.get(label, 0) + by


def add_time(counts: Counts, kind: str, seconds: float) -> None:
    add(counts, f"{kind}_latency", bisect_left(LATENCY_BOUNDS, seconds))
    add(counts, "latency_seconds", kind, seconds)


def add_use(counts: Counts, counter: str, model: str, usage: Usage) -> None:
    """One call of a model that was made, or that a hit has spared."""
    tokens = tokens_of(usage)
    add_tokens(counts, counter, model, 1, 0 if any(tokens) else 1, tokens)


def add_tokens(counts: Counts, counter: str, model: str, calls: int, unknown: int, tokens: Sequence[int]) -> None:
    """Calls of a model that were made or spared, how many of them without usage, and the tokens of all the others."""
    add(counts, counter, (model, "calls"), calls)
    if unknown:
        add(counts, counter, (model, "unknown"), unknown)
    for name, number in zip(_TOKENS, tokens, strict=True):
        if number:
            add(counts, counter, (model, name), number)


def tokens_of(usage: Usage) -> tuple[int, int, int, int]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
    )


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


def number_in(counts: Mapping[str, Mapping[Hashable, float]], counter: str, label: Hashable = ALONE) -> int:
    return int(counts.get(counter, {}).get(label, 0))


def table_in(counts: Mapping[str, Mapping[Hashable, float]], counter: str) -> dict[str, int]:
    return {str(label): int(number) for label, number in counts.get(counter, {}).items() if number}


def latency_in(counts: Mapping[str, Mapping[Hashable, float]], kind: str) -> Latency:
    found = counts.get(f"{kind}_latency", {})
    buckets = tuple(int(found.get(place, 0)) for place in range(len(LATENCY_BOUNDS) + 1))
    return Latency(sum(buckets), float(counts.get("latency_seconds", {}).get(kind, 0.0)), buckets)


def models_in(
    counts: Mapping[str, Mapping[Hashable, float]], saved: str = "saved", spent: str = "spent", warmed: str = "warmed"
) -> dict[str, ModelUse]:
    """By name. A label that is no pair comes from a damaged record.

    Args:
        saved: the counter of what hits have spared; `spent` of calls, `warmed` of those of warming.
    """
    used = [counts.get(counter, {}) for counter in (saved, spent, warmed)]
    labels = [label for found in used for label in found if isinstance(label, tuple) and len(label) == 2]
    models = {}
    for model in dict.fromkeys(str(label[0]) for label in labels):
        spared, made, ahead = (
            {name: int(found.get((model, name), 0)) for name in ("calls", "unknown", *_TOKENS)} for found in used
        )
        models[model] = ModelUse(
            hits=spared["calls"],
            hits_without_usage=spared["unknown"],
            saved=Usage(*(spared[name] for name in _TOKENS)),
            calls=made["calls"],
            calls_without_usage=made["unknown"],
            spent=Usage(*(made[name] for name in _TOKENS)),
            warmed=ahead["calls"],
            warmed_without_usage=ahead["unknown"],
            warmed_spent=Usage(*(ahead[name] for name in _TOKENS)),
        )
    return models


def _others(counter: str, label: Hashable) -> Hashable:
    """Under which a label is counted that comes too late to be told apart."""
    return (OTHERS, label[-1]) if counter in BY_MODEL and isinstance(label, tuple) else OTHERS
