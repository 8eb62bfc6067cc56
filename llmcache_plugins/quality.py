"""Values about whether matches were right: what validators say, what was nearly served, what users reported."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from llmcache_plugins.types import JsonValue, MissReason, Namespace

__all__ = [
    "Judgement",
    "LabelOutcome",
    "Labelled",
    "NearMissRecord",
    "PairLabel",
    "Regression",
    "Reported",
    "Validation",
]


@dataclass(frozen=True, slots=True)
class Validation:
    """What a validator says of a match: may it be served? `reason` may quote texts, so it stays out of reprs."""

    ok: bool
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says, and what it cost to ask it.

    Args:
        verdict: is the stored answer right for the request? True, False, a probability, or None for "cannot say".
        cost: money, in the unit of `CacheConfig.judge_budget`; None for a judge that does not know.

    Raises:
        ValueError: `cost` is no amount of money.
    """

    verdict: bool | float | None
    cost: float | None = None

    def __post_init__(self) -> None:
        cost = self.cost
        if cost is None:
            return
        if not isinstance(cost, int | float) or isinstance(cost, bool) or not 0.0 <= cost < math.inf:
            raise ValueError(f"the cost of a judgement must be a number of at least 0, or None, not {cost!r}")


@dataclass(frozen=True, slots=True)
class NearMissRecord:
    """A near miss as the log keeps it. `at` is wall clock, `namespace` the full one. `reference` names the stored entry
    and what was asked, as that of a hit does; empty where nobody knows."""

    asked: str = field(repr=False)
    stored: str = field(repr=False)
    similarity: float
    confidence: float
    vetoed_by: tuple[str, ...]
    reason: MissReason
    at: float
    namespace: Namespace
    reference: str = ""

    def row(self) -> dict[str, JsonValue]:
        """As a JSON object: a line of the near-miss file."""
        return {
            "asked": self.asked,
            "stored": self.stored,
            "similarity": round(self.similarity, 6),
            "confidence": round(self.confidence, 6),
            "vetoed_by": list(self.vetoed_by),
            "reason": self.reason.value,
            "at": self.at,
            "namespace": list(self.namespace),
            "reference": self.reference,
        }


@dataclass(frozen=True, slots=True)
class Regression:
    """A pair of questions that was matched and must not be: the answer of `stored` is wrong for `asked`."""

    id: str
    stored: str = field(repr=False)
    asked: str = field(repr=False)

    def row(self) -> dict[str, JsonValue]:
        """As a labelled pair: a line of the regression file, which `llmcache eval` replays."""
        return {
            "id": self.id,
            "a": self.stored,
            "b": self.asked,
            "label": 0,
            "source": "report_wrong",
            "kind": "reported",
        }


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a report.

    Args:
        removed: entries that were removed, each with its aliases: 1, or 0 when it was gone already.
        is_remembered: the pair will not be matched again.
        regression: the pair as a case to test with; None for a wrong answer to the very question it was stored for.
        has_failed: a store failed, so the answer may still be there and the pair may match again. Report it once more.
    """

    removed: int
    is_remembered: bool = False
    regression: Regression | None = None
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class PairLabel:
    """What a person says of two questions: is the answer of `stored` right for `asked` (label 1) or not (0)?"""

    id: str
    stored: str = field(repr=False)
    asked: str = field(repr=False)
    label: int

    def row(self) -> dict[str, JsonValue]:
        """As a labelled pair, which `llmcache tune` and `llmcache eval` read."""
        return {
            "id": self.id,
            "a": self.stored,
            "b": self.asked,
            "label": self.label,
            "source": "label",
            "kind": "near_miss",
        }


LabelOutcome: TypeAlias = Literal[
    "obeyed", "noted", "taken_back", "answered", "gone", "reported", "exact_only", "failed"
]


@dataclass(frozen=True, slots=True)
class Labelled:
    """What became of a label.

    Args:
        outcome: `obeyed`: the next lookup of what was asked is a hit. `noted`: nothing was to be done. `taken_back`:
            somebody had called it right, and the next lookup is no hit any more. Else why the
            next lookup does not obey: `answered`: what was asked has an answer of its own by now; `gone`: the stored
            entry is not there any more, or nobody knows which it was; `reported`: this pair was reported as wrong;
            `exact_only`: the settings have such a question answered by its own text alone, or its text may not be
            stored; `failed`: a store failed.
        pair: the label to keep, for `llmcache tune`; None where the texts may not be kept.
    """

    outcome: LabelOutcome
    pair: PairLabel | None = None
