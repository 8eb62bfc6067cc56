"""What a flow can ask of single flight. All but `Wait` and `Pause` are done at once, by calls and awaits alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmcache_plugins.engine.singleflight import Flight, FlightTable, Landing

__all__ = ["Enter", "FlightStep", "Follow", "Land", "Pause", "Running", "Wait"]


class FlightStep:
    """Asks the table. `may_wait` is False where waiting would block what the leader needs."""

    __slots__ = ()

    def call(self, flights: FlightTable, *, may_wait: bool) -> Any:
        raise NotImplementedError


@dataclass(slots=True)
class Enter(FlightStep):
    """Lead the flight of this key, follow it or stay alone: a `Role` and a `Flight`; see `FlightTable.enter`."""

    key: str
    is_open: bool
    scope: str = ""
    text: str = field(default="", repr=False)
    takes_over: bool = True

    def call(self, flights: FlightTable, *, may_wait: bool) -> Any:
        return flights.enter(
            self.key,
            may_wait=may_wait,
            is_open=self.is_open,
            scope=self.scope,
            text=self.text,
            takes_over=self.takes_over,
        )


@dataclass(slots=True)
class Running(FlightStep):
    """The flights of other questions of this scope that the caller could wait for, newest first."""

    scope: str
    key: str

    def call(self, flights: FlightTable, *, may_wait: bool) -> Any:
        return flights.running(self.scope, self.key) if may_wait else ()


@dataclass(slots=True)
class Follow(FlightStep):
    """Will the caller wait for this flight of another question? False where that could be a circle."""

    flight: Flight

    def call(self, flights: FlightTable, *, may_wait: bool) -> Any:
        return may_wait and flights.follow(self.flight)


@dataclass(slots=True)
class Land(FlightStep):
    """The flight has ended; frees its followers."""

    flight: Flight
    landing: Landing

    def call(self, flights: FlightTable, *, may_wait: bool) -> Any:
        return flights.land(self.flight, self.landing)


@dataclass(slots=True)
class Wait:
    """Wait until the flight lands; its `Landing`, or None when the deadline came first."""

    flight: Flight


@dataclass(slots=True)
class Pause:
    """Let some seconds pass while another process calls the model in place of the one who leads this flight; False at
    once where the leader must not wait."""

    flight: Flight
    seconds: float
