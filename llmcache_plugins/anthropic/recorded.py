"""Responses on their way to the caller, and what is stored of them."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import anthropic

from llmcache_plugins.anthropic.stream import StreamedMessage
from llmcache_plugins.anthropic.wire import httpx
from llmcache_plugins.canonical.answer import answer_from
from llmcache_plugins.canonical.anthropic import answer_of_message
from llmcache_plugins.types import Answer, JsonValue, UpdateOutcome

__all__ = ["NOTHING", "Keeping", "Unanswered", "aanswer_of", "answer_of", "arecorded", "is_event_stream", "recorded"]

NOTHING = Answer(None)  # refused by the engine, which frees those who wait
_GOOD_ENDS = ("end_turn", "tool_use", "stop_sequence")
_BAD_ENDS = ("max_tokens", "model_context_window_exceeded", "refusal")  # the engine knows what to do about these
_OF_TRANSPORT = ("content-encoding", "content-length", "transfer-encoding")


class Unanswered(Exception):
    """The API's response is an error, of which the SDK makes one of its own."""


class Keeping(Protocol):
    """What becomes of an answer that comes in pieces; `engine.recording.Recording` is one. The first call counts."""

    def store(self, answer: Answer) -> UpdateOutcome: ...

    async def astore(self, answer: Answer) -> UpdateOutcome: ...

    def fail(self, error: BaseException) -> None: ...

    def release(self) -> None: ...


def answer_of(response: anthropic.APIResponse[Any]) -> Answer:
    """What to store of a response; its body is read, and can be read again.

    Raises:
        Unanswered: it is an error.
    """
    if not response.http_response.is_success:
        raise Unanswered
    response.read()
    return _answer_of(response.http_response)


async def aanswer_of(response: anthropic.AsyncAPIResponse[Any]) -> Answer:
    """`answer_of` for asynchronous clients."""
    if not response.http_response.is_success:
        raise Unanswered
    await response.read()
    return _answer_of(response.http_response)


def _answer_of(raw: httpx.Response) -> Answer:
    try:
        if not is_event_stream(raw):
            return _storable(raw.json())
        heard = StreamedMessage()
        heard.feed(raw.content)
        return _storable(heard.message) if heard.is_whole else NOTHING
    except Exception:  # what is no message is handed on, and not stored
        return NOTHING


def _storable(message: dict[str, JsonValue]) -> Answer:
    if message.get("type") != "message":
        return NOTHING
    answer = answer_from([answer_of_message(message)])
    is_known_end = message.get("stop_reason") in (*_GOOD_ENDS, *_BAD_ENDS)
    # A container holds a state at the provider's, which another answer could change.
    return answer if is_known_end and not message.get("container") else replace(answer, finish_reason="pause_turn")


def is_event_stream(raw: httpx.Response) -> bool:
    """Other platforms stream in forms of their own, which are handed on unread."""
    return str(raw.headers.get("content-type", "")).lower().startswith("text/event-stream")


# -------------------------------------------------------------------- streams
def recorded(raw: httpx.Response, keeping: Keeping) -> httpx.Response:
    """The response with a body that is recorded while the caller reads it."""
    return _copied(raw, _Recorded(raw, keeping))


def arecorded(raw: httpx.Response, keeping: Keeping) -> httpx.Response:
    """`recorded` for asynchronous clients."""
    return _copied(raw, _ARecorded(raw, keeping))


def _copied(raw: httpx.Response, stream: _Recorded | _ARecorded) -> httpx.Response:
    headers = [(name, value) for name, value in raw.headers.multi_items() if name.lower() not in _OF_TRANSPORT]
    copy = httpx.Response(
        raw.status_code,
        headers=headers,
        stream=stream,
        request=raw.request,
        extensions=raw.extensions,
        history=raw.history,
    )
    stream.copy = weakref.ref(copy)
    return copy


class _Stream:
    """What both kinds of body share: the recording, which is over as soon as the last event is heard."""

    def __init__(self, raw: httpx.Response, keeping: Keeping) -> None:
        self._raw = raw
        self._keeping = keeping
        self._heard = StreamedMessage()
        self.copy: Callable[[], httpx.Response | None] = lambda: None  # weak, or a dropped stream would live on

    def _ended(self, piece: bytes) -> Answer | None:
        """What to store, once it is known."""
        self._heard.feed(piece)
        if not self._heard.is_over:
            return None
        try:
            return _storable(self._heard.message) if self._heard.is_whole else NOTHING
        except Exception:
            return NOTHING

    @property
    def stream_observer(self) -> Any:
        """The SDK's tracing, from 2.0 on, hangs on the body that it sent for."""
        return getattr(self._raw.stream, "stream_observer", None)

    def _closed(self) -> None:
        copy = self.copy()
        with suppress(RuntimeError):  # nobody took the time
            if copy is not None:
                copy.elapsed = self._raw.elapsed

    def __del__(self) -> None:
        self._keeping.release()  # of a stream that nobody read


class _Recorded(_Stream, httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._raw.iter_bytes():
                answer = self._ended(piece)
                if answer is not None:
                    # Before the last event is handed on: who asks again at once shall find it.
                    self._keeping.store(answer)
                yield piece
        finally:
            self._keeping.release()

    def close(self) -> None:
        self._keeping.release()
        self._raw.close()
        self._closed()


class _ARecorded(_Stream, httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._raw.aiter_bytes():
                answer = self._ended(piece)
                if answer is not None:
                    await self._keeping.astore(answer)
                yield piece
        finally:
            self._keeping.release()

    async def aclose(self) -> None:
        self._keeping.release()
        await self._raw.aclose()
        self._closed()
