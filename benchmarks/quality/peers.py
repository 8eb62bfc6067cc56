"""The decision rules of other caches, on our embedder and vectors: what their defaults would serve.

- GPTCache: `SearchDistanceEvaluation(max_distance=4)` over the squared distance of unit vectors, and
  `Config(similarity_threshold=0.8)`: a hit when 4 - distance >= 0.8 x 4. With distance = 2 - 2 cos that is cos >= 0.6.
  It embeds the last message alone.
- redisvl `SemanticCache`: cosine distance at most 0.1. langchain-redis `RedisSemanticCache`: at most 0.2. Both are
  given the bare question here; langchain-redis itself embeds the serialised messages, with which it does worse.
- vCache: see `VerifiedPolicy`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

__all__ = ["FIXED", "FixedPeer", "VerifiedEntry", "VerifiedPolicy"]


@dataclass(frozen=True, slots=True)
class FixedPeer:
    """A cache that serves the nearest question at or above a cosine."""

    name: str
    cosine: float
    reads_last_turn_alone: bool = False


FIXED = (
    FixedPeer("GPTCache (cosine 0.60)", 0.60, reads_last_turn_alone=True),
    FixedPeer("langchain-redis (distance 0.2)", 0.80),
    FixedPeer("redisvl (distance 0.1)", 0.90),
)

# The curves an entry considers: where they cross one half (along the second axis), and how steep they are there.
_CENTRES = np.linspace(0.0, 1.0, 201)[None, :]
_SLOPES = np.geomspace(2.0, 2000.0, 25)[:, None]
_LEAST_OBSERVATIONS = 4  # measured of the original: it never served an entry with fewer, not even for its own text


class VerifiedEntry:
    """What a stored prompt has learnt from pairs of a similarity and whether its answer was right then: how likely each
    curve of P(right | similarity) is, starting from equally likely."""

    def __init__(self) -> None:
        self.observations = 0
        self._log_likelihood = np.zeros((_SLOPES.shape[0], _CENTRES.shape[1]))

    def observe(self, similarity: float, is_correct: bool) -> None:
        """Weigh each curve by how well it foresaw this."""
        towards = 1.0 if is_correct else -1.0
        self._log_likelihood -= np.logaddexp(0.0, -towards * _SLOPES * (similarity - _CENTRES))
        self.observations += 1

    def surely_right(self, similarity: float) -> float:
        """The largest (1 - e) L(e): of the curves with the likeliest slope, those but a share e of the confidence say
        at least L(e)."""
        slope = int(self._log_likelihood.max(axis=1).argmax())
        found = self._log_likelihood[slope]
        weights = np.exp(found - found.max())
        weights = weights[::-1] / weights.sum()  # a centre further to the right says less
        below = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
        away = _SLOPES[slope, 0] * (similarity - _CENTRES[0, ::-1])
        return float(((1 - below) / (1 + np.exp(-np.clip(away, -60, 60)))).max())


class VerifiedPolicy:
    """vCache's verified policy, written from the paper's formulas (Schroeder et al., "vCache: Verified Semantic Prompt
    Caching", ICLR 2026, arXiv 2502.03771), not from its code.

    Each stored prompt models P(right | similarity) as a logistic curve over its own observations. Of the curves within
    the confidence region of level 1 - e, the least probability is L(e), so the answer is right with at least
    a(e) = (1 - e) L(e). A request explores (calls the model) with the probability t = min over e of
    1 - delta / (1 - a(e)), at least 0; then P(wrong) <= (1 - t)(1 - a) <= delta.

    The slope is the likeliest one, and the region is one of the centre, by the likelihood of a grid of centres.
    """

    def __init__(self, delta: float, seed: int = 1) -> None:
        self._delta = delta
        self._random = random.Random(seed)

    def explores(self, entry: VerifiedEntry, similarity: float) -> bool:
        return self._random.random() < self.explore_probability(entry, similarity)

    def explore_probability(self, entry: VerifiedEntry, similarity: float) -> float:
        if entry.observations < _LEAST_OBSERVATIONS:
            return 1.0
        return max(0.0, 1 - self._delta / max(1e-12, 1 - entry.surely_right(similarity)))
