"""The verbs that look up and, on a miss, call the user's model and store what it says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from time import perf_counter

from llmcache_plugins.config import DEFAULT, Default
from llmcache_plugins.engine.drivers import AsyncPerformer, Performer, arun, run
from llmcache_plugins.engine.flow import Flow
from llmcache_plugins.engine.generating import AnyRequest, Generate, atimed, timed
from llmcache_plugins.engine.joining import Joined, generate_flow
from llmcache_plugins.engine.lookups import Lookups
from llmcache_plugins.engine.updates import Updates
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.protocols import UpdateEvent
from llmcache_plugins.types import Answer, Hit, Identity, JsonValue, MissReason, Request, UpdateOutcome

__all__ = ["Calls"]


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
        self.config.expiry(0.0, ttl)  # a wrong one is refused before a model call is paid for
        if inspect.iscoroutinefunction(generate):
            raise ConfigError("generate is a coroutine function; use aget_or_generate")
        start = perf_counter()
        given = request
        request, identity = self._resolve(request)
        joined = self._join(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit) and joined.flight is None:
            return outcome.answer
        performer = Performer(self._parts, timed(generate, given))
        flow = generate_flow(joined.flight, self._storing(request, identity, ttl, joined))
        if isinstance(outcome, Hit) and joined.flight is not None:
            self._refresher.start(joined.flight, lambda: run(flow, performer))
            return outcome.answer
        if joined.error is not None:
            raise joined.error
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
        request, identity = await self._resolve.awaited(request)
        joined = await self._ajoin(request, identity, lead=True, is_open=False)
        outcome = self._report(joined.found, request, identity, start)
        if isinstance(outcome, Hit) and joined.flight is None:
            return outcome.answer
        performer = AsyncPerformer(self._parts, self._workers, atimed(generate, given))
        flow = generate_flow(joined.flight, self._storing(request, identity, ttl, joined))
        if isinstance(outcome, Hit) and joined.flight is not None:
            self._refresher.start_task(joined.flight, lambda: arun(flow, performer))
            return outcome.answer
        if joined.error is not None:
            raise joined.error
        return (await arun(flow, performer)).content

    # ---------------------------------------------------------------- inside
    def _storing(
        self, request: Request, identity: Identity, ttl: float | Default | None, joined: Joined
    ) -> Callable[[Answer], Flow[UpdateOutcome]]:
        """The storing half of `get_or_generate`, which must never lose the answer that was paid for."""

        def store(answer: Answer) -> Flow[UpdateOutcome]:
            outcome, now = UpdateOutcome(False, MissReason.INTERNAL_ERROR.value), self._clock.now()
            try:
                outcome = yield from self._update_flow(
                    request, identity, answer, joined.flight, now, ttl, seen=joined.seen
                )
            except Exception as error:
                self._spared(error)
            self._emit(UpdateEvent(outcome, request.namespace))
            return outcome

        return store
