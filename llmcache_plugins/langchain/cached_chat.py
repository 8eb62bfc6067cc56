"""What `cached` puts before the class of a chat model.

LangChain asks a model through four methods, below its callbacks and tracing: they are what is replaced. Whatever
reaches the model behind a lookup is marked as inside, so that a method that is built on another one, or an outer layer,
makes one lookup and not two.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from llmcache_plugins.engine.layers import aeach_inside, each_inside, inside, is_inside
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.langchain.cached_base import CachedModel, Caller, run_of, sign
from llmcache_plugins.langchain.live import with_schemas
from llmcache_plugins.langchain.model_identity import forget_if_changed, with_model
from llmcache_plugins.langchain.pieces import chat_pieces
from llmcache_plugins.types import Answer, Hit, Identity, Request

if TYPE_CHECKING:  # what it is put before
    Base = BaseChatModel
else:
    Base = object

__all__ = ["CachedAsyncStream", "CachedChat", "CachedStream", "NoNativeEvents"]

# Where these providers always say why they stopped: without that a stream was cut.
_ENDS = {"anthropic": ("stop_reason",), "openai": ("finish_reason", "status")}


class NoNativeEvents:
    """For models that make protocol events themselves: LangChain makes them of the stream instead, which is cached."""

    __slots__ = ()
    _stream_chat_model_events = None
    _astream_chat_model_events = None


class CachedChat(CachedModel, Base):
    """`_generate` and `_agenerate`."""

    __slots__ = ()

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        ask = partial(self._ask, super()._generate, messages, stop, kwargs)  # type: ignore[safe-super]  # of a model
        if is_inside():
            return ask(run_manager)
        known = self._known(messages, stop, kwargs, run_manager)
        if known is None:
            self._wait_for_rate_limit()
            return ask(run_manager)
        caller, made = Caller(run_manager), []

        def generate() -> Answer:
            with inside():
                self._wait_for_rate_limit()
                made.append(ask(caller.manager))
            return self._answer(made[-1])

        outcome = self._llmcache.cache.call(known[0], generate, identity=known[1]).outcome
        if not isinstance(outcome, Hit):
            return made[-1]
        generations = self._generations(outcome)
        if generations is None:
            self._wait_for_rate_limit()
            with inside():
                return ask(run_manager)
        return ChatResult(generations=generations)

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        ask = partial(self._ask, super()._agenerate, messages, stop, kwargs)
        if is_inside():
            return await ask(run_manager)
        known = self._known(messages, stop, kwargs, run_manager)
        if known is None:
            await self._await_rate_limit()
            return await ask(run_manager)
        caller, made = Caller(run_manager), []

        async def generate() -> Answer:
            with inside():
                await self._await_rate_limit()
                made.append(await ask(caller.manager))
            return self._answer(made[-1])

        outcome = (await self._llmcache.cache.acall(known[0], generate, identity=known[1])).outcome
        if not isinstance(outcome, Hit):
            return made[-1]
        generations = self._generations(outcome)
        if generations is None:
            await self._await_rate_limit()
            with inside():
                return await ask(run_manager)
        return ChatResult(generations=generations)

    def _ask(
        self,
        method: Callable[..., Any],
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        run_manager: Any,
    ) -> Any:
        """The model's own method, called as LangChain calls it."""
        return method(messages, stop=stop, **self._manager_for(method, run_manager), **kwargs)

    def _known(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], run_manager: Any
    ) -> tuple[Request, Identity] | None:
        """The request, described by the strings that LangChain gives to its own caches."""
        try:
            prompt = dumps([message.model_copy(update={"id": None}) if message.id else message for message in messages])
            forget_if_changed(self)
            llm_string = self._get_llm_string(stop=stop, **with_schemas(kwargs))
            return self._llmcache.request(
                prompt, with_model(llm_string, self, self._llmcache_original), run_of(run_manager)
            )
        except Exception as error:
            self._llmcache.spare(error)
            return None

    def _answer(self, result: ChatResult) -> Answer:
        return self._llmcache.answer(lambda: self._completed(result))

    def _completed(self, result: ChatResult) -> list[ChatGeneration]:
        """What LangChain would store: with the metadata that it puts together after the call."""
        generations = [self._finished(generation) for generation in result.generations]
        if len(generations) == 1 and result.llm_output:
            message = generations[0].message
            message.response_metadata = {**result.llm_output, **message.response_metadata}
        return generations

    def _finished(self, generation: ChatGeneration) -> ChatGeneration:
        message = generation.message
        changes: dict[str, Any] = {
            "response_metadata": {**(generation.generation_info or {}), **message.response_metadata}
        }
        if getattr(self, "output_version", None) == "v1":
            # Of the sum of a stream's pieces too: in a whole message a call is no piece of one.
            whole = message_chunk_to_message(message) if isinstance(message, BaseMessageChunk) else message
            changes["content"] = whole.content_blocks
            changes["response_metadata"]["output_version"] = "v1"
        return generation.model_copy(update={"message": message.model_copy(update=changes)})

    def _whole(self, chunks: list[ChatGenerationChunk]) -> Answer:
        """The answer that a stream's pieces make."""
        return self._llmcache.answer(lambda: self._completed(ChatResult(generations=self._sum(chunks))))

    def _sum(self, chunks: list[ChatGenerationChunk]) -> list[ChatGeneration]:
        if not chunks:
            return []
        total = chunks[0] if len(chunks) == 1 else chunks[0] + chunks[1:]
        metadata = {**total.message.response_metadata, **(total.generation_info or {})}
        provider = str(metadata.get("model_provider"))
        if provider == "anthropic" and not getattr(self, "stream_usage", True):
            return [total]  # then it does not say so
        ends = _ENDS.get(provider, ())
        return [] if ends and not any(metadata.get(name) for name in ends) else [total]

    def _generations(self, hit: Hit) -> list[ChatGeneration] | None:
        generations = self._llmcache.generations(hit)
        chats = [one for one in generations or () if isinstance(one, ChatGeneration)]
        return chats if generations and len(chats) == len(generations) else None

    def _pieces(self, hit: Hit) -> list[ChatGenerationChunk] | None:
        return self._llmcache.pieces(hit, chat_pieces)


