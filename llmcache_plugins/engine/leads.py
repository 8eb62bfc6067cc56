"""Who leads: threads and tasks with calls on their way, and who of them waits for whom.

A lead travels with the context, so that an error handler that a framework runs in a child task or with a copied context
still finds what its caller leads; each thread or task makes its own on first use.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from llmcache_plugins.engine.forking import follow_forks

if TYPE_CHECKING:
    from llmcache_plugins.engine.singleflight import Flight

__all__ = ["Lead", "current_lead", "is_on_loop", "known_lead", "may_poll", "waits"]

_lead: ContextVar[Lead | None] = ContextVar("llmcache_lead", default=None)


class Lead:
    """What one thread or task leads at the moment, in all caches.

    `parent` is the nearest of its callers that led something when this one began, and may be waiting for it.
    `blocked_on` are the flights that it, or one that it started, waits for.
    """

    __slots__ = ("__weakref__", "_task", "_thread", "blocked_on", "flights", "parent", "watchers")

    def __init__(self, task: asyncio.Task[object] | None, parent: Lead | None) -> None:
        self._task = None if task is None else weakref.ref(task)
        self._thread = threading.get_ident()
        self.parent = parent
        self.flights: set[Flight] = set()
        self.blocked_on: frozenset[Flight] = frozenset()
        self.watchers: set[int] = set()  # for plugins: ids of what already listens to the end of this task

    def is_held_by(self, task: asyncio.Task[object] | None) -> bool:
        if self._task is not None or task is not None:
            return self._task is not None and task is not None and self._task() is task
        return self._thread == threading.get_ident()

    def is_busy(self, now: float, own: Flight | None = None) -> bool:
        """True when a flight of it, other than `own`, is still to be waited for; the iteration is over a copy, for
        others may land one."""
        return any(flight.deadline > now and flight is not own for flight in tuple(self.flights))

    def family(self) -> Iterator[Lead]:
        """Itself, and all that may be waiting for it."""
        lead: Lead | None = self
        while lead is not None:
            yield lead
            lead = lead.parent


class _Waits:
    """Lets nobody wait in a circle. Checking and noting are one step: of two that would wait for each other, one
    may."""

    def __init__(self) -> None:
        self.after_fork()
        follow_forks(self)

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    def begin(self, lead: Lead, flight: Flight, now: float) -> bool:
        """May this lead wait for the flight? Then it does from now on, until the flight lands. Never while it leads
        another flight itself: what its caller does before landing that one, nobody knows."""
        if lead.is_busy(now):
            return False
        family = list(lead.family())
        with self._lock:
            if _leads_back(flight, family, now):
                return False
            for member in family:
                still = (other for other in member.blocked_on if other.landing is None and other.deadline > now)
                member.blocked_on = frozenset((*still, flight))
        return True


def _leads_back(flight: Flight, family: list[Lead], now: float) -> bool:
    """Does the landing of this flight depend on one of the family?"""
    ahead, seen = [flight], {flight}
    while ahead:
        one = ahead.pop()
        if one.landing is not None or one.deadline <= now:
            continue
        if any(one.lead is member for member in family):
            return True
        ahead.extend(one.lead.blocked_on - seen)
        seen |= one.lead.blocked_on
    return False


waits = _Waits()


def known_lead() -> Lead | None:
    """The lead in this context, if there is one; it may be that of a caller."""
    return _lead.get()


def current_lead() -> Lead:
    """The lead of this thread or task; made on first use."""
    task = current_task()
    lead = _lead.get()
    if lead is None or not lead.is_held_by(task):
        # Only who leads can be in the way; keeping all of them would chain tasks together for ever.
        while lead is not None and not lead.flights:
            lead = lead.parent
        lead = Lead(task, lead)
        _lead.set(lead)
    return lead


def may_poll(lead: Lead, own: Flight, now: float) -> bool:
    """May it wait for another process? Nobody knows what that one waits for: so only while it, and all that may be
    waiting for it, lead nothing but `own`."""
    return not any(member.is_busy(now, own) for member in lead.family())


def current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def is_on_loop() -> bool:
    """Is this the thread of a running event loop?"""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
