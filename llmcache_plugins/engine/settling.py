"""The grey zone of a lookup: candidates that are neither sure nor hopeless are put before a verifier, then a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import AskJudge, Verify
from llmcache_plugins.matching import Judged
from llmcache_plugins.types import Request

__all__ = ["Opinions", "settle"]


@dataclass(slots=True)
class Opinions:
    """What was said in this lookup: scores of the verifier by key (None: it failed), and whether the judge was asked.
    Nobody is asked twice."""

    scores: dict[str, float | None] = field(default_factory=dict)
    has_judged: bool = False

    def most_sure(self, grey: Sequence[Judged]) -> Judged:
        """Of candidates that were not served the one that came nearest to it."""
        scores = self.scores
        known = [one.scored(scores[key]) if (key := one.candidate.entry.key) in scores else one for one in grey]
        return max(known, key=lambda one: one.confidence)


def settle(request: Request, grey: Sequence[Judged], rules: Rules, opinions: Opinions) -> Flow[Judged | None]:
    """The candidate of the grey zone that may be served after all, or None. Each is held to its own policy: where the
    stored question has the smaller budget, an opinion has to be that much surer."""
    if not grey or not (rules.has_verifier or rules.has_judge):
        return None
    if rules.has_verifier:
        yield from _verify(request, grey, opinions)
        scored = [one.scored(opinions.scores[one.candidate.entry.key]) for one in grey]
        grey = sorted(scored, key=lambda one: -one.confidence)
        sure = next((one for one in grey if one.is_sure), None)
        if sure is not None:
            return replace(sure, reason=None)
    undecided = [one for one in grey if one.is_grey]
    if not undecided or not rules.has_judge or opinions.has_judged:
        return None
    opinions.has_judged = True  # a judge is a model call: one of them in a lookup, for the best candidate
    opinion = yield AskJudge(request, undecided[0].candidate.entry)
    if opinion is None:
        return None
    best = undecided[0].told(min(float(opinion), 1.0))
    return replace(best, reason=None) if best.is_sure else None


def _verify(request: Request, grey: Sequence[Judged], opinions: Opinions) -> Flow[None]:
    entries = [one.candidate.entry for one in grey if one.candidate.entry.key not in opinions.scores]
    if entries:
        scores = yield Verify([(request.text, entry.text) for entry in entries])
        opinions.scores.update(
            (entry.key, score) for entry, score in zip(entries, scores or [None] * len(entries), strict=True)
        )
