"""Who is served while a cache is rolled out, and what comes of those who are not: each calls its own model, and where
the cache would have answered, the fresh answer is compared with the stored one.

Nothing here waits: groups are digests, and answers are compared in a thread apart. What breaks here is reported and
costs a comparison, never an answer.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from llmcache_plugins.ab_test import ArmName
from llmcache_plugins.engine.comparing import Comparison
from llmcache_plugins.engine.daemons import Daemons
from llmcache_plugins.engine.rules import NotFound
from llmcache_plugins.engine.stages import Stages
from llmcache_plugins.protocols import Clock
from llmcache_plugins.recorded import ComparisonEvent, Event, StageEvent
from llmcache_plugins.rollout import Group, SplitBy, share_of
from llmcache_plugins.types import Answer, Entry, HitKind, Identity, Request

__all__ = ["Awaited", "Caller", "RollingOut", "caller_now"]

_log = logging.getLogger(__name__)
_MOST_AWAITED = 4096
_MOST_BYTES = 16 * 1024 * 1024
_MOST_WAITING = 64  # answers to be compared
_THREADS = 1
_CLOSING = 2.0  # seconds
_OUTCOMES: dict[bool | None, Literal["same", "different", "unclear"]] = {
    True: "same",
    False: "different",
    None: "unclear",
}


Caller: TypeAlias = tuple[int, int]
"""A thread and a task of its loop."""


def caller_now() -> Caller:
    """Who calls. It asks its model once at a time: what it looked up before under a key has come to nothing."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs here
        task = None
    return threading.get_ident(), 0 if task is None else id(task)


@dataclass(slots=True, eq=False)
class Awaited:
    """A request of a roll-out that was not answered by the cache, and whose answer the model is asked for.

    Args:
        at: when it was looked up, monotonic.
        group: that it was of then.
        caller: who looked it up.
        key: of the request.
        entry: what would have been served, without its vector; None when nothing would.
        kind: of the hit that would have been.
        keeps: the stored answer stays, as it would have if it had been served.
        number: of the roll-out's steps at the time.
        arm: whose policy has decided.
        is_over: it was heard what came of it.
    """

    request: Request
    at: float
    group: Group
    caller: Caller
    key: str
    entry: Entry | None = field(default=None, repr=False)
    kind: HitKind = "exact"
    keeps: bool = False
    number: int = 0
    arm: ArmName = ""
    is_over: bool = False

    @property
    def size(self) -> int:
        return 512 if self.entry is None else len(self.entry.answer_json) + len(self.entry.text) + 512


