"""What decides whether a candidate may be served: a plain cosine threshold, or a calibrated confidence. Pure.

A policy turns the evidence about one candidate into a confidence and says how much of it is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from llmcache_plugins.matching.evidence import asks_for_records
from llmcache_plugins.types import Namespace, Request, Verdict

if TYPE_CHECKING:
    from llmcache_plugins.matching.calibration import Calibration

__all__ = ["Calibrated", "ConfidencePolicy", "Policies", "Policy", "SimilarityPolicy", "VerifiedPolicy"]


class Policy(Protocol):
    """How sure is sure enough. A subclass sets the four values and says how confidence is found.

    Attributes:
        policy_id: short and readable; changes with whatever decides, for aliases of another policy are judged again.
        floor: least cosine at which a candidate is judged at all.
        min_confidence: least confidence that is served.
        grey_from: from here up to `sure_from` the verifier and the judge are asked; equal to `min_confidence` when
            nobody need be asked.
        max_error_rate: the error budget the thresholds were calibrated for; None when nothing is promised.
    """

    policy_id: str
    floor: float
    min_confidence: float
    grey_from: float
    max_error_rate: float | None = None

    @property
    def sure_from(self) -> float:
        """Least confidence that is served although nobody was asked."""
        return self.min_confidence

    @property
    def silent_from(self) -> float:
        """Least confidence that is served when the verifier was asked and gave no score."""
        return self.sure_from

    @property
    def judge_from(self) -> float:
        """Least confidence with a verifier's score for which the judge is asked."""
        return self.grey_from

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        """How likely the stored answer is right for what was asked, in [0, 1].

        Args:
            similarity: cosine of the two questions.
            others: cosines of the other candidates.
            verdicts: what the guards said; none of them a conflict.
        """
        ...

    def combine(self, confidence: float, score: float) -> float:
        """The confidence once the verifier gave its `score`. It has read both texts together: its word counts, unless a
        calibration knows how far."""
        return score

    def for_stored(self, stored: str) -> Policy | None:
        """What decides about a candidate of this text; None when it must never be served by meaning."""
        return self


class SimilarityPolicy(Policy):
    """A plain threshold: the confidence is the cosine, clipped to [0, 1].

    Args:
        threshold: least cosine that is served.
        grey_from: least cosine for which a verifier or a judge is asked; by default none is.
    """

    def __init__(self, threshold: float, grey_from: float | None = None) -> None:
        self.min_confidence = threshold
        self.grey_from = self.floor = threshold if grey_from is None else min(grey_from, threshold)
        self.policy_id = f"cosine {threshold:g}" + ("" if self.floor == threshold else f" grey {self.floor:g}")

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return min(max(similarity, 0.0), 1.0)

    def __repr__(self) -> str:
        return f"SimilarityPolicy({self.policy_id})"


class Calibrated(Protocol):
    """What a policy needs of a calibration; see `matching.calibration`."""

    @property
    def version(self) -> str: ...
    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float: ...
    def min_confidence(self, max_error_rate: float) -> float: ...
    def min_confidence_for_records(self, max_error_rate: float) -> float: ...
    def floor_at(self, confidence: float) -> float: ...
    def grey_from(self, max_error_rate: float) -> float: ...


class ConfidencePolicy(Policy):
    """A calibrated confidence, and the threshold that keeps wrong hits within a share of all requests.

    Args:
        calibration: of the embedder in use.
        max_error_rate: wrong hits / requests, in (0, 0.5].
        has_grey_zone: a verifier or a judge is asked about candidates that are not sure enough.
        is_for_records: it decides about stored questions for records, which take more.
    """

    def __init__(
        self,
        calibration: Calibrated,
        max_error_rate: float,
        *,
        has_grey_zone: bool = False,
        is_for_records: bool = False,
    ) -> None:
        self.max_error_rate = max_error_rate
        find = calibration.min_confidence_for_records if is_for_records else calibration.min_confidence
        self.min_confidence = find(max_error_rate)
        grey_from = min(calibration.grey_from(max_error_rate), self.min_confidence)
        self.grey_from = grey_from if has_grey_zone else self.min_confidence
        self.floor = calibration.floor_at(self.grey_from)
        self.policy_id = f"calibration {calibration.version} error {max_error_rate:g}"
        self._confidence = calibration.confidence
        self._for_records = (
            None
            if is_for_records
            else ConfidencePolicy(calibration, max_error_rate, has_grey_zone=has_grey_zone, is_for_records=True)
        )

    def for_stored(self, stored: str) -> Policy | None:
        return self._for_records if self._for_records is not None and asks_for_records(stored) else self

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return self._confidence(asked, stored, similarity, others, verdicts)

    def __repr__(self) -> str:
        return f"ConfidencePolicy({self.policy_id}, at least {self.min_confidence:.4f})"


