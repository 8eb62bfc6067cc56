"""`CachedChatEngine`: a chat engine whose answers are looked up before it retrieves; its memory goes on as if it had
answered."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.chat_engine import CondenseQuestionChatEngine
from llama_index.core.chat_engine.types import (
    AGENT_CHAT_RESPONSE_TYPE,
    BaseChatEngine,
    StreamingAgentChatResponse,
)
from llama_index.core.memory import BaseMemory

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.keys.messages import canonical_messages
from llmcache_plugins.llama_index.engine_calls import EngineCalls
from llmcache_plugins.llama_index.engine_heard import EngineHeard, aeach_heard, each_heard, listen
from llmcache_plugins.llama_index.engine_output import Output, words_of
from llmcache_plugins.llama_index.plain import as_json
from llmcache_plugins.llama_index.turns import turn_of
from llmcache_plugins.types import Answer, Hit, JsonValue

__all__ = ["CachedChatEngine"]

History = list[ChatMessage] | None
_UNHEARD = Answer(None)  # an engine with a memory cannot be asked in the background: its conversation would go on


class CachedChatEngine(BaseChatEngine):
    """What `cached_chat_engine` gives. It has the attributes and the memory of the engine inside.

    An old answer is never renewed in the background: when it is too old to be served, the next caller asks.
    """

    def __init__(self, engine: BaseChatEngine, memory: BaseMemory, calls: EngineCalls) -> None:
        self._llmcache_engine = engine
        self._llmcache_memory = memory
        self._llmcache_calls = calls
        # This one takes a given history for the one call; all others begin the conversation with it.
        self._llmcache_keeps_history = not isinstance(engine, CondenseQuestionChatEngine)

    @property
    def cache(self) -> SemanticCache:
        """The cache that is asked."""
        return self._llmcache_calls.cache

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_llmcache", "__")):
            raise AttributeError(name)
        return getattr(self._llmcache_engine, name)

    def reset(self) -> None:
        self._llmcache_engine.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        return self._llmcache_engine.chat_history

    # --------------------------------------------------------------------------------------------------- answers
    def chat(self, message: str, chat_history: History = None, **kwargs: Any) -> AGENT_CHAT_RESPONSE_TYPE:
        engine, calls = self._llmcache_engine, self._llmcache_calls
        asked = calls.asked(message, lambda: _context(self._llmcache_turns(message, chat_history), kwargs))
        if asked is None:
            return engine.chat(message, chat_history, **kwargs)
        made: list[AGENT_CHAT_RESPONSE_TYPE] = []
        caller = threading.get_ident()

        def generate() -> Answer:
            if threading.get_ident() != caller:
                return _UNHEARD
            heard = EngineHeard()
            with listen(heard):
                made.append(engine.chat(message, chat_history, **kwargs))
            return calls.answer(_whole(made[0]), heard)

        outcome = self.cache.call(asked[0], generate, identity=asked[1]).outcome
        calls.tell(outcome)
        output = calls.read(outcome) if isinstance(outcome, Hit) else None
        if output is None and not made:
            with self.cache.context(refresh=True):  # what is stored is of no use: it is replaced
                self.cache.call(asked[0], generate, identity=asked[1])
        if output is None:
            return made[0] if made else engine.chat(message, chat_history, **kwargs)
        memory = self._llmcache_memory
        if chat_history is not None and self._llmcache_keeps_history:
            memory.set(chat_history)
        memory.put(_said_by_user(message))
        memory.put(ChatMessage(content=output.text, role=MessageRole.ASSISTANT))
        return output.as_chat()

    async def achat(self, message: str, chat_history: History = None, **kwargs: Any) -> AGENT_CHAT_RESPONSE_TYPE:
        engine, calls = self._llmcache_engine, self._llmcache_calls
        asked = await self._llmcache_aasked(message, chat_history, kwargs)
        if asked is None:
            return await engine.achat(message, chat_history, **kwargs)
        made: list[AGENT_CHAT_RESPONSE_TYPE] = []
        caller = asyncio.current_task()

        async def generate() -> Answer:
            if asyncio.current_task() is not caller:
                return _UNHEARD
            heard = EngineHeard()
            with listen(heard):
                made.append(await engine.achat(message, chat_history, **kwargs))
            return calls.answer(_whole(made[0]), heard)

        outcome = (await self.cache.acall(asked[0], generate, identity=asked[1])).outcome
        calls.tell(outcome)
        output = calls.read(outcome) if isinstance(outcome, Hit) else None
        if output is None and not made:
            with self.cache.context(refresh=True):
                await self.cache.acall(asked[0], generate, identity=asked[1])
        if output is None:
            return made[0] if made else await engine.achat(message, chat_history, **kwargs)
        await self._llmcache_abegin(message, chat_history)
        await self._llmcache_memory.aput(ChatMessage(content=output.text, role=MessageRole.ASSISTANT))
        return output.as_chat()

    # --------------------------------------------------------------------------------------------------- streams
    def stream_chat(self, message: str, chat_history: History = None, **kwargs: Any) -> StreamingAgentChatResponse:
        engine, calls = self._llmcache_engine, self._llmcache_calls
        asked = calls.asked(message, lambda: _context(self._llmcache_turns(message, chat_history), kwargs))
        if asked is None:
            return engine.stream_chat(message, chat_history, **kwargs)
        found = self.cache.record(asked[0], lambda: _UNHEARD, identity=asked[1])
        calls.tell(found if isinstance(found, Hit) else found.outcome)
        if isinstance(found, Hit):
            output = calls.read(found)
            if output is not None:
                memory = self._llmcache_memory
                if chat_history is not None and self._llmcache_keeps_history:
                    memory.set(chat_history)
                memory.put(_said_by_user(message))
                return _replayed(output, memory)
            with self.cache.context(refresh=True):
                found = self.cache.record(asked[0], lambda: _UNHEARD, identity=asked[1])
        assert isinstance(found, Recording)  # of what is refreshed nothing is served
        heard = EngineHeard()
        try:
            with listen(heard):
                response = engine.stream_chat(message, chat_history, **kwargs)
            return _recorded(response, found, calls, heard)
        except BaseException as error:
            found.fail(error)
            raise

    async def astream_chat(
        self, message: str, chat_history: History = None, **kwargs: Any
    ) -> StreamingAgentChatResponse:
        engine, calls = self._llmcache_engine, self._llmcache_calls
        asked = await self._llmcache_aasked(message, chat_history, kwargs)
        if asked is None:
            return await engine.astream_chat(message, chat_history, **kwargs)
        found = await self.cache.arecord(asked[0], lambda: _UNHEARD, identity=asked[1])
        calls.tell(found if isinstance(found, Hit) else found.outcome)
        if isinstance(found, Hit):
            output = calls.read(found)
            if output is not None:
                await self._llmcache_abegin(message, chat_history)
                return _areplayed(output, self._llmcache_memory)
            with self.cache.context(refresh=True):
                found = await self.cache.arecord(asked[0], lambda: _UNHEARD, identity=asked[1])
        assert isinstance(found, Recording)
        heard = EngineHeard()
        try:
            with listen(heard):
                response = await engine.astream_chat(message, chat_history, **kwargs)
            return _arecorded(response, found, calls, heard)
        except BaseException as error:
            found.fail(error)
            raise

    # ---------------------------------------------------------------------------------------------------- inside
    def _llmcache_turns(self, message: str, given: History) -> Sequence[ChatMessage]:
        """The conversation so far, as the engine will take it."""
        if given is not None and (given or self._llmcache_keeps_history):
            return given
        memory = self._llmcache_memory
        # Where a memory remembers more than its messages, what it gives for this one counts.
        return memory.get(input=message) if getattr(memory, "memory_blocks", None) else memory.get_all()

    async def _llmcache_aasked(self, message: str, given: History, kwargs: dict[str, Any]) -> Any:
        calls, memory = self._llmcache_calls, self._llmcache_memory
        try:
            if given is not None and (given or self._llmcache_keeps_history):
                turns: Sequence[ChatMessage] = given
            elif getattr(memory, "memory_blocks", None):
                turns = await memory.aget(input=message)
            else:
                turns = await memory.aget_all()
        except Exception as error:
            calls.spare(error)
            return None
        return calls.asked(message, lambda: _context(turns, kwargs))

    async def _llmcache_abegin(self, message: str, given: History) -> None:
        if given is not None and self._llmcache_keeps_history:
            await self._llmcache_memory.aset(given)
        await self._llmcache_memory.aput(_said_by_user(message))


def _context(turns: Sequence[ChatMessage], kwargs: dict[str, Any]) -> JsonValue:
    """All that has to be equal besides the question."""
    arguments = {name: value for name, value in kwargs.items() if value is not None}
    return {
        "history": canonical_messages([turn_of(turn) for turn in turns]),
        "arguments": as_json(arguments, with_models=True),
    }


def _said_by_user(message: str) -> ChatMessage:
    return ChatMessage(content=message, role=MessageRole.USER)


def _whole(response: Any) -> Output:
    metadata = getattr(response, "metadata", None)
    return Output(response.response, response.source_nodes, metadata, response.sources)


def _piece(so_far: str, delta: str) -> ChatResponse:
    return ChatResponse(message=ChatMessage(content=so_far, role=MessageRole.ASSISTANT), delta=delta)


def _replayed(output: Output, memory: BaseMemory) -> StreamingAgentChatResponse:
    """As LlamaIndex's own engines do: a thread puts the answer into the memory, whoever reads it or not."""

    def pieces() -> Generator[ChatResponse, None, None]:
        so_far = ""
        for word in words_of(output.text):
            so_far += word
            yield _piece(so_far, word)

    response = StreamingAgentChatResponse(chat_stream=pieces(), sources=output.sources, source_nodes=output.nodes)
    thread = threading.Thread(target=response.write_response_to_history, args=(memory,))
    response.write_response_to_history_thread = thread
    thread.start()
    return response


