"""`LLMCacheMiddleware`: a cache among the SDK's own middleware. Translates in and out, decides nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
from anthropic import APIRequest, APIResponse, AsyncAPIResponse

from llmcache_plugins.anthropic.asked import asked_of, is_messages_call
from llmcache_plugins.anthropic.later import Asked, Later
from llmcache_plugins.anthropic.recorded import (
    NOTHING,
    Keeping,
    Unanswered,
    aanswer_of,
    answer_of,
    arecorded,
    is_event_stream,
    recorded,
)
from llmcache_plugins.anthropic.replay import UsageMode, areplayed, replayed
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.layers import inside, is_inside
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.keys.question import Extractor, QuestionExtractor
from llmcache_plugins.types import Answer, Hit

__all__ = ["LLMCacheMiddleware"]

_COMPONENT = "anthropic"


class LLMCacheMiddleware(anthropic.Middleware):
    """Answers the calls of the Messages API from a `SemanticCache`, streams included; all other calls pass.

    Only the question in the last user turn is matched by meaning; system prompt, history, model, parameters, tools,
    betas and the server's address have to be equal. API keys are in no key and no entry: where they stand for tenants,
    name the tenant with `cache.context(tenant=...)`. Answers that were cut off or refused, and those for which a tool
    ran at the provider's, are not stored.

    It belongs behind all middleware that changes requests: what it sees is what it keeps apart.

    Args:
        cache: the cache to ask; without one, the default cache of the process.
        usage: on a hit, `"zero"` reports no tokens (the stored numbers are in `usage.llmcache["saved"]`, beside the
            reason of the hit), `"original"` reports the stored ones again.
        extractor: finds the question in a user turn; the default knows the usual retrieval prompts.

    Raises:
        ConfigError: `usage` is neither, or `cache` or `extractor` is none.

    Example:
        client = anthropic.Anthropic(middleware=[LLMCacheMiddleware()])
    """

    def __init__(
        self, cache: SemanticCache | None = None, *, usage: UsageMode = "zero", extractor: Extractor | None = None
    ) -> None:
        if usage not in ("zero", "original"):
            raise ConfigError(f'usage must be "zero" or "original", not {usage!r}')
        if not isinstance(cache, SemanticCache | None):
            raise ConfigError(f"cache must be a SemanticCache, as open_cache makes it, not {type(cache).__name__}")
        if not callable(extractor or QuestionExtractor):
            raise ConfigError(f"extractor must be callable, not {type(extractor).__name__}")
        self._cache = default_cache() if cache is None else cache
        self._usage: UsageMode = usage
        self._extractor = QuestionExtractor() if extractor is None else extractor

    @property
    def cache(self) -> SemanticCache:
        """The cache that is asked."""
        return self._cache

    @property
    def usage(self) -> UsageMode:
        """What a hit says of the tokens."""
        return self._usage

    def __repr__(self) -> str:
        return f"LLMCacheMiddleware({self._cache!r})"

    # ---------------------------------------------------------------- plain calls
    def handle(self, request: APIRequest, call_next: anthropic.CallNext) -> APIResponse[Any]:
        asked = self._asked(request, call_next)
        if asked is None:
            return call_next(request)
        if request.retries_taken:
            return self._further(asked, request, call_next)
        return (self._streamed if request.stream else self._called)(asked, request, call_next)

    def _called(self, asked: Asked, request: APIRequest, call_next: anthropic.CallNext) -> APIResponse[Any]:
        made: list[APIResponse[Any]] = []

        def generate() -> Answer:
            with inside():
                response = call_next(request)
                made.append(response)
                return answer_of(response)

        try:
            outcome = self._cache.call(asked.request, generate, identity=asked.identity).outcome
        except Unanswered:  # here, or where this call waited for another one: then it is made now
            return made[0] if made else self._further(asked, request, call_next)
        return made[0] if not isinstance(outcome, Hit) else self._replayed(outcome, request, call_next)

    def _streamed(self, asked: Asked, request: APIRequest, call_next: anthropic.CallNext) -> APIResponse[Any]:
        def renew() -> Answer:
            with inside():
                return answer_of(call_next(request))

        try:
            recording = self._cache.record(asked.request, renew, identity=asked.identity)
        except Unanswered:
            return self._further(asked, request, call_next)
        if isinstance(recording, Hit):
            return self._replayed(recording, request, call_next)
        try:
            with inside():
                response = call_next(request)
        except BaseException as error:
            recording.fail(error)
            raise
        return self._recorded(response, recording)

    def _further(self, asked: Asked, request: APIRequest, call_next: anthropic.CallNext) -> APIResponse[Any]:
        """A call that was looked up before, at its first attempt."""
        with inside():
            response = call_next(request)
        if not response.http_response.is_success:
            return response
        if request.stream:
            return self._recorded(response, Later(self._cache, asked))
        self._cache.update(asked.request, answer_of(response), identity=asked.identity)
        return response

    def _recorded(self, response: APIResponse[Any], keeping: Keeping) -> APIResponse[Any]:
        raw = response.http_response
        try:
            if not raw.is_success:
                keeping.fail(Unanswered())
            elif is_event_stream(raw):
                response.http_response = recorded(raw, keeping)
            else:
                keeping.store(NOTHING)
        except Exception as error:  # the response itself is good
            keeping.release()
            self._spare(error)
        return response

    def _replayed(self, hit: Hit, request: APIRequest, call_next: anthropic.CallNext) -> APIResponse[Any]:
        try:
            response = replayed(hit, request, self._usage)
        except Exception as error:  # what is stored is not of our making: a model call, never an exception
            self._spare(error)
            return call_next(request)
        self._cache.report_success(_COMPONENT)
        return response

    # ---------------------------------------------------------------- awaits
    async def handle_async(self, request: APIRequest, call_next: anthropic.AsyncCallNext) -> AsyncAPIResponse[Any]:
        asked = self._asked(request, call_next) if self._is_on_asyncio() else None
        if asked is None:
            return await call_next(request)
        if request.retries_taken:
            return await self._afurther(asked, request, call_next)
        return await (self._astreamed if request.stream else self._acalled)(asked, request, call_next)

    async def _acalled(
        self, asked: Asked, request: APIRequest, call_next: anthropic.AsyncCallNext
    ) -> AsyncAPIResponse[Any]:
        made: list[AsyncAPIResponse[Any]] = []

        async def generate() -> Answer:
            with inside():
                response = await call_next(request)
                made.append(response)
                return await aanswer_of(response)

        try:
            outcome = (await self._cache.acall(asked.request, generate, identity=asked.identity)).outcome
        except Unanswered:
            return made[0] if made else await self._afurther(asked, request, call_next)
        return made[0] if not isinstance(outcome, Hit) else await self._areplayed(outcome, request, call_next)

    async def _astreamed(
        self, asked: Asked, request: APIRequest, call_next: anthropic.AsyncCallNext
    ) -> AsyncAPIResponse[Any]:
        async def renew() -> Answer:
            with inside():
                return await aanswer_of(await call_next(request))

        try:
            recording = await self._cache.arecord(asked.request, renew, identity=asked.identity)
        except Unanswered:
            return await self._afurther(asked, request, call_next)
        if isinstance(recording, Hit):
            return await self._areplayed(recording, request, call_next)
        try:
            with inside():
                response = await call_next(request)
        except BaseException as error:
            recording.fail(error)
            raise
        return await self._arecorded(response, recording)

    async def _afurther(
        self, asked: Asked, request: APIRequest, call_next: anthropic.AsyncCallNext
    ) -> AsyncAPIResponse[Any]:
        with inside():
            response = await call_next(request)
        if not response.http_response.is_success:
            return response
        if request.stream:
            return await self._arecorded(response, Later(self._cache, asked))
        await self._cache.aupdate(asked.request, await aanswer_of(response), identity=asked.identity)
        return response

    async def _arecorded(self, response: AsyncAPIResponse[Any], keeping: Keeping) -> AsyncAPIResponse[Any]:
        raw = response.http_response
        try:
            if not raw.is_success:
                keeping.fail(Unanswered())
            elif is_event_stream(raw):
                response.http_response = arecorded(raw, keeping)
            else:
                await keeping.astore(NOTHING)
        except Exception as error:  # the response itself is good
            keeping.release()
            self._spare(error)
        return response

    async def _areplayed(
        self, hit: Hit, request: APIRequest, call_next: anthropic.AsyncCallNext
    ) -> AsyncAPIResponse[Any]:
        try:
            response = areplayed(hit, request, self._usage)
        except Exception as error:
            self._spare(error)
            return await call_next(request)
        self._cache.report_success(_COMPONENT)
        return response

    # ---------------------------------------------------------------- what both share
    def _asked(self, request: APIRequest, call_next: object) -> Asked | None:
        """None when the call is not ours to answer."""
        if is_inside():
            return None
        try:
            if not is_messages_call(request):
                return None
            asked = asked_of(request, call_next, self._extractor)
            return Asked(asked, self._cache.identify(asked))
        except Exception as error:  # a body of an unknown kind: the API says what it thinks of it
            self._spare(error)
            return None

    def _is_on_asyncio(self) -> bool:
        """The SDK runs on trio too, the cache does not."""
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            self._spare(error)
            return False
        return True

    def _spare(self, error: Exception) -> None:
        self._cache.report_error(_COMPONENT, error)
        if not self._cache.config.fail_open:
            raise error
