"""The value that `explain` returns. Its text shows questions, because they were asked for; its `repr` does not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from llmcache_plugins.types import MissReason, Verdict

__all__ = ["CandidateReport", "Explanation", "PolicyReport"]


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What decides: `max_error_rate` is the budget the thresholds are calibrated for, None for a plain threshold. With
    `is_learnt` they are those of the adaptive policy at this moment."""

    policy_id: str
    max_error_rate: float | None
    floor: float
    min_confidence: float
    grey_from: float
    is_learnt: bool = False

    @property
    def is_calibrated(self) -> bool:
        return self.max_error_rate is not None

    def __str__(self) -> str:
        if self.min_confidence == math.inf:
            return f"{self.policy_id}: nothing was learnt yet, and nothing is served by meaning"
        known = "learnt" if self.is_learnt else "calibrated"
        kind = f"{known} for {self.max_error_rate:g} wrong" if self.is_calibrated else "not calibrated"
        grey = f", asked about from {self.grey_from:.3f}" if self.grey_from < self.min_confidence else ""
        return (
            f"{self.policy_id} ({kind}): judged from cosine {self.floor:.3f}, "
            f"served from confidence {self.min_confidence:.3f}{grey}"
        )


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """One stored question beside the asked one.

    Args:
        confidence: 0 where it was not worked out: too far away, or vetoed.
        reason: why it is not served; None when it may be.
        verifier_score: None when the verifier was not asked about it.
        rejection: what the validators say against it.
    """

    question: str = field(repr=False)
    key: str
    similarity: float
    confidence: float
    verdicts: tuple[Verdict, ...] = ()
    reason: MissReason | None = None
    verifier_score: float | None = None
    rejection: str = field(default="", repr=False)

    def lines(self) -> list[str]:
        """A row of the table, and under it what the guards, the verifier and the validators say."""
        outcome = "may be served" if self.reason is None else self.reason.value
        rows = [f"{self.similarity:7.3f} {self.confidence:11.3f}  {outcome:<16} {self.question}"]
        said = [f"{v.guard}: {v.verdict} {v.detail}".rstrip() for v in self.verdicts if v.verdict != "silent"]
        if self.verifier_score is not None:
            said.append(f"verifier: {self.verifier_score:.3f}")
        if self.rejection:
            said.append(f"validator: {self.rejection}")
        return [*rows, *(f"{'':38}{line}" for line in said)]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a lookup of this request would do now, and why. Nothing was counted, stored or served.

    Args:
        asked: the question.
        outcome: `hit (kind)` or `miss (reason)`.
        matched: the stored question of a hit.
        node_id: of the process that stored it; empty on a miss.
        detail: more about a miss, `"budget"` for example.
        exact: `"exact"` or `"alias"` when the key is known, else None.
        normalised: the stored question that differs in case and spaces alone, or None.
        policy: what decides by meaning; None when this request is matched exactly only, or there is no embedder.
        candidates: the nearest stored questions, nearest first.
        is_exact_only: no other wording is looked for.
        is_judge_wanted: the judge would be asked too; `explain` does not, and takes it for a miss.
        check_chance: the chance with which the match would be sent to the model as a check (adaptive policy).
    """

    asked: str = field(repr=False)
    outcome: str
    matched: str | None = field(repr=False)
    confidence: float
    detail: str
    exact: str | None
    normalised: str | None = field(repr=False)
    query_type: str
    policy: PolicyReport | None
    embedder_id: str | None
    candidates: tuple[CandidateReport, ...] = ()
    is_exact_only: bool = False
    is_judge_wanted: bool = False
    check_chance: float = 0.0
    node_id: str = ""

    @property
    def is_hit(self) -> bool:
        return self.outcome.startswith("hit")

    def __str__(self) -> str:
        end = f"{self.outcome}{': ' + self.detail if self.detail else ''}"
        if self.matched is not None:
            end += f", confidence {self.confidence:.3f}: {self.matched}"
        others = "exact matches only" if self.is_exact_only else "exact and normalised matches only"
        lines = [
            f"asked:      {self.asked}",
            f"outcome:    {end}",
            f"exact:      {self.exact or 'no'}",
            f"normalised: {'no' if self.normalised is None else self.normalised}",
            f"query type: {self.query_type}",
            f"policy:     {self.policy or others}",
            f"embedder:   {self.embedder_id or 'none'}",
        ]
        if self.node_id:
            lines.append(f"stored by:  {self.node_id}")
        if self.check_chance:
            lines.append(f"check:      would be sent to the model as a check{_in_how_many(self.check_chance)}")
        if self.is_judge_wanted:
            lines.append("judge:      would be asked")
        if self.candidates:
            lines += ["", " cosine  confidence  outcome          question"]
            lines += [line for candidate in self.candidates for line in candidate.lines()]
        return "\n".join(lines)


def _in_how_many(chance: float) -> str:
    return "" if chance >= 1.0 else f" in {chance:.0%} of cases"
