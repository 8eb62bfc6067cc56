"""Concurrent misses of one key make one call: a leader and its followers, in threads and tasks alike.

A caller that holds an unfulfilled lead never waits for another one: one framework call may look several prompts up
before it computes any of them (`BaseLLM.generate(["a", "b", "a"])`), and two threads may hold [a, b] and [b, a]. Nor
does one that was started by such a caller, which may be waiting for it (a `generate` that gathers tasks of its own).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from llmcache_plugins.engine.leads import Lead, current_lead, known_lead, may_poll, waits
from llmcache_plugins.protocols import Clock
from llmcache_plugins.selection import Lease
from llmcache_plugins.types import UpdateOutcome

__all__ = ["Flight", "FlightTable", "Landing", "LandingKind", "Role", "landing_of"]

TOO_LATE = frozenset({"invalidated", "superseded"})  # reasons of an update: what it brought is out of date
_PURGE_AT = 1024  # flights nobody landed (an abandoned lookup) are dropped once the table is this long
_MOST_COMPARED = 64  # flights of one scope that a question is compared with


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


def landing_of(outcome: UpdateOutcome) -> Landing:
    """How a flight ends whose answer was stored or not. One that came too late says nothing of the next: another
    follower leads."""
    if outcome.stored:
        return Landing(LandingKind.STORED)
    return Landing(LandingKind.RELEASED if outcome.reason in TOO_LATE else LandingKind.UNSTORED)


class Role(Enum):
    """What a caller does about a key."""

    LEAD = "lead"  # call the model, then land the flight
    FOLLOW = "follow"  # wait for the flight
    ALONE = "alone"  # call the model without a flight: waiting could deadlock


class Flight:
    """One call on its way. Any number of threads and event loops may wait for its landing.

    `is_open`: it began with a plain lookup, so nobody but its leader knows whether the call failed, and `release`
    ends it; a flight that the cache itself runs lands by itself. `scope` and `text` are what it asks, for those who ask
    the same in other words; `scope` is empty where only the same key will do. `lease` is held against other processes.
    `is_queued`: nobody leads it yet, see `hand_over`.
    """

    __slots__ = (
        "_callbacks",
        "_event",
        "_lock",
        "deadline",
        "is_open",
        "is_queued",
        "key",
        "landing",
        "lead",
        "lease",
        "scope",
        "started",
        "table",
        "text",
    )

    def __init__(
        self,
        table: FlightTable,
        key: str,
        lead: Lead,
        *,
        started: float,
        deadline: float,
        is_open: bool,
        scope: str = "",
        text: str = "",
    ) -> None:
        self.table = table
        self.key = key
        self.scope = scope
        self.text = text
        self.lease: Lease | None = None
        self.is_queued = False
        self.lead = lead
        self.started = started
        self.deadline = deadline
        self.is_open = is_open
        self.landing: Landing | None = None
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def land(self, landing: Landing) -> bool:
        """The first landing counts; True for it."""
        with self._lock:
            if self.landing is not None:
                return False
            self.landing = landing
            callbacks, self._callbacks = self._callbacks, []
        self._event.set()
        for callback in callbacks:
            callback()
        return True

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


class FlightTable:
    """Who calls the model for which key, in one cache.

    Args:
        timeout: seconds after which a leader that has not landed is out, and the longest wait of a follower.
        give_back: called with the lease of each flight that lands, wherever that is; must not block an event loop.
    """

    def __init__(self, timeout: float, clock: Clock, give_back: Callable[[Lease], None] = lambda lease: None) -> None:
        self._timeout = timeout
        self._clock = clock
        self._give_back = give_back
        self.forget()

    def forget(self) -> None:
        """Start empty, with a new lock: for a forked child, in which the leaders of its parent do not live."""
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}
        self._by_scope: dict[str, dict[str, Flight]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def enter(
        self,
        key: str,
        *,
        may_wait: bool,
        is_open: bool,
        scope: str = "",
        text: str = "",
        takes_over: bool = True,
    ) -> tuple[Role, Flight | None]:
        """Become the leader of `key`, follow the flight under way, or stay alone.

        Args:
            may_wait: False where waiting would block what the leader needs.
            is_open: see `Flight`; `scope` and `text` too.
            takes_over: lead in place of a flight that is queued. Waiting for one is out of the question: what it waits
                for may wait for the caller.

        Returns:
            The role and the flight to land or to wait for; None when alone.
        """
        lead = current_lead()
        now = self._clock.monotonic()
        with self._lock:
            before = self._flights.get(key)
            if before is not None and before.deadline > now and not (before.is_queued and takes_over):
                if may_wait and not before.is_queued and waits.begin(lead, before, now):
                    return Role.FOLLOW, before
                return Role.ALONE, None
            overdue = [] if before is None else [before]
            if len(self._flights) >= _PURGE_AT:
                overdue += self._purge(now)
            deadline = now + self._timeout
            flight = Flight(self, key, lead, started=now, deadline=deadline, is_open=is_open, scope=scope, text=text)
            self._flights[key] = flight
            if scope:
                self._by_scope.setdefault(scope, {})[key] = flight
            lead.flights.add(flight)
        for one in overdue:
            self.land(one, Landing(LandingKind.RELEASED))
        return Role.LEAD, flight

    def land(self, flight: Flight, landing: Landing) -> None:
        """End this flight, and no other of the same key."""
        with self._lock:
            self._drop(flight)
        flight.lead.flights.discard(flight)
        if flight.land(landing) and flight.lease is not None:
            self._give_back(flight.lease)

    def running(self, scope: str, key: str) -> tuple[Flight, ...]:
        """Flights of other questions of this scope, newest first, if the caller may wait at all."""
        if scope not in self._by_scope:
            return ()
        now = self._clock.monotonic()
        with self._lock:
            in_scope = self._by_scope.get(scope, {}).values()
            flights = [flight for flight in in_scope if flight.deadline > now and not flight.is_queued]
        flights = [flight for flight in reversed(flights) if flight.key != key][:_MOST_COMPARED]
        return tuple(flights) if flights and not current_lead().is_busy(now) else ()

    def follow(self, flight: Flight) -> bool:
        """May the caller wait for this flight, of a question that means the same? Then it counts as waiting."""
        return waits.begin(current_lead(), flight, self._clock.monotonic())

    def may_poll(self, own: Flight) -> bool:
        """May the caller, who leads `own`, wait for another process?"""
        return may_poll(current_lead(), own, self._clock.monotonic())

    def hand_over(self, flight: Flight) -> None:
        """The caller no longer leads the flight; it is queued until somebody adopts it."""
        flight.lead.flights.discard(flight)
        with self._lock:
            flight.lead = Lead(None, None)
            flight.is_queued = True

    def adopt(self, flight: Flight) -> bool:
        """The caller leads the flight from now on; False when it was taken over or landed meanwhile."""
        lead = current_lead()
        with self._lock:
            if self._flights.get(flight.key) is not flight:
                return False
            flight.lead = lead
            flight.is_queued = False
        lead.flights.add(flight)
        return True

    def end(self, flight: Flight | None, outcome: UpdateOutcome, key: str) -> None:
        """An update of this key has ended: a stored answer ends the flight of its key, whoever leads it; one that was
        not stored ends the caller's own."""
        if flight is not None and flight.key != key:
            self.land(flight, Landing(LandingKind.RELEASED))
        elif flight is not None and (outcome.stored or self.leads(flight)):
            self.land(flight, landing_of(outcome))

    def flight_of(self, key: str, text: str) -> Flight | None:
        """The flight of this key that the caller leads, else the one under way. Else the only one that the caller leads
        with this text: a new epoch of the namespace gave its question another key meanwhile."""
        lead = known_lead()
        for flight in () if lead is None else tuple(lead.flights):
            if flight.key == key and flight.table is self:
                return flight
        if key in self._flights or lead is None:
            return self._flights.get(key)
        moved = [one for one in tuple(lead.flights) if one.is_open and one.table is self and one.text == text]
        return moved[0] if len(moved) == 1 else None

    def leads(self, flight: Flight) -> bool:
        """Is this flight led by the calling thread or task?"""
        return flight.lead is known_lead()

    def seconds_of(self, flight: Flight) -> float:
        """How long the flight has been under way."""
        return self._clock.monotonic() - flight.started

    def release(self, lead: Lead | None = None) -> int:
        """Give up the open flights of this table that `lead` (the caller's own by default) leads; how many."""
        lead = known_lead() if lead is None else lead
        if lead is None:
            return 0
        flights = [flight for flight in tuple(lead.flights) if flight.is_open and flight.table is self]
        for flight in flights:
            self.land(flight, Landing(LandingKind.RELEASED))
        return len(flights)

    @staticmethod
    def current_lead() -> Lead:
        """The lead of this thread or task; made on first use."""
        return current_lead()

    def _purge(self, now: float) -> list[Flight]:
        overdue = [flight for flight in self._flights.values() if flight.deadline <= now]
        for flight in overdue:
            self._drop(flight)
        return overdue

    def _drop(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        in_scope = self._by_scope.get(flight.scope)
        if in_scope is not None and in_scope.get(flight.key) is flight:
            del in_scope[flight.key]
            if not in_scope:
                del self._by_scope[flight.scope]


def _resolve(landed: asyncio.Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)
