"""From candidates to a match, candidates to ask about, or a list of near misses. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmcache_plugins.matching.policy import Policy
from llmcache_plugins.types import Candidate, MissReason, NearMiss, Verdict

__all__ = ["Decision", "GuardChain", "Judged", "decide", "has_conflict", "judged"]

GuardChain = Callable[[str, str], tuple[Verdict, ...]]
"""All guards over the asked and the stored question."""

_MAX_GREY = 8  # a verifier reads that many pairs in one batch


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate and what is thought of it. `reason` is why it may not be served as it is; None when it may.
    `verifier_score` is None until a verifier was asked, and where it could not say.

    `policy` is what decides about it, the stricter one where the stored question has the smaller budget; None when it
    was not judged, or must never be matched by meaning.

    `served_from` is the least confidence that is served with what is known so far, `asked_from` the least for which
    the next one is asked.
    """

    candidate: Candidate
    confidence: float
    verdicts: tuple[Verdict, ...] = ()
    reason: MissReason | None = None
    verifier_score: float | None = None
    policy: Policy | None = field(default=None, repr=False, compare=False)
    served_from: float = field(default=math.inf, repr=False, compare=False)
    asked_from: float = field(default=math.inf, repr=False, compare=False)

    @property
    def is_sure(self) -> bool:
        """Sure enough to be served."""
        return self.confidence >= self.served_from

    @property
    def is_grey(self) -> bool:
        """Sure enough to ask somebody."""
        return self.confidence >= self.asked_from

    def scored(self, score: float | None) -> Judged:
        """The same candidate once a verifier was asked; where it could not say (None), what is known without it has to
        do, and nobody else is asked."""
        policy = self.policy
        if policy is None:
            return self
        if score is None:
            return replace(self, served_from=policy.silent_from, asked_from=math.inf)
        return replace(
            self,
            confidence=policy.combine(self.confidence, score),
            verifier_score=score,
            served_from=policy.min_confidence,
            asked_from=policy.judge_from,
        )

    def told(self, opinion: float) -> Judged:
        """The same candidate once a judge has said how likely its answer is right."""
        least = math.inf if self.policy is None else self.policy.min_confidence
        return replace(self, confidence=opinion, served_from=least, asked_from=math.inf)

    def near_miss(self) -> NearMiss:
        entry = self.candidate.entry
        reason = self.reason or MissReason.LOW_CONFIDENCE
        return NearMiss(entry.text, self.candidate.similarity, reason, entry.key, self.verdicts, self.confidence)


@dataclass(frozen=True, slots=True)
class Decision:
    """The candidate that may be served (None: none may), and the refused ones, nearest first.

    `grey` are those that are not sure enough, but may be once somebody is asked: the most confident first.
    `reason` is the fate of the nearest candidate, why there is no match.
    """

    match: Judged | None
    grey: tuple[Judged, ...] = ()
    near_misses: tuple[NearMiss, ...] = field(default=())
    reason: MissReason = MissReason.NO_CANDIDATES


def decide(
    asked: str,
    candidates: Sequence[Candidate],
    *,
    policy: Policy,
    guards: GuardChain,
    near_misses: int,
    refused: Mapping[str, MissReason] | None = None,
) -> Decision:
    """Serve the nearest candidate that no guard vetoes and that the policy is sure enough of.

    Candidates are judged one by one, and no further once there is a match: a sure one wins over any grey one.

    Args:
        candidates: best first.
        near_misses: how many refused candidates to report.
        refused: candidates, by key, that must not be served whatever is thought of them, and why.
    """
    nearest: list[Judged] = []
    grey: list[Judged] = []
    for place, candidate in enumerate(candidates):
        if candidate.similarity < policy.floor and len(nearest) >= max(near_misses, 1):
            break
        one = judged(asked, candidates, place, policy=policy, guards=guards, refused=refused or {})
        if one.reason is None:
            return Decision(one, (), tuple(other.near_miss() for other in nearest[:near_misses]))
        if one.reason is MissReason.LOW_CONFIDENCE and one.is_grey:
            grey.append(one)
        nearest.append(one)
    grey.sort(key=lambda one: -one.confidence)  # stable: of equal ones the nearest first
    return Decision(
        None,
        tuple(grey[:_MAX_GREY]),
        tuple(other.near_miss() for other in nearest[:near_misses]),
        nearest[0].reason or MissReason.NO_CANDIDATES if nearest else MissReason.NO_CANDIDATES,
    )


def judged(
    asked: str,
    candidates: Sequence[Candidate],
    place: int,
    *,
    policy: Policy,
    guards: GuardChain,
    refused: Mapping[str, MissReason],
) -> Judged:
    """What is thought of the candidate at `place` of the ranked list.

    The confidence is 0 where it was not worked out: below the policy's floor, after a veto, and where the type of the
    stored question must not be matched by meaning.
    """
    candidate = candidates[place]
    entry, similarity = candidate.entry, candidate.similarity
    if similarity < policy.floor:
        return Judged(candidate, 0.0, (), MissReason.BELOW_THRESHOLD)
    own = policy.for_stored(entry.text)
    if own is None:
        return Judged(candidate, 0.0, (), MissReason.EXACT_ONLY)
    if similarity < own.floor:
        return Judged(candidate, 0.0, (), MissReason.BELOW_THRESHOLD)
    verdicts = guards(asked, entry.text)
    if has_conflict(verdicts):
        return Judged(candidate, 0.0, verdicts, MissReason.GUARD_CONFLICT)
    others = [other.similarity for at, other in enumerate(candidates) if at != place]
    confidence = own.confidence(asked, entry.text, similarity, others, verdicts)
    reason = None if confidence >= own.sure_from else MissReason.LOW_CONFIDENCE
    return Judged(
        candidate,
        confidence,
        verdicts,
        refused.get(entry.key, reason),
        policy=own,
        served_from=own.sure_from,
        asked_from=own.grey_from,
    )


def has_conflict(verdicts: Sequence[Verdict]) -> bool:
    return "conflict" in [verdict.verdict for verdict in verdicts]
