"""Every method on pairs and conversations: who would serve the answer to `a` for `b`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.curves import Scores, curve_of
from benchmarks.quality.guard_sets import GUARD_SETS, with_set
from benchmarks.quality.material import same_context, similarities
from benchmarks.quality.peers import FIXED
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import policies_for
from llmcache_plugins.evaluation import (
    LabelledPair,
    PairScores,
    PreparedEmbedder,
    Progress,
    open_replay_cache,
    replay_pairs,
    score_pairs,
)
from llmcache_plugins.keys.fingerprint import identify, normalise_text
from llmcache_plugins.matching.decision import has_conflict
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.policies import payload_of
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Hit

__all__ = ["BUDGETS", "CHAIN", "COSINES", "LEXICAL", "PairRuns", "run_pairs"]

BoolArray = NDArray[np.bool_]
COSINES = (*(round(0.80 + 0.01 * step, 2) for step in range(20)),)
BUDGETS = (0.005, 0.01, 0.02, 0.05)
CHAIN, LEXICAL = "whole chain", "LexicalMatcher (no model)"
_EXACT, _NORMALISED = 3.0, 2.0  # scores above every confidence: these matches rest on no judgement


@dataclass(frozen=True, slots=True)
class PairRuns:
    """Rows, and what became of each under every method.

    Args:
        similarity: cosine, -1 where a text does not fit the embedder.
        hits: method -> whether each row hit.
        scores: method -> a score for each row, of which a threshold serves the higher; -inf is never served.
        confidence: of the rows that no guard vetoed and that are near enough to be judged; NaN of the others.
    """

    rows: Sequence[LabelledPair]
    similarity: Scores
    hits: Mapping[str, BoolArray]
    scores: Mapping[str, Scores]
    confidence: Scores

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.array([row.label for row in self.rows], np.int64)

    def only(self, keep: Callable[[LabelledPair], bool]) -> PairRuns:
        at = np.array([index for index, row in enumerate(self.rows) if keep(row)], int)
        return PairRuns(
            [self.rows[index] for index in at],
            self.similarity[at],
            {name: hits[at] for name, hits in self.hits.items()},
            {name: scores[at] for name, scores in self.scores.items()},
            self.confidence[at],
        )

    def scored(self, method: str) -> PairScores:
        return score_pairs(self.rows, self.hits[method].tolist())

    def as_json(self) -> dict[str, Any]:
        """Rates of every method, and of every score its curve: area, best hit rates, points."""
        curves = {}
        for name, scores in self.scores.items():
            curve = curve_of(scores, self.labels)
            best = {f"{most:g}": curve.best(most) for most in BUDGETS}
            curves[name] = {
                "area": curve.area,
                "best": {most: _best_json(one) for most, one in best.items()},
                "points": curve.points(),
            }
        return {"methods": {name: self.scored(name).all.as_json() for name in self.hits}, "curves": curves}


def _best_json(best: Any) -> dict[str, Any]:
    return {
        "threshold": best.threshold if np.isfinite(best.threshold) else None,
        "recall": best.right / max(1, best.positives),
        "counts": [best.right, best.positives, best.wrong, best.negatives],
    }


def run_pairs(rows: Sequence[LabelledPair], embedder: PreparedEmbedder, progress: Progress) -> PairRuns:
    """Every method on these rows. What is ours goes through the public cache; of peers only the rule is computed, on
    the same vectors, with every question and context given to it that it would see."""
    similarity = similarities(embedder, rows).astype(np.float64)
    scope = np.array([same_context(row) for row in rows])
    exact = np.array([identify(row.a) == identify(row.b) for row in rows])
    near = np.where(scope, similarity, -1.0)
    hits: dict[str, BoolArray] = {}
    without = _replayed(rows, None, progress)
    hits["exact only"] = without == "exact"
    hits["exact and normalised"] = without != ""
    for cosine in COSINES:
        hits[f"cosine {cosine:.2f}"] = (near >= cosine) | exact
    for peer in FIXED:
        hits[peer.name] = ((similarity if peer.reads_last_turn_alone else near) >= peer.cosine) | exact
    hits["cosine 0.95 and guards"] = _replayed(rows, embedder, progress, similarity_threshold=0.95) != ""
    for title, guards in GUARD_SETS.items():
        served = _replayed(rows, embedder, progress, similarity_threshold=0.95, guards=guards)
        hits[with_set(title)] = served != ""
    hits[CHAIN] = _replayed(rows, embedder, progress) != ""
    hits[LEXICAL] = _replayed(rows, LexicalMatcher(), progress) != ""
    return PairRuns(rows, similarity, hits, *_scores(rows, embedder, near, exact, scope, progress))


def _replayed(
    rows: Sequence[LabelledPair], embedder: Embedder | None, progress: Progress, **settings: Any
) -> NDArray[np.str_]:
    """The kind of each hit, "" for a miss."""
    with open_replay_cache(embedder, rows=len(rows), **settings) as cache:
        outcomes = replay_pairs(cache, [(row.a, row.b) for row in rows], progress)
    return np.array([outcome.kind if isinstance(outcome, Hit) else "" for outcome in outcomes])


def _scores(
    rows: Sequence[LabelledPair],
    embedder: PreparedEmbedder,
    near: Scores,
    exact: BoolArray,
    scope: BoolArray,
    progress: Progress,
) -> tuple[dict[str, Scores], Scores]:
    """Scores of four methods for each row, and the bare confidence where the chain works one out."""
    policy, matcher = policies_for(CacheConfig(), embedder, has_grey_zone=True).default, LexicalMatcher()
    cosine = np.where(exact, _EXACT, np.where(near > -1.0, near, -np.inf))
    guarded, chain = cosine.copy(), np.full(len(rows), -np.inf)
    confidence, lexical = np.full(len(rows), np.nan), chain.copy()
    for at, row in enumerate(rows):
        progress("judging", at + 1, len(rows))
        if exact[at]:
            chain[at] = lexical[at] = _EXACT
            continue
        if not scope[at]:
            continue
        verdicts = judge(row.b.text, row.a.text)
        if has_conflict(verdicts):
            guarded[at] = -np.inf
            continue
        if row.a.exact_only or row.b.exact_only or payload_of(row.a.text) or payload_of(row.b.text):
            continue
        if matcher.fits(row.a.text) and matcher.fits(row.b.text):
            lexical[at] = matcher.score(row.b.text, row.a.text)
        if near[at] <= -1.0:
            continue
        if normalise_text(row.a.text) == normalise_text(row.b.text):
            chain[at] = _NORMALISED
        elif near[at] >= policy.floor:
            chain[at] = confidence[at] = policy.confidence(row.b.text, row.a.text, float(near[at]), (), verdicts)
    return {"cosine": cosine, "cosine and guards": guarded, CHAIN: chain, LEXICAL: lexical}, confidence
