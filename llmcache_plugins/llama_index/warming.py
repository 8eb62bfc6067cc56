"""LLMs of LlamaIndex for `cache.warm`: answers are stored where the LLM itself looks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import getattr_static
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM

from llmcache_plugins.engine.layers import inside
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.llama_index.answers import Heard, answer_of
from llmcache_plugins.llama_index.binding import Binding, binding_of
from llmcache_plugins.llama_index.plain import IndistinctCall
from llmcache_plugins.llama_index.requests import Asked, Spoken, model_name, request_of
from llmcache_plugins.types import Answer, Request

__all__ = ["Warmer", "bridge"]


def bridge(model: object) -> Warmer | None:
    """A `Warmer` of an LLM that is cached; None for the rest: what asks no cache need not find its answers there."""
    return Warmer(model) if isinstance(model, LLM) and binding_of(type(model)) is not None else None


class Warmer:
    """A cached LLM as `cache.warm` asks it: a chat model by one message of the user's behind its system prompt, another
    one by the question as its prompt.

    `cache.warm(questions, llm)` makes one by itself; this is for LLMs that are asked in another way.

    Args:
        llm: an LLM that `install` or `cached_llm` has made a cached one.
        make_input: makes what the LLM is asked of a question: a prompt (`complete`), or messages (`chat`).

    Raises:
        ConfigError: the LLM is not cached.
    """

    def __init__(self, llm: LLM, *, make_input: Callable[[str], str | Sequence[ChatMessage]] | None = None) -> None:
        binding = binding_of(type(llm))
        if binding is None:
            raise ConfigError(f"this {type(llm).__name__} asks no cache: install it first, or make a cached_llm of it")
        self._binding: Binding = binding
        self._llm = llm
        self._make_input = make_input

    def request_of(self, question: Request | str) -> Request:
        """The request that the LLM would look up for this question.

        Raises:
            ConfigError: its calls cannot be told from others, so that they are not cached.
        """
        request = self._asked(self._spoken(question)).request
        if isinstance(question, str):
            return request
        given = {name: getattr(question, name) for name in ("namespace", "tags", "query_type", "volatility")}
        return replace(request, **given)

    def ask(self, question: Request | str) -> Answer:
        """One call of the model."""
        spoken = self._spoken(question)
        with inside():
            if spoken.operation == "chat":
                return self._answer(spoken, self._method("chat")(self._llm, spoken.messages))
            return self._answer(spoken, self._method("complete")(self._llm, spoken.prompt))

    async def aask(self, question: Request | str) -> Answer:
        """One awaited call of the model."""
        spoken = self._spoken(question)
        with inside():
            if spoken.operation == "chat":
                return self._answer(spoken, await self._method("achat")(self._llm, spoken.messages))
            return self._answer(spoken, await self._method("acomplete")(self._llm, spoken.prompt))

    def _method(self, name: str) -> Any:
        return getattr_static(self._binding.original, name)

    def _spoken(self, question: Request | str) -> Spoken:
        text = question if isinstance(question, str) else question.text
        given = text if self._make_input is None else self._make_input(text)
        if not isinstance(given, str):
            return Spoken("chat", messages=list(given))
        if self._make_input is None and self._llm.metadata.is_chat_model:
            message = ChatMessage(role=MessageRole.USER, content=text)
            return Spoken("chat", messages=self._llm._extend_messages([message]))
        return Spoken("complete", prompt=given)

    def _asked(self, spoken: Spoken) -> Asked:
        binding = self._binding
        try:
            return request_of(
                self._llm, binding.original, spoken, extractor=binding.extractor, identity=binding.identity
            )
        except IndistinctCall as error:
            raise ConfigError(f"calls of this {type(self._llm).__name__} are not cached: {error}") from None

    def _answer(self, spoken: Spoken, response: Any) -> Answer:
        heard = Heard()
        heard.hear(response)
        is_wire = self._asked(spoken).is_wire
        return answer_of(response, heard, model=model_name(self._llm), is_wire=is_wire)
