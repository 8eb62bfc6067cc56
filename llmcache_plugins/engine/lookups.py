"""The verbs that read: look up, and lead or leave the flight of a miss."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from llmcache_plugins.ab_test import ArmName
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.dialogue import turns_to_resolve
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.flow import Flow, Found, NotFound
from llmcache_plugins.engine.following import FollowUps
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.joining import Joined, Seeker, join_flow
from llmcache_plugins.engine.leads import Lead
from llmcache_plugins.engine.outcomes import outcome_of
from llmcache_plugins.engine.resolving import Followed
from llmcache_plugins.engine.sequences import seen_now
from llmcache_plugins.engine.steps import ReadExact
from llmcache_plugins.engine.withholding import withhold_flow
from llmcache_plugins.errors import StoreError
from llmcache_plugins.recorded import GroupLookupEvent, LookupEvent
from llmcache_plugins.rollout import Group
from llmcache_plugins.types import Bypass, Hit, Identity, Miss, MissReason, Outcome, Request, Stored

__all__ = ["Lookups"]


class Lookups(Core):
    """Look-ups of a cache."""

    def lookup(self, request: AnyRequest, *, lead: bool = False, identity: Identity | None = None) -> Outcome:
        """Ask the cache. Never raises for a broken store or embedder (unless `fail_open=False`): that is a Miss.

        Args:
            request: a plain string is a request without model, parameters or context.
            lead: join the request's single flight on a miss: either this thread or task becomes its leader (and must
                call `update` or `release_leads`), or it waits for the running leader and looks again. Where an old
                answer may still be served, one caller misses and renews it, and all others get the old one at once.
            identity: what `identify` gave for this request, from a caller that keeps it: hashing a long history costs
                more than the rest of an exact hit.
        """
        start = perf_counter()
        request, identity = self._meant(*self._resolve(request, identity))
        joined = self._join(request, identity, lead=lead, is_open=True)
        self._note(joined, identity)
        return self._report(joined.found, request, identity, start)

    async def alookup(self, request: AnyRequest, *, lead: bool = False, identity: Identity | None = None) -> Outcome:
        """`lookup` for event loops: nothing in it blocks."""
        start = perf_counter()
        request, identity = await self._ameant(*(await self._resolve.awaited(request, identity)))
        joined = await self._ajoin(request, identity, lead=lead, is_open=True)
        self._note(joined, identity)
        return self._report(joined.found, request, identity, start)

    def release_leads(self) -> int:
        """The calls that this thread or task leads since a `lookup(lead=True)` have failed: the next of their followers
        leads. How many there were."""
        return self._flights.release()

    def current_lead(self) -> Lead:
        """What this thread or task leads; `release_lead` takes it from any thread."""
        return self._flights.current_lead()

    def release_lead(self, lead: Lead) -> int:
        return self._flights.release(lead)

    def report_bypass(self, reason: str) -> Bypass:
        """A plugin lets a call pass that it cannot tell from others: counted, neither asked nor stored.

        Args:
            reason: a word; few values, for it is a label of metrics.
        """
        self._emit(LookupEvent(bypass := Bypass(reason), ()))
        return bypass

    # ---------------------------------------------------------------- inside
    def _meant(self, request: Request, identity: Identity) -> tuple[Request, Identity]:
        """The request as it is matched: a follow-up as the question that it means, where a resolver can tell."""
        followed = self._followed(request, identity)
        if self._follow_ups is None or not self._is_open_question(followed[1]):
            return followed
        try:
            known = run(self._known_flow(request, identity, self._follow_ups), self._perform)
            question = self._follow_ups.ask(request, identity.key) if known is None else known
        except Exception as error:
            self._spared(error)
            return request, identity
        return self._resolve.followed(request, identity, question) if question else (request, identity)

    async def _ameant(self, request: Request, identity: Identity) -> tuple[Request, Identity]:
        """`_meant` for event loops."""
        followed = self._followed(request, identity)
        if self._follow_ups is None or not self._is_open_question(followed[1]):
            return followed
        try:
            known = await arun(self._known_flow(request, identity, self._follow_ups), self._aperform)
            question = await self._follow_ups.aask(request, identity.key) if known is None else known
        except Exception as error:
            self._spared(error)
            return request, identity
        return self._resolve.followed(request, identity, question) if question else (request, identity)

    def _is_open_question(self, identity: Identity) -> bool:
        """Is it to be found out whether this request is a follow-up, and what it means?"""
        follow_ups = self._follow_ups
        if follow_ups is None or isinstance(identity, Followed) or follow_ups.known(identity.key)[0]:
            return False
        return not (self._is_closed or self._surroundings.is_bypassed or follow_ups.is_asking)

    def _known_flow(self, request: Request, identity: Identity, follow_ups: FollowUps) -> Flow[str | None]:
        """What this very request was found to mean before, in whatever process; empty where it is answered as it is,
        and for what is no follow-up."""
        if turns_to_resolve(request) is None:
            follow_ups.remember(identity.key, None)
            return ""
        alone = self._resolve.followed(request, identity, request.text)[1]
        for tier in range(len(self._rules.tiers)):
            try:
                own = yield ReadExact(tier, identity.scope, identity.key)
                if isinstance(own, Stored) and not own.entry.is_expired(self._clock.now()):
                    return ""
                means = yield ReadExact(tier, alone.scope, identity.key)
            except StoreError:
                if not self._rules.fail_open:
                    raise
                continue
            if isinstance(means, Stored) and means.alias and means.alias.policy_id == follow_ups.resolver_id:
                follow_ups.remember(identity.key, means.alias.text)
                return means.alias.text
        return None

    def _join_flow(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Flow[Joined]:
        if self._surroundings.is_refreshing:
            return self._refreshing_flow()
        seeker = Seeker(request, identity, self._joining, is_open, self._epochs.version)
        lead = lead and self.config.single_flight
        if self._rolling_out is not None and not self._rolling_out.serves(request, identity):
            return withhold_flow(seeker, lead=lead)
        return join_flow(seeker, lead=lead)

    def _refreshing_flow(self) -> Flow[Joined]:
        """Nothing is read and nobody is waited for: each caller wants an answer of its own."""
        seen = yield from seen_now(self._rules.bottom, fail_open=self._rules.fail_open)
        return Joined(NotFound(MissReason.REFRESH), seen=seen)

    def _join(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Joined:
        if self._is_closed:
            return Joined(NotFound(MissReason.CLOSED))
        around = self._surroundings.current
        if around is not None and around.is_bypassed:
            return Joined(Bypass("context"))
        if self._shortcut is not None and (around is None or not around.is_refreshing):
            found = self._shortcut.find(identity, self._epochs.version)
            if found is not None:
                return Joined(found)
        try:
            joined = run(self._join_flow(request, identity, lead=lead, is_open=is_open), self._perform)
            self._health.succeeded("engine")
            return joined
        except Exception as error:
            return Joined(self._spared(error))

    async def _ajoin(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Joined:
        if self._is_closed:
            return Joined(NotFound(MissReason.CLOSED))
        around = self._surroundings.current
        if around is not None and around.is_bypassed:
            return Joined(Bypass("context"))
        if self._shortcut is not None and (around is None or not around.is_refreshing):
            found = await self._shortcut.afind(identity, self._epochs.version)
            if found is not None:
                return Joined(found)
        try:
            joined = await arun(self._join_flow(request, identity, lead=lead, is_open=is_open), self._aperform)
            self._health.succeeded("engine")
            return joined
        except Exception as error:
            return Joined(self._spared(error))

    def _note(self, joined: Joined, identity: Identity) -> None:
        """Keep what a caller knew of invalidations, for the update that may follow."""
        if joined.seen is not None and isinstance(joined.found, NotFound):
            self._sequences.note(identity.key, joined.seen, joined.has_candidates)

    def _report(self, found: Found | NotFound | Bypass, request: Request, identity: Identity, start: float) -> Outcome:
        latency = perf_counter() - start
        if self._publishes_reads:
            self._housekeeper.start()
        if isinstance(found, Bypass):
            self._emit(LookupEvent(bypass := replace(found, latency=latency), request.namespace, "", request.model))
            return bypass
        outcome = outcome_of(found, request.text, identity, latency, self._clock.now())
        self._count(request, identity)
        if isinstance(outcome, Miss):
            query_type = self._admit.query_type_of(request, identity)
        else:
            query_type = outcome.entry.profile.query_type
        event = LookupEvent(outcome, request.namespace, query_type, request.model)
        if self._is_split:
            event = self._in_group(event, found, request, identity)
        self._emit(event)
        if isinstance(outcome, Miss):
            self._log(event)
        elif outcome.kind != "exact":  # the entry alone does not tell what was asked
            self._served.remember(outcome)
        return outcome

    def _in_group(
        self, event: LookupEvent, found: Found | NotFound, request: Request, identity: Identity
    ) -> GroupLookupEvent:
        """The event with its group and arm; the roll-out hears of it."""
        rolling_out, withheld = self._rolling_out, None
        group: Group = ""
        arm: ArmName = "" if self._arm_of is None else self._arm_of(request)
        if rolling_out is not None:
            group = rolling_out.looked(None if isinstance(found, Found) else found, request, identity, arm)
        if isinstance(found, NotFound) and found.withheld is not None:
            latency = event.outcome.latency
            hit = outcome_of(found.withheld, request.text, identity, latency, self._clock.now())
            withheld = hit if isinstance(hit, Hit) else None
        return GroupLookupEvent(event.outcome, event.namespace, event.query_type, event.model, group, withheld, arm)

    def _count(self, request: Request, identity: Identity) -> None:
        """One more request under its error budget, where a bound on wrong hits is kept."""
        if self._shadowing is None or request.exact_only is not None:
            return
        policy = self._rules.policy_for(request)
        if policy is not None:
            self._shadowing.count(policy, request.namespace, identity.scope)
