"""What a lookup would do and why, without doing it: the flows of a lookup, by a performer that leaves no trace.

Vectors that stored questions still lack are computed and kept, as by a lookup: without them they could not be found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llmcache_plugins.engine.explanation import CandidateReport, Explanation, PolicyReport
from llmcache_plugins.engine.flow import find_exact, find_normalised, lookup_flow
from llmcache_plugins.engine.meaning import neighbours
from llmcache_plugins.engine.rules import Flow, Found, NotFound, Rules, Troubles
from llmcache_plugins.engine.steps import AskJudge, Fits, PutAlias, Step, Touch, Validate, Verify, Watch, Weigh
from llmcache_plugins.matching import Judged, Policy, judged
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.policies import payload_of
from llmcache_plugins.types import Candidate, Identity, MissReason, Request

__all__ = ["Peek", "explain_flow", "policy_report"]


@dataclass(slots=True)
class Peek:
    """Performs the steps of one explanation without a trace, and keeps what they brought to light."""

    scores: dict[str, float] = field(default_factory=dict, repr=False)  # the verifier's, by stored text
    rejections: dict[str, str] = field(default_factory=dict, repr=False)  # the validators' reasons, by key
    is_judge_wanted: bool = False
    weighed: Judged | None = field(default=None, repr=False)  # the match that may have to be checked

    def by(self, perform: Callable[[Step], Any]) -> Callable[[Step], Any]:
        """This performer, less what leaves a trace."""

        def peek(step: Step) -> Any:
            seen = self._harmless(step)
            return None if seen is None else self._noted(seen, perform(seen))

        return peek

    def aby(self, perform: Callable[[Step], Awaitable[Any]]) -> Callable[[Step], Awaitable[Any]]:
        """`by` for a performer that awaits."""

        async def peek(step: Step) -> Any:
            seen = self._harmless(step)
            return None if seen is None else self._noted(seen, await perform(seen))

        return peek

    def _harmless(self, step: Step) -> Step | None:
        """The step as it may be performed; None where it may not."""
        if isinstance(step, Touch | PutAlias | AskJudge | Watch):
            self.is_judge_wanted |= isinstance(step, AskJudge)
            return None
        self.weighed = step.match if isinstance(step, Weigh) else self.weighed
        return replace(step, is_counted=False) if isinstance(step, Validate | Weigh) else step

    def _noted(self, step: Step, value: Any) -> Any:
        if isinstance(step, Verify) and value is not None:
            self.scores.update((stored, score) for (_, stored), score in zip(step.pairs, value, strict=True))
        elif isinstance(step, Validate) and not value.ok:
            self.rejections[step.entry.key] = value.reason or "rejected"
        return value


def explain_flow(request: Request, identity: Identity, rules: Rules, now: float, seen: Peek) -> Flow[Explanation]:
    """Explain one lookup. The verifier and the validators are asked, the judge is not: that would be a model call.

    Args:
        seen: performs the steps of this flow; what it sees is part of the explanation.
    """
    rules = replace(rules, tiering=None)  # nothing moves, and no copy is made
    wide = replace(rules, near_misses=rules.max_candidates)
    outcome = yield from lookup_flow(request, identity, wide, now)
    troubles = Troubles(rules.fail_open)
    exact = yield from find_exact(request, identity, rules, now, troubles)
    normalised, candidates = None, list[CandidateReport]()
    policy = None if request.exact_only or payload_of(request.text) else rules.policy_for(request)
    if policy is not None and rules.learnt is not None:
        policy = rules.learnt(policy, request.namespace, identity.scope)
    is_exact_only = policy is None or (rules.embedder_id is not None and not (yield Fits(request.text)))
    if not is_exact_only:
        normalised = yield from find_normalised(request, identity, rules, now, troubles)
    if policy is not None and not is_exact_only and rules.embedder_id is not None:
        found = yield from neighbours(request, identity.scope, rules, now, troubles)
        ranked = [neighbour.candidate for neighbour in found.ranked]
        reasons = {near.key: near.reason for near in outcome.near_misses} if isinstance(outcome, NotFound) else {}
        candidates = [
            _report(request, place, ranked, rules, policy, seen, reasons.get(one.entry.key))
            for place, one in enumerate(ranked)
        ]
    return Explanation(
        asked=request.text,
        outcome=_kind_of(outcome),
        matched=outcome.stored.entry.text if isinstance(outcome, Found) else None,
        confidence=outcome.confidence if isinstance(outcome, Found) else 0.0,
        detail=outcome.detail if isinstance(outcome, NotFound) else "",
        exact=None if exact is None else exact.kind,
        normalised=None if normalised is None else normalised.stored.entry.text,
        query_type=query_type_of(request.text),
        policy=None if policy is None or is_exact_only or rules.embedder_id is None else policy_report(policy, rules),
        embedder_id=rules.embedder_id,
        candidates=tuple(candidates),
        is_exact_only=is_exact_only,
        is_judge_wanted=seen.is_judge_wanted,
        check_chance=_check_chance(outcome, rules, seen),
        node_id=outcome.stored.entry.node_id if isinstance(outcome, Found) else "",
    )


def _check_chance(outcome: Found | NotFound, rules: Rules, seen: Peek) -> float:
    """The chance with which the match is sent to the model, to be checked; 1 for one that is being checked now."""
    if seen.weighed is None or seen.weighed.policy is None or rules.check_chance is None:
        return 0.0
    if isinstance(outcome, NotFound) and outcome.reason is not MissReason.SHADOW:
        return 0.0
    return rules.check_chance(seen.weighed.policy) if isinstance(outcome, Found) else 1.0


def _kind_of(outcome: Found | NotFound) -> str:
    return f"hit ({outcome.kind})" if isinstance(outcome, Found) else f"miss ({outcome.reason.value})"


def policy_report(policy: Policy, rules: Rules) -> PolicyReport:
    """What decides, in numbers."""
    is_anybody_asked = rules.has_verifier or rules.has_judge
    grey_from = policy.grey_from if is_anybody_asked else policy.min_confidence
    return PolicyReport(
        policy.policy_id,
        policy.max_error_rate,
        policy.floor,
        policy.min_confidence,
        grey_from,
        is_learnt=rules.learnt is not None,
    )


def _report(
    request: Request,
    place: int,
    ranked: Sequence[Candidate],
    rules: Rules,
    policy: Policy,
    seen: Peek,
    reason: MissReason | None,
) -> CandidateReport:
    one = judged(request.text, ranked, place, policy=policy, guards=rules.guards, refused={})
    entry = one.candidate.entry
    reason = reason or one.reason
    return CandidateReport(
        question=entry.text,
        key=entry.key,
        similarity=one.candidate.similarity,
        confidence=one.confidence,
        verdicts=one.verdicts,
        reason=reason,
        verifier_score=seen.scores.get(entry.text),
        rejection=seen.rejections.get(entry.key, ""),
    )
