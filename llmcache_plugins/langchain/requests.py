"""LangChain's two strings as requests, parsed once: an exact repeat is found by the strings themselves."""

from __future__ import annotations

import logging
from functools import lru_cache

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.keys.question import Extractor, QuestionExtractor
from llmcache_plugins.langchain.live import with_live_facts
from llmcache_plugins.langchain.memo import Memo
from llmcache_plugins.langchain.parse import ModelCall, parse_llm_string, request_of
from llmcache_plugins.types import Identity, Request

__all__ = ["INDISTINCT", "Requests"]

INDISTINCT = "indistinct"  # reason of a bypass

_MEMO_BYTES = 16 * 1024 * 1024
_SAYS_NOTHING = {
    "_type",
    "stop",
}  # arguments of a call apart, all that is told of a model without identifying parameters
_log = logging.getLogger(__name__)


@lru_cache(maxsize=256)  # few differ, and each may hold a page of tools
def _parse_llm_string(llm_string: str) -> ModelCall:
    call = parse_llm_string(llm_string)
    if call.hidden:
        _log.warning(
            "calls of %s are not cached: LangChain does not tell caches the value of %s",
            call.model or "a model",
            ", ".join(call.hidden),
        )
    elif call.is_readable and call.params.keys() <= _SAYS_NOTHING:
        _log.warning(
            "models of the type %r tell LangChain's cache nothing of themselves, so that all of them share their "
            "answers: give the class _identifying_params, or use cached(model)",
            call.provider,
        )
    return call


class Requests:
    """What LangChain asks one cache.

    Args:
        cache: the cache that is asked: it gives the requests their identity.
        extractor: finds the question in a user turn; None for the default.
    """

    def __init__(self, cache: SemanticCache, extractor: Extractor | None) -> None:
        self._cache = cache
        self._extractor = QuestionExtractor() if extractor is None else extractor
        self._memo: Memo[tuple[Request, Identity]] = Memo(_MEMO_BYTES)

    def of(self, prompt: str, llm_string: str) -> tuple[Request, Identity] | None:
        """None when nothing may be answered or stored, since the call cannot be told from others."""
        pair = (prompt, with_live_facts(llm_string))
        known = self._memo.get(pair)
        if known is None:
            call = _parse_llm_string(pair[1])
            if call.hidden or call.is_stateful:
                return None
            request = request_of(prompt, call, self._extractor)
            known = request, self._cache.identify(request)
            self._memo.put(pair, known)
        return known
