"""Concurrent misses of one key make one call: a leader and its followers, in threads and tasks alike.

A caller that holds an unfulfilled lead never waits for another one: one framework call may look several prompts up
before it computes any of them (`BaseLLM.generate(["a", "b", "a"])`), and two threads may hold [a, b] and [b, a].
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum

from llmcache_plugins.protocols import Clock

__all__ = ["Flight", "FlightTable", "Landing", "LandingKind", "Lead", "Role"]

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


class Role(Enum):
    """What a caller does about a key."""

    LEAD = "lead"  # call the model, then land the flight
    FOLLOW = "follow"  # wait for the flight
    ALONE = "alone"  # call the model without a flight: waiting could deadlock


class Flight:
    """One call on its way. Any number of threads and event loops may wait for its landing.

    `is_open`: it began with a plain lookup, so nobody but its leader knows whether the call failed, and `release`
    ends it; a flight that the cache itself runs lands by itself.
    """

    __slots__ = ("_callbacks", "_event", "_lock", "deadline", "is_open", "key", "landing", "lead", "started", "table")

    def __init__(
        self, table: FlightTable, key: str, lead: Lead, *, started: float, deadline: float, is_open: bool
    ) -> None:
        self.table = table
        self.key = key
        self.lead = lead
        self.started = started
        self.deadline = deadline
        self.is_open = is_open
        self.landing: Landing | None = None
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def land(self, landing: Landing) -> None:
        """The first landing counts."""
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
    """What one thread or task leads at the moment, in all caches. `parent` led something when this one began, and may
    be waiting for it."""

    __slots__ = ("__weakref__", "_task", "_thread", "flights", "parent", "watchers")

    def __init__(self, task: asyncio.Task[object] | None, parent: Lead | None) -> None:
        self._task = None if task is None else weakref.ref(task)
        self._thread = threading.get_ident()
        self.parent = parent
        self.flights: set[Flight] = set()
        self.watchers: set[int] = set()  # for plugins: ids of what already listens to the end of this task

    def is_held_by(self, task: asyncio.Task[object] | None) -> bool:
        if self._task is not None or task is not None:
            return self._task is not None and task is not None and self._task() is task
        return self._thread == threading.get_ident()

    def is_busy(self, now: float) -> bool:
        """True when a flight of it is still to be waited for; the iteration is over a copy, for others may land one."""
        return any(flight.deadline > now for flight in tuple(self.flights))


# The lead travels with the context, so that an error handler that a framework runs in a child task or with a copied
# context still finds what its caller leads; each thread or task makes its own on first use.
_lead: ContextVar[Lead | None] = ContextVar("llmcache_lead", default=None)


class FlightTable:
    """Who calls the model for which key, in one cache.

    Args:
        timeout: seconds after which a leader that has not landed is out, and the longest wait of a follower.
    """

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = timeout
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Start empty, with a new lock: for a forked child, in which the leaders of its parent do not live."""
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def enter(self, key: str, *, may_wait: bool, is_open: bool) -> tuple[Role, Flight | None]:
        """Become the leader of `key`, follow the flight under way, or stay alone.

        Args:
            may_wait: False where waiting would block what the leader needs.
            is_open: see `Flight`.

        Returns:
            The role and the flight to land or to wait for; None when alone.
        """
        lead = self.current_lead()
        now = self._clock.monotonic()
        with self._lock:
            before = self._flights.get(key)
            if before is not None and before.deadline > now:
                is_ours = any(before.lead is ancestor for ancestor in _ancestors(lead))
                if may_wait and not is_ours and not lead.is_busy(now):
                    return Role.FOLLOW, before
                return Role.ALONE, None
            if len(self._flights) >= _PURGE_AT:
                self._purge(now)
            flight = Flight(self, key, lead, started=now, deadline=now + self._timeout, is_open=is_open)
            self._flights[key] = flight
            lead.flights.add(flight)
        if before is not None:
            self.land(before, Landing(LandingKind.RELEASED))
        return Role.LEAD, flight

    def land(self, flight: Flight, landing: Landing) -> None:
        """End this flight, and no other of the same key."""
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
        flight.lead.flights.discard(flight)
        flight.land(landing)

    def end(self, flight: Flight | None, *, is_stored: bool) -> None:
        """An update has ended: a stored answer ends the flight of its key, whoever leads it; one that was not stored
        ends the caller's own."""
        if flight is not None and (is_stored or self.leads(flight)):
            self.land(flight, Landing(LandingKind.STORED if is_stored else LandingKind.UNSTORED))

    def flight_of(self, key: str) -> Flight | None:
        """The flight of this key that the caller leads, else the one under way, else None."""
        lead = _lead.get()
        for flight in () if lead is None else tuple(lead.flights):
            if flight.key == key and flight.table is self:
                return flight
        return self._flights.get(key)

    def leads(self, flight: Flight) -> bool:
        """Is this flight led by the calling thread or task?"""
        return flight.lead is _lead.get()

    def seconds_of(self, flight: Flight) -> float:
        """How long the flight has been under way."""
        return self._clock.monotonic() - flight.started

    def release(self, lead: Lead | None = None) -> int:
        """Give up the open flights of this table that `lead` (the caller's own by default) leads; how many."""
        lead = _lead.get() if lead is None else lead
        if lead is None:
            return 0
        flights = [flight for flight in tuple(lead.flights) if flight.is_open and flight.table is self]
        for flight in flights:
            self.land(flight, Landing(LandingKind.RELEASED))
        return len(flights)

    @staticmethod
    def current_lead() -> Lead:
        """The lead of this thread or task; made on first use."""
        task = _current_task()
        lead = _lead.get()
        if lead is None or not lead.is_held_by(task):
            # Only a parent that leads can be in the way; keeping all of them would chain tasks together for ever.
            lead = Lead(task, lead if lead is not None and lead.flights else None)
            _lead.set(lead)
        return lead

    def _purge(self, now: float) -> None:
        for key in [key for key, flight in self._flights.items() if flight.deadline <= now]:
            flight = self._flights.pop(key)
            flight.lead.flights.discard(flight)
            flight.land(Landing(LandingKind.RELEASED))


def _ancestors(lead: Lead | None) -> Iterator[Lead]:
    while lead is not None:
        yield lead
        lead = lead.parent


def _resolve(landed: asyncio.Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
