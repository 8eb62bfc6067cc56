"""What an engine does while it answers, heard through LlamaIndex's events: the nodes it retrieved, what its LLMs cost,
and whether one of them was cut short."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
)
from llama_index.core.instrumentation.events.retrieval import RetrievalEndEvent
from llama_index.core.schema import NodeWithScore
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base.event import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler

from llmcache_plugins.canonical.documents import Gathered, gathering
from llmcache_plugins.llama_index.answers import Heard
from llmcache_plugins.policies import refusal_of
from llmcache_plugins.types import Answer, Usage

__all__ = ["EngineHeard", "aeach_heard", "each_heard", "listen"]

T = TypeVar("T")
_STRAY = "_llmcache_stray"
_OF_LLMS = (LLMChatEndEvent, LLMChatInProgressEvent, LLMCompletionEndEvent, LLMCompletionInProgressEvent)


class EngineHeard:
    """One call of an engine.

    Attributes:
        gathered: what cached parts of it were made from.
    """

    def __init__(self) -> None:
        self.gathered = Gathered()
        self._lock = threading.Lock()
        self._nodes: list[NodeWithScore] = []
        self._calls: dict[str, Heard] = {}

    @property
    def nodes(self) -> Sequence[NodeWithScore]:
        with self._lock:
            return list(self._nodes)

    @property
    def usage(self) -> Usage:
        with self._lock:
            ones = [call.usage for call in self._calls.values()]
        return Usage(
            sum(one.input_tokens for one in ones),
            sum(one.output_tokens for one in ones),
            sum(one.cache_creation_input_tokens for one in ones),
            sum(one.cache_read_input_tokens for one in ones),
        )

    @property
    def finish_reason(self) -> str | None:
        """The first that speaks against storing: an answer that rests on a cut or refused one is no better than it."""
        with self._lock:
            reasons = [call.stop_reason for call in self._calls.values() if call.stop_reason]
        return next(filter(_is_bad, reasons), reasons[-1] if reasons else None)

    def hear(self, event: BaseEvent) -> None:
        with self._lock:
            if isinstance(event, RetrievalEndEvent):
                self._nodes += [node for node in event.nodes if isinstance(node, NodeWithScore)]
            elif isinstance(event, _OF_LLMS) and event.response is not None:
                self._calls.setdefault(event.span_id or "", Heard()).hear(event.response)

    def take_over(self, response: Any) -> None:
        """What was heard in the thread that writes this response into a memory: LlamaIndex starts it without telling it
        whose it is."""
        stray = vars(response).pop(_STRAY, None)
        if stray is not None:
            with self._lock:
                self._calls |= stray._calls
                self._nodes += stray._nodes


_current: ContextVar[EngineHeard | None] = ContextVar("llmcache_engine_heard", default=None)


class _Listener(BaseEventHandler):
    @classmethod
    def class_name(cls) -> str:
        return "LLMCacheEngineListener"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if not isinstance(event, (*_OF_LLMS, RetrievalEndEvent)):
            return
        heard = _current.get()
        if heard is None:
            response = _written_here()
            if response is None:
                return
            heard = vars(response).setdefault(_STRAY, EngineHeard())
        heard.hear(event)


_listener = _Listener()


@contextmanager
def listen(heard: EngineHeard) -> Iterator[None]:
    """What LlamaIndex tells inside of the block, and in tasks that are started there."""
    root = get_dispatcher()
    if not any(handler is _listener for handler in root.event_handlers):
        root.add_event_handler(_listener)
    token = _current.set(heard)
    try:
        with gathering(heard.gathered):
            yield
    finally:
        _current.reset(token)


def each_heard(pieces: Iterator[T], heard: EngineHeard) -> Generator[T, None, None]:
    """The pieces of a stream; the making of each is listened to."""
    while True:
        with listen(heard):
            try:
                piece = next(pieces)
            except StopIteration:
                return
        yield piece


async def aeach_heard(pieces: AsyncIterator[T], heard: EngineHeard) -> AsyncGenerator[T, None]:
    """`each_heard` for event loops."""
    while True:
        with listen(heard):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


def _written_here() -> Any:
    """The response of a chat engine that the running thread writes into a memory, if it is such a thread."""
    target = getattr(threading.current_thread(), "_target", None)
    is_writer = getattr(target, "__name__", "") == "write_response_to_history"
    return getattr(target, "__self__", None) if is_writer else None


def _is_bad(reason: str) -> bool:
    return refusal_of(Answer("-", finish_reason=reason), size=0, max_bytes=1, store_truncated=False) is not None
