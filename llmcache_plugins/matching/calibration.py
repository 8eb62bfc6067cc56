"""Calibrations: from the evidence about a candidate to the probability that its answer is right. Pure.

A calibration is a small file of numbers: regression trees fitted by gradient boosting (`training/fit_confidence.py`)
and a table from error budgets to the least confidence that keeps them. It belongs to the vectors of certain embedders.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.matching.evidence import EVIDENCE, EVIDENCE_VERSION, evidence_of
from llmcache_plugins.matching.trees import Trees
from llmcache_plugins.types import Verdict

__all__ = ["Calibration", "VerifiedCalibration", "calibration_for"]

_FILES = ("minilm_l6",)


class Calibration:
    """A fitted confidence. Safe to share between threads; one confidence takes tens of microseconds.

    Args:
        content: what `training/fit_confidence.py` wrote.

    Raises:
        ConfigError: the content is of another form, or was fitted on other evidence than this version makes.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        if content.get("format") != 1 or content.get("evidence_version") != EVIDENCE_VERSION:
            raise ConfigError("this calibration was fitted for another version of llmcache-plugins; fit it again")
        if tuple(content["evidence"]) != EVIDENCE:
            raise ConfigError("this calibration was fitted on other evidence; fit it again")
        self.embedder_ids = tuple(str(name) for name in content["embedder_ids"])
        self.version = str(content["version"])
        self.floor = float(content["floor"])
        self._floors = sorted((float(confidence), float(cosine)) for confidence, cosine in content["floors"])
        self.guards_version = str(content["guards_version"])
        self.data_hash = str(content["data_hash"])
        self._budgets = sorted((float(budget), float(least)) for budget, least in content["budgets"])
        self._records = sorted((float(budget), float(least)) for budget, least in content["record_budgets"])
        self._grey = float(content["grey_from"])
        self._trees = Trees(content)
        if not self._budgets or not self._records:
            raise ConfigError("this calibration is damaged: it knows no budgets")
        verified = content.get("verified")
        self.verified = None if verified is None else VerifiedCalibration(verified)

    @property
    def embedder_id(self) -> str:
        """The first of the embedders whose vectors it was fitted on."""
        return self.embedder_ids[0]

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        """P(the stored answer is right), in [0, 1]: given that no guard objects.

        Args:
            similarity: cosine of the two questions.
            others: cosines of the other candidates.
            verdicts: what the guards said.
        """
        return self.probability(evidence_of(asked, stored, similarity, others, verdicts))

    def probability(self, evidence: Sequence[float]) -> float:
        """The same from evidence that is at hand; one number for each name in `EVIDENCE`."""
        return self._trees.probability(evidence)

    def min_confidence(self, max_error_rate: float) -> float:
        """The least confidence that keeps wrong hits / requests within `max_error_rate`, in (0, 1).

        Between the budgets that were measured it is interpolated; below the smallest, the share of doubt that may be
        served shrinks with the budget; above the largest it stays.
        """
        return _least_at(self._budgets, max_error_rate)

    def min_confidence_for_records(self, max_error_rate: float) -> float:
        """The same where the stored question asks for records, in (0, 1): there each ordinary word may change the
        answer, and the trees, which few such questions could be fitted on, are too sure."""
        return _least_at(self._records, max_error_rate)

    def floor_at(self, confidence: float) -> float:
        """The cosine below which hardly a pair it was fitted on (1 in 100) had this much confidence: judging what lies
        below would nearly always be for nothing."""
        return max((cosine for least, cosine in self._floors if least <= confidence), default=self.floor)

    def grey_from(self, max_error_rate: float) -> float:
        """The confidence below which a verifier would hardly ever find the answer right."""
        return min(self._grey, self.min_confidence(max_error_rate))

    def __repr__(self) -> str:
        return f"Calibration({self.embedder_id!r}, version {self.version!r})"


class VerifiedCalibration:
    """The second look: the confidence and the score of one certain verifier, weighed by a logistic regression on their
    logits (D. Wolpert, "Stacked generalization", Neural Networks 5, 1992).

    Args:
        content: the part `verified` of what `training/fit_confidence.py` wrote.

    Raises:
        ConfigError: its weights are not three numbers of which the latter two are above 0.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.verifier_id = str(content["verifier_id"])
        weights = [float(weight) for weight in content["weights"]]
        if len(weights) != 3 or min(weights[1:]) <= 0.0:
            raise ConfigError("this calibration is damaged: of the verifier's weights one is missing or not above 0")
        self._bias, self._of_confidence, self._of_score = weights
        self._budgets = sorted((float(budget), float(least)) for budget, least in content["budgets"])
        self._grey = sorted((float(budget), float(least)) for budget, least in content["grey_from"])
        self._sure = sorted((float(budget), float(least)) for budget, least in content["sure_from"])
        self.judge_from = float(content["judge_from"])
        self.judge_grey_from = float(content["judge_grey_from"])

    def probability(self, confidence: float, score: float) -> float:
        """P(the stored answer is right), in (0, 1).

        Args:
            confidence: without a score, in [0, 1].
            score: of the verifier, in [0, 1].
        """
        logit = self._bias + self._of_confidence * _logit(confidence) + self._of_score * _logit(score)
        return 1.0 / (1.0 + math.exp(-logit))

    def min_confidence(self, max_error_rate: float) -> float:
        """The least confidence with the score that keeps the budget; between budgets as for a `Calibration`."""
        return _least_at(self._budgets, max_error_rate)

    def grey_from(self, max_error_rate: float) -> float:
        """The confidence without a score below which hardly a score makes it enough."""
        return _least_at(self._grey, max_error_rate)

    def sure_from(self, max_error_rate: float) -> float:
        """The confidence without a score above which hardly a score makes it too little."""
        return _least_at(self._sure, max_error_rate)


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(clipped / (1.0 - clipped))


def _least_at(budgets: Sequence[tuple[float, float]], max_error_rate: float) -> float:
    """Interpolated between the budgets that were measured; below the smallest, the share of doubt shrinks with the
    budget; above the largest it stays."""
    smallest, least = budgets[0]
    if max_error_rate <= smallest:
        return 1.0 - (1.0 - least) * max_error_rate / smallest
    rates, confidences = zip(*budgets, strict=True)
    return float(np.interp(math.log(max_error_rate), np.log(rates), confidences))


def calibration_for(embedder_id: str | None) -> Calibration | None:
    """The calibration of this embedder; None when it has none."""
    return _by_embedder().get(embedder_id or "")


@lru_cache(maxsize=1)
def _by_embedder() -> dict[str, Calibration]:
    folder = resources.files("llmcache_plugins.matching") / "calibrations"
    found = [Calibration(json.loads((folder / f"{name}.json").read_text("utf-8"))) for name in _FILES]
    return {name: calibration for calibration in found for name in calibration.embedder_ids}
