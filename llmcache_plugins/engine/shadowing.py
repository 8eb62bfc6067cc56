"""Shadow checks: would-be hits that are sent to the model on purpose, and candidates that were not sure enough anyway.
When the fresh answer comes, it is compared with the candidate's, and a learner hears what came of it.

Nothing here waits: fates are worked out under a lock in microseconds, and answers are compared in a thread apart.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal, TypeAlias

from llmcache_plugins.counters import AdaptiveStats
from llmcache_plugins.engine.comparing import Comparison
from llmcache_plugins.engine.daemons import Daemons
from llmcache_plugins.matching import Judged, Policy
from llmcache_plugins.matching.adaptive import Learnt
from llmcache_plugins.matching.learner import Learner, Partition
from llmcache_plugins.matching.ledger import CLOSED
from llmcache_plugins.protocols import Clock
from llmcache_plugins.recorded import Event, ShadowEvent
from llmcache_plugins.types import Answer, Entry, Namespace, Request

__all__ = ["Fate", "Shadowing"]

Fate: TypeAlias = Literal["serve", "check", "leave"]
"""A would-be hit is served; or a miss, to be checked; or a miss because too little is known to serve any."""

_MOST_CHECKS = 1024
_MOST_BYTES = 16 * 1024 * 1024
_MOST_WAITING = 64  # answers to be compared
_THREADS = 1


@dataclass(slots=True)
class _Check:
    """A candidate whose answer waits for a fresh one. `is_drawn`: it would have been served."""

    learner: Learner
    partition: Partition
    request: Request
    entry: Entry = field(repr=False)
    score: float
    chance: float
    is_drawn: bool
    at: float

    @property
    def size(self) -> int:
        return len(self.entry.answer_json) + len(self.entry.text) + 512


class Shadowing:
    """The checks of one cache, and what it has learnt from them. Safe to share between threads.

    Args:
        shadow_rate: checks of would-be hits / requests.
        comparison: says whether two answers agree.
        timeout: seconds after which no fresh answer is expected any more.
    """

    def __init__(self, shadow_rate: float, comparison: Comparison, *, timeout: float, clock: Clock) -> None:
        self._shadow_rate, self._timeout, self._clock = shadow_rate, timeout, clock
        self.comparison = comparison
        self._random = Random()
        self._learners: dict[float, Learner] = {}
        self._checks: OrderedDict[str, _Check] = OrderedDict()
        self._size = 0
        self._counts: dict[float, Counter[str]] = {}
        self._emit: Callable[[Event], None] = lambda event: None
        self._daemons = Daemons(_THREADS)
        self.after_fork()

    def report_to(self, emit: Callable[[Event], None], failed: Callable[[str, BaseException], None]) -> None:
        """Where events and failures go: to the cache."""
        self._emit = emit
        self.comparison.report_to(failed)

    def toss_with(self, random: Random) -> None:
        """Another coin, for replays that are to come out the same every time."""
        with self._lock:
            self._random = random
            for learner in self._learners.values():
                learner.random = random

    def after_fork(self) -> None:
        """In a forked child the lock may be held, and nobody compares what was waiting."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting = 0

    # ---------------------------------------------------------------- look-ups
    def learnt(self, policy: Policy, namespace: Namespace, scope: str) -> Policy:
        """The policy with the threshold that holds now."""
        partition = _partition(namespace, scope)

        def threshold(policy: Policy) -> float:
            with self._lock:
                return self._learner(policy).threshold(partition)

        return Learnt(policy, threshold)

    def count(self, policy: Policy, namespace: Namespace, scope: str) -> None:
        """One more request that this policy decides about."""
        with self._lock:
            self._learner(policy).count(_partition(namespace, scope))

    def weigh(self, request: Request, key: str, match: Judged, *, is_counted: bool = True) -> Fate:
        """What becomes of a match that would be served.

        Args:
            key: of the request; the fresh answer comes under it.
            is_counted: False to say what would be, and draw nothing.
        """
        entry, score, policy = match.candidate.entry, match.confidence, match.policy
        if policy is None:
            return "serve"  # nobody judged it
        with self._lock:
            learner = self._learner(policy)
            under_way = self._checks.get(key)
            if under_way is not None and under_way.is_drawn and not self._is_late(under_way):
                return "check"  # drawn already: asking again must not be a way round it
            if not is_counted:
                return "leave" if learner.chance() >= CLOSED or learner.doubts(entry.key, score) else "serve"
            learner.saw(score)
            weighed = learner.weigh(entry.key, score)
            is_drawn = weighed.fate == "check"
            self._counts[learner.max_error_rate]["checked"] += is_drawn
            if weighed.fate != "serve":
                self._expect(key, learner, request, match, weighed.chance, is_drawn=is_drawn)
            return weighed.fate

    def chance(self, policy: Policy) -> float:
        """The chance with which a would-be hit is sent to the model now."""
        with self._lock:
            return self._learner(policy).chance()

    def watch(self, request: Request, key: str, candidate: Judged) -> None:
        """A candidate was not sure enough. The model is asked anyway, so that what it says costs nothing."""
        policy = candidate.policy
        if policy is None:
            return
        with self._lock:
            learner = self._learner(policy)
            learner.saw(candidate.confidence)
            self._expect(key, learner, request, candidate, CLOSED, is_drawn=False)

    # ---------------------------------------------------------------- fresh answers
    def fresh(self, key: str, answer: Answer | None) -> None:
        """The answer to a request has come; None when it is none to compare with."""
        with self._lock:
            check = self._taken(key)
            if check is None:
                return
            is_full = self._waiting >= _MOST_WAITING
            if answer is not None and not is_full:
                self._waiting += 1
        if answer is None or is_full:
            return self._learn(check, None)
        agrees: bool | None = True
        try:
            if not self.comparison.is_equal(answer.content, check.entry):
                self._daemons.start(lambda: self._compare(check, answer))
                return
        except Exception:  # an answer of no known form, or no more threads: the update goes on
            agrees = None
        self._learn(check, agrees)
        self._done()

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until all answers that have come are compared; False when that took too long."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting, timeout)

    def _compare(self, check: _Check, answer: Answer) -> None:
        try:
            self._learn(check, self.comparison.agree(check.request, answer.content, check.entry))
        finally:
            self._done()

    def _done(self) -> None:
        with self._idle:
            self._waiting -= 1
            if not self._waiting:
                self._idle.notify_all()

    def _learn(self, check: _Check, agrees: bool | None) -> None:
        with self._lock:
            learner = check.learner
            learner.learn(check.partition, check.entry.key, check.score, check.chance, agrees)
            name = "unknown" if agrees is None else "agreed" if agrees else "differed"
            self._counts[learner.max_error_rate][name if check.is_drawn else f"near_{name}"] += 1
        self._emit(ShadowEvent(_OUTCOMES[agrees], check.is_drawn, check.request.namespace))

    # ---------------------------------------------------------------- inside
    def _learner(self, policy: Policy) -> Learner:
        rate = policy.max_error_rate
        assert rate is not None  # every policy of an adaptive cache has a budget
        learner = self._learners.get(rate)
        if learner is None:
            base = policy.unlearnt if isinstance(policy, Learnt) else policy
            learner = Learner(rate, base.min_confidence, self._shadow_rate, self._random)
            self._learners[rate] = learner
            self._counts[rate] = Counter()
        return learner

    def _expect(
        self, key: str, learner: Learner, request: Request, judged: Judged, chance: float, *, is_drawn: bool
    ) -> None:
        known = self._checks.get(key)
        if known is not None and not self._is_late(known):
            if known.is_drawn or not is_drawn:
                return  # several callers ask the same: one answer will do
            self._taken(key)
            known.learner.dismiss(known.partition)
        self._lose(key)
        entry = replace(judged.candidate.entry, vector=None)
        partition = _partition(request.namespace, entry.scope)
        learner.expect(partition)
        if not self.comparison.has_judge:  # nobody else needs the history, which may be long
            request = Request(request.text, namespace=request.namespace)
        check = _Check(learner, partition, request, entry, judged.confidence, chance, is_drawn, self._clock.monotonic())
        self._checks[key] = check
        self._size += check.size
        while len(self._checks) > _MOST_CHECKS or self._size > _MOST_BYTES or self._has_late():
            self._lose(next(iter(self._checks)))

    def _lose(self, key: str) -> None:
        """No answer has come, or will be waited for."""
        lost = self._taken(key)
        if lost is not None:
            lost.learner.learn(lost.partition, lost.entry.key, lost.score, lost.chance, None)

    def _taken(self, key: str) -> _Check | None:
        check = self._checks.pop(key, None)
        if check is not None:
            self._size -= check.size
        return check

    def _has_late(self) -> bool:
        return bool(self._checks) and self._is_late(next(iter(self._checks.values())))

    def _is_late(self, check: _Check) -> bool:
        return self._clock.monotonic() - check.at > self._timeout

    def stats(self) -> tuple[AdaptiveStats, ...]:
        """What was checked and learnt, one for each error budget that was asked for."""
        with self._lock:
            found = []
            for rate, learner in sorted(self._learners.items()):
                state, counts = learner.state(), self._counts[rate]
                found.append(
                    AdaptiveStats(
                        max_error_rate=rate,
                        requests=state.requests,
                        checked=counts["checked"],
                        agreed=counts["agreed"],
                        differed=counts["differed"],
                        unknown=counts["unknown"],
                        near_agreed=counts["near_agreed"],
                        near_differed=counts["near_differed"],
                        near_unknown=counts["near_unknown"],
                        wrong_at_most=state.wrong_at_most,
                        wrong_allowed=state.allowed,
                        threshold=state.threshold,
                        check_chance=state.chance,
                    )
                )
            return tuple(found)


_OUTCOMES: dict[bool | None, Literal["agrees", "differs", "unknown"]] = {
    True: "agrees",
    False: "differs",
    None: "unknown",
}


def _partition(namespace: Namespace, scope: str) -> Partition:
    """The tenant, and the scope within it: model, system prompt, context."""
    return ("\x1f".join(namespace), scope) if namespace else (scope,)
