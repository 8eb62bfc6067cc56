"""What a hit and a miss look like to those who watch LlamaIndex: instrumentation events and classic callbacks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks.base import global_stack_trace_ids
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.llms import LLM
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base.event import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import active_span_id
from pydantic import Field, PrivateAttr

from llmcache_plugins.llama_index.turns import tokens_of
from llmcache_plugins.types import Bypass, Hit, Miss, Usage

__all__ = ["LLMCacheCallbackHandler", "LLMCacheEvent", "LLMCacheEventHandler", "Story", "announce"]

_dispatcher = get_dispatcher("llmcache_plugins.llama_index")
_LLM_TRACES = {"chat", "completion"}


class LLMCacheEvent(BaseEvent):
    """A call of an LLM was looked up in the cache. Neither question nor answer is in it.

    Attributes:
        hit: was it answered from the cache?
        op: the method that was called, `"chat"` for example.
        kind: `exact`, `normalised`, `alias` or `semantic` on a hit, else `miss` or `bypass`.
        reason: why it was not answered; empty on a hit.
        tier: which tier had the answer.
        similarity: of the question to the stored one, 1 on an exact hit.
        key: the hit's reference, for `cache.report_wrong`.
        latency: seconds the lookup took.
        saved_usage: the tokens that the stored answer cost.
    """

    hit: bool
    op: str
    kind: str
    reason: str = ""
    tier: str = ""
    similarity: float | None = None
    key: str = ""
    latency: float = 0.0
    saved_usage: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        return "LLMCacheEvent"


def announce(llm: LLM, op: str, outcome: Hit | Miss | Bypass) -> None:
    """Tell the dispatcher, and the classic handlers of this kind that the LLM has."""
    event = _event(op, outcome)
    _dispatcher.event(event)
    for handler in getattr(llm.callback_manager, "handlers", ()):
        if isinstance(handler, LLMCacheCallbackHandler):
            handler.on_cache_event(event)


def _event(op: str, outcome: Hit | Miss | Bypass) -> LLMCacheEvent:
    if not isinstance(outcome, Hit):
        kind = "miss" if isinstance(outcome, Miss) else "bypass"
        return LLMCacheEvent(hit=False, op=op, kind=kind, reason=str(outcome.reason), latency=outcome.latency)
    return LLMCacheEvent(
        hit=True,
        op=op,
        kind=outcome.kind,
        tier=outcome.tier,
        similarity=outcome.similarity,
        key=outcome.reference,
        latency=outcome.latency,
        saved_usage=tokens_of(outcome.entry.usage),
    )


@dataclass(frozen=True, slots=True)
class Story:
    """The events of one answered call, in the order in which LlamaIndex tells of a call that reaches the model.

    The classic `CBEventType.LLM` is not told: its handlers count the tokens of the texts, and none were spent.
    """

    llm: LLM
    is_chat: bool
    asked: Any = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    span_id: str | None = field(default_factory=active_span_id.get)

    def begin(self) -> None:
        about: dict[str, Any] = {
            "model_dict": self._payload(),
            "additional_kwargs": dict(self.kwargs),
            "span_id": self.span_id,
        }
        if self.is_chat:
            _dispatcher.event(LLMChatStartEvent(messages=self._messages, **about))
        else:
            _dispatcher.event(LLMCompletionStartEvent(prompt=self.asked, **about))

    def go_on(self, piece: Any) -> None:
        if self.is_chat:
            _dispatcher.event(LLMChatInProgressEvent(messages=self._messages, response=piece, span_id=self.span_id))
        else:
            _dispatcher.event(LLMCompletionInProgressEvent(prompt=self.asked, response=piece, span_id=self.span_id))

    def end(self, response: Any) -> None:
        if self.is_chat:
            _dispatcher.event(LLMChatEndEvent(messages=self._messages, response=response, span_id=self.span_id))
        else:
            _dispatcher.event(LLMCompletionEndEvent(prompt=self.asked, response=response, span_id=self.span_id))

    def _payload(self) -> dict[str, Any]:
        """What may be shown of the LLM; older ones have no method for it, and their `to_dict` shows credentials."""
        if hasattr(self.llm, "to_payload"):
            return self.llm.to_payload()
        return {"class_name": self.llm.class_name(), **self.llm.metadata.model_dump()}

    @property
    def _messages(self) -> list[ChatMessage]:
        return list(self.asked)


class _Sums:
    """Counts, for handlers that are told from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0
        self.bypasses = 0
        self.saved = Usage()

    def add(self, event: LLMCacheEvent) -> None:
        saved = event.saved_usage
        with self._lock:
            self.hits += event.hit
            self.misses += event.kind == "miss"
            self.bypasses += event.kind == "bypass"
            self.saved = Usage(**{name: total + saved.get(name, 0) for name, total in tokens_of(self.saved).items()})


class LLMCacheEventHandler(BaseEventHandler):
    """Sums up what the cache spared: `get_dispatcher().add_event_handler(LLMCacheEventHandler())`.

    >>> LLMCacheEventHandler().hits
    0
    """

    _sums: _Sums = PrivateAttr(default_factory=_Sums)

    @classmethod
    def class_name(cls) -> str:
        return "LLMCacheEventHandler"

    @property
    def hits(self) -> int:
        return self._sums.hits

    @property
    def misses(self) -> int:
        return self._sums.misses

    @property
    def bypasses(self) -> int:
        """Calls that the cache was not asked for: by a context, or since they cannot be told from others."""
        return self._sums.bypasses

    @property
    def saved_usage(self) -> Usage:
        """The tokens of all answers that came from the cache."""
        return self._sums.saved

    @property
    def hit_rate(self) -> float:
        """Hits among the calls that were looked up; 0 when there was none."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if isinstance(event, LLMCacheEvent):
            self._sums.add(event)


class LLMCacheCallbackHandler(BaseCallbackHandler):
    """The same for the classic callbacks: `Settings.callback_manager = CallbackManager([LLMCacheCallbackHandler()])`.

    Attributes:
        model_calls: calls that reached a model (`CBEventType.LLM`); a call that an LLM makes of itself is the same one.
    """

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self.model_calls = 0
        self._sums = _Sums()
        self._lock = threading.Lock()

    @property
    def hits(self) -> int:
        return self._sums.hits

    @property
    def misses(self) -> int:
        return self._sums.misses

    @property
    def saved_usage(self) -> Usage:
        """The tokens of all answers that came from the cache."""
        return self._sums.saved

    def on_cache_event(self, event: LLMCacheEvent) -> None:
        """Called by the LLM that was asked."""
        self._sums.add(event)

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        if event_type is CBEventType.LLM:
            around = global_stack_trace_ids.get()[-2:]
            if len(around) < 2 or not set(around) <= _LLM_TRACES:
                with self._lock:
                    self.model_calls += 1
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """Nothing to do: beginnings are counted."""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to do."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Nothing to do."""
