"""What a caller knew of invalidations before it asked its model: an answer older than one of them is not stored."""

from __future__ import annotations

import threading
from collections import OrderedDict

from llmcache_plugins.engine.leads import Lead, current_lead
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import Invalidations, SequenceOf
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Clock

__all__ = ["Sequences", "seen_at", "seen_now"]

_MOST_KEYS = 4096
_MOST_CALLERS = 64  # of one key


class Sequences:
    """The sequence numbers that look-ups found, by key and by the thread or task that looked, until it updates.

    Args:
        kept_for: seconds after which a number of another caller is no longer used.
    """

    def __init__(self, kept_for: float, clock: Clock) -> None:
        self._kept_for = kept_for
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child the lock may be held, and the callers do not live."""
        self._lock = threading.Lock()
        self._noted: OrderedDict[str, OrderedDict[Lead, tuple[int, float]]] = OrderedDict()
        self._populated: OrderedDict[str, bool] = OrderedDict()

    def note(self, key: str, seen: int, has_candidates: bool | None = None) -> None:
        """The calling thread or task missed this key, and nothing invalidated up to `seen` can touch its answer.

        Args:
            has_candidates: did the scope of the key hold one then.
        """
        if has_candidates is not None:
            with self._lock:
                self._populated[key] = has_candidates
                if len(self._populated) > _MOST_KEYS:
                    self._populated.popitem(last=False)
        caller, now = current_lead(), self._clock.monotonic()
        with self._lock:
            noted = self._noted.setdefault(key, OrderedDict())
            noted.pop(caller, None)
            noted[caller] = seen, now
            if len(noted) > _MOST_CALLERS:
                # The next one speaks for the one that is forgotten: what that asked before an invalidation is not new.
                _, (seen, at) = noted.popitem(last=False)
                oldest = next(iter(noted))
                noted[oldest] = min(seen, noted[oldest][0]), max(at, noted[oldest][1])
            self._noted.move_to_end(key)
            if len(self._noted) > _MOST_KEYS:
                self._noted.popitem(last=False)

    def take_populated(self, key: str) -> bool | None:
        """Did the scope of this key hold a candidate when it was missed; None when nobody looked."""
        with self._lock:
            return self._populated.pop(key, None)

    def take(self, key: str) -> int | None:
        """The number of the calling thread or task; else the lowest of others, one of which may have handed its answer
        over; None when nobody looked."""
        noted = self._noted.get(key)
        if noted is None:
            return None
        caller, earliest = current_lead(), self._clock.monotonic() - self._kept_for
        with self._lock:
            own = noted.pop(caller, None)
            others = [seen for seen, at in noted.values() if at >= earliest]
            if not noted and self._noted.get(key) is noted:
                del self._noted[key]
        return own[0] if own is not None else min(others, default=None)


def seen_now(tier: int, *, fail_open: bool) -> Flow[int | None]:
    """The sequence at this moment; None when the store does not say."""
    try:
        return (yield SequenceOf(tier))  # type: ignore[no-any-return]  # a step's answer is Any
    except StoreError:
        if not fail_open:
            raise
        return None


def seen_at(tier: int, instant: float, *, fail_open: bool) -> Flow[int | None]:
    """The sequence at an earlier instant, wall clock, as far as the log goes back."""
    seen = yield from seen_now(tier, fail_open=fail_open)
    if not seen:
        return seen
    try:
        since = yield Invalidations(tier, instant)
    except StoreError:
        if not fail_open:
            raise
        return None
    return since[0].number - 1 if since else seen