sign(CachedChat._generate, CachedChat._agenerate)


class CachedStream(CachedChat):
    """`_stream`, for models that have one."""

    __slots__ = ()

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        ask = partial(self._ask, super()._stream, messages, stop, kwargs)
        known = None if is_inside() else self._known(messages, stop, kwargs, run_manager)
        if known is None:
            if not is_inside():
                self._wait_for_rate_limit()
            yield from ask(run_manager)
            return

        def renew() -> Answer:
            with inside():
                self._wait_for_rate_limit()
                return self._whole(list(ask(None)))

        found = self._llmcache.cache.record(known[0], renew, identity=known[1])
        if isinstance(found, Recording):
            yield from self._recorded(found, ask, run_manager)
            return
        pieces = self._pieces(found)
        if pieces is None:
            self._wait_for_rate_limit()
            yield from each_inside(ask(run_manager))
            return
        for piece in pieces:
            if run_manager is not None and isinstance(piece.message.content, str):
                run_manager.on_llm_new_token(piece.message.content, chunk=piece)
            yield piece

    def _recorded(
        self, recording: Recording, ask: Callable[[Any], Iterator[ChatGenerationChunk]], run_manager: Any
    ) -> Iterator[ChatGenerationChunk]:
        chunks: list[ChatGenerationChunk] = []
        try:
            with inside():
                self._wait_for_rate_limit()
            with closing(each_inside(ask(run_manager))) as pieces:
                for chunk in pieces:
                    chunks.append(_copy(chunk))
                    yield chunk
        except BaseException as error:
            recording.fail(error)
            raise
        recording.store(self._whole(chunks))


class CachedAsyncStream(CachedChat):
    """`_astream`, for models that stream in either way."""

    __slots__ = ()

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        ask = partial(self._ask, super()._astream, messages, stop, kwargs)
        known = None if is_inside() else self._known(messages, stop, kwargs, run_manager)
        if known is None:
            if not is_inside():
                await self._await_rate_limit()
            async for chunk in ask(run_manager):
                yield chunk
            return

        async def renew() -> Answer:
            with inside():
                await self._await_rate_limit()
                return self._whole([chunk async for chunk in ask(None)])

        found = await self._llmcache.cache.arecord(known[0], renew, identity=known[1])
        if isinstance(found, Recording):
            async with aclosing(self._arecorded(found, ask, run_manager)) as recorded:
                async for chunk in recorded:
                    yield chunk
            return
        pieces = self._pieces(found)
        if pieces is None:
            await self._await_rate_limit()
            async for chunk in aeach_inside(ask(run_manager)):
                yield chunk
            return
        for piece in pieces:
            if run_manager is not None and isinstance(piece.message.content, str):
                await run_manager.on_llm_new_token(piece.message.content, chunk=piece)
            yield piece

    async def _arecorded(
        self, recording: Recording, ask: Callable[[Any], AsyncIterator[ChatGenerationChunk]], run_manager: Any
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        chunks: list[ChatGenerationChunk] = []
        try:
            with inside():
                await self._await_rate_limit()
            async with aclosing(aeach_inside(ask(run_manager))) as pieces:
                async for chunk in pieces:
                    chunks.append(_copy(chunk))
                    yield chunk
        except BaseException as error:
            recording.fail(error)
            raise
        await recording.astore(self._whole(chunks))


def _copy(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """LangChain changes the pieces that it hands on: it names the message, and puts metadata in."""
    return chunk.model_copy(update={"message": chunk.message.model_copy()})
