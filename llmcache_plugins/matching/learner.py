"""What an adaptive policy learns from checks: from which score on matches are served, and how many are checked. Pure.

- `Ledger` says with what chance a would-be hit must be checked, so that the wrong hits stay within the budget whatever
  the traffic does.
- `Trust` says from which score on serving is worth it: in the whole cache, then in a tenant, then in a scope. Each
  begins where the larger one stands, so that a small one borrows from it, and goes its own way by its own evidence.
- A share of the requests limits what checks may cost.

Every constant was chosen on the fit and choose parts of the labelled streams (docs/adaptive.md).
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from llmcache_plugins.matching.ledger import CLOSED, Ledger
from llmcache_plugins.matching.trust import NEVER, Trust

__all__ = ["BURST", "LOAN", "Learner", "LearnerState", "Partition", "Weighed"]

Partition: TypeAlias = tuple[str, ...]
"""Names of the partitions that a request is in, the larger first: its tenant, its scope."""

LOAN = 40.0  # wrong hits that are allowed before the requests allow as many
BURST = 100  # checks beyond the share of the requests
_WINDOWS = (5.0, 20.0, 100.0)  # in requests / max_error_rate: the wrong hits that each allows
_SPENT = 0.8  # share of the budget that a threshold may use up, for it is estimated
_HORIZON = 2.0  # the future that a threshold is set for, in loans
_OVERHEAD = 1.4  # by how much the ledger overrates what was served, at the chances it asks for
_STEP = 32  # requests until rate and limit are worked out anew, when no check has found a wrong match
_SCORES, _LEAST_SCORES = 512, 64  # would-be hits that tell how many there are of which score
_MADE_UP_OVER = 1000.0  # requests in which checks that were not needed may be made up for
_OUTCOMES, _LEAST_ANSWERED = 64, 0.5  # checks of late, and the share that must come to an end for anything to be served
_MOST_PARTITIONS, _MOST_ENTRIES = 1024, 4096


class Weighed(NamedTuple):
    """What becomes of a would-be hit, and the chance it had to be checked: 1 for one that is not served anyway."""

    fate: Literal["serve", "check", "leave"]
    chance: float


@dataclass(frozen=True, slots=True)
class LearnerState:
    """What a learner holds now; see `counters.AdaptiveStats`."""

    requests: int
    checks: int
    wrong_at_most: float
    allowed: float
    threshold: float
    chance: float


class Learner:
    """Learns for one error budget. Not safe to share between threads.

    Args:
        max_error_rate: wrong hits / requests.
        prior: the score to serve from before anything was learnt; `NEVER` to begin with nothing.
        shadow_rate: checks / requests, beyond the first `BURST`.
        random: the coin.
    """

    def __init__(self, max_error_rate: float, prior: float, shadow_rate: float, random: random.Random) -> None:
        self.max_error_rate = max_error_rate
        self.checks = 0
        self.random = random
        self._prior, self._shadow_rate = prior, shadow_rate
        self._ledger = Ledger(max_error_rate, loan=LOAN)
        windows = tuple(max(1, round(wrong / max_error_rate)) for wrong in _WINDOWS)
        self._windows = windows
        self._whole = Trust(windows)
        self._parts: OrderedDict[str, Trust] = OrderedDict()
        self._doubted: OrderedDict[str, float] = OrderedDict()  # entry -> the score at which it was wrong
        self._scores: deque[tuple[int, float]] = deque(maxlen=_SCORES)
        self._answered: deque[bool] = deque(maxlen=_OUTCOMES)
        self._setting: tuple[float, float] | None = None  # rate to spend, least score that checks can be paid for
        self._set_until = 0

    def count(self, partition: Partition) -> None:
        """One more request, however it is answered."""
        self._ledger.count()
        self._whole.count()
        for name in partition:
            trust = self._parts.get(name)
            if trust is None:
                trust = self._parts[name] = Trust(self._windows)
                if len(self._parts) > _MOST_PARTITIONS:
                    self._parts.popitem(last=False)
            else:
                self._parts.move_to_end(name)
            trust.count()

    def threshold(self, partition: Partition) -> float:
        """The least score that is served in this partition; `NEVER` for none."""
        rate, payable = self._settings()
        threshold = self._whole.threshold(self._prior, rate)
        for name in partition:
            trust = self._parts.get(name)
            if trust is not None:
                threshold = trust.threshold(threshold, rate)
        return max(threshold, payable)

    def chance(self) -> float:
        """The chance with which a would-be hit is checked now; `CLOSED` when none is served."""
        answered = self._answered_share()
        if answered < _LEAST_ANSWERED or self.checks >= BURST + self._shadow_rate * self._ledger.requests:
            return CLOSED
        return min(CLOSED, self._ledger.chance() / answered)

    def doubts(self, entry: str, score: float) -> bool:
        """Was this entry found wrong in a match that was as sure?"""
        return score <= self._doubted.get(entry, -NEVER)

    def weigh(self, entry: str, score: float) -> Weighed:
        """What becomes of a would-be hit. It counts as checked when it is to be."""
        chance = self.chance()
        if chance >= CLOSED or self.doubts(entry, score):
            return Weighed("leave", CLOSED)
        known = chance * self._answered_share()  # the chance that a check is drawn and comes to an end
        self._ledger.serve(known)
        if self.random.random() >= chance:
            return Weighed("serve", known)
        self.checks += 1
        return Weighed("check", known)

    def saw(self, score: float) -> None:
        """A request had a candidate of this score."""
        self._scores.append((self._ledger.requests, score))

    def expect(self, partition: Partition) -> None:
        """A check is under way; `learn` or `dismiss` ends it."""
        for trust in self._trusts(partition):
            trust.pending += 1

    def dismiss(self, partition: Partition) -> None:
        """A check is given up for another one of the same request."""
        for trust in self._trusts(partition):
            trust.pending = max(0, trust.pending - 1)

    def _trusts(self, partition: Partition) -> list[Trust]:
        return [self._whole, *(self._parts[name] for name in partition if name in self._parts)]

    def learn(self, partition: Partition, entry: str, score: float, chance: float, agrees: bool | None) -> None:
        """A check has come to an end, of a would-be hit or of a candidate that was not sure enough.

        Args:
            chance: that it had, 1 for what was not to be served.
            agrees: None when nobody could say, or no answer came.
        """
        self.dismiss(partition)
        share = self._answered_share()
        self._answered.append(agrees is not None)
        if agrees is not False:
            return
        weight = 1.0 / (share if chance >= CLOSED else chance)
        for trust in self._trusts(partition):
            trust.found_wrong(score, weight)
        if chance < CLOSED:
            self._ledger.found_wrong(chance)
            self._setting = None
        self._doubted[entry] = max(score, self._doubted.pop(entry, -NEVER))
        if len(self._doubted) > _MOST_ENTRIES:
            self._doubted.popitem(last=False)

    def state(self) -> LearnerState:
        ledger = self._ledger
        return LearnerState(
            ledger.requests, self.checks, ledger.bound, ledger.allowed, self.threshold(()), self.chance()
        )

    def _answered_share(self) -> float:
        """Share of the checks that come to an end; begins with all of them."""
        return (sum(self._answered) + 2.0) / (len(self._answered) + 2.0)

    def _settings(self) -> tuple[float, float]:
        if self._setting is None or self._ledger.requests >= self._set_until:
            self._setting = self._rate(), self._payable()
            self._set_until = self._ledger.requests + _STEP
        return self._setting

    def _rate(self) -> float:
        """Wrong hits / requests that a threshold may cost from now on, so that the ledger does not run dry."""
        ledger, rate = self._ledger, self.max_error_rate
        horizon = _HORIZON * LOAN / rate
        later = max(LOAN, rate * (ledger.requests + horizon))
        return max(0.0, min(_SPENT * rate, (later - ledger.bound) / (_OVERHEAD * horizon)))

    def _payable(self) -> float:
        """The least score from which on the checks of would-be hits stay within their share of the requests."""
        chance = self._ledger.chance()
        if chance >= CLOSED or len(self._scores) < _LEAST_SCORES:
            return 0.0
        requests = self._ledger.requests
        spare = max(0.0, BURST + self._shadow_rate * requests - self.checks)
        hits = (self._shadow_rate + spare / _MADE_UP_OVER) / chance * (requests - self._scores[0][0] + 1)
        ranked = sorted((score for _, score in self._scores), reverse=True)
        return ranked[int(hits)] if hits < len(ranked) else 0.0  # of equal scores all: the limit itself still holds
