"""The verbs that look up and, on a miss, call the user's model and store what it says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from llmcache_plugins.config import DEFAULT, Default
from llmcache_plugins.engine.drivers import AsyncPerformer, Performer, arun, run
from llmcache_plugins.engine.flow import Flow, Found
from llmcache_plugins.engine.generating import AnyRequest, Generate, atimed, timed
from llmcache_plugins.engine.joining import Joined, generate_flow
from llmcache_plugins.engine.lookups import Lookups
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.engine.rolling_out import Caller, caller_now
from llmcache_plugins.engine.updates import Updates
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.rollout import Group
from llmcache_plugins.types import Answer, Bypass, Hit, Identity, JsonValue, Miss, MissReason, Request, UpdateOutcome

__all__ = ["Call", "Calls"]


@dataclass(frozen=True, slots=True)
class Call:
    """How `call` was answered: by a `Hit`, or by the model; then `answer` is what `generate` gave."""

    outcome: Hit | Miss | Bypass
    answer: Answer | None = None

    @property
    def content(self) -> JsonValue:
        """The answer itself, wherever it came from."""
        return self.outcome.answer if isinstance(self.outcome, Hit) else self.answer and self.answer.content


class Calls(Lookups, Updates):
    """Model calls through a cache."""

    def get_or_generate(
        self, request: AnyRequest, generate: Generate, *, ttl: float | Default | None = DEFAULT
    ) -> JsonValue:
        """The cached answer, or the one `generate` gives now, which is stored. Concurrent equal misses make one call.
        An old answer within `stale_while_revalidate`, or one that a lazy invalidation marked, is returned at once, and
        `generate` is called in a thread in the background; so is it for a popular answer near its end, with
        `refresh_ahead`.

        Args:
            generate: called without arguments, or with the request as given here when it takes one; returns JSON or an
                `Answer` (of which the content is returned). What it raises passes through and is never cached; callers
                that waited for it get the same error, or try again by `followers_on_failure`.
            ttl: as in `update`.

        Raises:
            ConfigError: `generate` is a coroutine function (use `aget_or_generate`), or `ttl` is neither above 0 nor
                None.
        """
        return self.call(request, generate, ttl=ttl).content

    async def aget_or_generate(
        self, request: AnyRequest, generate: Generate, *, ttl: float | Default | None = DEFAULT
    ) -> JsonValue:
        """`get_or_generate` for event loops; `generate` is a coroutine function or returns an awaitable (a plain value
        is taken too, but then it was computed on the loop)."""
        return (await self.acall(request, generate, ttl=ttl)).content

    def call(
        self,
        request: AnyRequest,
        generate: Generate,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> Call:
        """`get_or_generate` for those who want to know where the answer comes from.

        Args:
            identity: as in `lookup`.
        """
        self.config.expiry(0.0, ttl)  # a wrong one is refused before a model call is paid for
        if inspect.iscoroutinefunction(generate):
            raise ConfigError("generate is a coroutine function; use aget_or_generate")
        start = perf_counter()
        given = request
        request, identity = self._meant(*self._resolve(request, identity))
        joined = self._join(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit) and joined.flight is None:
            return Call(outcome)
        performer = Performer(self._parts, timed(generate, given))
        flow = generate_flow(joined.flight, self._storing(request, identity, ttl, joined))
        if isinstance(outcome, Hit) and joined.flight is not None:
            self._refresher.start(joined.flight, lambda: run(flow, performer))
            return Call(outcome)
        if joined.error is not None:
            self._given_up(identity)
            raise joined.error
        try:
            return Call(outcome, run(flow, performer))
        except BaseException as error:
            self._given_up(identity)
            # Python turns a StopIteration into a RuntimeError when it leaves a generator.
            if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
                raise error.__cause__ from None
            raise

    async def acall(
        self,
        request: AnyRequest,
        generate: Generate,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> Call:
        """`call` for event loops; `generate` as in `aget_or_generate`."""
        self.config.expiry(0.0, ttl)
        start = perf_counter()
        given = request
        request, identity = await self._ameant(*(await self._resolve.awaited(request, identity)))
        joined = await self._ajoin(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit) and joined.flight is None:
            return Call(outcome)
        performer = AsyncPerformer(self._parts, self._workers, atimed(generate, given))
        flow = generate_flow(joined.flight, self._storing(request, identity, ttl, joined))
        if isinstance(outcome, Hit) and joined.flight is not None:
            self._refresher.start_task(joined.flight, lambda: arun(flow, performer))
            return Call(outcome)
        if joined.error is not None:
            self._given_up(identity)
            raise joined.error
        try:
            return Call(outcome, await arun(flow, performer))
        except BaseException:
            self._given_up(identity)
            raise

    def record(
        self,
        request: AnyRequest,
        renew: Generate,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> Hit | Recording:
        """`call` for answers that come in pieces: a `Hit` to replay, or a `Recording` of the call that the caller makes
        now and hands on while it comes. Those who ask the same meanwhile wait until it is whole.

        Args:
            renew: as `generate` in `call`; makes the whole answer at once, where an old one is served meanwhile.
            ttl: as in `update`.

        Raises:
            Exception: what the call of another caller raised for which this one waited.
        """
        self.config.expiry(0.0, ttl)
        start = perf_counter()
        given = request
        request, identity = self._meant(*self._resolve(request, identity))
        joined = self._join(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit):
            if joined.flight is not None:
                flow = generate_flow(joined.flight, self._storing(request, identity, ttl, joined))
                self._refresher.start(joined.flight, partial(run, flow, Performer(self._parts, timed(renew, given))))
            return outcome
        if joined.error is not None:
            self._given_up(identity)
            raise joined.error
        return self._recording(outcome, request, identity, ttl, joined)

    async def arecord(
        self,
        request: AnyRequest,
        renew: Generate,
        *,
        ttl: float | Default | None = DEFAULT,
        identity: Identity | None = None,
    ) -> Hit | Recording:
        """`record` for event loops; `renew` as `generate` in `aget_or_generate`."""
        self.config.expiry(0.0, ttl)
        start = perf_counter()
        given = request
        request, identity = await self._ameant(*(await self._resolve.awaited(request, identity)))
        joined = await self._ajoin(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit):
            if joined.flight is not None:
                flow = generate_flow(joined.flight, self._storing(request, identity, ttl, joined))
                performer = AsyncPerformer(self._parts, self._workers, atimed(renew, given))
                self._refresher.start_task(joined.flight, lambda: arun(flow, performer))
            return outcome
        if joined.error is not None:
            self._given_up(identity)
            raise joined.error
        return self._recording(outcome, request, identity, ttl, joined)

    # ---------------------------------------------------------------- inside
    def _recording(
        self,
        outcome: Miss | Bypass,
        request: Request,
        identity: Identity,
        ttl: float | Default | None,
        joined: Joined,
    ) -> Recording:
        """Stores as `call` would, with the surroundings of now: a stream may be used up outside of them."""
        storing = self._storing(request, identity, self._surroundings.ttl(ttl), joined)
        is_bypassed = isinstance(outcome, Bypass)

        def store(answer: Answer) -> UpdateOutcome:
            if is_bypassed:
                return UpdateOutcome(False, "bypass")
            kept: list[UpdateOutcome] = []
            run(generate_flow(joined.flight, _keeping(storing, kept)), Performer(self._parts, lambda: answer))
            return kept[0]

        async def astore(answer: Answer) -> UpdateOutcome:
            if is_bypassed:
                return UpdateOutcome(False, "bypass")
            kept: list[UpdateOutcome] = []
            performer = AsyncPerformer(self._parts, self._workers, _giving(answer))
            await arun(generate_flow(joined.flight, _keeping(storing, kept)), performer)
            return kept[0]

        given_up = None if self._rolling_out is None else partial(self._given_up, identity, caller_now())
        return Recording(outcome, joined.flight, self._flights, store, astore, given_up)

    def _given_up(self, identity: Identity, caller: Caller | None = None) -> None:
        """No answer comes of this lookup: a later one is none of its."""
        if self._rolling_out is not None:
            self._rolling_out.given_up(identity.key, caller)

    def _storing(
        self, request: Request, identity: Identity, ttl: float | Default | None, joined: Joined
    ) -> Callable[[Answer], Flow[UpdateOutcome]]:
        """The storing half of `get_or_generate`, which must never lose the answer that was paid for."""

        rolling_out, is_renewal = self._rolling_out, isinstance(joined.found, Found)
        caller = None if rolling_out is None else caller_now()

        def store(answer: Answer) -> Flow[UpdateOutcome]:
            outcome, now = UpdateOutcome(False, MissReason.INTERNAL_ERROR.value), self._clock.now()
            awaited = None if is_renewal else self._awaited(identity, caller)
            answer = self._timed(answer, joined.flight, awaited)
            try:
                outcome = yield from self._update_flow(
                    request,
                    identity,
                    answer,
                    joined.flight,
                    now,
                    ttl,
                    seen=joined.seen,
                    has_candidates=joined.has_candidates,
                    awaited=awaited,
                )
            except Exception as error:
                self._spared(error)
            group: Group = "served" if is_renewal and rolling_out is not None else ""
            group = group if awaited is None else awaited.group
            self._tell(outcome, request, answer, group, is_renewal=is_renewal)
            return outcome

        return store


def _keeping(
    storing: Callable[[Answer], Flow[UpdateOutcome]], kept: list[UpdateOutcome]
) -> Callable[[Answer], Flow[UpdateOutcome]]:
    """`storing`, whose outcome is put into `kept`."""

    def store(answer: Answer) -> Flow[UpdateOutcome]:
        kept.append((yield from storing(answer)))
        return kept[-1]

    return store


def _giving(answer: Answer) -> Callable[[], Awaitable[Answer]]:
    async def give() -> Answer:
        return answer

    return give
