"""A calibration's second look: the same evidence and the verifier's score, fitted on what the verifier never saw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from confidence_rows import LabelledPair
from confidence_streams import Stream, Zone
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.scored import PreparedVerifier
from llmcache_plugins.evaluation import Progress
from llmcache_plugins.matching.calibration import Calibration, VerifiedCalibration
from llmcache_plugins.matching.guards import judge

__all__ = ["JUDGE_FROM", "LEAST_LIKELY", "choose_verified", "fit_verified", "grey_from"]

LEAST_LIKELY = 0.1  # confidence without a score below which nobody is ever asked
JUDGE_FROM = 0.25  # confidence with a score from which a model call is worth it
FLIPPED = 0.02  # share of the decisions a score could still change that are given up at either end of the zone


def fit_verified(
    pairs: Sequence[LabelledPair], calibration: Calibration, verifier: PreparedVerifier, progress: Progress
) -> tuple[list[float], Counter[tuple[str, bool]], tuple[np.ndarray, np.ndarray]]:
    """The weights (bias, confidence, score), how many pairs of which source and label they have seen, and of these
    pairs the confidence without a score and with it.

    Args:
        pairs: none that the verifier or the calibration was fitted on: both are too sure of what they have seen.
        calibration: one that was fitted without these pairs.
    """
    rows, labels, weights = [], [], []
    used: Counter[tuple[str, bool]] = Counter()
    likely: list[tuple[LabelledPair, float]] = []
    for pair in pairs:
        verdicts = judge(pair.asked, pair.stored)
        if all(one.verdict != "conflict" for one in verdicts):
            found = calibration.confidence(pair.asked, pair.stored, pair.similarity, pair.others, verdicts)
            if found >= LEAST_LIKELY:
                likely.append((pair, found))
    verifier.prepare([(pair.asked, pair.stored) for pair, _ in likely], progress)
    for pair, found in likely:
        score = verifier.score(pair.asked, pair.stored)
        if score is not None:
            rows.append((logit(found), logit(score)))
            labels.append(pair.is_right)
            weights.append(pair.weight)
            used[pair.source, pair.is_right] += 1
    model = LogisticRegression().fit(np.array(rows), np.array(labels), sample_weight=np.array(weights))
    plain = 1.0 / (1.0 + np.exp(-np.array(rows)[:, 0]))
    fitted = [float(model.intercept_[0]), *(float(weight) for weight in model.coef_[0])]
    return [round(weight, 4) for weight in fitted], used, (plain, model.predict_proba(np.array(rows))[:, 1])


def logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(clipped / (1.0 - clipped))


def zone_of(
    least: float,
    both: tuple[np.ndarray, np.ndarray],
    calibration: Calibration,
    verified: VerifiedCalibration,
    verifier: PreparedVerifier,
    budget: float,
) -> Zone:
    """The zone in which a score changes decisions at this threshold: of the pairs that are enough with their score only
    a few lie below it without one, and of those above it only a few would be too little with their score."""
    plain, second = both
    asked_from = grey_from(least, both)
    order = np.argsort(-plain)
    refused = np.cumsum(second[order] < least) / np.arange(1, len(order) + 1)
    within = np.flatnonzero(refused <= FLIPPED)
    sure_from = float(plain[order[within[-1]]]) if len(within) else 1.0
    silent = calibration.min_confidence(budget)
    return Zone(verified, verifier.score, asked_from, round(max(sure_from, asked_from), 3), silent)


def grey_from(least: float, both: tuple[np.ndarray, np.ndarray]) -> float:
    """The confidence without a score that all but a few of the pairs have that reach `least` with one."""
    plain, second = both
    enough = plain[second >= least]
    return round(float(np.quantile(enough, FLIPPED)), 3) if len(enough) else least


def choose_verified(
    calibration: Calibration,
    verified: VerifiedCalibration,
    both: tuple[np.ndarray, np.ndarray],
    streams: Mapping[str, Stream],
    verifier: PreparedVerifier,
    budgets: Sequence[float],
    progress: Progress,
) -> tuple[dict[str, list[tuple[float, float]]], str]:
    """For each budget the least confidence with a score from which on every stream stays within it, and its zone; and
    the table that shows it."""
    pairs = [pair for stream in streams.values() for pair in stream.likely_pairs(LEAST_LIKELY)]
    verifier.prepare(pairs, progress)
    grid = [round(0.4 + 0.01 * step, 3) for step in range(50)] + [round(0.9 + 0.004 * step, 3) for step in range(25)]
    chosen: dict[str, list[tuple[float, float]]] = {"budgets": [], "grey_from": [], "sure_from": []}
    lines = [
        "| budget | least confidence | asked from | sure from | mean hit rate | highest error rate | asked |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for done, budget in enumerate(budgets, 1):
        found = None
        for least in reversed(grid):
            zone = zone_of(least, both, calibration, verified, verifier, budget)
            results = {name: stream.replay(least, zone) for name, stream in streams.items()}
            if any(one.wrong - 1 > budget * one.requests for one in results.values()):
                break
            found = least, zone, results
        if found is None:
            raise SystemExit(f"no confidence keeps the budget of {budget:.1%}; leave it out of BUDGETS")
        least, zone, results = found
        chosen["budgets"].append((budget, least))
        chosen["grey_from"].append((budget, zone.grey_from))
        chosen["sure_from"].append((budget, zone.sure_from))
        mean = sum(one.hit_rate for one in results.values()) / len(results)
        worst = max(one.error_rate for one in results.values())
        asked = sum(one.asked for one in results.values()) / sum(one.searched for one in results.values())
        lines.append(
            f"| {budget:.1%} | {least:.3f} | {zone.grey_from:.3f} | {zone.sure_from:.3f} | {mean:.1%} | {worst:.2%} "
            f"| {asked:.0%} |"
        )
        progress("choosing", done, len(budgets))
    return chosen, "\n".join(lines)
