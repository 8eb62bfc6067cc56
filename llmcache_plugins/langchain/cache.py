"""`LLMCache`: the cache behind `langchain_core.globals.set_llm_cache`. Translates in and out, decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.outputs import Generation

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.layers import enter_until, is_inside, leave
from llmcache_plugins.errors import CodecError, ConfigError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.langchain.answers import UsageMode, answer_of
from llmcache_plugins.langchain.release import LAYER, release_with_task, watch
from llmcache_plugins.langchain.replay import generations_of
from llmcache_plugins.langchain.requests import INDISTINCT, Requests
from llmcache_plugins.types import Hit, Identity, Outcome, Request

__all__ = ["LLMCache"]

_COMPONENT = "langchain"


class LLMCache(BaseCache):
    """Answers LangChain's models from a `SemanticCache`: exact repeats, and questions that mean the same.

    Only the question in the last user turn is matched by meaning; system prompt, history, retrieved context, model,
    parameters and tools have to be equal. `.stream()` does not ask any cache in LangChain; `.invoke()` does, in agents
    too. Where streams are to be answered, use `cached(model)`; entries are shared with it.

    LangChain itself does not tell a cache everything: arguments given to a single call of a `BaseLLM` (not of a chat
    model), and the identity of a custom model without `_identifying_params`, are not in its key; `cached(model)` knows
    both. Where a value that is no credential is not told (`mcp_servers` of a `ChatAnthropic`, an object that shows its
    address), and where an answer rests on a state at the provider's, the call bypasses the cache.

    Args:
        cache: the cache to ask; without one, the default cache of the process.
        extractor: finds the question in a user turn; the default knows the usual retrieval prompts.
        usage: on a hit, `"zero"` reports no tokens (the stored numbers are in
            `response_metadata["llmcache"]["saved_usage"]`), `"keep"` reports the stored ones again.

    Raises:
        ConfigError: `usage` is neither.

    Example:
        set_llm_cache(LLMCache())
    """

    def __init__(
        self, cache: SemanticCache | None = None, *, extractor: Extractor | None = None, usage: UsageMode = "zero"
    ) -> None:
        if usage not in ("zero", "keep"):
            raise ConfigError(f'usage must be "zero" or "keep", not {usage!r}')
        self._cache = default_cache() if cache is None else cache
        self._usage = usage
        self._requests = Requests(self._cache, extractor)
        watch(self._cache)

    @property
    def cache(self) -> SemanticCache:
        """The cache that is asked. It cannot be exchanged: what was parsed and hashed for it is kept."""
        return self._cache

    def lookup(self, prompt: str, llm_string: str) -> Sequence[Generation] | None:
        """The stored generations (a list), or None. Never raises unless the cache is set to `fail_open=False`."""
        try:
            known = self._asked(prompt, llm_string)
            if known is None:
                return None
            outcome = self.cache.lookup(known[0], lead=True, identity=known[1])
            generations = self._generations(outcome)
            if generations is None:
                self._begin_call()
            return generations
        except Exception as error:
            self._spare(error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Store what a model answered."""
        try:
            known = self._request(prompt, llm_string)
            if known is not None:
                self.cache.update(known[0], answer_of(return_val), identity=known[1])
                self.cache.report_success(_COMPONENT)
        except Exception as error:
            self.cache.release_leads()
            self._spare(error)
        finally:
            leave(LAYER)

    def clear(self, **kwargs: Any) -> None:
        """Remove everything under the cache's namespace; LangChain's keyword arguments have no meaning here."""
        self.cache.clear()

    async def alookup(self, prompt: str, llm_string: str) -> Sequence[Generation] | None:
        """`lookup` for event loops: nothing in it blocks."""
        try:
            known = self._asked(prompt, llm_string)
            if known is None:
                return None
            outcome = await self.cache.alookup(known[0], lead=True, identity=known[1])
            generations = self._generations(outcome)
            if generations is None:
                self._begin_call()
            return generations
        except Exception as error:
            self._spare(error)
            return None

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """`update` for event loops."""
        try:
            known = self._request(prompt, llm_string)
            if known is not None:
                await self.cache.aupdate(known[0], answer_of(return_val), identity=known[1])
                self.cache.report_success(_COMPONENT)
        except Exception as error:
            self.cache.release_leads()
            self._spare(error)
        finally:
            leave(LAYER)

    async def aclear(self, **kwargs: Any) -> None:
        """`clear` for event loops."""
        await self.cache.aclear()

    def __copy__(self) -> LLMCache:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> LLMCache:
        return self  # models are deep-copied with their `cache`, and a copied model shares it

    def __repr__(self) -> str:
        return f"LLMCache({self.cache!r})"

    def _asked(self, prompt: str, llm_string: str) -> tuple[Request, Identity] | None:
        """`_request` for a lookup; a call that cannot be told from others is counted."""
        if is_inside(LAYER):
            return None
        known = self._requests.of(prompt, llm_string)
        if known is None:
            self._cache.report_bypass(INDISTINCT)
        return known

    def _request(self, prompt: str, llm_string: str) -> tuple[Request, Identity] | None:
        """None when nothing may be answered or stored, or an outer layer has looked it up already."""
        return None if is_inside(LAYER) else self._requests.of(prompt, llm_string)

    def _begin_call(self) -> None:
        """The model is asked next: layers below let that call pass."""
        release_with_task(self.cache)
        enter_until(monotonic() + self.cache.config.single_flight_timeout, LAYER)

    def _generations(self, outcome: Outcome) -> list[Generation] | None:
        if not isinstance(outcome, Hit):
            return None
        try:
            generations = generations_of(outcome, self._usage)
        except CodecError as error:  # what is stored is not of our making: a miss, never an exception
            self.cache.report_error(_COMPONENT, error)
            return None
        self.cache.report_success(_COMPONENT)
        return generations

    def _spare(self, error: Exception) -> None:
        self.cache.report_error(_COMPONENT, error)
        if not self.cache.config.fail_open:
            raise error