class RollingOut:
    """The roll-out of one cache. Safe to share between threads.

    Args:
        fraction: the share that is served, in [0, 1]; 0 is shadow mode.
        split_by: see `CacheConfig`.
        comparison: says whether two answers agree.
        timeout: seconds after which no answer of the model is expected any more.
        stages: in place of the fraction.
    """

    def __init__(
        self,
        fraction: float,
        split_by: SplitBy,
        comparison: Comparison,
        *,
        timeout: float,
        clock: Clock,
        stages: Stages | None = None,
    ) -> None:
        self._fraction, self._by_tenant = fraction, split_by == "tenant"
        self._comparison, self._timeout, self._clock, self._stages = comparison, timeout, clock, stages
        self._emit: Callable[[Event], None] = lambda event: None
        self._failed: Callable[[str, BaseException], None] = lambda component, error: None
        self._daemons = Daemons(_THREADS)
        self._awaited: OrderedDict[str, list[Awaited]] = OrderedDict()
        self._size = self._count = 0
        self.after_fork()

    def report_to(self, emit: Callable[[Event], None], failed: Callable[[str, BaseException], None]) -> None:
        """Where events and failures go: to the cache."""
        self._emit, self._failed = emit, failed
        self._comparison.report_to(failed)

    def after_fork(self) -> None:
        """In a forked child the lock may be held, and nobody compares what was waiting."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: set[Awaited] = set()
        self._is_closed = False

    # ---------------------------------------------------------------- groups
    @property
    def fraction(self) -> float:
        """The share of the requests that is served now, in [0, 1]."""
        return self._fraction if self._stages is None else self._stages.fraction

    def serves(self, request: Request, identity: Identity) -> bool:
        """May the cache answer this request?"""
        fraction = self.fraction
        if fraction <= 0.0 or fraction >= 1.0:
            return fraction >= 1.0
        if self._by_tenant and request.namespace:
            return share_of("tenant", *request.namespace) < fraction
        return share_of("key", identity.key) < fraction

    def group_of(self, request: Request, identity: Identity) -> Group:
        return "served" if self.serves(request, identity) else "control"

    # ---------------------------------------------------------------- lookups
    def looked(self, found: NotFound | None, request: Request, identity: Identity, arm: ArmName = "") -> Group:
        """A lookup has ended; without `found` by a hit that is served. The group it was of."""
        withheld = None if found is None else found.withheld
        group: Group = "served"
        if found is not None:
            group = "control" if found.is_control else self.group_of(request, identity)
        if self._stages is not None:
            with self._lock:
                self._stages.looked(is_served=group == "served", is_withheld=withheld is not None)
        if found is None:
            return group
        number = 0 if self._stages is None else self._stages.number
        awaited = Awaited(
            Request("", namespace=request.namespace),
            self._clock.monotonic(),
            group,
            caller_now(),
            identity.key,
            number=number,
            arm=arm,
        )
        if withheld is not None:
            if self._comparison.has_judge:  # nobody else reads the request, whose history may be long
                awaited.request = request
            awaited.entry, awaited.kind = replace(withheld.stored.entry, vector=None), withheld.kind
            awaited.keeps = not found.is_renewed
        with self._lock:
            self._expect(identity.key, awaited)
        return group

    def taken(self, key: str, caller: Caller | None = None) -> Awaited | None:
        """What was known of this request when it was looked up; None when it was served, or nobody looked.

        Args:
            caller: who looked; None for who calls now. Where he has not, an answer is that of the last one who has.
        """
        awaited = self._out(key, caller_now() if caller is None else caller, of_others=True)
        if awaited is None or self._clock.monotonic() - awaited.at > self._timeout:
            return None
        return awaited

    def given_up(self, key: str, caller: Caller | None = None) -> None:
        """No answer comes of what this caller has looked up."""
        self._out(key, caller_now() if caller is None else caller, of_others=False)

    def _out(self, key: str, caller: Caller, *, of_others: bool) -> Awaited | None:
        if key not in self._awaited:
            return None
        with self._lock:
            several = self._awaited.get(key, [])
            own = [one for one in several if one.caller == caller]
            if not (own or (several and of_others)):
                return None
            awaited = (own or several)[-1]
            several.remove(awaited)
            self._size -= awaited.size
            self._count -= 1
            if not several:
                del self._awaited[key]
            return awaited

    def seconds_of(self, awaited: Awaited) -> float:
        """How long ago it was looked up."""
        return max(0.0, self._clock.monotonic() - awaited.at)

    def _expect(self, key: str, awaited: Awaited) -> None:
        several = self._awaited.setdefault(key, [])
        for place, one in enumerate(several):
            if one.caller == awaited.caller:  # that call has failed, or was none
                self._size -= several.pop(place).size
                self._count -= 1
                break
        several.append(awaited)
        self._awaited.move_to_end(key)
        self._size += awaited.size
        self._count += 1
        while self._awaited and (self._count > _MOST_AWAITED or self._size > _MOST_BYTES):
            oldest = next(iter(self._awaited))
            lost = self._awaited[oldest].pop(0)
            self._size -= lost.size
            self._count -= 1
            if not self._awaited[oldest]:
                del self._awaited[oldest]

    # ---------------------------------------------------------------- fresh answers
    def fresh(self, awaited: Awaited, answer: Answer | None) -> None:
        """The model has answered; None when that is none to compare with. Never raises."""
        entry = awaited.entry
        if entry is None:
            return
        with self._lock:
            is_full = len(self._waiting) >= _MOST_WAITING or self._is_closed
            if not is_full:
                self._waiting.add(awaited)
        if is_full:
            return self._heard(awaited, None)
        try:
            if answer is not None and not self._comparison.is_equal(answer.content, entry):
                self._daemons.start(lambda: self._compare(awaited, entry, answer))
                return
            self._end(awaited, None if answer is None else True)
        except Exception as error:  # an answer of no known form, or no more threads: the update goes on
            self._failed("comparison", error)
            self._end(awaited, None)

    def reported(self) -> None:
        """A user has reported a wrong answer."""
        if self._stages is None:
            return
        with self._lock:
            step = self._stages.reported(self._clock.monotonic())
        self._tell(step)

    def finish(self, timeout: float | None = None) -> bool:
        """Wait until all answers that have come are compared; False when that took too long."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting, timeout)

    def close(self, timeout: float = _CLOSING) -> None:
        """Wait a moment for the comparisons that are under way. Those that take longer are unclear: equal words are
        compared at once, so that only answers that differ would be lost."""
        self.finish(timeout)
        with self._lock:
            self._is_closed = True
            late = list(self._waiting)
        for awaited in late:
            self._end(awaited, None)

    def _compare(self, awaited: Awaited, entry: Entry, answer: Answer) -> None:
        agrees: bool | None = None
        try:
            agrees = self._comparison.agree(awaited.request, answer.content, entry)
        except Exception as error:
            self._failed("comparison", error)
        finally:
            self._end(awaited, agrees)

    def _end(self, awaited: Awaited, agrees: bool | None) -> None:
        """A comparison is over; not twice where it was given up."""
        with self._lock:
            if awaited not in self._waiting or awaited.is_over:
                return
            awaited.is_over = True
        self._heard(awaited, agrees)
        with self._idle:
            self._waiting.discard(awaited)
            if not self._waiting:
                self._idle.notify_all()

    def _heard(self, awaited: Awaited, agrees: bool | None) -> None:
        outcome, step = _OUTCOMES[agrees], None
        if self._stages is not None:
            with self._lock:
                step = self._stages.compared(outcome, awaited.number, self._clock.monotonic())
        entry = awaited.entry
        reference = "" if entry is None else f"{entry.scope}:{entry.key}:{awaited.key}"
        self._emit(ComparisonEvent(outcome, awaited.kind, awaited.request.namespace, awaited.arm, reference))
        self._tell(step)

    def _tell(self, step: StageEvent | None) -> None:
        if step is None:
            return
        _log.log(
            logging.INFO if step.reason == "proven" else logging.WARNING,
            "the roll-out serves %g of the requests, before %g (%s: errors / requests from %.4f to %.4f)",
            step.after,
            step.before,
            step.reason,
            step.low,
            step.high,
        )
        self._emit(step)
