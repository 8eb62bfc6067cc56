"""What bounds the calls of a judge or a verifier: money, hangs, and what was said before. Pure: all are told the time,
in monotonic seconds, never less than before. None of them is thread-safe."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

__all__ = ["Breaker", "Budget", "Verdicts"]

_DAY = 24 * 3600.0
_SLICE = 60.0  # what is spent within a minute is kept as one sum
_TOLERANCE = 1e-9  # ten times 0.1 is 1.0


class Budget:
    """Money that may be spent within any 24 hours.

    What a call costs is known when it is over. So each one under way counts as much as the last one that ended, and a
    further one has to fit in beside them.

    Args:
        most: the budget; None for no limit.
        flat: what a call costs that does not say it.
    """

    def __init__(self, most: float | None, flat: float = 0.0) -> None:
        self._most = most
        self._flat = flat
        self._last = flat
        self._slices: deque[tuple[float, float, float]] = deque()  # begin, last spending, sum

    @property
    def expected(self) -> float:
        """What a call comes to, as far as anybody can tell before it is over."""
        return max(self._flat, self._last)

    def allows(self, now: float, under_way: int) -> bool:
        """May one call more be made, beside those under way?"""
        if self._most is None:
            return True
        taken = self.spent(now) + under_way * self.expected
        if taken <= 0.0:
            return True  # a budget smaller than one call still buys one call a day
        return taken < self._most and taken + self.expected <= self._most + _TOLERANCE

    def spend(self, now: float, cost: float | None) -> float:
        """Book a call that is over; how much that was. None: it did not say."""
        if cost is None:
            cost = self._flat
        else:
            self._last = cost
        self.book(now, cost)
        return cost

    def book(self, now: float, amount: float) -> None:
        """Book an amount that says nothing about the next call."""
        if self._most is None or not amount:
            return
        self._forget(now)
        if self._slices and now - self._slices[-1][0] < _SLICE:
            begin, _, before = self._slices.pop()
            self._slices.append((begin, now, before + amount))
        else:
            self._slices.append((now, now, amount))

    def spent(self, now: float) -> float:
        """What was spent in the last 24 hours."""
        self._forget(now)
        return sum(amount for _, _, amount in self._slices)

    def _forget(self, now: float) -> None:
        while self._slices and now - self._slices[0][1] >= _DAY:
            self._slices.popleft()


class Breaker:
    """After some time-outs in a row nobody is asked for a while. Then one call may try; when it hangs as well, the
    pause is twice as long.

    Args:
        after: time-outs in a row.
        pause: seconds of the first pause.
        longest: seconds of the longest one.

    >>> breaker = Breaker(after=1, pause=30.0)
    >>> breaker.timed_out(0.0)
    >>> [breaker.allows(now) for now in (29.0, 30.0, 31.0)]
    [False, True, False]
    """

    def __init__(self, *, after: int = 3, pause: float = 30.0, longest: float = 3600.0) -> None:
        self._after = after
        self._first = self._pause = pause
        self._longest = longest
        self._in_a_row = 0
        self._until = 0.0
        self._is_trying = False

    def allows(self, now: float) -> bool:
        """May somebody be asked? A yes after a pause is the one try: whoever asks next hears no."""
        if self._in_a_row < self._after:
            return True
        if now < self._until:
            return False
        self._is_trying = True
        self._until = now + self._pause
        return True

    def returned(self) -> None:
        """A call came back in time, well or not."""
        self._in_a_row, self._pause, self._is_trying = 0, self._first, False

    def timed_out(self, now: float) -> None:
        self._in_a_row += 1
        if self._in_a_row == self._after:
            self._until = now + self._pause
        elif self._is_trying:  # else one of those that were under way when the pause began
            self._is_trying = False
            self._pause = min(2 * self._pause, self._longest)
            self._until = now + self._pause


class Verdict(NamedTuple):
    """A probability, or None for a judge that could not say."""

    opinion: float | None
    until: float


class Verdicts:
    """What a judge said, by digest; the one looked up longest ago goes first.

    Args:
        most: how many are kept.
        undecided: seconds for which it is remembered that the judge could not say.
    """

    def __init__(self, most: int = 10_000, undecided: float = 300.0) -> None:
        self._most = most
        self._undecided = undecided
        self._known: OrderedDict[str, Verdict] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, pair: str, now: float) -> Verdict | None:
        known = self._known.get(pair)
        if known is None:
            return None
        if known.until <= now:
            del self._known[pair]
            return None
        self._known.move_to_end(pair)
        return known

    def keep(self, pair: str, opinion: float | None, now: float) -> None:
        self._known[pair] = Verdict(opinion, now + self._undecided if opinion is None else float("inf"))
        self._known.move_to_end(pair)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
