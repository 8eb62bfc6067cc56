"""The course of one warming: what is asked next, whether it may be asked yet, and when to stop. No I/O."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Usage
from llmcache_plugins.warming.report import WarmProgress, WarmReport

__all__ = ["Budget", "CostOf", "Plan"]

Question = TypeVar("Question", bound=Hashable)
CostOf = Callable[[Usage], float]
_AGAIN = 0.02  # seconds until a call that waits for the cost of others asks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a warming may spend at most; None: no limit. `money` is in the unit of `cost_of`.

    Calls are kept exactly. Tokens and money of a call are known only when it has ended: no call is begun that would
    pass the limit if it and those still running cost as much as the dearest so far, and the first one runs alone. So
    the limit is passed only by a call that costs more than every one before it.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        for name in ("calls", "tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ConfigError(f"a budget of {name} must be an integer of at least 0 or None, not {value!r}")
        if self.money is not None and not _is_number(self.money, least=0.0):
            raise ConfigError(f"a budget of money must be a number of at least 0 or None, not {self.money!r}")

    @classmethod
    def of(cls, given: Budget | int | None) -> Budget:
        """The budget; a plain integer counts calls."""
        if isinstance(given, Budget):
            return given
        if isinstance(given, float):
            raise ConfigError(f"a number of calls is an integer, and money is Budget(money={given!r})")
        return cls(calls=given)


class Plan(Generic[Question]):
    """Hands out questions and keeps the accounts. Safe to use from several threads.

    Args:
        questions: in the order they are asked.
        budget: see `Budget`.
        rate: calls begun in a second; None for no limit.
        cost_of: what the tokens of one call cost; needed for a budget of money.
        most_failures: so many failures in a row end it: a model that is down should not be asked a thousand times.
        monotonic: the time.
        done: questions that an earlier run has done.

    Raises:
        ConfigError: `rate` or `most_failures` is out of range, or there is a budget of money without `cost_of`.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        *,
        monotonic: Callable[[], float],
        budget: Budget | None = None,
        rate: float | None = None,
        cost_of: CostOf | None = None,
        most_failures: int = 10,
        done: Collection[Question] = (),
    ) -> None:
        if rate is not None and not (_is_number(rate, least=0.0) and rate > 0):
            raise ConfigError(f"rate must be a number of calls a second above 0 or None, not {rate!r}")
        if isinstance(most_failures, bool) or not isinstance(most_failures, int) or most_failures < 1:
            raise ConfigError(f"most_failures must be an integer of at least 1, not {most_failures!r}")
        self._budget = Budget() if budget is None else budget
        if self._budget.money is not None and cost_of is None:
            raise ConfigError("a budget of money needs cost_of, which says what the tokens of a call cost")
        self._monotonic = monotonic
        self._start = monotonic()
        self._pause = 0.0 if rate is None else 1.0 / rate
        self._cost_of = cost_of
        self._most_failures = most_failures
        self._total = len(questions)
        self._waiting = deque(question for question in questions if question not in done)
        self._lock = threading.Lock()
        self._next_call = self._start
        self._warmed, self._skipped = 0, self._total - len(self._waiting)
        self._failures: Counter[str] = Counter()
        self._failed_in_a_row = 0
        self._calls = self._running = 0
        self._usage, self._dearest, self._costs = Usage(), Usage(), 0.0
        self._dearest_cost, self._ended = 0.0, 0
        self._stopped = ""

    def take(self) -> Question | None:
        """The next question; None when there is none, or the warming has stopped."""
        with self._lock:
            return None if self._stopped or not self._waiting else self._waiting.popleft()

    def begin(self) -> float | None:
        """May a call begin? 0.0: it has; above: ask again in so many seconds; None: the warming has stopped."""
        with self._lock:
            if not self._stopped:
                self._stopped = self._spent()
            if self._stopped:
                return None
            if not self._affords_another():
                return _AGAIN
            now = self._monotonic()
            if now < self._next_call:
                return self._next_call - now
            self._next_call = max(now, self._next_call) + self._pause
            self._calls += 1
            self._running += 1
            return 0.0

    def skip(self) -> None:
        """The question that was taken needs no call."""
        with self._lock:
            self._skipped += 1

    def end(self, usage: Usage, failure: str = "") -> None:
        """A call has ended, and its answer is stored, unless `failure` says why not."""
        cost = 0.0 if self._cost_of is None else self._cost_of(usage)
        with self._lock:
            self._running -= 1
            self._ended += 1
            self._usage = _sum(self._usage, usage)
            self._costs += cost
            self._dearest_cost = max(self._dearest_cost, cost)
            self._dearest = max(self._dearest, usage, key=lambda one: one.total_tokens)
            self._note(failure)
            has_limit = self._budget.tokens is not None or self._budget.money is not None
            if has_limit and not failure and not usage.total_tokens:
                self._stopped = self._stopped or "usage unknown"  # its limit would never be reached

    def fail(self, failure: str, *, has_begun: bool = True) -> None:
        """A call has brought no answer, or the question could not even be asked."""
        with self._lock:
            self._running -= has_begun
            self._note(failure)

    def stop(self, reason: str) -> None:
        """Take nothing any more; the first reason counts."""
        with self._lock:
            self._stopped = self._stopped or reason

    def progress(self) -> WarmProgress:
        """Where it stands."""
        with self._lock:
            failed = sum(self._failures.values())
            done = self._warmed + self._skipped + failed
            cost = None if self._cost_of is None else self._costs
            return WarmProgress(done, self._total, self._warmed, self._skipped, failed, self._calls, cost)

    def report(self) -> WarmReport:
        """What came of it."""
        with self._lock:
            return WarmReport(
                total=self._total,
                warmed=self._warmed,
                skipped=self._skipped,
                failures=dict(self._failures),
                calls=self._calls,
                usage=self._usage,
                cost=None if self._cost_of is None else self._costs,
                seconds=self._monotonic() - self._start,
                stopped=self._stopped,
            )

    # ---------------------------------------------------------------- under the lock
    def _note(self, failure: str) -> None:
        if not failure:
            self._warmed += 1
            self._failed_in_a_row = 0
            return
        self._failures[failure] += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._most_failures:
            self._stopped = self._stopped or "failures"

    def _spent(self) -> str:
        """The limit that leaves no room for one more call, when nothing is running that might cost less."""
        budget = self._budget
        if budget.calls is not None and self._calls >= budget.calls:
            return "calls"
        if self._running:
            return ""
        if budget.tokens is not None and self._usage.total_tokens + max(self._dearest.total_tokens, 1) > budget.tokens:
            return "tokens"
        is_over = budget.money is not None and self._costs + self._dearest_cost > budget.money
        return "money" if is_over or (budget.money is not None and self._costs >= budget.money) else ""

    def _affords_another(self) -> bool:
        budget, running = self._budget, self._running
        if not running or (budget.tokens is None and budget.money is None):
            return True
        if not self._ended:
            return False  # the first one shows what a call costs
        tokens = self._usage.total_tokens + (running + 1) * self._dearest.total_tokens
        costs = self._costs + (running + 1) * self._dearest_cost
        return (budget.tokens is None or tokens <= budget.tokens) and (budget.money is None or costs <= budget.money)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cache_creation_input_tokens + other.cache_creation_input_tokens,
        one.cache_read_input_tokens + other.cache_read_input_tokens,
    )


def _is_number(value: Any, *, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= least