def _areplayed(output: Output, memory: BaseMemory) -> StreamingAgentChatResponse:
    async def pieces() -> AsyncGenerator[ChatResponse, None]:
        so_far = ""
        for word in words_of(output.text):
            so_far += word
            yield _piece(so_far, word)

    response = StreamingAgentChatResponse(achat_stream=pieces(), sources=output.sources, source_nodes=output.nodes)
    response.awrite_response_to_history_task = asyncio.create_task(response.awrite_response_to_history(memory))
    return response


def _recorded(
    response: StreamingAgentChatResponse, recording: Recording, calls: EngineCalls, heard: EngineHeard
) -> StreamingAgentChatResponse:
    """A response that reads the engine's own, which goes on writing into the memory, and is stored at its end."""

    def pieces() -> Generator[ChatResponse, None, None]:
        so_far = ""
        try:
            for word in each_heard(response.response_gen, heard):
                so_far += word
                yield _piece(so_far, word)
            heard.take_over(response)
            recording.store(calls.answer(_told(response, so_far), heard))
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.release()

    stream = pieces()
    weakref.finalize(stream, recording.release)  # one that is never begun has no `finally`
    return StreamingAgentChatResponse(
        chat_stream=stream,
        sources=response.sources,
        source_nodes=response.source_nodes,
        is_writing_to_memory=False,
    )


def _arecorded(
    response: StreamingAgentChatResponse, recording: Recording, calls: EngineCalls, heard: EngineHeard
) -> StreamingAgentChatResponse:
    async def pieces() -> AsyncGenerator[ChatResponse, None]:
        so_far = ""
        try:
            async for word in aeach_heard(response.async_response_gen(), heard):
                so_far += word
                yield _piece(so_far, word)
            await recording.astore(calls.answer(_told(response, so_far), heard))
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.release()

    stream = pieces()
    weakref.finalize(stream, recording.release)
    return StreamingAgentChatResponse(
        achat_stream=stream,
        sources=response.sources,
        source_nodes=response.source_nodes,
        is_writing_to_memory=False,
    )


def _told(response: StreamingAgentChatResponse, said: str) -> Output:
    nodes = response.source_nodes
    for source in response.sources if not nodes else ():  # LlamaIndex does not look into asynchronous ones
        nodes = getattr(source.raw_output, "source_nodes", None) or nodes
    return Output(said.strip(), nodes, None, response.sources)
