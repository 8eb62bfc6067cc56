"""From candidates to a match or a list of near misses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmcache_plugins.types import Candidate, MissReason, NearMiss, Verdict

__all__ = ["Decision", "Judge", "decide"]

Judge = Callable[[str, str], tuple[Verdict, ...]]
"""All guards over the asked and the stored question."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The candidate that may be served (None: none may), and the refused ones, nearest first.

    `reason` is the fate of the nearest candidate: why there is no match.
    """

    match: Candidate | None
    confidence: float = 0.0
    verdicts: tuple[Verdict, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    reason: MissReason = MissReason.NO_CANDIDATES


def decide(
    asked: str,
    candidates: Sequence[Candidate],
    *,
    threshold: float,
    judge: Judge,
    near_misses: int,
) -> Decision:
    """Serve the nearest candidate that reaches `threshold` and that no guard vetoes.

    Args:
        candidates: best first.
        near_misses: how many refused candidates to report; only these are judged below the threshold.

    The confidence of a match is its cosine, clipped to [0, 1]: without a calibration nothing better is known.
    """
    refused: list[NearMiss] = []
    for candidate in candidates:
        is_near = candidate.similarity >= threshold
        if not is_near and len(refused) >= max(near_misses, 1):
            break
        verdicts = judge(asked, candidate.entry.text) if is_near else ()
        if is_near and not has_conflict(verdicts):
            confidence = min(max(candidate.similarity, 0.0), 1.0)
            return Decision(candidate, confidence, verdicts, tuple(refused[:near_misses]))
        reason = MissReason.GUARD_CONFLICT if is_near else MissReason.BELOW_THRESHOLD
        refused.append(NearMiss(candidate.entry.text, candidate.similarity, reason, candidate.entry.key, verdicts))
    reason = refused[0].reason if refused else MissReason.NO_CANDIDATES
    return Decision(None, near_misses=tuple(refused[:near_misses]), reason=reason)


def has_conflict(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.verdict == "conflict" for verdict in verdicts)
