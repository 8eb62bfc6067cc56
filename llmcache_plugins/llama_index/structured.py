"""The structured methods of LLMs that do not go through `chat` for them, as Anthropic's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from pydantic import BaseModel

from llmcache_plugins.canonical.answer import ChatAnswer, answer_from, stored_answers
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.llama_index.binding import COMPONENT, Binding
from llmcache_plugins.llama_index.calls import Method, tell
from llmcache_plugins.llama_index.plain import IndistinctCall
from llmcache_plugins.llama_index.requests import Spoken, model_name, request_of
from llmcache_plugins.types import Answer, Bypass, Hit, Miss, Request

__all__ = ["STRUCTURED", "structured_turn"]

STRUCTURED = (
    "structured_predict",
    "stream_structured_predict",
    "astructured_predict",
    "astream_structured_predict",
)


def structured_turn(
    llm: LLM, method: Method, binding: Binding, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> StructuredTurn:
    """The turn of one structured call.

    Raises:
        IndistinctCall: it cannot be told from other calls.
    """
    rest = {**kwargs, **dict(zip(("output_cls", "prompt", "llm_kwargs"), args, strict=False))}
    output_cls, prompt = rest.pop("output_cls"), rest.pop("prompt")
    arguments = rest.pop("llm_kwargs", None) or {}
    if not (isinstance(output_cls, type) and issubclass(output_cls, BaseModel)):
        raise IndistinctCall("an output class that is no pydantic model")
    if llm.output_parser is not None or getattr(prompt, "output_parser", None) is not None:
        raise IndistinctCall("an output parser")
    messages: list[ChatMessage] = prompt.format_messages(llm=llm, **rest)
    spoken = Spoken("structured", messages=messages, kwargs=arguments, schema=output_cls.model_json_schema())
    asked = request_of(
        llm,
        binding.original,
        spoken,
        extractor=binding.extractor,
        identity=binding.identity,
        is_async=method.is_async,
    )
    return StructuredTurn(llm, method, binding, asked.request, output_cls)


@dataclass(frozen=True, slots=True)
class StructuredTurn:
    """One structured call (a `Turn`)."""

    llm: LLM
    method: Method
    binding: Binding
    request: Request = field(repr=False)
    output_cls: type[BaseModel] = field(repr=False)

    @property
    def cache(self) -> SemanticCache:
        return self.binding.cache

    def answer(self, response: Any) -> Answer:
        """Only what comes back equal is stored."""
        try:
            if not isinstance(response, self.output_cls):
                return Answer(None)
            text = json.dumps(response.model_dump(mode="json"))
            if self.output_cls.model_validate_json(text) != response:
                return Answer(None)
            return answer_from([ChatAnswer(text, model=model_name(self.llm))])
        except Exception as error:
            self.binding.spare(error)
            return Answer(None)

    def tape(self) -> StructuredTape:
        return StructuredTape(self)

    def replayed(self, hit: Hit) -> Any:
        try:
            found = self.output_cls.model_validate_json(stored_answers(hit.answer)[0].text)
        except Exception as error:
            self.binding.spare(error)
            return None
        self.cache.report_success(COMPONENT)
        self.tell(hit)
        return found

    def shown(self, replayed: Any) -> Any:
        return replayed

    def pieces(self, replayed: Any) -> Iterator[Any]:
        """The whole object: there are no halves of it."""
        yield replayed

    def tell(self, outcome: Hit | Miss | Bypass) -> None:
        tell(self.llm, self.method.name, self.binding, outcome)


class StructuredTape:
    """The objects of one streamed call (a `Tape`): the last one is whole."""

    def __init__(self, turn: StructuredTurn) -> None:
        self._turn = turn
        self._last: Any = None

    def add(self, piece: Any) -> None:
        self._last = piece

    @property
    def answer(self) -> Answer:
        return self._turn.answer(self._last)
