"""Is a confidence of 0.9 right nine times in ten? And what do guards and confidence cost?"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.quality.pairs import PairRuns
from benchmarks.quality.streams import Stream
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import policies_for
from llmcache_plugins.evaluation import LabelledRequest, PreparedEmbedder
from llmcache_plugins.matching import features
from llmcache_plugins.matching.decision import decide
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Candidate, Entry

__all__ = ["reliability", "timing"]

_BINS = 10
_CANDIDATES = 8
_TIMED = 2000
_EMBEDDED = 500


def reliability(runs: PairRuns) -> dict[str, Any]:
    """Ten bins of equally many pairs by confidence: the mean confidence, the share that is right, and how many; and the
    expected calibration error, the mean distance of the two weighted by size.

    Counted are the pairs the policy gave a confidence: near enough, and vetoed by no guard.
    """
    judged = np.isfinite(runs.confidence) & np.array([not row.ambiguous for row in runs.rows])
    confidence, labels = runs.confidence[judged], runs.labels[judged]
    order = np.argsort(confidence, kind="stable")
    bins = [at for at in np.array_split(order, _BINS) if len(at)]
    found = [[float(confidence[at].mean()), float(labels[at].mean()), len(at)] for at in bins]
    total = sum(count for _, _, count in found)
    error = sum(abs(sure - right) * count for sure, right, count in found) / max(1, total)
    return {"bins": found, "ece": error, "pairs": total}


def timing(rows: Sequence[LabelledRequest], embedder: PreparedEmbedder, model: Embedder) -> dict[str, Any]:
    """Seconds of guards and confidence in a look-up: each new text of a stream against the eight nearest before it,
    with the parse memo as it is in service (a repeated text is an exact hit, and judges nothing). Beside it the
    embedding of the same texts."""
    rows = list({row.request.text: row for row in rows}.values())[:_TIMED]
    stream = Stream.of(rows, embedder)
    policy = policies_for(CacheConfig(), embedder).default
    candidates = [_nearest(stream, at) for at in range(len(rows))]
    features._parse_short.cache_clear()
    judging, embedding = [], []
    for row, nearest in zip(rows, candidates, strict=True):
        start = perf_counter()
        decide(row.request.text, nearest, policy=policy, guards=judge, near_misses=3)
        judging.append(perf_counter() - start)
    fitting = [row.request.text for row in rows if embedder.fits(row.request.text)]
    for text in fitting[:_EMBEDDED]:
        start = perf_counter()
        model.embed([text])
        embedding.append(perf_counter() - start)
    asked = [
        seconds
        for seconds, nearest in zip(judging, candidates, strict=True)
        if nearest and nearest[0].similarity >= policy.floor
    ]
    return {
        "lookups": len(judging),
        "mean": float(np.mean(judging)),
        "median": float(np.median(judging)),
        "p95": float(np.quantile(judging, 0.95)),
        "asked": len(asked),
        "asked mean": float(np.mean(asked)) if asked else 0.0,
        "asked median": float(np.median(asked)) if asked else 0.0,
        "asked p95": float(np.quantile(asked, 0.95)) if asked else 0.0,
        "embedded": len(embedding),
        "embedding median": float(np.median(embedding)),
    }


def _nearest(stream: Stream, at: int) -> list[Candidate]:
    order = np.argsort(-stream.cosine[at, :at], kind="stable")[:_CANDIDATES]
    return [Candidate(_entry(stream, int(row)), float(stream.cosine[at, row]), 0) for row in order]


def _entry(stream: Stream, row: int) -> Entry:
    return Entry(
        scope="",
        key=str(row),
        normalised_key="",
        namespace=(),
        text=stream.rows[row].request.text,
        answer_json="0",
        created_at=0.0,
        expires_at=None,
    )
