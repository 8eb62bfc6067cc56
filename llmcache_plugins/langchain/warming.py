"""Models and chains of LangChain for `cache.warm`: answers are stored where LangChain itself looks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import convert_to_messages
from langchain_core.outputs import Generation
from langchain_core.prompt_values import ChatPromptValue, PromptValue, StringPromptValue
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.question import Extractor, QuestionExtractor
from llmcache_plugins.langchain.answers import answer_of
from llmcache_plugins.langchain.cached import uncached
from llmcache_plugins.langchain.cached_base import CachedModel
from llmcache_plugins.langchain.live import with_live_facts
from llmcache_plugins.langchain.model_identity import with_model
from llmcache_plugins.langchain.parse import parse_llm_string, request_of
from llmcache_plugins.types import Answer, Request

__all__ = ["Warmer", "bridge"]

_MOST_PROMPTS = 1024
_parse_llm_string = lru_cache(maxsize=16)(parse_llm_string)


def bridge(model: object) -> Warmer | None:
    """A `Warmer` of what LangChain can invoke; None for the rest."""
    return Warmer(model) if isinstance(model, Runnable) else None


class Warmer:
    """A model of LangChain, or a chain that leads to one, as `cache.warm` asks it.

    A chain is run up to its model: what stands behind (a parser) has no part in the answer that LangChain caches.
    `cache.warm(questions, chain)` makes one by itself; this is for chains whose input is no plain question.

    Args:
        chain: a model, or a sequence with one.
        make_input: makes the chain's input of a question, `lambda question: {"question": question}` for example; None
            gives it the question.
        extractor: that of the `LLMCache`, where it has one of its own; of a `cached` model it is known.

    Raises:
        ConfigError: there is no model in the chain, or the model is set to be asked past all caches.
    """

    def __init__(
        self,
        chain: Any,
        *,
        make_input: Callable[[str], Any] | None = None,
        extractor: Extractor | None = None,
    ) -> None:
        self._before, model, arguments = _taken_apart(chain)
        self._cached = model if isinstance(model, CachedModel) else None
        if isinstance(model, CachedModel):
            extractor = model._llmcache.extractor if extractor is None else extractor
            model = uncached(model)
        elif model.cache is False:
            raise ConfigError(f"{type(model).__name__} has cache=False: LangChain asks no cache for it")
        self._arguments = arguments
        # Copies without callbacks: nobody is to count the look at a prompt as a call.
        self._looking = model.model_copy(update={"cache": _Looking(), "callbacks": None})
        self._asking = model.model_copy(update={"cache": False})
        self._make_input = make_input
        self._extractor = QuestionExtractor() if extractor is None else extractor
        self._prompts: dict[str, PromptValue] = {}
        self._lock = threading.Lock()

    def request_of(self, question: Request | str) -> Request:
        """The request that LangChain would look up for this question.

        Raises:
            ConfigError: LangChain hides from caches what such calls are about.
        """
        text = _text(question)
        prompt = self._prompt(text)
        with self._lock:
            if len(self._prompts) >= _MOST_PROMPTS:
                self._prompts.clear()
            self._prompts[text] = prompt
        try:
            self._looking.generate_prompt([prompt], **self._arguments)
        except _Seen as seen:
            llm_string = seen.llm_string
            if self._cached is not None:
                llm_string = with_model(llm_string, self._cached, self._cached._llmcache_original)
            call = _parse_llm_string(with_live_facts(llm_string))
            if call.hidden:
                hidden = ", ".join(call.hidden)
                raise ConfigError(f"calls of this model are not cached: LangChain hides {hidden} from caches") from None
            if call.is_stateful:
                raise ConfigError(
                    "calls of this model are not cached: they go on from a state at the provider's"
                ) from None
            request = request_of(seen.prompt, call, self._extractor)
        else:
            raise ConfigError(f"{type(self._looking).__name__} asks no cache")
        if isinstance(question, str):
            return request
        given = {name: getattr(question, name) for name in ("namespace", "tags", "query_type", "volatility")}
        return replace(request, **given)

    def ask(self, question: Request | str) -> Answer:
        """One call of the model."""
        result = self._asking.generate_prompt([self._known_prompt(question)], **self._arguments)
        return answer_of(result.generations[0])

    async def aask(self, question: Request | str) -> Answer:
        """One awaited call of the model."""
        result = await self._asking.agenerate_prompt([self._known_prompt(question)], **self._arguments)
        return answer_of(result.generations[0])

    def _known_prompt(self, question: Request | str) -> PromptValue:
        """The prompt that `request_of` has seen: a chain that retrieves might make another one by now."""
        text = _text(question)
        with self._lock:
            known = self._prompts.pop(text, None)
        return self._prompt(text) if known is None else known

    def _prompt(self, text: str) -> PromptValue:
        value = text if self._make_input is None else self._make_input(text)
        for step in self._before:
            value = step.invoke(value)
        if isinstance(value, PromptValue):
            return value
        return StringPromptValue(text=value) if isinstance(value, str) else ChatPromptValue(messages=_messages(value))


class _Seen(Exception):
    """Ends a call where the cache would be asked, and carries what it would be asked."""

    def __init__(self, prompt: str, llm_string: str) -> None:
        super().__init__("only looked at")
        self.prompt = prompt
        self.llm_string = llm_string


class _Looking(BaseCache):
    """LangChain itself says what it looks up: nobody else knows how it puts a call into words."""

    def lookup(self, prompt: str, llm_string: str) -> Sequence[Generation] | None:
        raise _Seen(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Never reached."""

    def clear(self, **kwargs: Any) -> None:
        """Holds nothing."""


def _taken_apart(chain: Any) -> tuple[list[Runnable[Any, Any]], BaseLanguageModel[Any], dict[str, Any]]:
    """What comes before the model, the model, and the arguments it is bound to."""
    steps = chain.steps if isinstance(chain, RunnableSequence) else [chain]
    for place, step in enumerate(steps):
        arguments: dict[str, Any] = {}
        while isinstance(step, RunnableBinding):
            arguments = {**step.kwargs, **arguments}
            step = step.bound
        if isinstance(step, BaseLanguageModel):
            return list(steps[:place]), step, arguments
    raise ConfigError(f"there is no model to see in this {type(chain).__name__}; give the model, or prompt | model")


def _messages(value: Any) -> Any:
    try:
        return convert_to_messages(value)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"a model takes text or messages, and was given {type(value).__name__}") from error


def _text(question: Request | str) -> str:
    return question if isinstance(question, str) else question.text
