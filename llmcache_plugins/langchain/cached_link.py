"""What a cached model knows of its cache: how a call is asked, replayed and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from langchain_core.outputs import Generation

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.langchain.answers import UsageMode, answer_of, portable
from llmcache_plugins.langchain.replay import generations_of
from llmcache_plugins.langchain.requests import INDISTINCT, Requests
from llmcache_plugins.types import Answer, Hit, Identity, Request

__all__ = ["Link"]

P = TypeVar("P")
_COMPONENT = "langchain"


class Link:
    """One cache, as the models that `cached` made for it ask it.

    Args:
        cache: the cache.
        usage: as for `LLMCache`.
        extractor: as for `LLMCache`.
    """

    def __init__(self, cache: SemanticCache, usage: UsageMode, extractor: Extractor | None) -> None:
        self.cache = cache
        self.usage: UsageMode = usage
        self.extractor = extractor
        self._requests = Requests(cache, extractor)

    def request(self, prompt: str, llm_string: str, run: Mapping[str, Any] | None) -> tuple[Request, Identity] | None:
        """The request and its identity; None when nothing may be answered or stored for it.

        Args:
            run: what the framework knows of the run: its `tags` and its `metadata`.
        """
        known = self._requests.of(prompt, llm_string)
        if known is None:
            self.cache.report_bypass(INDISTINCT)
        if known is None or not run:
            return known
        details = portable(run)
        return (replace(known[0], details=details), known[1]) if details else known

    def generations(self, hit: Hit) -> list[Generation] | None:
        """Fresh generations of a hit, without message ids: the framework gives them this run's. None when what is
        stored cannot be read: then the model is asked."""
        try:
            generations = generations_of(hit, self.usage, with_ids=False)
        except Exception as error:
            self.cache.report_error(_COMPONENT, error)
            return None
        self.cache.report_success(_COMPONENT)
        return generations

    def pieces(self, hit: Hit, split: Callable[[Any], list[P]]) -> list[P] | None:
        """The pieces of a hit, for a stream; None as for `generations`."""
        try:
            generations = self.generations(hit)
            return split(generations[0]) if generations is not None and len(generations) == 1 else None
        except Exception as error:
            self.cache.report_error(_COMPONENT, error)
            return None

    def answer(self, generations: Callable[[], Sequence[Generation]]) -> Answer:
        """What to store; an answer that cannot be stored has no content, and is refused as empty."""
        try:
            answer = answer_of(generations())
        except Exception as error:
            self.cache.report_error(_COMPONENT, error)
            return Answer(None)
        self.cache.report_success(_COMPONENT)
        return answer

    def spare(self, error: Exception) -> None:
        """Our own fault costs a model call, and is counted."""
        self.cache.report_error(_COMPONENT, error)
        if not self.cache.config.fail_open:
            raise error
