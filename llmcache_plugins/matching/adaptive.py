"""Policies whose threshold is learnt while the cache is in use. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmcache_plugins.matching.policy import Policy
from llmcache_plugins.matching.trust import NEVER
from llmcache_plugins.types import Verdict

__all__ = ["AdaptivePolicy", "Learnt"]


class _Over(Policy):
    """A policy that leaves the score, and who is asked, to another one."""

    def __init__(self, policy: Policy) -> None:
        self.policy_id, self.max_error_rate = policy.policy_id, policy.max_error_rate
        self.floor, self.grey_from, self.min_confidence = policy.floor, policy.grey_from, policy.min_confidence
        self._policy = policy

    @property
    def sure_from(self) -> float:
        return self._policy.sure_from

    @property
    def silent_from(self) -> float:
        return self._policy.silent_from

    @property
    def judge_from(self) -> float:
        return self._policy.judge_from

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return self._policy.confidence(asked, stored, similarity, others, verdicts)

    def combine(self, confidence: float, score: float) -> float:
        return self._policy.combine(confidence, score)


class AdaptivePolicy(_Over):
    """What there is of an adaptive policy before anything was learnt.

    Args:
        policy: gives the score and the grey zone, which is watched. A threshold that was calibrated for an error budget
            is the one to begin with; any other promises nothing, so that nothing is served until something was learnt.
        max_error_rate: wrong hits / requests.
    """

    max_error_rate: float

    def __init__(self, policy: Policy, max_error_rate: float) -> None:
        super().__init__(policy)
        self.policy_id = f"adaptive {max_error_rate:g} over {policy.policy_id}"
        self.max_error_rate = max_error_rate
        self._is_calibrated = policy.max_error_rate is not None
        if not self._is_calibrated:
            self.min_confidence = NEVER

    @property
    def sure_from(self) -> float:
        return self._policy.sure_from if self._is_calibrated else NEVER

    @property
    def silent_from(self) -> float:
        return self._policy.silent_from if self._is_calibrated else NEVER

    def __repr__(self) -> str:
        return f"AdaptivePolicy({self.policy_id})"


class Learnt(_Over):
    """An adaptive policy with the threshold that holds now, in one partition. A verifier is asked where it was before;
    what is served with its score, and what without, follows the threshold.

    Args:
        policy: an `AdaptivePolicy`, or one that chooses among them by the stored question.
        threshold: of such a policy, in the partition of the request.
    """

    def __init__(self, policy: Policy, threshold: Callable[[Policy], float]) -> None:
        super().__init__(policy)
        self.min_confidence = max(threshold(policy), policy.grey_from)
        self._threshold = threshold

    @property
    def unlearnt(self) -> Policy:
        """What there was before anything was learnt."""
        return self._policy

    @property
    def sure_from(self) -> float:
        return self._unscored(self._policy.sure_from)

    @property
    def silent_from(self) -> float:
        return self._unscored(self._policy.silent_from)

    def _unscored(self, least: float) -> float:
        """The least confidence without a score: the threshold, where no score is expected."""
        return self.min_confidence if least == self._policy.min_confidence else max(least, self.min_confidence)

    def for_stored(self, stored: str) -> Policy | None:
        found = self._policy.for_stored(stored)
        if found is None or found is self._policy:
            return None if found is None else self
        return Learnt(found, self._threshold)

    def __repr__(self) -> str:
        return f"Learnt({self.policy_id}, at least {self.min_confidence:.4f})"
