"""Values about whether matches were right: what validators say, what was nearly served, what users reported."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from llmcache_plugins.types import JsonValue, MissReason, Namespace

__all__ = ["Judgement", "NearMissRecord", "Regression", "Reported", "Validation"]


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
    """A near miss as the log keeps it. `at` is wall clock, `namespace` the full one."""

    asked: str = field(repr=False)
    stored: str = field(repr=False)
    similarity: float
    confidence: float
    vetoed_by: tuple[str, ...]
    reason: MissReason
    at: float
    namespace: Namespace

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
