"""A bound on the wrong hits that were served, from those that checks found. Pure.

Of the matches that would be served, a coin with a known chance picks some that are checked instead: the model is asked,
and its answer compared. A wrong match falls on the coin's side with that chance, whatever the traffic does, so the
wrong ones that checks found tell how many were served.

For a number `l` > 0 multiply by exp(l) for every wrong match served, and by x = (1 - (1 - q) exp(l)) / q for every
wrong match found by a check that had the chance q. The expectation of each factor is 1 under the coin, so the product
is a martingale that starts at 1, and it ever reaches 1 / doubt with a probability of at most `doubt` (J. Ville, "Etude
critique de la notion de collectif", 1939). It may be looked at after every request. A mixture over several `l` is a
martingale too (H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
Statistics 1970; S. Howard et al., "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
Statistics 2021). Nothing is assumed about the traffic: matches may be wrong in any order and for any reason.
"""

from __future__ import annotations

import math

__all__ = ["CLOSED", "Ledger"]

CLOSED = 1.0
"""The chance of a check at which nothing is served."""

# Numbers `l` and their weights: each is sharpest for another chance of checks, and the first for the start. One that is
# not below -log(1 - q) knows nothing of what was served at the chance q.
_RATES = (0.6, 0.45, 0.33, 0.25, 0.18, 0.13, 0.09, 0.065, 0.045, 0.03, 0.02, 0.013, 0.009)
_WEIGHTS = tuple(0.75**place for place in range(len(_RATES)))
_LOG_WEIGHTS = tuple(math.log(weight / sum(_WEIGHTS)) for weight in _WEIGHTS)
_CHANCES = (0.02, 0.03, 0.04, 0.055, 0.075, 0.1, 0.14, 0.2, 0.28, 0.38, 0.5)
_PRECISION = 0.01  # of the bound, in wrong hits
_AHEAD = 2  # wrong matches that the next checks may find before the chance of a check has to rise again
_GROWTH = 1.02  # of what is allowed, until the chance is worked out anew


class Ledger:
    """The account of one error budget. Not safe to share between threads.

    Args:
        max_error_rate: wrong hits / requests.
        loan: wrong hits that are allowed before the requests allow as many; from `loan / max_error_rate` requests on
            the rate holds.
        doubt: the probability with which more are served than allowed, at any time.
    """

    def __init__(self, max_error_rate: float, *, loan: float, doubt: float = 0.05) -> None:
        self.max_error_rate = max_error_rate
        self.loan = loan
        self.requests = 0
        self._target = -math.log(doubt)
        self._costs = [0.0] * len(_RATES)  # -log of the product of the x; infinite for one that no longer counts
        self._bound = 0.0
        self._has_served = False
        self._chance: float | None = None
        self._chance_at = 0.0

    def count(self, requests: int = 1) -> None:
        """So many more requests, however they were answered."""
        self.requests += requests

    @property
    def allowed(self) -> float:
        """Wrong hits that may have been served by now."""
        return max(self.loan, self.max_error_rate * self.requests)

    @property
    def bound(self) -> float:
        """Wrong hits that were served by now, at most, but for the doubt."""
        return self._bound if self._has_served else 0.0

    @property
    def room(self) -> float:
        """Wrong hits that may still be owned up to."""
        return self.allowed - self.bound

    def chance(self) -> float:
        """The least chance of a check that keeps the bound within what is allowed, also after the next wrong matches
        that checks find; `CLOSED` when there is none."""
        if self._chance is None or self.allowed > self._chance_at * _GROWTH:
            self._chance, self._chance_at = self._least_chance(), self.allowed
        return self._chance

    def serve(self, chance: float) -> None:
        """A match is put to the coin with this chance of a check, in (0, 1]: heads or tails, the bound must hold."""
        if chance >= CLOSED:
            return
        costs = [
            cost if _cost(chance, rate) < math.inf else math.inf for cost, rate in zip(self._costs, _RATES, strict=True)
        ]
        if costs != self._costs or not self._has_served:
            self._has_served = True
            self._set(costs)

    def found_wrong(self, chance: float) -> None:
        """A check that had this chance has found the match wrong."""
        if chance < CLOSED:
            self._set(_after(self._costs, chance, 1))

    def _set(self, costs: list[float]) -> None:
        self._costs, self._bound, self._chance = costs, self._bound_of(costs), None

    def _least_chance(self) -> float:
        for ahead in (_AHEAD, 1):
            for chance in _CHANCES:
                if self._is_beyond(self.allowed, _after(self._costs, chance, ahead)):
                    return chance
        return CLOSED

    def _bound_of(self, costs: list[float]) -> float:
        """The largest number of wrong hits at which the martingale is below its limit."""
        alive = [
            (weight - cost, rate)
            for weight, cost, rate in zip(_LOG_WEIGHTS, costs, _RATES, strict=True)
            if cost < math.inf
        ]
        if not alive:
            return math.inf
        low, high = 0.0, min((self._target - base) / rate for base, rate in alive)
        while high - low > _PRECISION:
            middle = (low + high) / 2
            if self._is_beyond(middle, costs):
                high = middle
            else:
                low = middle
        return high

    def _is_beyond(self, wrong: float, costs: list[float]) -> bool:
        """Would so many wrong hits have brought the martingale to its limit?"""
        logs = [
            weight - cost + rate * wrong
            for weight, cost, rate in zip(_LOG_WEIGHTS, costs, _RATES, strict=True)
            if cost < math.inf
        ]
        most = max(logs, default=-math.inf)
        return bool(logs) and most + math.log(sum(math.exp(one - most) for one in logs)) >= self._target


def _after(costs: list[float], chance: float, found: int) -> list[float]:
    """The costs when checks of this chance have found so many more."""
    return [cost + found * _cost(chance, rate) for cost, rate in zip(costs, _RATES, strict=True)]


def _cost(chance: float, rate: float) -> float:
    """-log x of a wrong match that was found; infinite where the rate knows nothing of matches served at the chance."""
    x = (1.0 - (1.0 - chance) * math.exp(rate)) / chance
    return -math.log(x) if x > 1e-9 else math.inf
