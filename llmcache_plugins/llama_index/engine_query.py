"""`CachedQueryEngine`: a query engine whose answers are looked up before it retrieves."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from dataclasses import fields, replace
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.llama_index.engine_calls import EngineCalls
from llmcache_plugins.llama_index.engine_heard import EngineHeard, aeach_heard, each_heard, listen
from llmcache_plugins.llama_index.engine_output import Output, words_of
from llmcache_plugins.llama_index.plain import as_json
from llmcache_plugins.types import Answer, Hit, JsonValue

__all__ = ["CachedQueryEngine"]


class CachedQueryEngine(BaseQueryEngine):
    """What `cached_query_engine` gives. It has the attributes, the prompts and the callbacks of the engine inside."""

    def __init__(self, engine: BaseQueryEngine, calls: EngineCalls) -> None:
        self._llmcache_engine = engine
        self._llmcache_calls = calls

    @property
    def cache(self) -> SemanticCache:
        """The cache that is asked."""
        return self._llmcache_calls.cache

    # ------------------------------------------------------------------------------------- as the engine inside
    @property
    def callback_manager(self) -> CallbackManager:
        return self._llmcache_engine.callback_manager

    @callback_manager.setter
    def callback_manager(self, manager: CallbackManager) -> None:
        self._llmcache_engine.callback_manager = manager

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_llmcache", "__")):
            raise AttributeError(name)
        return getattr(self._llmcache_engine, name)

    def _get_prompts(self) -> PromptDictType:
        return self._llmcache_engine._get_prompts()

    def _get_prompt_modules(self) -> PromptMixinType:
        return self._llmcache_engine._get_prompt_modules()

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self._llmcache_engine._update_prompts(prompts)

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._llmcache_engine.retrieve(query_bundle)

    def synthesize(self, *args: Any, **kwargs: Any) -> RESPONSE_TYPE:
        return self._llmcache_engine.synthesize(*args, **kwargs)

    async def asynthesize(self, *args: Any, **kwargs: Any) -> RESPONSE_TYPE:
        return await self._llmcache_engine.asynthesize(*args, **kwargs)

    # ------------------------------------------------------------------------------------------------- queries
    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        calls, cache = self._llmcache_calls, self.cache
        asked = calls.asked(query_bundle.query_str, lambda: self._llmcache_context(query_bundle))
        if asked is None:
            return self._llmcache_plain(query_bundle)

        def renew() -> Answer:
            heard = EngineHeard()
            with listen(heard):
                return calls.answer(_drained(self._llmcache_plain(query_bundle)), heard)

        found = cache.record(asked[0], renew, identity=asked[1])
        calls.tell(found if isinstance(found, Hit) else found.outcome)
        if isinstance(found, Hit):
            output = calls.read(found)
            if output is not None:
                return _replayed(output, is_stream=self._llmcache_streams)
            with cache.context(refresh=True):  # what is stored is of no use: it is replaced
                found = cache.record(asked[0], renew, identity=asked[1])
        assert isinstance(found, Recording)  # of what is refreshed nothing is served
        heard = EngineHeard()
        try:
            with listen(heard):
                response = self._llmcache_plain(query_bundle)
            if isinstance(response, StreamingResponse):
                return _recorded(response, found, calls, heard)
            found.store(calls.answer(_whole(response), heard))
            return response
        except BaseException as error:
            found.fail(error)
            raise

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        calls, cache = self._llmcache_calls, self.cache
        asked = calls.asked(query_bundle.query_str, lambda: self._llmcache_context(query_bundle))
        if asked is None:
            return await self._llmcache_aplain(query_bundle)

        async def renew() -> Answer:
            heard = EngineHeard()
            with listen(heard):
                return calls.answer(await _adrained(await self._llmcache_aplain(query_bundle)), heard)

        found = await cache.arecord(asked[0], renew, identity=asked[1])
        calls.tell(found if isinstance(found, Hit) else found.outcome)
        if isinstance(found, Hit):
            output = calls.read(found)
            if output is not None:
                return _areplayed(output, is_stream=self._llmcache_streams)
            with cache.context(refresh=True):
                found = await cache.arecord(asked[0], renew, identity=asked[1])
        assert isinstance(found, Recording)
        heard = EngineHeard()
        try:
            with listen(heard):
                response = await self._llmcache_aplain(query_bundle)
            if isinstance(response, AsyncStreamingResponse):
                return _arecorded(response, found, calls, heard)
            if isinstance(response, StreamingResponse):
                return _recorded(response, found, calls, heard)
            await found.astore(calls.answer(_whole(response), heard))
            return response
        except BaseException as error:
            found.fail(error)
            raise

    # ------------------------------------------------------------------------------------------------- inside
    def _llmcache_plain(self, bundle: QueryBundle) -> RESPONSE_TYPE:
        """The engine's own query. Its events were told already, unless it has a `query` of its own. With a copy, for
        retrievers put the embedding into what they are given, and it would be another question the next time."""
        engine, bundle = self._llmcache_engine, replace(bundle)
        return engine._query(bundle) if _is_of_the_base(engine, "query") else engine.query(bundle)

    async def _llmcache_aplain(self, bundle: QueryBundle) -> RESPONSE_TYPE:
        engine, bundle = self._llmcache_engine, replace(bundle)
        if _is_of_the_base(engine, "aquery"):
            return await engine._aquery(bundle)
        return await engine.aquery(bundle)

    @property
    def _llmcache_streams(self) -> bool:
        synthesizer = getattr(self._llmcache_engine, "_response_synthesizer", None)
        return bool(getattr(synthesizer, "_streaming", False))

    def _llmcache_context(self, bundle: QueryBundle) -> JsonValue:
        """The bundle is the user's, and may be of a class of his own that says more."""
        more = {field.name: getattr(bundle, field.name) for field in fields(bundle) if field.name != "query_str"}
        told = {name: as_json(value) for name, value in more.items() if value is not None}
        return {"bundle": told, "streams": self._llmcache_streams}


