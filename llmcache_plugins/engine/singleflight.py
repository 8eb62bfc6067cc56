"""Concurrent misses of one key make one call: a leader and its followers, in threads and tasks alike.

A caller that holds an unfulfilled lead never waits for another one: one framework call may look several prompts up
before it computes any of them (`BaseLLM.generate(["a", "b", "a"])`), and two threads may hold [a, b] and [b, a].
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum

from llmcache_plugins.protocols import Clock

__all__ = ["Flight", "FlightTable", "Landing", "LandingKind", "Lead"]

_PURGE_AT = 1024  # flights nobody landed (an abandoned lookup) are dropped once the table is this long


class LandingKind(Enum):
    STORED = "stored"  # the answer is in the cache: look again
    UNSTORED = "unstored"  # there was an answer, but it may not be stored: each follower makes its own call
    FAILED = "failed"  # the leader's call failed, and its error is the followers' too
    RELEASED = "released"  # the leader gave up (cancelled, or it cannot tell why): the next follower leads


@dataclass(frozen=True, slots=True)
class Landing:
    """How a flight ended; `error` only when it FAILED."""

    kind: LandingKind
    error: Exception | None = None


class Flight:
    """One call on its way. Any number of threads and event loops may wait for its landing."""

    __slots__ = ("_callbacks", "_event", "_lock", "deadline", "key", "landing", "lead", "started")

    def __init__(self, key: str, lead: Lead, started: float, deadline: float) -> None:
        self.key = key
        self.lead = lead
        self.started = started
        self.deadline = deadline
        self.landing: Landing | None = None
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def land(self, landing: Landing) -> None:
        with self._lock:
            if self.landing is not None:
                return
            self.landing = landing
            callbacks, self._callbacks = self._callbacks, []
        self._event.set()
        for callback in callbacks:
            callback()

    def wait(self, seconds: float) -> Landing | None:
        """Block this thread until the flight lands, `seconds` at most."""
        self._event.wait(max(0.0, seconds))
        return self.landing

    async def await_landing(self, seconds: float) -> Landing | None:
        """Suspend this task until the flight lands, `seconds` at most; the loop goes on."""
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # that loop was closed meanwhile: nobody is left to wake
                loop.call_soon_threadsafe(_resolve, landed)

        with self._lock:
            if self.landing is not None:
                return self.landing
            self._callbacks.append(wake)
        try:
            await asyncio.wait_for(landed, max(0.0, seconds))
        except TimeoutError:
            return self.landing
        finally:
            with self._lock:
                if wake in self._callbacks:
                    self._callbacks.remove(wake)
        return self.landing


class Lead:
    """What one thread or task leads at the moment."""

    __slots__ = ("__weakref__", "_task", "_thread", "flights")

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self._task = None if task is None else weakref.ref(task)
        self._thread = threading.get_ident()
        self.flights: dict[str, Flight] = {}

    def is_held_by(self, task: asyncio.Task[object] | None) -> bool:
        if self._task is not None or task is not None:
            return self._task is not None and task is not None and self._task() is task
        return self._thread == threading.get_ident()


class FlightTable:
    """Who calls the model for which key.

    Args:
        timeout: seconds after which a leader that has not landed is out, and the longest wait of a follower.
    """

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}
        # The lead travels with the context, so that an error handler that a framework runs in a child task or with a
        # copied context still finds what its caller leads; each thread or task makes its own on first use.
        self._lead: ContextVar[Lead | None] = ContextVar("llmcache_lead", default=None)

    def __len__(self) -> int:
        return len(self._flights)

    def enter(self, key: str, *, may_wait: bool) -> Flight | None:
        """Become the leader of `key` (None), or get a flight: one to wait for, or, when its `landing` is UNSTORED,
        leave to call without leading because waiting could deadlock.
        """
        lead = self._current_lead()
        now = self._clock.monotonic()
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight.deadline > now:
                if may_wait and not self._leads_any(lead, now):
                    return flight
                return self._no_wait(key, lead, now)
            if len(self._flights) >= _PURGE_AT:
                self._purge(now)
            self._flights[key] = lead.flights[key] = Flight(key, lead, now, now + self._timeout)
        if flight is not None:
            flight.land(Landing(LandingKind.RELEASED))
        return None

    def land(self, key: str, landing: Landing) -> float | None:
        """End the flight of `key`, whoever leads it; seconds since it started, or None when there is none."""
        with self._lock:
            flight = self._flights.pop(key, None)
            if flight is None:
                return None
            flight.lead.flights.pop(key, None)
        flight.land(landing)
        return self._clock.monotonic() - flight.started

    def seconds_since_start(self, key: str) -> float | None:
        """How long the flight of `key` has been under way, or None when there is none."""
        flight = self._flights.get(key)
        return None if flight is None else self._clock.monotonic() - flight.started

    def release(self) -> int:
        """Give up everything this thread or task leads, or the caller whose context it runs in; how many."""
        lead = self._lead.get()
        return 0 if lead is None else self.release_lead(lead)

    def release_lead(self, lead: Lead) -> int:
        with self._lock:
            flights = list(lead.flights.values())
            lead.flights.clear()
            for flight in flights:
                if self._flights.get(flight.key) is flight:
                    del self._flights[flight.key]
        for flight in flights:
            flight.land(Landing(LandingKind.RELEASED))
        return len(flights)

    def current_lead(self) -> Lead:
        """The lead of this thread or task; made on first use."""
        return self._current_lead()

    def _current_lead(self) -> Lead:
        task = _current_task()
        lead = self._lead.get()
        if lead is None or not lead.is_held_by(task):
            lead = Lead(task)
            self._lead.set(lead)
        return lead

    @staticmethod
    def _leads_any(lead: Lead, now: float) -> bool:
        return any(flight.deadline > now for flight in lead.flights.values())

    @staticmethod
    def _no_wait(key: str, lead: Lead, now: float) -> Flight:
        flight = Flight(key, lead, now, now)
        flight.land(Landing(LandingKind.UNSTORED))
        return flight

    def _purge(self, now: float) -> None:
        for key in [key for key, flight in self._flights.items() if flight.deadline <= now]:
            flight = self._flights.pop(key)
            flight.lead.flights.pop(key, None)
            flight.land(Landing(LandingKind.RELEASED))


def _resolve(landed: asyncio.Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
