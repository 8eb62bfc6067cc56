"""Every method on a stream of requests, in order and from an empty cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.guard_sets import GUARD_SETS, with_set
from benchmarks.quality.material import vectors_of
from benchmarks.quality.pairs import CHAIN, LEXICAL, UNVERIFIED
from benchmarks.quality.peers import FIXED, VerifiedEntry, VerifiedPolicy
from benchmarks.quality.scored import PreparedVerifier
from llmcache_plugins.evaluation import (
    LabelledRequest,
    PreparedEmbedder,
    Progress,
    StreamScores,
    open_replay_cache,
    replay_stream,
    score_stream,
)
from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray, Request

__all__ = ["COSINES", "DELTAS", "ERROR_RATES", "SCORED", "Stream", "one_cosine", "pooled", "run_stream"]

COSINES = tuple(round(0.80 + 0.01 * step, 3) for step in range(15)) + tuple(
    round(0.95 + 0.005 * step, 3) for step in range(10)
)
ERROR_RATES = (0.002, 0.005, 0.01, 0.02, 0.05)
DELTAS = (0.005, 0.01, 0.02, 0.05)
# The streams that the mean is taken over; the two of hint3 are one, their requests counted together.
SCORED = ("banking77", "clinc150", "covidq", "hint3", "hwu64", "osschat", "qqp_zipf", "text2sql")
_HINT3 = ("hint3_curekart", "hint3_sofmattress")

Served = list[int | None]


@dataclass(frozen=True, slots=True)
class Stream:
    """The requests of a stream, and what any cache may know of them: which are equal, and the cosine of any two.

    Args:
        keys: equal for requests that are matched exactly.
        scopes: equal for requests that may be matched by meaning.
        cosine: of any two texts; -1 where one does not fit the embedder.
    """

    rows: Sequence[LabelledRequest]
    keys: Sequence[str]
    scopes: Sequence[str]
    cosine: FloatArray

    @classmethod
    def of(
        cls, rows: Sequence[LabelledRequest], embedder: PreparedEmbedder, *, last_turn_alone: bool = False
    ) -> Stream:
        requests = [Request(row.request.text) if last_turn_alone else row.request for row in rows]
        identities = [identify(request) for request in requests]
        vectors, fits = vectors_of(embedder, requests)
        cosine = vectors @ vectors.T
        cosine[~fits, :] = -1.0
        cosine[:, ~fits] = -1.0
        return cls(rows, [one.key for one in identities], [one.scope for one in identities], cosine)

    def score(self, served: Served) -> StreamScores:
        return score_stream(self.rows, served)


def replay_cosine(stream: Stream, threshold: float) -> Served:
    """A cache that serves the nearest stored question at or above a cosine, and an equal one always."""
    known: dict[str, int] = {}
    stored: dict[str, NDArray[np.int64]] = {}
    counts: dict[str, int] = {}
    served: Served = []
    for row, (key, scope) in enumerate(zip(stream.keys, stream.scopes, strict=True)):
        found = known.get(key)
        if found is None and counts.get(scope):
            candidates = stored[scope][: counts[scope]]
            near = stream.cosine[row].take(candidates)
            best = int(near.argmax())
            found = int(candidates[best]) if near[best] >= threshold else None
        served.append(found)
        if found is None:
            known[key] = row
            _append(stored, counts, scope, row)
    return served


def _append(stored: dict[str, NDArray[np.int64]], counts: dict[str, int], scope: str, row: int) -> None:
    count = counts.get(scope, 0)
    if scope not in stored:
        stored[scope] = np.empty(4, np.int64)
    elif count == len(stored[scope]):
        stored[scope] = np.concatenate([stored[scope], np.empty(count, np.int64)])
    stored[scope][count] = row
    counts[scope] = count + 1


def replay_verified(stream: Stream, delta: float) -> Served:
    """vCache's policy with the labels as the judge of an explored answer, which is more than it has in service.

    An explored request whose nearest neighbour was right is not stored; one whose neighbour was wrong is.
    """
    policy = VerifiedPolicy(delta)
    entries: dict[int, VerifiedEntry] = {}
    stored: dict[str, NDArray[np.int64]] = {}
    counts: dict[str, int] = {}
    served: Served = []
    for row, scope in enumerate(stream.scopes):
        found = None
        is_new = True
        if counts.get(scope):
            candidates = stored[scope][: counts[scope]]
            near = stream.cosine[row].take(candidates)
            best = int(near.argmax())
            neighbour, similarity = int(candidates[best]), float(near[best])
            entry = entries[neighbour]
            if similarity > -1.0 and not policy.explores(entry, similarity):
                found, is_new = neighbour, False
            elif similarity > -1.0:
                is_right = stream.rows[row].label == stream.rows[neighbour].label
                entry.observe(similarity, is_right)
                is_new = not is_right
        served.append(found)
        if is_new:
            entries[row] = VerifiedEntry()
            _append(stored, counts, scope, row)
    return served


def replay_ours(
    rows: Sequence[LabelledRequest], embedder: Embedder | None, progress: Progress, **settings: Any
) -> Served:
    """The public cache."""
    with open_replay_cache(embedder, rows=len(rows), **settings) as cache:
        return [one.row for one in replay_stream(cache, [row.request for row in rows], progress)]


def run_stream(
    rows: Sequence[LabelledRequest],
    embedder: PreparedEmbedder,
    verifier: PreparedVerifier | None,
    progress: Progress,
    *,
    in_full: bool,
) -> dict[str, StreamScores]:
    """Scores by method. Not `in_full`: without the sets of guards and the sweeps over error rates."""
    stream = Stream.of(rows, embedder)
    scores: dict[str, StreamScores] = {}
    scores["exact and normalised"] = score_stream(rows, replay_ours(rows, None, progress))
    for number, cosine in enumerate(COSINES):
        progress("cosines", number + 1, len(COSINES))
        scores[f"cosine {cosine:.3f}"] = stream.score(replay_cosine(stream, cosine))
    scores["cosine 0.95 and guards"] = stream.score(replay_ours(rows, embedder, progress, similarity_threshold=0.95))
    scores[CHAIN] = stream.score(replay_ours(rows, embedder, progress, verifier=verifier))
    scores[UNVERIFIED] = stream.score(replay_ours(rows, embedder, progress, verifier=None))
    scores[LEXICAL] = stream.score(replay_ours(rows, LexicalMatcher(), progress))
    has_messages = len(set(stream.scopes)) > 1
    alone = Stream.of(rows, embedder, last_turn_alone=True) if has_messages else stream
    for peer in FIXED:
        if peer.reads_last_turn_alone or not has_messages:
            scores[peer.name] = alone.score(replay_cosine(alone, peer.cosine))
    for delta in DELTAS if in_full else (0.01,):
        scores[f"vCache {delta:g}"] = alone.score(replay_verified(alone, delta))
    for title, guards in GUARD_SETS.items() if in_full else ():
        served = replay_ours(rows, embedder, progress, similarity_threshold=0.95, guards=guards)
        scores[with_set(title)] = stream.score(served)
    for rate in ERROR_RATES if in_full else ():
        served = replay_ours(rows, embedder, progress, verifier=verifier, max_error_rate=rate)
        scores[f"{CHAIN} {rate:g}"] = stream.score(served)
    return scores


def pooled(by_stream: Mapping[str, StreamScores]) -> dict[str, StreamScores]:
    """The streams of `SCORED`, the two of hint3 added up; those that are missing are left out."""
    found = {name: scores for name, scores in by_stream.items() if name in SCORED}
    parts = [by_stream[name] for name in _HINT3 if name in by_stream]
    if parts:
        found["hint3"] = StreamScores(
            requests=_sum(parts, lambda one: one.requests),
            right=_sum(parts, lambda one: one.right),
            wrong=_sum(parts, lambda one: one.wrong),
            unjudged=_sum(parts, lambda one: one.unjudged),
            variants=_sum(parts, lambda one: one.variants),
            variants_hit=_sum(parts, lambda one: one.variants_hit),
            variants_right=_sum(parts, lambda one: one.variants_right),
        )
    return {name: found[name] for name in SCORED if name in found}


def _sum(parts: Sequence[StreamScores], of: Callable[[StreamScores], int]) -> int:
    return sum(of(one) for one in parts)


def one_cosine(by_stream: Mapping[str, Mapping[str, StreamScores]], most_wrong: float = 0.01) -> tuple[float, float]:
    """The lowest threshold of the grid from which on the error rate of every stream stays within `most_wrong`, and the
    mean hit rate it has; (1, mean of exact matches) when there is none.

    Args:
        by_stream: stream -> method -> scores.
    """
    chosen = None
    for cosine in sorted(COSINES, reverse=True):
        scores = pooled({name: methods[f"cosine {cosine:.3f}"] for name, methods in by_stream.items()})
        if any(one.wrong > most_wrong * one.requests for one in scores.values()):
            break
        chosen = cosine
    method = "exact and normalised" if chosen is None else f"cosine {chosen:.3f}"
    scores = pooled({name: methods[method] for name, methods in by_stream.items()})
    rates = [one.hits / one.requests for one in scores.values()]
    return (1.0 if chosen is None else chosen), sum(rates) / max(1, len(rates))
