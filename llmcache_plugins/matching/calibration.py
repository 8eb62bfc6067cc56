"""Calibrations: from the evidence about a candidate to the probability that its answer is right."""

from __future__ import annotations

from collections.abc import Sequence

from llmcache_plugins.types import Verdict

__all__ = ["Calibration", "calibration_for"]


class Calibration:
    """Fitted on labelled pairs for the vectors of one embedder."""

    embedder_id: str
    version: str
    floor: float

    def confidence(
        self, asked: str, stored: str, similarity: float, runner_up: float | None, verdicts: Sequence[Verdict]
    ) -> float:
        """P(the stored answer is right), in [0, 1]."""
        raise NotImplementedError

    def min_confidence(self, max_error_rate: float) -> float:
        """The least confidence that keeps wrong hits within this share of the requests."""
        raise NotImplementedError

    def grey_from(self, max_error_rate: float) -> float:
        """The confidence below which no verifier could help."""
        raise NotImplementedError


def calibration_for(embedder_id: str | None) -> Calibration | None:
    """The calibration of this embedder; None when it has none."""
    return None
