"""The stages of a roll-out: when the served share goes up, and when back. Pure; the time comes with each call.

The bound is looked at after every comparison, so the 95 % of its interval hold for each look and not for all of them
together: a step back comes too soon now and then, which costs time, and no wrong answer.
"""

from __future__ import annotations

from typing import Literal

from llmcache_plugins.analysis import errors_per_request, wilson
from llmcache_plugins.recorded import StageEvent
from llmcache_plugins.rollout import Rollout

__all__ = ["Stages"]

_SHADOW = -1
# Of one or two the interval says little: of ten requests one wrong answer would prove a bound of 1 % broken, although
# it comes once in ten such samples at that very rate.
_LEAST_WRONG = 3


class Stages:
    """Where a roll-out stands. Not safe to share between threads.

    Args:
        rollout: the settings.
        max_error_rate: the bound where the settings name none, errors / requests.
        now: monotonic, seconds.
    """

    def __init__(self, rollout: Rollout, max_error_rate: float, now: float) -> None:
        self._rollout = rollout
        self._bound = max_error_rate if rollout.max_error_rate is None else rollout.max_error_rate
        self._stage = 0
        self.number = 0  # of the steps so far: what was begun before one of them says nothing of what came after
        self._served = self._reported = 0  # since the last step back: a report is of an answer of whatever stage
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._since = now
        self._control = self._withheld = self._same = self._different = self._unclear = 0

    @property
    def fraction(self) -> float:
        """The share of requests that is served now."""
        return 0.0 if self._stage == _SHADOW else float(self._rollout.stages[self._stage])

    def looked(self, *, is_served: bool, is_withheld: bool) -> None:
        """A lookup has ended in this stage."""
        self._served += is_served
        self._control += not is_served
        self._withheld += is_withheld

    def compared(self, outcome: Literal["same", "different", "unclear"], number: int, now: float) -> StageEvent | None:
        """A comparison has ended; the step that follows from it.

        Args:
            number: as it was when the comparison began.
        """
        if number != self.number:
            return None
        self._same += outcome == "same"
        self._different += outcome == "different"
        self._unclear += outcome == "unclear"
        _, low, _ = errors_per_request(self._control, self._withheld, self._same, self._different)
        # Equal words are never unclear: who cannot tell looks at two that differ. Up goes what is right even if all of
        # those are wrong.
        worst = self._different + self._unclear
        _, _, high = errors_per_request(self._control, self._withheld, self._same, worst)
        if self._different >= _LEAST_WRONG and low > self._bound:
            return self._step(self._below(), "errors", low, high, now)
        is_due = now - self._since >= self._rollout.minimum_seconds
        is_known = self._same + self._different >= self._rollout.minimum_checks
        if is_due and is_known and high <= self._bound and self._stage + 1 < len(self._rollout.stages):
            return self._step(self._stage + 1, "proven", low, high, now)
        return None

    def reported(self, now: float) -> StageEvent | None:
        """A user has reported a wrong answer; the step back that follows from it."""
        self._reported += 1
        low, high = wilson(min(self._reported, self._served), self._served)
        if self._reported >= _LEAST_WRONG and low > self._bound:
            return self._step(self._below(), "reports", low, high, now)
        return None

    def _below(self) -> int:
        return _SHADOW if self._rollout.step_back == "shadow" else max(_SHADOW, self._stage - 1)

    def _step(
        self, stage: int, reason: Literal["proven", "errors", "reports"], low: float, high: float, now: float
    ) -> StageEvent | None:
        before = self.fraction
        self._stage = stage
        self.number += 1
        if reason != "proven":
            self._served = self._reported = 0
        self._begin(now)
        after = self.fraction
        # In shadow there is nothing below: the evidence alone begins anew.
        return None if after == before else StageEvent(before, after, reason, low, high)
