"""Flows round a lookup: join the flight of a key after a miss; call the model and land the flight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llmcache_plugins.engine.flight_steps import Enter, Land, Wait
from llmcache_plugins.engine.flow import Flow, Found, NotFound
from llmcache_plugins.engine.singleflight import Flight, Landing, LandingKind, Role
from llmcache_plugins.engine.steps import Generate
from llmcache_plugins.types import Bypass, UpdateOutcome

__all__ = ["Joined", "generate_flow", "lead_flow"]


class Joined(NamedTuple):
    """How a lookup with single flight ended.

    `flight`: the caller leads it and has to land it. `error`: what the leader's call raised.
    """

    found: Found | NotFound | Bypass
    flight: Flight | None = None
    error: Exception | None = None


def lead_flow(
    found: NotFound,
    look: Callable[[], Flow[Found | NotFound]],
    look_exact: Callable[[], Flow[Found | NotFound]],
    key: str,
    *,
    is_open: bool,
) -> Flow[Joined]:
    """Join the flight of a key after a miss.

    Args:
        found: the miss.
        look: makes a fresh lookup.
        look_exact: makes a lookup of the exact key only, for the moment after the lead was taken: another caller may
            have landed in between.
        is_open: see `Flight`.
    """
    while True:
        role, flight = yield Enter(key, is_open)
        if role is Role.ALONE:
            return Joined(found)
        if role is Role.LEAD:
            return (yield from _take_off(found, look_exact, flight))
        landing: Landing | None = yield Wait(flight)
        if landing is None or landing.kind is LandingKind.UNSTORED:
            return Joined(found)
        if landing.kind is LandingKind.FAILED:
            return Joined(found, error=landing.error)
        if landing.kind is LandingKind.STORED:
            return Joined((yield from look()))


def _take_off(found: NotFound, look_exact: Callable[[], Flow[Found | NotFound]], flight: Flight) -> Flow[Joined]:
    try:
        again = yield from look_exact()
    except BaseException:
        yield Land(flight, Landing(LandingKind.RELEASED))
        raise
    if isinstance(again, NotFound):
        return Joined(found, flight)
    yield Land(flight, Landing(LandingKind.STORED))
    return Joined(again)


def generate_flow(flight: Flight | None, store: Callable[[Any], Flow[UpdateOutcome]]) -> Flow[Any]:
    """Call the model, store what it said, and free the followers whatever happens. The model's own error passes
    unchanged, and is the followers' too; a cancelled leader passes the lead on."""
    landing = Landing(LandingKind.RELEASED)
    try:
        answer = yield Generate()
        landing = Landing(LandingKind.UNSTORED)
        outcome = yield from store(answer)
        if outcome.stored:
            landing = Landing(LandingKind.STORED)
        return answer
    except Exception as error:
        landing = Landing(LandingKind.FAILED, error)
        raise
    finally:
        if flight is not None:
            yield Land(flight, landing)
