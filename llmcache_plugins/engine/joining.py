"""Flows round a lookup: join the flight of a key after a miss; call the model and land the flight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llmcache_plugins.engine.flow import Flow, Found, NotFound
from llmcache_plugins.engine.singleflight import Flight, Landing, LandingKind
from llmcache_plugins.engine.steps import Enter, Generate, Land, Wait
from llmcache_plugins.types import UpdateOutcome

__all__ = ["Joined", "generate_flow", "lead_flow"]


class Joined(NamedTuple):
    """How a lookup with single flight ended.

    `is_lead`: the caller leads now and has to land the flight. `error`: what the leader's call raised.
    """

    found: Found | NotFound
    is_lead: bool = False
    error: Exception | None = None


def lead_flow(
    found: NotFound,
    look: Callable[[], Flow[Found | NotFound]],
    look_exact: Callable[[], Flow[Found | NotFound]],
    key: str,
) -> Flow[Joined]:
    """Join the flight of a key after a miss.

    Args:
        found: the miss.
        look: makes a fresh lookup.
        look_exact: makes a lookup of the exact key only, for the moment after the lead was taken: another caller may
            have landed in between.
    """
    while True:
        flight: Flight | None = yield Enter(key)
        if flight is None:
            try:
                again = yield from look_exact()
            except BaseException:
                yield Land(key, Landing(LandingKind.RELEASED))
                raise
            if isinstance(again, Found):
                yield Land(key, Landing(LandingKind.STORED))
                return Joined(again)
            return Joined(found, is_lead=True)
        landing: Landing | None = flight.landing or (yield Wait(flight))
        if landing is None or landing.kind is LandingKind.UNSTORED:
            return Joined(found)
        if landing.kind is LandingKind.FAILED:
            return Joined(found, error=landing.error)
        if landing.kind is LandingKind.STORED:
            return Joined((yield from look()))


def generate_flow(key: str, is_lead: bool, store: Callable[[Any], Flow[UpdateOutcome]]) -> Flow[Any]:
    """Call the model, store what it said, and free the followers whatever happens. The model's own error passes
    unchanged, and is the followers' too; a cancelled leader passes the lead on."""
    if not is_lead:
        answer = yield Generate()
        yield from store(answer)
        return answer
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
        yield Land(key, landing)
