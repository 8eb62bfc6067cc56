"""Gradual invalidation: all that is meant is stale at once, and the new answers come no faster than a set rate."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from llmcache_plugins.engine.invalidation_report import InvalidationProgress
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import Invalidate, Select
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.rate import RateLimit
from llmcache_plugins.protocols import Clock
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Entry

__all__ = ["GradualInvalidation", "Pace", "Spread"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_SLACK = 1.25  # traffic does not ask for the entries in turn
_IDLE = 20  # times as long as a look at what is left took
_SHORTEST_NAP = 0.05
_LONGEST_NAP = 0.25
Warm = Callable[[Sequence[Entry]], object]
# What a warm callback asks for anew has been counted before it was called; it may start threads with its context.
_is_warming: ContextVar[bool] = ContextVar("llmcache_is_warming", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a gradual invalidation goes.

    Args:
        rate: new answers in a second, at most.
        batch_size: entries that are warmed or removed at once.
        delay: seconds between two batches.
        stale_limit: seconds that a marked entry is served at least, if no new answer comes; the time that all need at
            this rate counts where it is longer.
        warm: called with some of the entries, no more than the rate allows, to ask for them anew through this cache
            (`cache.lookup(text, lead=True)` is a miss then, and `cache.update` stores).
        progress: told how far it is after each batch.
        on_done: told how it ended.

    Raises:
        ConfigError: a number is out of its range, or a callback is none.
    """

    rate: float = 10.0
    batch_size: int = 100
    delay: float = 0.1
    stale_limit: float = 300.0
    warm: Warm | None = None
    progress: Callable[[InvalidationProgress], object] | None = None
    on_done: Callable[[InvalidationProgress], object] | None = None

    def __post_init__(self) -> None:
        for name, least, most in (("rate", 0.001, 1e6), ("delay", 0.0, 3600.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ConfigError(f"batch_size must be an integer of at least 1, not {self.batch_size!r}")
        for name in ("warm", "progress", "on_done"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise ConfigError(f"{name} must be callable, not {getattr(self, name)!r}")


class _Stopped(Exception):
    """Somebody cancelled it, or closed the cache."""


class GradualInvalidation:
    """One gradual invalidation. It holds back what it covers from when it is made, so that it is made before anything
    is marked; `begin` says what was marked, and then `run` goes on in a thread of its own.

    Args:
        selectors: what is going to be marked.
        perform: drives a flow over the stores.
        tiers: how many there are.
    """

    def __init__(
        self,
        selectors: Sequence[Selector],
        pace: Pace,
        clock: Clock,
        perform: Callable[[Flow[Any]], Any],
        *,
        tiers: int,
    ) -> None:
        self._selectors = _stale(selectors)
        self._pace = pace
        self._clock = clock
        self._perform = perform
        self._bottom, self._tiers = tiers - 1, tiers
        self._limit = RateLimit(pace.rate)
        self._stop = threading.Event()
        self._progress = InvalidationProgress(is_done=False)
        self._until = math.inf
        self.ended: Future[InvalidationProgress] = Future()
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    def begin(self, selectors: Sequence[Selector], total: int, at: float) -> None:
        """So many entries were marked at this instant (wall clock), found by these selectors."""
        self._selectors = _stale(selectors)
        self._progress = InvalidationProgress(total, stale=total, is_done=False)
        self._until = at + max(self._pace.stale_limit, _SLACK * total / self._pace.rate)

    # ---------------------------------------------------------------- what look-ups ask
    def covers(self, entry: Entry) -> bool:
        return any(selector.matches(entry) for selector in self._selectors)

    def take(self) -> bool:
        """May one more new answer be asked for now?"""
        with self._lock:
            return self._limit.take(self._clock.monotonic())

    def is_open(self, now: float) -> bool:
        """May what is marked still be served?"""
        return now < self._until and not self.ended.done()

    # ---------------------------------------------------------------- what its starter asks
    @property
    def progress(self) -> InvalidationProgress:
        return self._progress

    def cancel(self) -> bool:
        """Stop it. False when it was over."""
        self._stop.set()
        return not self.ended.done()

    def give_up(self) -> None:
        """It cannot go on. What is marked is stale all the same."""
        _log.warning("a gradual invalidation got no thread; what it marked stays stale")
        self._progress = replace(self._progress, is_done=True, is_cancelled=True)
        self._tell(self._pace.on_done)
        self.ended.set_result(self._progress)

    # ---------------------------------------------------------------- the thread's
    def run(self) -> None:
        """All of it. Never raises."""
        try:
            if self._pace.warm is not None:
                self._warm_all(self._pace.warm)
            self._wait_for_traffic()
            self._remove_the_rest()
            end = {"stale": 0}
        except _Stopped:
            end = {"is_cancelled": True}
        except Exception as error:
            # What is marked is stale for everybody: it leaves by its limit. The performer has counted what failed.
            _log.warning("a gradual invalidation ended early (%s); what it marked stays stale", type(error).__name__)
            end = {"is_cancelled": True}
        self._progress = replace(self._progress, is_done=True, **end)  # type: ignore[arg-type]
        self._tell(self._pace.on_done)
        self.ended.set_result(self._progress)

    def _warm_all(self, warm: Warm) -> None:
        for entries in self._batches(self._pace.batch_size):
            waiting = list(entries)
            while waiting:
                granted = self._granted(len(waiting))
                token = _is_warming.set(True)
                try:
                    self._call(warm, waiting[:granted])
                finally:
                    _is_warming.reset(token)
                del waiting[:granted]
            self._look()
            self._nap(self._pace.delay)

    def _granted(self, most: int) -> int:
        """Wait for the rate; how many new answers may be asked for at once, from 1 to `most`."""
        while not self.take():
            with self._lock:
                seconds = self._limit.wait_for(self._clock.monotonic())
            self._nap(seconds)
        granted = 1
        while granted < most and self.take():
            granted += 1
        return granted

    def _batches(self, size: int) -> Iterator[Sequence[Entry]]:
        for selector in self._selectors:
            after: int | None = 0
            while after is not None:
                page = self._perform(_only(Select(self._bottom, selector, size, after)))
                if page.rows:
                    yield [stored.entry for stored in page.rows]
                after = page.after

    def _wait_for_traffic(self) -> None:
        while True:
            began = self._clock.monotonic()
            if not self._look() or (remaining := self._until - self._clock.now()) <= 0:
                return
            seconds = max(self._pace.delay, _IDLE * (self._clock.monotonic() - began), _SHORTEST_NAP)
            self._nap(min(seconds, remaining))

    def _look(self) -> int:
        """How many are still marked."""
        stale = len({(entry.scope, entry.key) for entries in self._batches(1000) for entry in entries})
        self._progress = replace(self._progress, stale=min(stale, self._progress.total))
        self._tell(self._pace.progress)
        return stale

    def _remove_the_rest(self) -> None:
        for selector in self._selectors:
            while (removed := self._remove(selector)) > 0:
                told = self._progress
                self._progress = replace(told, stale=max(0, told.stale - removed), removed=told.removed + removed)
                self._tell(self._pace.progress)
                if removed < self._pace.batch_size:
                    break
                self._nap(self._pace.delay)

    def _remove(self, selector: Selector) -> int:
        now, size = self._clock.now(), self._pace.batch_size
        removed = 0
        for tier in reversed(range(self._tiers)):
            step = Invalidate(tier, selector, now, False, size, "nobody asked for it again", "gradual")
            done = self._perform(_only(step))
            removed = len(done.addresses) if tier == self._bottom else removed
        return removed

    # ---------------------------------------------------------------- inside
    def _nap(self, seconds: float) -> None:
        """Until the cache's clock has gone on by so much; real time passes in small steps, for that clock may be a
        test's."""
        end = self._clock.monotonic() + seconds
        while True:
            if self._stop.is_set():
                raise _Stopped
            remaining = end - self._clock.monotonic()
            if remaining <= 0:
                return
            self._stop.wait(min(max(remaining / 20, 0.001), _LONGEST_NAP))

    def _tell(self, listener: Callable[[InvalidationProgress], object] | None) -> None:
        if listener is not None:
            self._call(listener, self._progress)

    def _call(self, function: Callable[[Any], object], argument: Any) -> None:
        try:
            function(argument)
        except Exception as error:
            _log.warning("a callback of a gradual invalidation failed (%s)", type(error).__name__)


class Spread:
    """The gradual invalidations of one cache that are under way: look-ups ask it before they renew what is stale."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._running: tuple[GradualInvalidation, ...] = ()

    def allows_refresh(self, entry: Entry) -> bool:
        """May a new answer be asked for now, in place of this stale entry? Each True counts towards the rate; without
        a gradual invalidation nothing is held back."""
        if _is_warming.get():
            return True
        return all(one.take() for one in self._covering(entry))

    def is_servable(self, entry: Entry, now: float) -> bool:
        """May this entry be served longer than others that are stale, since its turn has not come yet?"""
        return entry.stale_at is not None and not entry.is_expired(now) and bool(self._covering(entry))

    def hold(self, gradual: GradualInvalidation) -> None:
        """Hold back new answers for what it covers, until it ends."""
        with self._lock:
            self._running = (*self._running, gradual)
        gradual.ended.add_done_callback(lambda _: self._forget(gradual))

    @staticmethod
    def start(gradual: GradualInvalidation) -> None:
        """Let it go on in the background. The thread keeps no process from ending."""
        try:
            threading.Thread(target=gradual.run, name="llmcache-gradual", daemon=True).start()
        except RuntimeError:  # no more threads
            gradual.give_up()

    def close(self) -> None:
        """Stop all. What they marked stays stale."""
        for gradual in self._running:
            gradual.cancel()

    def after_fork(self) -> None:
        """In a forked child the lock may be held, and the threads do not live: the rate holds there too, until the
        time is over."""
        self._lock = threading.Lock()
        for gradual in self._running:
            gradual.after_fork()

    def _covering(self, entry: Entry) -> list[GradualInvalidation]:
        if not self._running:
            return []
        now = self._clock.now()
        return [gradual for gradual in self._running if gradual.is_open(now) and gradual.covers(entry)]

    def _forget(self, gradual: GradualInvalidation) -> None:
        with self._lock:
            self._running = tuple(one for one in self._running if one is not gradual)


def _stale(selectors: Sequence[Selector]) -> tuple[Selector, ...]:
    return tuple(replace(selector, is_stale=True) for selector in selectors)


def _only(step: Any) -> Flow[Any]:
    """A flow of one step."""
    return (yield step)