def _is_of_the_base(engine: BaseQueryEngine, name: str) -> bool:
    """Is the method LlamaIndex's own? (What it is wrapped in makes a new object each time it is looked up.)"""
    return next(base for base in type(engine).__mro__ if name in vars(base)) is BaseQueryEngine


def _whole(response: Any) -> Output:
    if isinstance(response, Response | PydanticResponse):
        return Output(response.response, response.source_nodes, response.metadata)
    return Output(str(response))


def _drained(response: Any) -> Output:
    return _whole(response.get_response() if isinstance(response, StreamingResponse) else response)


async def _adrained(response: Any) -> Output:
    if isinstance(response, AsyncStreamingResponse):
        return _whole(await response.get_response())
    return _drained(response)


def _replayed(output: Output, *, is_stream: bool) -> RESPONSE_TYPE:
    if not is_stream:
        return output.as_response()
    pieces: Any = iter(words_of(output.text))
    return StreamingResponse((piece for piece in pieces), output.nodes, output.metadata)


def _areplayed(output: Output, *, is_stream: bool) -> RESPONSE_TYPE:
    if not is_stream:
        return output.as_response()

    async def pieces() -> AsyncGenerator[str, None]:
        for piece in words_of(output.text):
            yield piece

    return AsyncStreamingResponse(pieces(), output.nodes, output.metadata)


def _recorded(
    response: StreamingResponse, recording: Recording, calls: EngineCalls, heard: EngineHeard
) -> StreamingResponse:
    """The same response, whose stream is stored when it has come to its end."""
    given: Iterator[str] = response.response_gen
    nodes, metadata = response.source_nodes, response.metadata

    def pieces() -> Generator[str, None, None]:
        said: list[str] = []
        try:
            for piece in each_heard(given, heard):
                said.append(piece)
                yield piece
            recording.store(calls.answer(Output("".join(said), nodes, metadata), heard))
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.release()

    stream = pieces()
    weakref.finalize(stream, recording.release)  # one that is never begun has no `finally`
    response.response_gen = stream
    return response


def _arecorded(
    response: AsyncStreamingResponse, recording: Recording, calls: EngineCalls, heard: EngineHeard
) -> AsyncStreamingResponse:
    given: AsyncIterator[str] = response.response_gen
    nodes, metadata = response.source_nodes, response.metadata

    async def pieces() -> AsyncGenerator[str, None]:
        said: list[str] = []
        try:
            async for piece in aeach_heard(given, heard):
                said.append(piece)
                yield piece
            await recording.astore(calls.answer(Output("".join(said), nodes, metadata), heard))
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.release()

    stream = pieces()
    weakref.finalize(stream, recording.release)
    response.response_gen = stream
    return response
