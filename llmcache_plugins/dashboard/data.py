"""What the page shows, as JSON, from the values of the cache. Pure: nothing here asks a cache or a clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from types import MappingProxyType
from typing import Any

from llmcache_plugins.counters import LATENCY_BOUNDS, Latency
from llmcache_plugins.dashboard.history import Sample
from llmcache_plugins.dashboard.labels import Given
from llmcache_plugins.dashboard.seen import SeenHit
from llmcache_plugins.engine.explanation import Explanation, PolicyReport
from llmcache_plugins.quality import NearMissRecord
from llmcache_plugins.report import Notice, Report
from llmcache_plugins.types import JsonValue, MissReason, Stored

__all__ = [
    "BINS",
    "alerts_of",
    "boundary_of",
    "distribution_of",
    "entry_of",
    "explanation_of",
    "hit_id",
    "hits_of",
    "latencies_of",
    "near_id",
    "pair_id",
    "pairs_of",
    "sample_of",
]

BINS = 50  # of [0, 1]
_MOST_PAIRS = 100
_ALERTS = 100
_MOST_GROUPS = 12  # query types in a sample: there may be hundreds, and only the busiest are drawn


def sample_of(report: Report) -> Sample:
    """One point of the curves: counts since counting began, so that the difference of any two says what was between.
    `types` and `tiers` are hits and misses by name."""
    types = sorted(report.query_types.items(), key=lambda item: -item[1].lookups)[:_MOST_GROUPS]
    return {
        "at": report.at,
        "hits": report.hit_count,
        "misses": report.miss_count,
        "gross": _finite(report.money.gross),
        "net": _finite(report.money.net),
        "types": {name: [group.hits, group.misses] for name, group in types},
        "tiers": {name: [tier.hits, tier.misses] for name, tier in report.tiers.items()},
    }


def latencies_of(latency: Mapping[str, Latency]) -> dict[str, JsonValue]:
    """Histograms by kind: how many took up to each of `bounds` seconds (and more than the bound before); the last
    number counts those beyond."""
    return {
        "bounds": list(LATENCY_BOUNDS),
        "kinds": {kind: {"count": one.count, "buckets": list(one.buckets)} for kind, one in latency.items()},
    }


def distribution_of(near_misses: Iterable[NearMissRecord], hits: Iterable[SeenHit]) -> dict[str, JsonValue]:
    """How many near misses and hits by meaning there were by similarity and by confidence: `BINS` equal parts of
    [0, 1], a value on a border in the upper one. What is below 0 is in the first."""
    near, served = list(near_misses), list(hits)
    return {
        "similarity": {
            "near_misses": _binned([one.similarity for one in near]),
            "hits": _binned([one.similarity for one in served]),
        },
        # Of a near miss that was vetoed, or too far away, no confidence was worked out.
        "confidence": {
            "near_misses": _binned([one.confidence for one in near if one.confidence > 0.0]),
            "hits": _binned([one.confidence for one in served]),
        },
    }


def _binned(values: Iterable[float]) -> list[int]:
    bins = [0] * BINS
    for value in values:
        if math.isfinite(value):
            bins[min(BINS - 1, max(0, int(value * BINS + 1e-9)))] += 1
    return bins


def boundary_of(policy: PolicyReport | None) -> dict[str, JsonValue] | None:
    """Where the decision lies for a general question: `floor` is the cosine from which a candidate is judged,
    `confidence` the least that is served, and `by_floor` says that whatever is judged has that; None where nothing is
    served."""
    if policy is None:
        return None
    return {
        "floor": _finite(policy.floor),
        "confidence": _finite(policy.min_confidence),
        "by_floor": policy.min_confidence <= policy.floor,
        "text": str(policy),
    }


def alerts_of(firing: Iterable[Notice]) -> list[JsonValue]:
    """Alerts that are on; those of `telemetry.alerts` know since when."""
    return [
        {"name": one.name, "level": one.level, "text": one.text, "since": _plain(getattr(one, "since", None))}
        for one in islice(firing, _ALERTS)
    ]


def _plain(value: Any) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _finite(float(value))
    return str(value)[:200]


def pair_id(asked: str, stored: str, place: str) -> str:
    """Names a pair of questions at one place, so that the page need not send texts back."""
    digest = blake2b(digest_size=12)
    for part in (asked, stored, place):
        encoded = part.encode("utf-8", "replace")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def near_id(near: NearMissRecord) -> str:
    return pair_id(near.asked, near.stored, near.reference or "/".join(near.namespace))


def hit_id(hit: SeenHit) -> str:
    """Another one than that of the near miss that it was before somebody called it right."""
    return pair_id(hit.asked, hit.stored, f"hit {hit.reference}")


def pairs_of(
    near_misses: Sequence[NearMissRecord],
    labels: Mapping[str, Given],
    kept: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> list[JsonValue]:
    """Near misses, each pair once, those first that a label says most about: near and not vetoed, then vetoed, then too
    far away; of each the latest first. What has a label comes last.

    Args:
        labels: what was said since the page is served, by `near_id`.
        kept: what was said before, by stored and asked question; nobody knows what came of it.
    """
    found: dict[str, dict[str, JsonValue]] = {}
    for near in reversed(near_misses):
        name = near_id(near)
        if name in found:
            found[name]["count"] += 1
            continue
        found[name] = {
            "id": name,
            "asked": near.asked,
            "stored": near.stored,
            "similarity": _finite(near.similarity),
            "confidence": _finite(near.confidence),
            "reason": str(near.reason),
            "vetoed_by": list(near.vetoed_by),
            "at": _finite(near.at),
            "namespace": "/".join(near.namespace),
            "count": 1,
            "entry": near.reference.rpartition(":")[0],
            **_label(labels.get(name) or _before(kept.get((near.stored, near.asked)))),
        }
    return _few(sorted(found.values(), key=_place))


def _place(row: Mapping[str, JsonValue]) -> tuple[bool, bool]:
    return row["reason"] == MissReason.BELOW_THRESHOLD, bool(row["vetoed_by"])


def hits_of(hits: Sequence[SeenHit], labels: Mapping[str, Given]) -> list[JsonValue]:
    """Hits by meaning, each pair once, the latest first; those that have a label last."""
    found: dict[str, dict[str, JsonValue]] = {}
    for hit in reversed(hits):
        name = hit_id(hit)
        if name in found:
            found[name]["count"] += 1
            continue
        found[name] = {
            "id": name,
            "asked": hit.asked,
            "stored": hit.stored,
            "similarity": _finite(hit.similarity),
            "confidence": _finite(hit.confidence),
            "kind": hit.kind,
            "is_withheld": hit.is_withheld,
            "at": hit.at,
            "namespace": "/".join(hit.namespace),
            "count": 1,
            "entry": ":".join(hit.reference.split(":")[:2]),
            **_label(labels.get(name)),
        }
    return _few(found.values())


def _few(rows: Iterable[dict[str, JsonValue]]) -> list[JsonValue]:
    """Without a label before those with one; so many of either, so that a label given now shows at once."""
    parts: tuple[list[JsonValue], list[JsonValue]] = ([], [])
    for row in rows:
        parts[row["label"] is not None].append(row)
    return [row for part in parts for row in part[:_MOST_PAIRS]]


def _before(label: str | None) -> Given | None:
    return None if label is None else Given(label, "kept")


def _label(given: Given | None) -> dict[str, JsonValue]:
    return {"label": None if given is None else given.label, "outcome": None if given is None else given.outcome}


def entry_of(stored: Stored, now: float) -> dict[str, JsonValue]:
    """One stored answer without the answer."""
    entry = stored.entry
    return {
        "entry": f"{entry.scope}:{entry.key}",
        "text": entry.text,
        "namespace": "/".join(entry.namespace),
        "query_type": entry.profile.query_type,
        "tags": list(entry.profile.tags),
        "model": entry.model,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "is_expired": entry.is_expired(now),
        "is_stale": entry.stale_at is not None,
        "reads": stored.access_count,
        "tier": stored.tier,
        "node_id": entry.node_id,
    }


def explanation_of(found: Explanation, mode: str | None) -> JsonValue:
    """What a lookup would do: its outcome, and a row for each candidate.

    Args:
        mode: of the roll-out: a hit is not always served.
    """
    return {
        "mode": mode,
        "outcome": found.outcome,
        "detail": found.detail,
        "matched": found.matched,
        "confidence": _finite(found.confidence),
        "exact": found.exact,
        "normalised": found.normalised,
        "query_type": found.query_type,
        "policy": None if found.policy is None else str(found.policy),
        "is_exact_only": found.is_exact_only,
        "candidates": [
            {
                "question": one.question,
                "similarity": _finite(one.similarity),
                "confidence": _finite(one.confidence),
                "reason": None if one.reason is None else str(one.reason),
                "said": [
                    f"{said.guard}: {said.verdict} {said.detail}".rstrip()
                    for said in one.verdicts
                    if said.verdict != "silent"
                ],
            }
            for one in found.candidates
        ],
    }


def _finite(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if math.isfinite(value) else None
