"""What a lookup would do and why, without doing it: the flows of a lookup without the steps that leave a trace.

Vectors that stored questions still lack are computed and kept, as by a lookup: without them they could not be found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from llmcache_plugins.engine.explanation import CandidateReport, Explanation, PolicyReport
from llmcache_plugins.engine.flow import find_exact, find_normalised, lookup_flow
from llmcache_plugins.engine.meaning import neighbours
from llmcache_plugins.engine.rules import Flow, Found, NotFound, Rules, Troubles
from llmcache_plugins.engine.steps import AskJudge, Fits, PutAlias, Step, Touch, Validate, Verify
from llmcache_plugins.matching import Policy, judged
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.policies import payload_of
from llmcache_plugins.types import Candidate, Identity, MissReason, Request

__all__ = ["explain_flow"]

T = TypeVar("T")


@dataclass(slots=True)
class _Seen:
    """What the steps of a peeked flow brought to light."""

    scores: dict[str, float] = field(default_factory=dict, repr=False)  # the verifier's, by stored text
    rejections: dict[str, str] = field(default_factory=dict, repr=False)  # the validators' reasons, by key
    is_judge_wanted: bool = False


def explain_flow(request: Request, identity: Identity, rules: Rules, now: float) -> Flow[Explanation]:
    """Explain one lookup. The verifier and the validators are asked, the judge is not: that would be a model call."""
    seen = _Seen()
    wide = replace(rules, near_misses=rules.max_candidates)
    outcome = yield from _peeked(lookup_flow(request, identity, wide, now), seen)
    troubles = Troubles(rules.fail_open)
    exact = yield from _peeked(find_exact(request, identity, rules, now, troubles), seen)
    normalised, candidates = None, list[CandidateReport]()
    policy = None if request.exact_only or payload_of(request.text) else rules.policy_for(request)
    is_exact_only = policy is None or (rules.embedder_id is not None and not (yield Fits(request.text)))
    if not is_exact_only:
        normalised = yield from _peeked(find_normalised(request, identity, rules, now, troubles), seen)
    if policy is not None and not is_exact_only and rules.embedder_id is not None:
        found = yield from _peeked(neighbours(request.text, identity.scope, rules, now, troubles), seen)
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
        policy=None if policy is None or is_exact_only or rules.embedder_id is None else _policy_report(policy, rules),
        embedder_id=rules.embedder_id,
        candidates=tuple(candidates),
        is_exact_only=is_exact_only,
        is_judge_wanted=seen.is_judge_wanted,
    )


def _kind_of(outcome: Found | NotFound) -> str:
    return f"hit ({outcome.kind})" if isinstance(outcome, Found) else f"miss ({outcome.reason.value})"


def _policy_report(policy: Policy, rules: Rules) -> PolicyReport:
    is_anybody_asked = rules.has_verifier or rules.has_judge
    grey_from = policy.grey_from if is_anybody_asked else policy.min_confidence
    return PolicyReport(policy.policy_id, policy.max_error_rate, policy.floor, policy.min_confidence, grey_from)


def _report(
    request: Request,
    place: int,
    ranked: Sequence[Candidate],
    rules: Rules,
    policy: Policy,
    seen: _Seen,
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


def _peeked(flow: Flow[T], seen: _Seen) -> Flow[T]:
    """The flow, with every step that would leave a trace answered here."""
    resume: Callable[[Any], Step] = flow.send
    value: Any = None
    while True:
        try:
            step = resume(value)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        resume = flow.send
        if isinstance(step, Touch | PutAlias | AskJudge):
            seen.is_judge_wanted |= isinstance(step, AskJudge)
            value = None
            continue
        if isinstance(step, Validate):
            step = replace(step, is_counted=False)
        try:
            value = yield step
        except BaseException as error:
            resume, value = flow.throw, error
        else:
            _note(step, value, seen)


def _note(step: Step, value: Any, seen: _Seen) -> None:
    if isinstance(step, Verify) and value is not None:
        seen.scores.update((stored, score) for (_, stored), score in zip(step.pairs, value, strict=True))
    elif isinstance(step, Validate) and not value.ok:
        seen.rejections[step.entry.key] = value.reason or "rejected"
