"""Flows round a lookup: join the flight of a key after a miss; call the model and land the flight."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmcache_plugins.engine.flight_steps import Enter, Land, Wait
from llmcache_plugins.engine.flow import Flow, Found, NotFound, look_exact_flow, lookup_flow
from llmcache_plugins.engine.leasing import Leasing, lease_flow
from llmcache_plugins.engine.paraphrasing import follow_paraphrase
from llmcache_plugins.engine.rules import Rules, Troubles
from llmcache_plugins.engine.sequences import seen_now
from llmcache_plugins.engine.singleflight import Flight, Landing, LandingKind, Role, landing_of
from llmcache_plugins.engine.steps import Generate
from llmcache_plugins.engine.touching import serve
from llmcache_plugins.policies import payload_of
from llmcache_plugins.protocols import Clock
from llmcache_plugins.types import Bypass, Entry, Identity, MissReason, Request, UpdateOutcome

__all__ = ["Joined", "Joining", "Seeker", "generate_flow", "join_flow", "with_sequence"]


class Joined(NamedTuple):
    """How a lookup with single flight ended.

    `flight`: the caller leads it and has to land it; beside an answer that was found, it has to be renewed meanwhile.
    `error`: what the leader's call raised. `seen`: the sequence before the model is asked, see `Store.put`.
    `has_candidates`: did the scope hold one; None where nobody looked.
    """

    found: Found | NotFound | Bypass
    flight: Flight | None = None
    error: Exception | None = None
    seen: int | None = None
    has_candidates: bool | None = None


@dataclass(frozen=True, slots=True)
class Joining:
    """What the flows here need to know of a cache, besides its rules.

    Args:
        rules: of look-ups.
        clock: for the look-ups that follow a wait, and for the longest wait.
        timeout: longest wait, seconds.
        allows_refresh: whether a new answer may be asked for now, in place of a marked entry; each True is counted.
        may_renew: whether a key may be renewed in the background now.
        leasing: how flights are shared with other processes; None for not at all.
        is_retrying: followers of a failed leader try again, instead of getting its error.
        joins_paraphrases: questions wait for those that mean the same.
    """

    rules: Rules
    clock: Clock
    timeout: float
    allows_refresh: Callable[[Entry], bool] = lambda entry: True
    may_renew: Callable[[str], bool] = lambda key: True
    leasing: Leasing | None = None
    is_retrying: bool = False
    joins_paraphrases: bool = True


@dataclass(slots=True)
class Seeker:
    """One caller and what it asks.

    Args:
        is_open: it calls its model itself, and nobody tells whether that failed; else the cache makes the call.
        version: of the last tier's store, asked for when the request was resolved: the first look need not ask again.
    """

    request: Request
    identity: Identity
    joining: Joining
    is_open: bool
    version: Hashable = None

    def look(self, *, takes_stale: bool = False) -> Flow[Found | NotFound]:
        now, version, self.version = self.joining.clock.now(), self.version, None
        rules = self.joining.rules
        return lookup_flow(self.request, self.identity, rules, now, takes_stale=takes_stale, version=version)

    def look_exact(self) -> Flow[Found | NotFound]:
        """The exact key alone, for the moment after the lead was taken: another caller may have landed in between."""
        return look_exact_flow(self.request, self.identity, self.joining.rules, self.joining.clock.now())

    def spare(self, found: Found | NotFound) -> Found | None:
        """What can be served while the answer is renewed: an old one, or one that is good but near its end."""
        if isinstance(found, NotFound):
            return found.stale
        is_own = found.kind == "exact"  # what another question found is renewed by that one
        staleness = self.joining.rules.staleness
        is_due = is_own and not found.is_stale and staleness.is_due(found.stored, self.joining.clock.now())
        return found if is_due else None

    def may_ask_anew(self, spare: Found) -> bool:
        entry = spare.stored.entry
        return entry.stale_at is None or self.joining.allows_refresh(entry)

    def serve(self, spare: Found) -> Flow[Found]:
        """Hand out what is old. What was not, was counted when it was found."""
        if spare.is_stale:
            rules = self.joining.rules
            yield from serve(rules.bottom, spare.stored, rules, self.joining.clock.now(), Troubles(rules.fail_open))
        return spare


def join_flow(seeker: Seeker, *, lead: bool) -> Flow[Joined]:
    """A lookup. With `lead` a miss joins the flight of its key."""
    found = yield from seeker.look(takes_stale=lead)
    if isinstance(found, Found) and not (lead and seeker.joining.rules.staleness.refresh_ahead):
        return Joined(found)  # nearly every hit: nothing below is for it
    joined = (yield from _lead(seeker, found)) if lead else (yield from _alone(seeker, found))
    if isinstance(joined.found, Found) and joined.flight is None:
        return joined
    try:
        return (yield from with_sequence(seeker, joined))
    except BaseException:
        if joined.flight is not None:
            yield Land(joined.flight, Landing(LandingKind.RELEASED))
        raise


def with_sequence(seeker: Seeker, joined: Joined) -> Flow[Joined]:
    """The same with what is known of invalidations before the model is asked."""
    looked = joined.found.looked if isinstance(joined.found, NotFound) else None
    if looked is not None:  # as of a moment before: what was invalidated since is asked for anew, too
        has_candidates = None if looked.census is None else looked.census.candidates > 0
        return joined._replace(seen=looked.sequence, has_candidates=has_candidates)
    if isinstance(joined.found, NotFound) and joined.found.has_failed_to_look:
        return joined  # who has waited in vain for the store does not wait for it again
    rules = seeker.joining.rules
    return joined._replace(seen=(yield from seen_now(rules.bottom, fail_open=rules.fail_open)))


def _alone(seeker: Seeker, found: Found | NotFound) -> Flow[Joined]:
    """Nobody renews anything; but what was marked step by step is not asked anew faster than its rate either."""
    if isinstance(found, NotFound) and found.stale is not None and not seeker.may_ask_anew(found.stale):
        return Joined((yield from seeker.serve(found.stale)))
    return Joined(found)


def _lead(seeker: Seeker, found: Found | NotFound) -> Flow[Joined]:
    spare = seeker.spare(found)
    if spare is None:
        if isinstance(found, Found):
            return Joined(found)
        if seeker.joining.joins_paraphrases and (yield from _is_answered_in_other_words(seeker, found)):
            found = yield from seeker.look(takes_stale=True)
            if isinstance(found, Found):
                return Joined(found)
            spare = seeker.spare(found)
    elif not seeker.is_open and not seeker.joining.may_renew(seeker.identity.key):
        return Joined((yield from seeker.serve(spare)))
    return (yield from _enter(seeker, found, spare))


def _is_answered_in_other_words(seeker: Seeker, found: NotFound) -> Flow[bool]:
    """Was there a flight of a question that means the same, and has it landed with an answer?"""
    if found.reason in (MissReason.EXACT_ONLY, MissReason.UNREADABLE, MissReason.SHADOW):
        return False
    now = seeker.joining.clock.now()
    flight = yield from follow_paraphrase(seeker.request, seeker.identity, seeker.joining.rules, now)
    if flight is None:
        return False
    landing: Landing | None = yield Wait(flight)
    return landing is not None and landing.kind is LandingKind.STORED


def _enter(seeker: Seeker, found: Found | NotFound, spare: Found | None) -> Flow[Joined]:
    """Lead, follow, or go alone. Nobody waits who has something to serve."""
    key, is_open = seeker.identity.key, seeker.is_open
    is_exact_only = seeker.request.exact_only is not None or payload_of(seeker.request.text) is not None
    scope = "" if is_exact_only else seeker.identity.scope
    until = seeker.joining.clock.monotonic() + seeker.joining.timeout
    has_missed = False
    while True:
        role, flight = yield Enter(key, is_open, scope, seeker.request.text, takes_over=spare is None)
        if role is Role.LEAD:
            return (yield from _take_off(seeker, found, spare, flight))
        if spare is not None:
            return Joined((yield from seeker.serve(spare)))
        if role is Role.ALONE:
            return Joined(found)
        landing: Landing | None = yield Wait(flight)
        if landing is None or landing.kind is LandingKind.UNSTORED:
            return Joined(found)
        if landing.kind is LandingKind.STORED:
            found = yield from seeker.look()
            if isinstance(found, Found) or has_missed:
                return Joined(found)
            # Invalidated since: one of the followers calls for all. Once, for there may be a store that keeps nothing.
            has_missed = True
        if landing.kind is LandingKind.FAILED:
            is_over = seeker.joining.clock.monotonic() >= until
            if is_over or not seeker.joining.is_retrying:
                return Joined(found, error=landing.error)


def _take_off(seeker: Seeker, found: Found | NotFound, spare: Found | None, flight: Flight) -> Flow[Joined]:
    """The caller leads. Somebody else may have landed before it did, here or in another process."""
    landing: Landing | None = Landing(LandingKind.RELEASED)
    try:
        leasing = seeker.joining.leasing
        again = yield from (
            seeker.look_exact()
            if leasing is None
            else lease_flow(flight, seeker.look_exact, leasing, may_wait=spare is None)
        )
        if isinstance(again, Found) and (spare is None or seeker.spare(again) is None):
            landing = Landing(LandingKind.STORED)
            return Joined(again)
        if spare is None:
            joined = Joined(found, flight)
        elif again is None or not seeker.may_ask_anew(spare):
            return Joined((yield from seeker.serve(spare)))
        elif seeker.is_open:  # nobody else can make the call: this one pays, the others are served
            joined = Joined(found if isinstance(found, NotFound) else NotFound(MissReason.REFRESH), flight)
        else:
            joined = Joined((yield from seeker.serve(spare)), flight)
        landing = None
        return joined
    finally:
        if landing is not None:
            yield Land(flight, landing)


def generate_flow(flight: Flight | None, store: Callable[[Any], Flow[UpdateOutcome]]) -> Flow[Any]:
    """Call the model, store what it said, and free the followers whatever happens. The model's own error passes
    unchanged, and is the followers' too; a cancelled leader passes the lead on."""
    landing = Landing(LandingKind.RELEASED)
    try:
        answer = yield Generate()
        landing = Landing(LandingKind.UNSTORED)
        landing = landing_of((yield from store(answer)))
        return answer
    except Exception as error:
        landing = Landing(LandingKind.FAILED, error)
        raise
    finally:
        if flight is not None:
            yield Land(flight, landing)
