"""The verbs that read: look up, and lead or leave the flight of a miss."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.flow import Flow, Found, NotFound
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.joining import Joined, Seeker, join_flow
from llmcache_plugins.engine.leads import Lead
from llmcache_plugins.engine.outcomes import outcome_of
from llmcache_plugins.engine.sequences import seen_now
from llmcache_plugins.protocols import LookupEvent
from llmcache_plugins.types import Bypass, Identity, Miss, MissReason, Outcome, Request

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
        request, identity = self._resolve(request, identity)
        joined = self._join(request, identity, lead=lead, is_open=True)
        self._note(joined, identity)
        return self._report(joined.found, request, identity, start)

    async def alookup(self, request: AnyRequest, *, lead: bool = False, identity: Identity | None = None) -> Outcome:
        """`lookup` for event loops: nothing in it blocks."""
        start = perf_counter()
        request, identity = await self._resolve.awaited(request, identity)
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
    def _join_flow(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Flow[Joined]:
        if self._surroundings.is_refreshing:
            return self._refreshing_flow()
        seeker = Seeker(request, identity, self._joining, is_open, self._epochs.version)
        return join_flow(seeker, lead=lead and self.config.single_flight)

    def _refreshing_flow(self) -> Flow[Joined]:
        """Nothing is read and nobody is waited for: each caller wants an answer of its own."""
        seen = yield from seen_now(self._rules.bottom, fail_open=self._rules.fail_open)
        return Joined(NotFound(MissReason.REFRESH), seen=seen)

    def _join(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Joined:
        if self._is_closed:
            return Joined(NotFound(MissReason.CLOSED))
        if self._surroundings.is_bypassed:
            return Joined(Bypass("context"))
        try:
            joined = run(self._join_flow(request, identity, lead=lead, is_open=is_open), self._perform)
            self._health.succeeded("engine")
            return joined
        except Exception as error:
            return Joined(self._spared(error))

    async def _ajoin(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Joined:
        if self._is_closed:
            return Joined(NotFound(MissReason.CLOSED))
        if self._surroundings.is_bypassed:
            return Joined(Bypass("context"))
        try:
            joined = await arun(self._join_flow(request, identity, lead=lead, is_open=is_open), self._aperform)
            self._health.succeeded("engine")
            return joined
        except Exception as error:
            return Joined(self._spared(error))

    def _note(self, joined: Joined, identity: Identity) -> None:
        """Keep what a caller knew of invalidations, for the update that may follow."""
        if joined.seen is not None and isinstance(joined.found, NotFound):
            self._sequences.note(identity.key, joined.seen)

    def _report(self, found: Found | NotFound | Bypass, request: Request, identity: Identity, start: float) -> Outcome:
        latency = perf_counter() - start
        if isinstance(found, Bypass):
            self._emit(LookupEvent(bypass := replace(found, latency=latency), request.namespace))
            return bypass
        outcome = outcome_of(found, request.text, identity.key, latency, self._clock.now())
        self._emit(event := LookupEvent(outcome, request.namespace))
        if isinstance(outcome, Miss):
            self._log(event)
        elif outcome.kind != "exact":  # the entry alone does not tell what was asked
            self._served.remember(outcome)
        return outcome
