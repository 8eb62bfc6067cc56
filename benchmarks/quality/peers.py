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

# The curves an entry considers: where they cross one half, and how steep they are there. With the steepest of these
# an entry needs 9, 6 or 3 right observations at a delta of 0.01, 0.02 or 0.05 before it first serves an identical
# prompt; of the original 4 to 5 were measured. Only the likeliest slope instead of all of them gives more hits, and
# error rates far above delta.
_CENTRES = np.linspace(0.0, 1.0, 51)
_SLOPES = np.geomspace(2.0, 20_000.0, 25)
_CENTRE, _SLOPE = (grid.ravel() for grid in np.meshgrid(_CENTRES, _SLOPES))


class VerifiedEntry:
    """What a stored prompt has learnt from pairs of a similarity and whether its answer was right then: how likely each
    curve of P(right | similarity) is, starting from equally likely."""

    def __init__(self) -> None:
        self._log_weights = np.zeros(len(_CENTRE))

    def observe(self, similarity: float, is_correct: bool) -> None:
        """Weigh each curve by how well it foresaw this."""
        towards = 1.0 if is_correct else -1.0
        self._log_weights -= np.logaddexp(0.0, -towards * _SLOPE * (similarity - _CENTRE))

    def surely_right(self, similarity: float) -> float:
        """The largest (1 - e) L(e): all curves but a share e of the confidence say at least L(e)."""
        right = 1 / (1 + np.exp(-np.clip(_SLOPE * (similarity - _CENTRE), -60, 60)))
        weights = np.exp(self._log_weights - self._log_weights.max())
        order = np.argsort(right)
        below = np.concatenate([[0.0], np.cumsum(weights[order])[:-1] / weights.sum()])
        return float(((1 - below) * right[order]).max())


class VerifiedPolicy:
    """vCache's verified policy, written from the paper's formulas (Schroeder et al., "vCache: Verified Semantic Prompt
    Caching", ICLR 2026, arXiv 2502.03771), not from its code.

    Each stored prompt models P(right | similarity) as a logistic curve over its own observations. Of the curves within
    the confidence region of level 1 - e, the least probability is L(e), so the answer is right with at least
    a(e) = (1 - e) L(e). A request explores (calls the model) with the probability t = min over e of
    1 - delta / (1 - a(e)), at least 0; then P(wrong) <= (1 - t)(1 - a) <= delta.

    The confidence region is that of a grid of curves weighed by their likelihood.
    """

    def __init__(self, delta: float, seed: int = 1) -> None:
        self._delta = delta
        self._random = random.Random(seed)

    def explores(self, entry: VerifiedEntry, similarity: float) -> bool:
        return self._random.random() < self.explore_probability(entry, similarity)

    def explore_probability(self, entry: VerifiedEntry, similarity: float) -> float:
        return max(0.0, 1 - self._delta / max(1e-12, 1 - entry.surely_right(similarity)))
