"""Everything that is measured, as one JSON value: docs/quality.json, of which the tables and plots are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.quality.adaptive import run_adaptive
from benchmarks.quality.asked import asked_of_stream
from benchmarks.quality.blind import run_blind
from benchmarks.quality.confidence import reliability, timing
from benchmarks.quality.curves import mean_over
from benchmarks.quality.followups import followups
from benchmarks.quality.guards import NEAR, guard_vetoes, judged
from benchmarks.quality.judged import judged_pairs, judged_stream
from benchmarks.quality.material import Material, is_english, same_context
from benchmarks.quality.pairs import BUDGETS, CHAIN, UNVERIFIED, PairRuns, run_pairs
from benchmarks.quality.paraphrases import guard_aim
from benchmarks.quality.patterns import patterns
from benchmarks.quality.streams import SCORED, one_cosine, pooled, run_stream
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import policies_for
from llmcache_plugins.evaluation import LabelledPair, LabelledRequest, Progress, StreamScores
from llmcache_plugins.matching.calibration import calibration_for
from llmcache_plugins.matching.guards import GUARDS_VERSION
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import JsonValue

__all__ = ["FOW", "MINIMAL", "NATURAL", "about", "measure"]

NATURAL, MINIMAL, FOW = "natural English pairs", "English minimal pairs", "fow_cache"
_TALKS = "stream_conversations"
_TIMED_STREAM = "stream_qqp_zipf"


def measure(
    material: Material,
    model: Embedder,
    progress: Callable[[str], Progress],
    *,
    timed: Mapping[str, JsonValue] | None = None,
) -> dict[str, JsonValue]:
    """Run everything on the report part, the streams also whole, and the guards also on the other parts' rewordings.

    Args:
        model: the embedder itself, to be timed.
        progress: makes a `Progress` for a step of the work.
        timed: the timing of another run, to be told instead of timing again.
    """
    runs = {
        name: run_pairs(material.report[name].pairs, material.embedder, material.verifier, progress(name))
        for name in ("pairs", "adversarial", "conversations")
        if name in material.report
    }
    streams = {
        part: {
            name.removeprefix("stream_"): run_stream(
                files[name].stream,
                material.embedder,
                material.verifier,
                progress(f"{name}, {part}"),
                in_full=part == "report",
            )
            for name in files
            if name.startswith("stream_")
        }
        for part, files in (("report", material.report), ("whole", material.whole))
    }
    sets = _sets(runs)
    return {
        "about": {**about(material), "disagreements": _disagreements(runs, material)},
        "pairs": {name: one.as_json() for name, one in sets.items()},
        "minimal": _minimal(sets[MINIMAL], material),
        "judge": _judged(sets, material, progress),
        "asked": _asked(material, progress),
        "conversations": _conversations(runs["conversations"]),
        "followups": _followups(material, progress),
        "guards": {"near": NEAR, **_guarded(runs)},
        "guard aim": guard_aim(material),
        "blind": run_blind(material.embedder, progress),
        "patterns": patterns(material.embedder, progress, verifier=material.verifier),
        "reliability": {name: reliability(one) for name, one in sets.items()},
        "streams": {part: _streams(found) for part, found in streams.items()},
        "adaptive": run_adaptive(_whole_streams(material), material.embedder, material.verifier, progress),
        "timing": dict(timed)
        if timed is not None
        else timing(material.whole[_TIMED_STREAM].stream, material.embedder, model),
    }


def about(material: Material) -> dict[str, JsonValue]:
    """What the figures belong to: data, embedder, guards, calibration and policy."""
    policy = policies_for(CacheConfig(), material.embedder, verifier=material.verifier).default
    calibration = calibration_for(material.embedder.embedder_id)
    return {
        "data_hash": material.data_hash,
        "embedder_id": material.embedder.embedder_id,
        "guards_version": GUARDS_VERSION,
        "calibration": None if calibration is None else calibration.version,
        "calibration_guards_version": None if calibration is None else calibration.guards_version,
        "policy": policy.policy_id,
        "min_confidence": policy.min_confidence,
        "min_confidence_for_records": None
        if calibration is None
        else calibration.min_confidence_for_records(policy.max_error_rate or 0.01),
        "verifier": None if material.verifier is None else material.verifier.verifier_id,
        "grey_from": policy.grey_from,
        "sure_from": policy.sure_from,
        "floor": policy.floor,
        "rows": {name: len(file) for name, file in material.report.items()},
    }


def _disagreements(runs: Mapping[str, PairRuns], material: Material) -> int:
    """Rows that the public look-up decides otherwise than the confidence does that the curves are drawn of, without a
    verifier: with one, a few are decided without asking it."""
    policy = policies_for(CacheConfig(), material.embedder).default
    found = 0
    for one in runs.values():
        own = [policy.for_stored(row.a.text) or policy for row in one.rows]
        least = np.array([policy.min_confidence for policy in own])
        found += int(((one.scores[UNVERIFIED] >= least) != one.hits[UNVERIFIED]).sum())
    return found


def _whole_streams(material: Material) -> dict[str, Sequence[LabelledRequest]]:
    return {name.removeprefix("stream_"): file.stream for name, file in material.whole.items()}


def _followups(material: Material, progress: Callable[[str], Progress]) -> dict[str, JsonValue]:
    """Turns that stand alone and follow-ups, on the conversations and their stream."""
    parts = {"report": material.report, "whole": material.whole}
    streams = {part: files[_TALKS].stream for part, files in parts.items() if _TALKS in files}
    pairs = material.report["conversations"].pairs
    return followups(pairs, streams, material.embedder, progress, verifier=material.verifier)


def _asked(material: Material, progress: Callable[[str], Progress]) -> dict[str, JsonValue]:
    """How often the verifier is asked on the whole streams that one mean is taken over."""
    return {
        name.removeprefix("stream_"): asked_of_stream(file.stream, material, progress(f"{name}, asked"))
        for name, file in material.whole.items()
        if name.removeprefix("stream_") in SCORED or "hint3" in name
    }


def _judged(
    sets: Mapping[str, PairRuns], material: Material, progress: Callable[[str], Progress]
) -> dict[str, JsonValue]:
    """What a judge that is always right would add to pairs, and to the streams one mean is taken over."""
    pairs = {name: judged_pairs(sets[name].rows, material, progress(f"{name}, judged")) for name in (FOW, NATURAL)}
    streams = {
        name: judged_stream(file.stream, material, progress(f"{name}, judged"))
        for name, file in material.report.items()
        if name.removeprefix("stream_") in SCORED or "hint3" in name
    }
    return {"pairs": pairs, "streams": streams}


def _clear(row: LabelledPair) -> bool:
    return not row.ambiguous


def _is_fow(row: LabelledPair) -> bool:
    return row.source == "fow_cache"


def _sets(runs: Mapping[str, PairRuns]) -> dict[str, PairRuns]:
    """The sets of pairs that curves are drawn of; none has an ambiguous row."""
    pairs, adversarial = runs["pairs"].only(_clear), runs["adversarial"].only(_clear)
    return {
        NATURAL: pairs.only(is_english),
        "natural pairs, all languages": pairs,
        MINIMAL: adversarial.only(is_english),
        "minimal pairs, all languages": adversarial,
        FOW: adversarial.only(_is_fow),
    }


def _guarded(runs: Mapping[str, PairRuns]) -> dict[str, Any]:
    english = {"natural": runs["pairs"].only(is_english), "minimal": runs["adversarial"].only(is_english)}
    return {name: guard_vetoes(judged(one.rows, one.similarity, NEAR)) for name, one in english.items()}


def _minimal(runs: PairRuns, material: Material) -> dict[str, JsonValue]:
    """By family for every method, the plain mean over families, and controls whose texts the embedder can read."""
    fits = material.embedder.fits
    readable = runs.only(lambda row: fits(row.a.text) and fits(row.b.text))
    families = [row.family for row in runs.rows]
    at_most: dict[str, Any] = {}
    for method, scores in runs.scores.items():
        reached = {f"{most:g}": mean_over(scores, runs.labels, families, most) for most in BUDGETS}
        at_most[method] = {
            most: {"mean_wrong": mean, "right": best.right, "positives": best.positives, "threshold": best.threshold}
            for most, (mean, best) in reached.items()
            if best.positives
        }
    methods = {}
    for method in runs.hits:
        scored = runs.scored(method)
        methods[method] = {
            "mean_wrong_hit_rate": scored.mean_wrong_hit_rate,
            "families": {name: counts.as_json() for name, counts in scored.by.get("by_family", {}).items()},
            "readable": readable.scored(method).all.as_json(),
        }
    return {"methods": methods, "at_most": at_most}


def _conversations(runs: PairRuns) -> dict[str, JsonValue]:
    """Every method on all rows, on the rows of equal context, by kind; ambiguous rows apart."""
    equal = runs.only(same_context)
    return {
        method: {**runs.scored(method).as_json(), "equal_context": equal.scored(method).all.as_json()}
        for method in runs.hits
    }


def _streams(found: Mapping[str, Mapping[str, StreamScores]]) -> dict[str, JsonValue]:
    """Scores by stream and method, those of the streams the mean is taken over, and the one cosine for all of them."""
    by_method: dict[str, Any] = {}
    for method in next(iter(found.values())):
        scores = pooled({name: methods[method] for name, methods in found.items() if method in methods})
        by_method[method] = {
            "streams": {name: one.as_json() for name, one in scores.items()},
            "mean_hit_rate": sum(one.hits / one.requests for one in scores.values()) / max(1, len(scores)),
            "worst_error_rate": max((one.wrong / one.requests for one in scores.values()), default=0.0),
        }
    cosine, mean = one_cosine(found)
    return {
        "all": {name: {m: one.as_json() for m, one in methods.items()} for name, methods in found.items()},
        "scored": by_method,
        "one_cosine": {"threshold": cosine, "mean_hit_rate": mean},
        "chain": CHAIN,
    }