class VerifiedPolicy(Policy):
    """A calibrated confidence whose second look knows the verifier in use: where its score can change the decision it
    is asked, and what it says is weighed with all other evidence.

    Args:
        calibration: of the embedder in use, with a second look.
        max_error_rate: wrong hits / requests, in (0, 0.5].
        is_always: the verifier is asked about whatever is in its zone or above it.
        has_judge: a judge is asked, too; so the zone begins where a score can still earn a judge's attention.
    """

    def __init__(
        self, calibration: Calibration, max_error_rate: float, *, is_always: bool = False, has_judge: bool = False
    ) -> None:
        verified = calibration.verified
        assert verified is not None  # whoever chooses this policy has looked
        self.max_error_rate = max_error_rate
        self.min_confidence = verified.min_confidence(max_error_rate)
        self.grey_from = verified.grey_from(max_error_rate)
        if has_judge:
            self.grey_from = min(self.grey_from, verified.judge_grey_from)
        self.floor = calibration.floor_at(self.grey_from)
        self.policy_id = f"calibration {calibration.version} verified error {max_error_rate:g}"
        self._sure_from = math.inf if is_always else verified.sure_from(max_error_rate)
        self._silent_from = calibration.min_confidence(max_error_rate)
        self._judge_from = verified.judge_from
        self._calibration = calibration
        self._verified = verified

    @property
    def sure_from(self) -> float:
        return self._sure_from

    @property
    def silent_from(self) -> float:
        return self._silent_from

    @property
    def judge_from(self) -> float:
        return self._judge_from

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return self._calibration.confidence(asked, stored, similarity, others, verdicts)

    def combine(self, confidence: float, score: float) -> float:
        return self._verified.probability(confidence, score)

    def __repr__(self) -> str:
        return f"VerifiedPolicy({self.policy_id}, at least {self.min_confidence:.4f})"


class _TypedPolicy(Policy):
    """A policy that gives way to a stricter one where the stored question is of a type with a smaller budget: a status
    asked for in words that no rule of the types knows must not be answered out of a larger budget.

    Args:
        policy: what decides otherwise.
        of_type: what decides about a stored question: `policy` itself, a stricter one or None.
        types: the budgets by type, for the id: who changes one of them has the aliases judged again.
    """

    def __init__(self, policy: Policy, of_type: Callable[[str], Policy | None], types: str) -> None:
        self.policy_id = f"{policy.policy_id} types {types}"
        self.floor, self.grey_from, self.min_confidence = policy.floor, policy.grey_from, policy.min_confidence
        self.max_error_rate = policy.max_error_rate
        self._policy = policy
        self._of_type = of_type

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        return self._policy.confidence(asked, stored, similarity, others, verdicts)

    @property
    def sure_from(self) -> float:
        return self._policy.sure_from

    @property
    def silent_from(self) -> float:
        return self._policy.silent_from

    @property
    def judge_from(self) -> float:
        return self._policy.judge_from

    def combine(self, confidence: float, score: float) -> float:
        return self._policy.combine(confidence, score)

    def for_stored(self, stored: str) -> Policy | None:
        found = self._of_type(stored)
        own = None if found is None else found.for_stored(stored)
        return self if own is self._policy else own

    def __repr__(self) -> str:
        return repr(self._policy)


class Policies:
    """Which policy a request is decided by. There is one policy for each error budget, made when the cache is opened.

    Args:
        make: the policy for a budget above 0.
        max_error_rate: the budget of a request for which none of the two tables has one.
        by_query_type: budgets by query type; 0 is "never by meaning". The types of the asked and of the stored
            question both count.
        by_namespace: budgets by the start of a full namespace; the longest start decides.
        query_type_of: the query type of a question; asked only when there are budgets by query type.
        root: the cache's own namespace, put before a request's.
    """

    def __init__(
        self,
        make: Callable[[float], Policy],
        max_error_rate: float,
        *,
        by_query_type: Mapping[str, float] | None = None,
        by_namespace: Mapping[Namespace, float] | None = None,
        query_type_of: Callable[[str], str] = lambda text: "",
        root: Namespace = (),
    ) -> None:
        self._by_query_type = dict(by_query_type or {})
        # The longest start first: the first that fits decides.
        self._by_namespace = sorted((by_namespace or {}).items(), key=lambda item: -len(item[0]))
        self._query_type_of = query_type_of
        self._root = root
        budgets = {max_error_rate, *self._by_query_type.values(), *(budget for _, budget in self._by_namespace)}
        self._policies = {budget: make(budget) for budget in budgets if budget > 0.0}
        self._default_budget = max_error_rate
        self.default = self._policies[max_error_rate]
        types = ", ".join(f"{name} {rate:g}" for name, rate in sorted(self._by_query_type.items()))
        self._typed = {
            budget: _TypedPolicy(policy, partial(self._of_type, budget), types)
            for budget, policy in self._policies.items()
        }

    def _of_type(self, budget: float, stored: str) -> Policy | None:
        """What decides about a stored question in a request of this budget: the smaller budget of the two."""
        own = self._by_query_type.get(self._query_type_of(stored), budget)
        return self._policies.get(min(own, budget))

    def budget_of(self, request: Request) -> float:
        """Wrong hits / requests that this request may cost. Of the two tables' budgets the smaller one counts."""
        budgets = []
        if self._by_namespace:
            namespace = (*self._root, *request.namespace)
            found = (budget for start, budget in self._by_namespace if namespace[: len(start)] == start)
            budgets += [next(found, None)]
        if self._by_query_type:
            budgets += [self._by_query_type.get(self._query_type_of(request.text))]
        return min((budget for budget in budgets if budget is not None), default=self._default_budget)

    def __call__(self, request: Request) -> Policy | None:
        """The policy of this request; None when it must never be matched by meaning."""
        if not self._by_namespace and not self._by_query_type:
            return self.default
        budget = self.budget_of(request)
        return (self._typed if self._by_query_type else self._policies).get(budget)
