"""One labelled file through one cache: replay, then score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.evaluation.replay import replay_pairs, replay_stream
from llmcache_plugins.evaluation.rows import FileKind, LabelledFile
from llmcache_plugins.evaluation.scores import PairScores, StreamScores, score_pairs, score_stream
from llmcache_plugins.evaluation.vectors import Progress, silent
from llmcache_plugins.types import Hit, JsonValue, Miss, Outcome

__all__ = ["FileScores", "evaluate"]


@dataclass(frozen=True, slots=True)
class FileScores:
    """The scores of one file.

    Args:
        hits: how many lookups each kind of hit answered.
        misses: how many lookups were not answered, by reason.
    """

    name: str
    kind: FileKind
    scores: PairScores | StreamScores
    hits: Mapping[str, int]
    misses: Mapping[str, int]

    def as_json(self) -> dict[str, JsonValue]:
        return {"kind": self.kind, **self.scores.as_json(), "hits": dict(self.hits), "misses": dict(self.misses)}


def evaluate(file: LabelledFile, cache: SemanticCache, progress: Progress = silent) -> FileScores:
    """Replay a file through an empty cache (`open_replay_cache`) and score what it did."""
    scores: PairScores | StreamScores
    if file.kind == "stream":
        served = replay_stream(cache, [row.request for row in file.stream], progress)
        outcomes = [one.outcome for one in served]
        scores = score_stream(file.stream, [one.row for one in served])
    else:
        outcomes = replay_pairs(cache, [(pair.a, pair.b) for pair in file.pairs], progress)
        scores = score_pairs(file.pairs, [isinstance(outcome, Hit) for outcome in outcomes])
    return FileScores(file.name, file.kind, scores, _hits(outcomes), _misses(outcomes))


def _hits(outcomes: list[Outcome]) -> Mapping[str, int]:
    return dict(sorted(Counter(str(one.kind) for one in outcomes if isinstance(one, Hit)).items()))


def _misses(outcomes: list[Outcome]) -> Mapping[str, int]:
    return dict(sorted(Counter(one.reason.value for one in outcomes if isinstance(one, Miss)).items()))
