"""The verbs that write: store an answer, remove what is stored."""

from __future__ import annotations

import dataclasses

from llmcache_plugins.config import DEFAULT, Default
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.flow import Flow, update_flow
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.resolving import Followed
from llmcache_plugins.engine.rolling_out import Awaited, Caller
from llmcache_plugins.engine.sequences import seen_at
from llmcache_plugins.engine.singleflight import Flight
from llmcache_plugins.engine.steps import PutAlias, ReadExact
from llmcache_plugins.errors import StoreError
from llmcache_plugins.recorded import UpdateEvent
from llmcache_plugins.rollout import Group
from llmcache_plugins.types import (
    Alias,
    Answer,
    Entry,
    Identity,
    JsonValue,
    MissReason,
    Namespace,
    Request,
    Stored,
    UpdateOutcome,
)

__all__ = ["Updates"]


class Updates(Core):
    """Updates of a cache."""

    def update(
        self,
        request: AnyRequest,
        answer: Answer | JsonValue,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> UpdateOutcome:
        """Store the answer to a request, and free the callers that wait for it.

        Args:
            answer: JSON, or an `Answer` when its usage, finish reason or duration are known. An answer that is older
                than an invalidation it is subject to is not stored; without a `lookup` before, by its duration or,
                where that is unknown too, the `single_flight_timeout`.
            ttl: seconds this answer may be served, None for ever; by default what `context` says, or the
                settings by tag, query type and volatility, or else the one of that name.
            identity: as in `lookup`.

        Raises:
            ConfigError: `ttl` is neither above 0 nor None.
        """
        return self._store(request, answer, ttl, identity)

    async def aupdate(
        self,
        request: AnyRequest,
        answer: Answer | JsonValue,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> UpdateOutcome:
        """`update` for event loops."""
        return await self._astore(request, answer, ttl, identity)

    def clear(self, namespace: str | Namespace = ()) -> int:
        """Remove what this cache stored under its own namespace and the given one below it; how many entries."""
        return max(tier.store.clear(self._resolve.below(namespace)) for tier in self._parts.tiers)

    async def aclear(self, namespace: str | Namespace = ()) -> int:
        return max([await tier.async_store.clear(self._resolve.below(namespace)) for tier in self._parts.tiers])

    # ---------------------------------------------------------------- inside
    def _store(
        self,
        request: AnyRequest,
        answer: Answer | JsonValue,
        ttl: float | Default | None,
        identity: Identity | None = None,
        *,
        is_warming: bool = False,
    ) -> UpdateOutcome:
        now = self._clock.now()
        self.config.expiry(now, ttl)
        request, identity = self._followed(*self._resolve(request, identity))
        outcome, flight = (
            UpdateOutcome(False, MissReason.INTERNAL_ERROR.value),
            self._flights.flight_of(identity.key, request.text),
        )
        awaited = None if is_warming else self._awaited(identity)
        answer = self._timed(answer, flight, awaited)
        try:
            flow = self._update_flow(request, identity, answer, flight, now, ttl, awaited=awaited)
            outcome = run(flow, self._perform)
        except Exception as error:
            self._spared(error)
        finally:
            self._flights.end(flight, outcome, identity.key)
        self._tell(outcome, request, answer, "" if awaited is None else awaited.group, is_warming=is_warming)
        return outcome

    async def _astore(
        self,
        request: AnyRequest,
        answer: Answer | JsonValue,
        ttl: float | Default | None,
        identity: Identity | None = None,
        *,
        is_warming: bool = False,
    ) -> UpdateOutcome:
        now = self._clock.now()
        self.config.expiry(now, ttl)
        request, identity = self._followed(*(await self._resolve.awaited(request, identity)))
        outcome, flight = (
            UpdateOutcome(False, MissReason.INTERNAL_ERROR.value),
            self._flights.flight_of(identity.key, request.text),
        )
        awaited = None if is_warming else self._awaited(identity)
        answer = self._timed(answer, flight, awaited)
        try:
            flow = self._update_flow(request, identity, answer, flight, now, ttl, awaited=awaited)
            outcome = await arun(flow, self._aperform)
        except Exception as error:
            self._spared(error)
        finally:
            self._flights.end(flight, outcome, identity.key)
        self._tell(outcome, request, answer, "" if awaited is None else awaited.group, is_warming=is_warming)
        return outcome

    def _awaited(self, identity: Identity, caller: Caller | None = None) -> Awaited | None:
        """What a roll-out knows of the lookup before this answer, by whom that was."""
        rolling_out, around = self._rolling_out, self._surroundings
        if rolling_out is None or around.is_bypassed or around.is_refreshing:
            return None
        return rolling_out.taken(identity.key, caller)

    def _timed(self, answer: Answer | JsonValue, flight: Flight | None, awaited: Awaited | None = None) -> Answer:
        """With the seconds it took, where they are known: the caller led the flight, or a roll-out knows since when."""
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        if answer.generation_seconds is not None:
            return answer
        if awaited is not None and self._rolling_out is not None:
            return dataclasses.replace(answer, generation_seconds=self._rolling_out.seconds_of(awaited))
        if flight is not None and self._flights.leads(flight):
            return dataclasses.replace(answer, generation_seconds=self._flights.seconds_of(flight))
        return answer

    def _tell(
        self,
        outcome: UpdateOutcome,
        request: Request,
        answer: Answer,
        group: Group,
        *,
        is_warming: bool = False,
        is_renewal: bool = False,
    ) -> None:
        usage, seconds = answer.usage, answer.generation_seconds
        self._emit(
            UpdateEvent(outcome, request.namespace, request.model, usage, seconds, is_warming, group, is_renewal)
        )

    def _update_flow(
        self,
        request: Request,
        identity: Identity,
        answer: Answer,
        flight: Flight | None,
        now: float,
        ttl: float | Default | None,
        seen: int | None = None,
        has_candidates: bool | None = None,
        awaited: Awaited | None = None,
    ) -> Flow[UpdateOutcome]:
        """
        Args:
            flight: that of this key, whoever leads it.
            seen: the sequence before the answer was asked for; None when the caller did not look it up here.
            has_candidates: did the scope hold one then.
            awaited: what a roll-out knows of the request, which was not served.
        """
        if self._is_closed:
            return UpdateOutcome(False, MissReason.CLOSED.value)
        if self._surroundings.is_bypassed:
            return UpdateOutcome(False, "bypass")
        fence = flight.lease if flight is not None and self._flights.leads(flight) else None
        if seen is None:
            key = identity.key if flight is None else flight.key
            has_candidates = self._sequences.take_populated(key)
            seen = yield from self._seen_flow(key, answer, now)
        entry = self._admit(request, identity, answer, now, ttl)
        if isinstance(entry, UpdateOutcome):
            self._compare(identity, None, awaited)
            return entry
        if awaited is not None and awaited.keeps and (yield from self._is_still_stored(awaited)):
            # What is stored goes on ageing as if it had been served: a fresh answer in its place would hide how wrong
            # old ones get, and how often the same wrong one would be served.
            self._compare(identity, answer, awaited)
            return UpdateOutcome(False, MissReason.WITHHELD.value)
        self._housekeeper.start()
        outcome = yield from update_flow(
            entry,
            self._rules,
            now,
            sweep=self._sweeps.is_due(),
            seen=seen,
            fence=fence,
            has_candidates=has_candidates,
        )
        self._compare(identity, None if outcome.reason == "invalidated" else answer, awaited)
        if outcome.stored and isinstance(identity, Followed) and self._follow_ups is not None:
            yield from self._keep_meaning(identity, entry, self._follow_ups.resolver_id, now)
        return outcome

    def _is_still_stored(self, awaited: Awaited) -> Flow[bool]:
        """Is what was withheld still there? It may have been invalidated since."""
        entry = awaited.entry
        if entry is None:
            return False
        try:
            kept = yield ReadExact(self._rules.bottom, entry.scope, entry.key)
        except StoreError:
            return True  # then nothing could be stored either
        return isinstance(kept, Stored)

    def _compare(self, identity: Identity, answer: Answer | None, awaited: Awaited | None) -> None:
        """Tell what was checked or withheld whether this answer agrees; None is no evidence."""
        if self._shadowing is not None:
            self._shadowing.fresh(identity.key, answer)
        if awaited is not None and self._rolling_out is not None:
            self._rolling_out.fresh(awaited, answer)

    def _keep_meaning(self, identity: Followed, entry: Entry, resolver_id: str, now: float) -> Flow[None]:
        """Who asks the very same again, in whatever process, need not ask the resolver."""
        meaning = Alias(entry.scope, identity.asked, entry.key, entry.text, 1.0, 1.0, resolver_id, now)
        try:
            yield PutAlias(self._rules.bottom, meaning)
        except StoreError:
            if not self._rules.fail_open:
                raise

    def _seen_flow(self, key: str, answer: Answer, now: float) -> Flow[int | None]:
        """What was known of invalidations when the answer was asked for: noted by the lookup; without one, as of the
        time the answer took, or of the longest it can have taken."""
        seen = self._sequences.take(key)
        if seen is not None:
            return seen
        seconds = answer.generation_seconds
        since = now - (self.config.single_flight_timeout if seconds is None else seconds)
        return (yield from seen_at(self._rules.bottom, since, fail_open=self.config.fail_open))
