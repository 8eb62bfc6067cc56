"""`SemanticCache`: the public face of the engine. Builds flows, drives them, and reports what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Sequence
from time import perf_counter

from llmcache_plugins.config import DEFAULT, CacheConfig, Default
from llmcache_plugins.counters import CacheStats
from llmcache_plugins.engine.admitting import entry_of
from llmcache_plugins.engine.announcing import Announcer
from llmcache_plugins.engine.asking import Advisers
from llmcache_plugins.engine.clock import Every
from llmcache_plugins.engine.drivers import AsyncPerformer, Health, Parts, Performer, Tier, arun, run
from llmcache_plugins.engine.explaining import explain_flow
from llmcache_plugins.engine.explanation import Explanation
from llmcache_plugins.engine.flow import (
    Flow,
    Found,
    NotFound,
    Rules,
    look_exact_flow,
    lookup_flow,
    update_flow,
)
from llmcache_plugins.engine.forking import follow_forks
from llmcache_plugins.engine.generating import AnyRequest, Generate, atimed, timed
from llmcache_plugins.engine.joining import Joined, generate_flow, lead_flow
from llmcache_plugins.engine.outcomes import outcome_of
from llmcache_plugins.engine.reporting import Served, Wrong, report_flow
from llmcache_plugins.engine.resolving import Resolver
from llmcache_plugins.engine.sharing import Shared
from llmcache_plugins.engine.singleflight import Flight, FlightTable, Lead
from llmcache_plugins.engine.workers import Workers
from llmcache_plugins.errors import CodecError, ConfigError, LLMCacheError, StoreError
from llmcache_plugins.protocols import (
    Clock,
    Embedder,
    Log,
    LookupEvent,
    Recorder,
    ReportEvent,
    StatisticsRecorder,
    UpdateEvent,
)
from llmcache_plugins.quality import NearMissRecord, Regression, Reported
from llmcache_plugins.types import (
    Answer,
    Hit,
    Identity,
    JsonValue,
    Miss,
    MissReason,
    Namespace,
    Outcome,
    Request,
    UpdateOutcome,
)

__all__ = ["SemanticCache"]


class SemanticCache(Shared):
    """A cache of LLM answers: exact first, then by meaning. Safe to share between threads and event loops.

    Made by `open_cache`; the constructor is for those who bring their own parts.

    Args:
        tiers: hottest first; every tier holds every entry stored from now on.
        config: the settings.
        rules: what the flows need, derived from the settings by the factory.
        embedder: None for a cache of exact and normalised matches only.
        statistics: counts every event.
        near_miss_log: keeps near misses, if anybody does.
        regression_log: keeps reported pairs, if anybody does.
        recorders: also hear every event; one that raises is logged once and dropped.
        advisers: who is asked before a match is served: verifier, judge, validators.
        workers: threads for what would block an event loop; the tiers' async stores should use the same.
        clock: the time.
    """

    def __init__(
        self,
        tiers: Sequence[Tier],
        *,
        config: CacheConfig,
        rules: Rules,
        embedder: Embedder | None,
        statistics: StatisticsRecorder,
        clock: Clock,
        near_miss_log: Log[NearMissRecord] | None = None,
        regression_log: Log[Regression] | None = None,
        recorders: Sequence[Recorder] = (),
        advisers: Advisers | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.config = config
        self._tiers = tuple(tiers)
        self._rules = rules
        self._clock = clock
        self._statistics = statistics
        self._near_miss_log = near_miss_log
        self._regression_log = regression_log
        self._logs = [log for log in (near_miss_log, regression_log) if log is not None]
        self._emit = Announcer([statistics, *recorders])
        self._log = Announcer(self._logs)  # apart: they hear of misses and reports alone, and may write files
        self._health = Health(self._emit.error)
        self._flights = FlightTable(config.single_flight_timeout, clock)
        self._advisers = Advisers() if advisers is None else advisers
        self._advisers.report_to(clock, self._emit, self._health.failed, self._health.succeeded)
        self._parts = Parts(self._tiers, embedder, self._flights, self._health, clock, self._advisers)
        self._perform = Performer(self._parts)
        self._workers = Workers() if workers is None else workers
        self._aperform = AsyncPerformer(self._parts, self._workers)
        self._sweeps = Every(config.sweep_interval, clock)
        self._resolve = Resolver(config.namespace)
        self._served = Served(self._resolve.text_scope)
        self._is_closed = False
        follow_forks(self)

    # ---------------------------------------------------------------- lookups
    def lookup(self, request: AnyRequest, *, lead: bool = False, identity: Identity | None = None) -> Outcome:
        """Ask the cache. Never raises for a broken store or embedder (unless `fail_open=False`): that is a Miss.

        Args:
            request: a plain string is a request without model, parameters or context.
            lead: join the request's single flight on a miss: either this thread or task becomes its leader (and must
                call `update` or `release_leads`), or it waits for the running leader and looks again.
            identity: what `identify` gave for this request, from a caller that keeps it: hashing a long history costs
                more than the rest of an exact hit.
        """
        start = perf_counter()
        request, identity = self._resolve(request, identity)
        joined = self._join(request, identity, lead=lead, is_open=True)
        return self._report(joined.found, request, identity, start)

    async def alookup(self, request: AnyRequest, *, lead: bool = False, identity: Identity | None = None) -> Outcome:
        """`lookup` for event loops: nothing in it blocks."""
        start = perf_counter()
        request, identity = self._resolve(request, identity)
        joined = await self._ajoin(request, identity, lead=lead, is_open=True)
        return self._report(joined.found, request, identity, start)

    # ---------------------------------------------------------------- updates
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
            answer: JSON, or an `Answer` when its usage, finish reason or duration are known.
            ttl: seconds this answer may be served, None for ever; by default the setting of that name.
            identity: as in `lookup`.

        Raises:
            ConfigError: `ttl` is neither above 0 nor None.
        """
        now = self._clock.now()
        expires_at = self.config.expiry(now, ttl)
        request, identity = self._resolve(request, identity)
        outcome, flight = UpdateOutcome(False, MissReason.INTERNAL_ERROR.value), self._flights.flight_of(identity.key)
        try:
            outcome = run(self._update_flow(request, identity, answer, flight, now, expires_at), self._perform)
        except Exception as error:
            self._spared(error)
        finally:
            self._flights.end(flight, is_stored=outcome.stored)
        self._emit(UpdateEvent(outcome, request.namespace))
        return outcome

    async def aupdate(
        self,
        request: AnyRequest,
        answer: Answer | JsonValue,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> UpdateOutcome:
        """`update` for event loops."""
        now = self._clock.now()
        expires_at = self.config.expiry(now, ttl)
        request, identity = self._resolve(request, identity)
        outcome, flight = UpdateOutcome(False, MissReason.INTERNAL_ERROR.value), self._flights.flight_of(identity.key)
        try:
            outcome = await arun(self._update_flow(request, identity, answer, flight, now, expires_at), self._aperform)
        except Exception as error:
            self._spared(error)
        finally:
            self._flights.end(flight, is_stored=outcome.stored)
        self._emit(UpdateEvent(outcome, request.namespace))
        return outcome

    # ------------------------------------------------------------ look up or call
    def get_or_generate(
        self, request: AnyRequest, generate: Generate, *, ttl: float | Default | None = DEFAULT
    ) -> JsonValue:
        """The cached answer, or the one `generate` gives now, which is stored. Concurrent equal misses make one call.

        Args:
            generate: called without arguments, or with the request as given here when it takes one; returns JSON or an
                `Answer` (of which the content is returned). What it raises passes through and is never cached; callers
                that waited for it get the same error.
            ttl: as in `update`.

        Raises:
            ConfigError: `generate` is a coroutine function (use `aget_or_generate`), or `ttl` is neither above 0 nor
                None.
        """
        self.config.expiry(0.0, ttl)  # a wrong one is refused before a model call is paid for
        if inspect.iscoroutinefunction(generate):
            raise ConfigError("generate is a coroutine function; use aget_or_generate")
        start = perf_counter()
        given = request
        request, identity = self._resolve(request)
        joined = self._join(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit):
            return outcome.answer
        if joined.error is not None:
            raise joined.error
        performer = Performer(self._parts, timed(generate, given))
        flow = generate_flow(joined.flight, self._storing(request, identity, ttl))
        try:
            return run(flow, performer).content
        except RuntimeError as error:
            if isinstance(error.__cause__, StopIteration):  # Python turns it into this when it leaves a generator
                raise error.__cause__ from None
            raise

    async def aget_or_generate(
        self, request: AnyRequest, generate: Generate, *, ttl: float | Default | None = DEFAULT
    ) -> JsonValue:
        """`get_or_generate` for event loops; `generate` is a coroutine function or returns an awaitable (a plain value
        is taken too, but then it was computed on the loop)."""
        self.config.expiry(0.0, ttl)
        start = perf_counter()
        given = request
        request, identity = self._resolve(request)
        joined = await self._ajoin(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit):
            return outcome.answer
        if joined.error is not None:
            raise joined.error
        performer = AsyncPerformer(self._parts, self._workers, atimed(generate, given))
        flow = generate_flow(joined.flight, self._storing(request, identity, ttl))
        return (await arun(flow, performer)).content

    def release_leads(self) -> int:
        """The calls that this thread or task leads since a `lookup(lead=True)` have failed: the next of their followers
        leads. How many there were."""
        return self._flights.release()

    def current_lead(self) -> Lead:
        """What this thread or task leads; `release_lead` takes it from any thread."""
        return self._flights.current_lead()

    def release_lead(self, lead: Lead) -> int:
        return self._flights.release(lead)

    # ------------------------------------------------------------ why
    def explain(self, request: AnyRequest) -> Explanation:
        """What a lookup of this request would do now, and why: every candidate with its similarity, confidence and the
        verdicts on it. Nothing is counted, stored or served; the judge is not asked. `print` it.

        Raises:
            StoreError: the store is broken, unless `fail_open`.
            EmbedderError: the embedder is.
        """
        request, identity = self._resolve(request)
        return run(explain_flow(request, identity, self._rules, self._clock.now()), self._perform)

    async def aexplain(self, request: AnyRequest) -> Explanation:
        """`explain` for event loops."""
        request, identity = self._resolve(request)
        return await arun(explain_flow(request, identity, self._rules, self._clock.now()), self._aperform)

    def near_misses(self) -> tuple[NearMissRecord, ...]:
        """What was nearly served of late, newest last: near enough to be judged, or the nearest candidate of a miss."""
        return () if self._near_miss_log is None else self._near_miss_log.snapshot()

    def report_wrong(self, hit_or_key: Hit | str, *, asked: str | None = None) -> Reported:
        """The answer of this hit was wrong. Its entry is removed with all its aliases; what was asked and what was
        stored never match again in their scope, and matches near them need more confidence from now on.

        Args:
            hit_or_key: the hit, its `reference`, or a key: of the request or of the entry. Bare keys are known for the
                last thousand hits of this process that were not exact, and for requests that were plain strings.
            asked: the question, where a name does not tell it: that of a `normalised` hit of another process, or of
                an entry that is gone. Without it the entry goes and no pair is remembered.

        Raises:
            ConfigError: `hit_or_key` is none of these, or a bare key that is not known.
            StoreError: a store is broken, unless `fail_open`. The pair is among the `regressions` by then.
        """
        wrong = self._served.wrong_of(hit_or_key, asked)
        reported, error = run(self._report_flow(wrong), self._perform)
        self._emit(event := ReportEvent(reported))
        self._log(event)
        return self._told(reported, error)

    async def areport_wrong(self, hit_or_key: Hit | str, *, asked: str | None = None) -> Reported:
        """`report_wrong` for event loops."""
        wrong = self._served.wrong_of(hit_or_key, asked)
        reported, error = await arun(self._report_flow(wrong), self._aperform)
        self._emit(event := ReportEvent(reported))
        await asyncio.get_running_loop().run_in_executor(self._workers(), self._log, event)
        return self._told(reported, error)

    def _report_flow(self, wrong: Wrong) -> Flow[tuple[Reported, StoreError | None]]:
        try:
            return (yield from report_flow(wrong, self._rules, self._clock.now()))
        except ConfigError:
            raise
        except Exception as error:
            self._spared(error)
            return Reported(0, has_failed=True), None

    def _told(self, reported: Reported, error: StoreError | None) -> Reported:
        if error is not None:
            self._spared(error)
        return reported

    def regressions(self) -> tuple[Regression, ...]:
        """The pairs that were reported as wrong in this process, newest last: cases to test other settings with."""
        return () if self._regression_log is None else self._regression_log.snapshot()

    # ------------------------------------------------------------ the rest of the life
    def identify(self, request: AnyRequest) -> Identity:
        """Scope and key of a request in this cache.

        Raises:
            ConfigError: `params` or `context` is not JSON.
        """
        return self._resolve(request)[1]

    def clear(self, namespace: str | Namespace = ()) -> int:
        """Remove what this cache stored under its own namespace and the given one below it; how many entries."""
        return max(tier.store.clear(self._resolve.below(namespace)) for tier in self._tiers)

    async def aclear(self, namespace: str | Namespace = ()) -> int:
        return max([await tier.async_store.clear(self._resolve.below(namespace)) for tier in self._tiers])

    def stats(self) -> CacheStats:
        """Counters since the cache was opened, and the size of each tier now."""
        sizes = {}
        for tier in self._tiers:
            with contextlib.suppress(StoreError):  # a store that is closed or down has no size; the counters remain
                sizes[tier.name] = tier.store.stats()
        return self._statistics.snapshot(sizes)

    async def astats(self) -> CacheStats:
        sizes = {}
        for tier in self._tiers:
            with contextlib.suppress(StoreError):
                sizes[tier.name] = await tier.async_store.stats()
        return self._statistics.snapshot(sizes)

    def report_error(self, component: str, error: BaseException) -> None:
        """A plugin failed and spared its caller: counted, and logged once per change of state."""
        self._health.failed(component, error)

    def report_success(self, component: str) -> None:
        """The plugin works (again). Costs next to nothing when nothing had failed."""
        self._health.succeeded(component)

    def close(self) -> None:
        """Make everything durable, release files and threads. A second call does nothing; a later lookup is a miss."""
        self._is_closed = True
        for log in self._logs:
            log.close()
        for tier in self._tiers:
            tier.store.close()
        self._workers.close()
        self._advisers.close()

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._workers(), self.close)

    def __repr__(self) -> str:
        tiers = ", ".join(tier.name for tier in self._tiers)
        policy = None if self._rules.embedder_id is None else self._rules.policy_for(Request(""))
        return (
            f"SemanticCache(tiers=[{tiers}], namespace={self.config.namespace!r}, "
            f"embedder={self._rules.embedder_id!r}, policy={None if policy is None else policy.policy_id!r})"
        )

    # ---------------------------------------------------------------- inside
    def _lookup_flow(self, request: Request, identity: Identity) -> Flow[Found | NotFound]:
        return lookup_flow(request, identity, self._rules, self._clock.now())

    def _lead_flow(self, found: NotFound, request: Request, identity: Identity, is_open: bool) -> Flow[Joined]:
        return lead_flow(
            found,
            lambda: self._lookup_flow(request, identity),
            lambda: look_exact_flow(request, identity, self._rules, self._clock.now()),
            identity.key,
            is_open=is_open,
        )

    def _join(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Joined:
        if self._is_closed:
            return Joined(NotFound(MissReason.CLOSED))
        try:
            found = run(self._lookup_flow(request, identity), self._perform)
            self._health.succeeded("engine")
            if lead and isinstance(found, NotFound) and self.config.single_flight:
                return run(self._lead_flow(found, request, identity, is_open), self._perform)
            return Joined(found)
        except Exception as error:
            return Joined(self._spared(error))

    async def _ajoin(self, request: Request, identity: Identity, *, lead: bool, is_open: bool) -> Joined:
        if self._is_closed:
            return Joined(NotFound(MissReason.CLOSED))
        try:
            found = await arun(self._lookup_flow(request, identity), self._aperform)
            self._health.succeeded("engine")
            if lead and isinstance(found, NotFound) and self.config.single_flight:
                return await arun(self._lead_flow(found, request, identity, is_open), self._aperform)
            return Joined(found)
        except Exception as error:
            return Joined(self._spared(error))

    def _update_flow(
        self,
        request: Request,
        identity: Identity,
        answer: Answer | JsonValue,
        flight: Flight | None,
        now: float,
        expires_at: float | None,
    ) -> Flow[UpdateOutcome]:
        if self._is_closed:
            return UpdateOutcome(False, MissReason.CLOSED.value)
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        if answer.generation_seconds is None and flight is not None and self._flights.leads(flight):
            answer = dataclasses.replace(answer, generation_seconds=self._flights.seconds_of(flight))
        entry = entry_of(request, identity, answer, self.config, now, expires_at)
        if isinstance(entry, UpdateOutcome):
            return entry
        return (yield from update_flow(entry, self._rules, now, sweep=self._sweeps.is_due()))

    def _storing(
        self, request: Request, identity: Identity, ttl: float | Default | None
    ) -> Callable[[Answer], Flow[UpdateOutcome]]:
        """The storing half of `get_or_generate`, which must never lose the answer that was paid for."""

        def store(answer: Answer) -> Flow[UpdateOutcome]:
            outcome, now = UpdateOutcome(False, MissReason.INTERNAL_ERROR.value), self._clock.now()
            try:
                expires_at = self.config.expiry(now, ttl)
                outcome = yield from self._update_flow(request, identity, answer, None, now, expires_at)
            except Exception as error:
                self._spared(error)
            self._emit(UpdateEvent(outcome, request.namespace))
            return outcome

        return store

    def _spared(self, error: Exception) -> NotFound:
        """Turn an error of the cache into a miss, or raise it when the user wants to hear it. The parts have reported
        their own failures by now; what is left is a bug of ours or of a user's guard."""
        if not self.config.fail_open:
            raise error
        if not isinstance(error, LLMCacheError) or isinstance(error, CodecError):
            self._health.failed("engine", error)
        return NotFound(MissReason.INTERNAL_ERROR)

    def _report(self, found: Found | NotFound, request: Request, identity: Identity, start: float) -> Hit | Miss:
        latency = perf_counter() - start
        outcome = outcome_of(found, request.text, identity.key, latency, self._clock.now())
        self._emit(event := LookupEvent(outcome, request.namespace))
        if isinstance(outcome, Miss):
            self._log(event)
        elif outcome.kind != "exact":  # the entry alone does not tell what was asked
            self._served.remember(outcome)
        return outcome

    def after_fork(self) -> None:
        """In a forked child: no thread but one was copied, so nobody leads, and nobody will give a lock back."""
        self._flights.forget()
        self._served.after_fork()
        self._advisers.after_fork()
