"""The eight request methods of an LLM, as they are looked up and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.llms import LLM

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import CodecError
from llmcache_plugins.llama_index.answers import Heard, Reel, answer_of
from llmcache_plugins.llama_index.binding import COMPONENT, Binding
from llmcache_plugins.llama_index.calls import Method, tell
from llmcache_plugins.llama_index.events import Story
from llmcache_plugins.llama_index.plain import IndistinctCall
from llmcache_plugins.llama_index.replay import Form, pieces_of, response_class, response_of
from llmcache_plugins.llama_index.requests import Asked, Spoken, model_name, request_of
from llmcache_plugins.types import Answer, Bypass, Hit, Miss, Request

__all__ = ["LEAVES", "leaf_turn"]

LEAVES = (
    "chat",
    "complete",
    "stream_chat",
    "stream_complete",
    "achat",
    "acomplete",
    "astream_chat",
    "astream_complete",
)


def leaf_turn(llm: LLM, method: Method, binding: Binding, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> LeafTurn:
    """The turn of one call of a leaf.

    Raises:
        IndistinctCall: it cannot be told from other calls.
    """
    spoken = spoken_of(args, kwargs, is_chat=method.name.endswith("chat"))
    asked = request_of(
        llm,
        binding.original,
        spoken,
        extractor=binding.extractor,
        identity=binding.identity,
        is_async=method.is_async,
    )
    return LeafTurn(llm, method, binding, spoken, asked)


def spoken_of(args: tuple[Any, ...], kwargs: Mapping[str, Any], *, is_chat: bool) -> Spoken:
    """What the arguments of a leaf say."""
    rest, given = dict(kwargs), list(args)
    asked = given.pop(0) if given else rest.pop("messages" if is_chat else "prompt")
    if is_chat:
        if given or not isinstance(asked, list | tuple):
            raise IndistinctCall("messages that can be read but once")
        return Spoken("chat", messages=asked, kwargs=rest)
    is_formatted = bool(given.pop(0) if given else rest.pop("formatted", False))
    if given or not isinstance(asked, str):
        raise IndistinctCall("arguments that nobody knows")
    return Spoken("complete", prompt=asked, is_formatted=is_formatted, kwargs=rest)


@dataclass(frozen=True, slots=True)
class LeafTurn:
    """One call of a leaf (a `Turn`)."""

    llm: LLM
    method: Method
    binding: Binding
    spoken: Spoken
    asked: Asked = field(repr=False)

    @property
    def cache(self) -> SemanticCache:
        return self.binding.cache

    @property
    def request(self) -> Request:
        return self.asked.request

    def answer(self, response: Any) -> Answer:
        heard = Heard()
        with suppress(Exception):  # then `stored_form` says what is wrong with it
            heard.hear(response)
        return self.stored_form(response, heard)

    def tape(self) -> LeafTape:
        return LeafTape(self)

    def stored_form(self, response: Any, heard: Heard) -> Answer:
        """What to store; nothing where the response is of no kind that could be given back."""
        try:
            if not isinstance(response, ChatResponse if self.is_chat else CompletionResponse):
                raise CodecError(f"{self.method.name} gave a {type(response).__name__}")
            self.binding.seen["chat" if self.is_chat else "complete"] = type(response)
            return answer_of(response, heard, model=model_name(self.llm), is_wire=self.asked.is_wire)
        except Exception as error:
            self.binding.spare(error)
            return Answer(None)

    def replayed(self, hit: Hit) -> Any:
        try:
            response = response_of(hit, self._form(), is_chat=self.is_chat, is_stream=self.method.is_stream)
        except CodecError as error:
            self.binding.spare(error)
            return None
        self.cache.report_success(COMPONENT)
        self.tell(hit)
        return response

    def shown(self, replayed: Any) -> Any:
        story = self._story()
        self._told(story.begin)
        self._told(story.end, replayed)
        return replayed

    def pieces(self, replayed: Any) -> Iterator[Any]:
        story = self._story()
        self._told(story.begin)

        def tell_each() -> Iterator[Any]:
            last = replayed
            for last in pieces_of(replayed):
                self._told(story.go_on, last)
                yield last
            self._told(story.end, last)

        return tell_each()

    def tell(self, outcome: Hit | Miss | Bypass) -> None:
        tell(self.llm, self.method.name, self.binding, outcome)

    @property
    def is_chat(self) -> bool:
        return self.spoken.operation == "chat"

    def _form(self) -> Form:
        seen, original = self.binding.seen, self.binding.original
        if "chat" not in seen:
            seen["chat"] = response_class(original.chat, ChatResponse)
        if "complete" not in seen:
            seen["complete"] = response_class(original.complete, CompletionResponse)
        return Form(seen["chat"], seen["complete"], self.asked.is_wire)

    def _story(self) -> Story:
        return Story(
            self.llm, self.is_chat, self.spoken.messages if self.is_chat else self.spoken.prompt, self.spoken.kwargs
        )

    def _told(self, part: Callable[..., None], *about: Any) -> None:
        try:
            part(*about)
        except Exception as error:
            self.cache.report_error(COMPONENT, error)


class LeafTape:
    """The pieces of one streamed call (a `Tape`)."""

    def __init__(self, turn: LeafTurn) -> None:
        self._turn = turn
        self._reel: Reel | None = Reel()

    def add(self, piece: Any) -> None:
        try:
            if self._reel is not None:
                self._reel.add(piece)
        except Exception as error:  # no piece that LlamaIndex would know; the consumer gets it all the same
            self._reel = None
            self._turn.cache.report_error(COMPONENT, error)

    @property
    def answer(self) -> Answer:
        whole = None if self._reel is None else self._reel.whole
        if self._reel is None or whole is None:
            return Answer(None)
        answer = self._turn.stored_form(whole, self._reel.heard)
        # The pieces of this integration do not show what a tool of the provider's did, nor all of some answers.
        asked = self._turn.asked
        is_partial = asked.is_wire and (self._reel.is_lossy or _has_server_tools(asked))
        return replace(answer, finish_reason="pause_turn") if is_partial else answer


def _has_server_tools(asked: Asked) -> bool:
    tools = asked.request.params.get("tools") or []
    return any(isinstance(tool, Mapping) and tool.get("type", "custom") != "custom" for tool in tools)
