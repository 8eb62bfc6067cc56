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
from benchmarks.quality.scored import PreparedVerifier
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
from llmcache_plugins.types import Hit, Verdict

__all__ = [
    "ABLATION",
    "ALONE",
    "BUDGETS",
    "CHAIN",
    "COSINES",
    "LEXICAL",
    "UNVERIFIED",
    "UNWEIGHED",
    "PairRuns",
    "run_pairs",
]

BoolArray = NDArray[np.bool_]
COSINES = (*(round(0.80 + 0.01 * step, 2) for step in range(20)),)
BUDGETS = (0.005, 0.01, 0.02, 0.05)
CHAIN, LEXICAL = "whole chain", "LexicalMatcher (no model)"
UNVERIFIED = "without the verifier"
UNCHECKED, UNWEIGHED, ALONE = "without the guards", "verifier and guards alone", "verifier alone"
ABLATION = (UNCHECKED, UNWEIGHED, ALONE)
_UNGUARDED = (UNCHECKED, ALONE)
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


def run_pairs(
    rows: Sequence[LabelledPair], embedder: PreparedEmbedder, verifier: PreparedVerifier | None, progress: Progress
) -> PairRuns:
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
    hits[UNVERIFIED] = _replayed(rows, embedder, progress, verifier=None) != ""
    hits[LEXICAL] = _replayed(rows, LexicalMatcher(), progress) != ""
    found = _scores(rows, embedder, verifier, near, exact, scope, progress)  # prepares the verifier for the chain too
    hits[CHAIN] = _replayed(rows, embedder, progress, verifier=verifier) != ""
    return PairRuns(rows, similarity, hits, *found)


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
    verifier: PreparedVerifier | None,
    near: Scores,
    exact: BoolArray,
    scope: BoolArray,
    progress: Progress,
) -> tuple[dict[str, Scores], Scores]:
    """Scores of each method for each row, and the bare confidence of the chain where it works one out."""
    decider = _Decider(embedder, verifier)
    cosine = np.where(exact, _EXACT, np.where(near > -1.0, near, -np.inf))
    scores = {name: np.where(exact, _EXACT, -np.inf) for name in (UNVERIFIED, LEXICAL, CHAIN, *ABLATION)}
    scores["cosine"], scores["cosine and guards"] = cosine, cosine.copy()
    confidence = np.full(len(rows), np.nan)
    open_rows = [at for at, row in enumerate(rows) if scope[at] and not exact[at]]
    decider.prepare([(rows[at].b.text, rows[at].a.text) for at in open_rows if near[at] >= decider.floor], progress)
    for done, at in enumerate(open_rows, 1):
        progress("judging", done, len(open_rows))
        row = rows[at]
        verdicts = judge(row.b.text, row.a.text)
        is_vetoed = has_conflict(verdicts)
        if is_vetoed:
            scores["cosine and guards"][at] = -np.inf
        if row.a.exact_only or row.b.exact_only or payload_of(row.a.text) or payload_of(row.b.text):
            continue
        if not is_vetoed and decider.matcher.fits(row.a.text) and decider.matcher.fits(row.b.text):
            scores[LEXICAL][at] = decider.matcher.score(row.b.text, row.a.text)
        if near[at] <= -1.0:
            continue
        if normalise_text(row.a.text) == normalise_text(row.b.text) and not is_vetoed:
            for name in (UNVERIFIED, CHAIN, *ABLATION):
                scores[name][at] = _NORMALISED
        elif near[at] >= decider.floor:
            for name, score in decider.scores(row.b.text, row.a.text, float(near[at]), verdicts).items():
                if not is_vetoed or name in _UNGUARDED:
                    scores[name][at] = score
            if not is_vetoed:
                confidence[at] = scores[CHAIN][at]
    return scores, confidence


class _Decider:
    """Every score of a pair that rests on a model or on fitted trees. The verifier is asked of every pair here, so that
    a curve can be drawn for any threshold; in service it is asked in its zone alone."""

    def __init__(self, embedder: PreparedEmbedder, verifier: PreparedVerifier | None) -> None:
        self.matcher = LexicalMatcher()
        self._verifier = verifier
        self._plain = policies_for(CacheConfig(), embedder, has_grey_zone=True).default
        self._verified = policies_for(CacheConfig(), embedder, verifier=verifier).default if verifier else None
        self.floor = min(self._plain.floor, self._plain.floor if self._verified is None else self._verified.floor)

    def prepare(self, pairs: Sequence[tuple[str, str]], progress: Progress) -> None:
        if self._verifier is not None:
            self._verifier.prepare(pairs, progress)

    def scores(self, asked: str, stored: str, similarity: float, verdicts: Sequence[Verdict]) -> dict[str, float]:
        plain = self._plain.confidence(asked, stored, similarity, (), verdicts)
        score = None if self._verifier is None else self._verifier.score(asked, stored)
        if score is None or self._verified is None:
            return {UNVERIFIED: plain, CHAIN: plain, UNCHECKED: plain, ALONE: -np.inf, UNWEIGHED: -np.inf}
        chain = self._verified.combine(plain, score)
        return {UNVERIFIED: plain, CHAIN: chain, UNCHECKED: chain, ALONE: score, UNWEIGHED: score}
