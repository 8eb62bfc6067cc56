"""How sure is sure enough, by what checks found wrong: in a cache, a tenant or a scope. Pure.

The risk of serving from a score on is estimated for every score at once, from the scores of the matches that checks
found wrong: each stands for as many as the chance it was checked with says (Horvitz and Thompson, "A generalization of
sampling without replacement from a finite universe", JASA 1952).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

__all__ = ["NEVER", "Trust"]

NEVER = math.inf
"""A score that nothing reaches."""
_MOST_WRONG = 1024  # that are remembered, the last ones
_SURENESS = 1.2816  # the 90 % point of the normal distribution
_STEP = 32  # requests until a threshold is worked out anew, when no check has found a wrong match


class _Wrong(NamedTuple):
    """A match that a check found wrong: how sure it was (with a minus: the surest come first); when, in requests; and
    how many wrong ones it stands for."""

    doubt: float
    at: int
    weight: float


class Trust:
    """Where matches have been right and wrong of late. Not safe to share between threads.

    Two questions, over the same wrong matches: below which score do they object, as far as they were seen to be wrong
    more often than the rate allows, in any of several windows, so that a change shows soon; and from which score on is
    the risk surely within the rate, in the longest window.

    Args:
        windows: lengths in requests, each above 0.
    """

    def __init__(self, windows: tuple[int, ...]) -> None:
        self.requests = 0
        self.pending = 0  # checks under way: what they will find is not known yet
        self._windows = tuple(sorted(windows))
        self._wrong: deque[_Wrong] = deque()  # as they came
        self._ranked: list[_Wrong] = []  # the same, the surest first
        self._known: tuple[float, float, float] | None = None  # prior, rate, threshold
        self._known_until = 0

    def count(self) -> None:
        """One more request, however it is answered."""
        self.requests += 1

    def found_wrong(self, score: float, weight: float) -> None:
        """A check has found a match of this score wrong; it stands for `weight` of them."""
        one = _Wrong(-score, self.requests, weight)
        self._wrong.append(one)
        insort(self._ranked, one)
        while len(self._wrong) > _MOST_WRONG or self._wrong[0].at <= self.requests - self._windows[-1]:
            del self._ranked[bisect_left(self._ranked, self._wrong.popleft())]
        self._known = None

    def threshold(self, prior: float, rate: float) -> float:
        """The least score to serve from; `NEVER` for none.

        Args:
            prior: what holds where there is no evidence for less, and none against it.
            rate: wrong hits / requests.
        """
        known = self._known
        if known is None or known[:2] != (prior, rate) or self.requests >= self._known_until:
            known = self._known = (prior, rate, self._threshold(prior, rate))
            self._known_until = self.requests + _STEP
        return known[2]

    def _threshold(self, prior: float, rate: float) -> float:
        objected = max(self._least(window, rate * window, 0.0) for window in self._windows)
        longest = self._windows[-1]
        proven = self._least(longest, rate * min(self.requests - self.pending, longest), _SURENESS)
        return max(objected, min(prior, proven))

    def _least(self, window: int, allowed: float, sureness: float) -> float:
        """The least score from which on the wrong matches of the last `window` requests are no more than allowed."""
        if _at_most(0.0, 0.0, 1.0, sureness) > allowed:
            return NEVER
        since = self.requests - window
        found, squares, heaviest = 0.0, 0.0, 1.0
        for one in self._ranked:
            if one.at <= since:
                continue
            found += one.weight
            squares += one.weight * one.weight
            heaviest = max(heaviest, one.weight)
            if _at_most(found, squares, heaviest, sureness) > allowed:
                return math.nextafter(-one.doubt, NEVER)
        return 0.0


def _at_most(found: float, squares: float, heaviest: float, sureness: float) -> float:
    """An upper bound of the mean of a weighted count of rare things: that of a score test for a Poisson mean, where one
    more of the heaviest may come at any time.

    Args:
        found: sum of the weights.
        squares: sum of their squares.
        sureness: a point of the normal distribution; 0 for the plain estimate.
    """
    if not sureness:
        return found
    return found + sureness * math.sqrt(squares + heaviest * heaviest) + heaviest * sureness * sureness / 2.0
