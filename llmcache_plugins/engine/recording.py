"""A call that its caller makes itself, piece by piece, between a lookup and the storing of its answer: streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import perf_counter

from llmcache_plugins.engine.singleflight import Flight, FlightTable, Landing, LandingKind
from llmcache_plugins.types import Answer, Bypass, Miss, UpdateOutcome

__all__ = ["Recording"]


class Recording:
    """The lookup missed, and the caller asks the model. It must end the recording: `store`, `fail` or `release`;
    the first of them counts. Threads and tasks may hand it on.

    Those who ask the same wait meanwhile, so an abandoned stream has to be released (a generator's `finally`); what is
    never ended is out at the flight's deadline.
    """

    __slots__ = ("_astore", "_flight", "_flights", "_given_up", "_is_ended", "_start", "_store", "outcome")

    def __init__(
        self,
        outcome: Miss | Bypass,
        flight: Flight | None,
        flights: FlightTable,
        store: Callable[[Answer], UpdateOutcome],
        astore: Callable[[Answer], Awaitable[UpdateOutcome]],
        given_up: Callable[[], None] | None = None,
    ) -> None:
        self.outcome = outcome
        self._flight = flight
        self._flights = flights
        self._store = store
        self._astore = astore
        self._given_up = given_up
        self._start = perf_counter()
        self._is_ended = False

    def store(self, answer: Answer) -> UpdateOutcome:
        """The answer is whole: store it, and free those who wait for it. Never raises unless `fail_open=False`."""
        return self._store(self._timed(answer)) if self._begin_end() else UpdateOutcome(False, "ended")

    async def astore(self, answer: Answer) -> UpdateOutcome:
        """`store` for event loops."""
        return await self._astore(self._timed(answer)) if self._begin_end() else UpdateOutcome(False, "ended")

    def fail(self, error: BaseException) -> None:
        """The model's call raised: those who wait get the same error. What is no `Exception` (a cancelled task, a
        closed generator) is the caller's alone: the next of them asks."""
        if isinstance(error, Exception):
            self._end(Landing(LandingKind.FAILED, error))
        else:
            self.release()

    def release(self) -> None:
        """Nothing came of it: the next of those who wait asks the model. Does nothing after the end."""
        self._end(Landing(LandingKind.RELEASED))

    # ---------------------------------------------------------------- inside
    def _timed(self, answer: Answer) -> Answer:
        seconds = answer.generation_seconds
        return answer if seconds is not None else replace(answer, generation_seconds=perf_counter() - self._start)

    def _begin_end(self) -> bool:
        """True for the first that ends it. A stream may be used up elsewhere than where it began: who stores, leads."""
        if self._is_ended:
            return False
        self._is_ended = True
        if self._flight is not None and not self._flights.leads(self._flight):
            self._flights.hand_over(self._flight)
            self._flights.adopt(self._flight)
        return True

    def _end(self, landing: Landing) -> None:
        if not self._is_ended:
            self._is_ended = True
            if self._given_up is not None:
                self._given_up()
            if self._flight is not None:
                self._flights.land(self._flight, landing)
