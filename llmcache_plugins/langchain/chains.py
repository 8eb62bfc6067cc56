"""`cached_chain`: a chain whose answers are looked up before anything of it runs, its retriever included."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Any, Literal, TypeAlias, cast

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.callbacks.manager import CallbackManager, adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.runnables.config import patch_config
from langchain_core.runnables.graph import Graph
from langchain_core.runnables.utils import ConfigurableFieldSpec

from llmcache_plugins.canonical.documents import DocumentReader, gather, gathering
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.errors import CodecError, ConfigError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.langchain.answers import MARK, usage_metadata_of
from llmcache_plugins.langchain.chain_answer import Answering
from llmcache_plugins.langchain.chain_heard import Heard, aeach_part, each_part
from llmcache_plugins.langchain.chain_identity import identity_of
from llmcache_plugins.langchain.chain_input import Asking, Partition, Question
from llmcache_plugins.langchain.chain_output import output_of, pieces_of
from llmcache_plugins.langchain.chain_shape import streams_by_key, streams_states
from llmcache_plugins.langchain.replay import mark_of
from llmcache_plugins.types import Answer, Hit, Identity, Request

__all__ = ["CachedChain", "cached_chain"]

_COMPONENT = "langchain.chain"
_log = logging.getLogger(__name__)
Asked: TypeAlias = tuple[Request, Identity]
Manager: TypeAlias = CallbackManagerForChainRun | AsyncCallbackManagerForChainRun


def cached_chain(
    runnable: Any,
    cache: SemanticCache | None = None,
    *,
    question: Question = None,
    partition: Partition = None,
    documents: DocumentReader | None = None,
    name: str | None = None,
    ignore: Iterable[str] = (),
    output: Any = None,
    untagged: Literal["store", "skip"] = "store",
) -> CachedChain:
    """The chain, with its answers looked up before it runs: on a hit neither retriever nor model is asked.

    The question is matched by meaning. All other input, what the caller configures (`configurable`) and the chain
    itself (models, prompts, functions, settings) have to be equal. An answer is tagged with the documents that were
    retrieved for it, see `invalidate_documents`.

    Args:
        runnable: any Runnable, or what LangChain makes one of (a function, a dict).
        cache: without one, the default cache of the process.
        question: the key of the input under which it is found; a function of the input that gives it (or a pair: the
            question, and what else has to be equal, in place of the rest of the input); None where the input is it.
        partition: what separates answers besides: version of the index, settings of the retriever, group of the user.
            A str, a tuple, or a function of the input.
        documents: from a `Document` to its id, to (id, version), or to several of these. By default its `id`, and
            `id`, `doc_id`, `source` of its metadata, with `version` or else `hash`.
        name: of the chain, for answers that another process shall find although a part of the chain says nothing of
            itself, as most vector stores do. It stands for everything but models and prompts.
        ignore: keys of the input (and of `configurable`, and arguments of a call) that do not shape the answer.
        output: the class of outputs, or of parts of them, that are neither JSON nor messages or documents.
        untagged: what happens to answers of which a document has no id, or that no documents were heard of: `"skip"`
            does not store them.

    Raises:
        ConfigError: a setting is not what it should be, or the chain keeps a conversation by itself.
    """
    if untagged not in ("store", "skip"):
        raise ConfigError(f'untagged must be "store" or "skip", not {untagged!r}')
    if name is not None and not (isinstance(name, str) and name):
        raise ConfigError(f"name must be a str that is not empty, not {name!r}")
    ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    cache = default_cache() if cache is None else cache
    return CachedChain(
        coerce_to_runnable(runnable),
        cache,
        Asking(question, partition, frozenset(ignored)),
        Answering(cache, documents, output, skips_untagged=untagged == "skip"),
        name,
    )


class CachedChain(Runnable[Any, Any]):
    """What `cached_chain` gives: a Runnable with a run of its own, that has the schemas of the one inside.

    A hit is told as a custom event `"llmcache"`, with the mark that messages carry in `response_metadata`.
    """

    def __init__(
        self, bound: Runnable[Any, Any], cache: SemanticCache, asking: Asking, answering: Answering, name: str | None
    ) -> None:
        self.name = name or "cached_chain"
        self.llmcache_bound = bound
        self._cache = cache
        self._asking = asking
        self._answering = answering
        self._identity = identity_of(bound, name)
        if self._identity.unnamed:
            unnamed = ", ".join(self._identity.unnamed)
            _log.info("answers of this chain are found by this process alone: %s; name= lets others find them", unnamed)
        self._by_key = streams_by_key(bound)
        self._streams_states = streams_states(bound)

    @property
    def cache(self) -> SemanticCache:
        """The cache that is asked."""
        return self._cache

    # ------------------------------------------------------------------------------------------------ as a Runnable
    @property
    def InputType(self) -> type[Any]:
        return self.llmcache_bound.InputType

    @property
    def OutputType(self) -> type[Any]:
        return self.llmcache_bound.OutputType

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        return self.llmcache_bound.config_specs

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        return self.llmcache_bound.get_input_schema(config)

    def get_output_schema(self, config: RunnableConfig | None = None) -> Any:
        return self.llmcache_bound.get_output_schema(config)

    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        return self.llmcache_bound.get_graph(config)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._call_with_config(self._invoke, input, config, **kwargs)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return await self._acall_with_config(self._ainvoke, input, config, **kwargs)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        yield from self._transform_stream_with_config(iter([input]), self._stream, config, **kwargs)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        async def inputs() -> AsyncIterator[Any]:
            yield input

        pieces = self._atransform_stream_with_config(inputs(), self._astream, config, **kwargs)
        async with aclosing(cast("Any", pieces)):
            async for piece in pieces:
                yield piece

    # ------------------------------------------------------------------------------------------------------- inside
    def _invoke(
        self, given: Any, run_manager: CallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        asked = self._asked(given, config, kwargs)
        if asked is None:
            return self.llmcache_bound.invoke(given, _child(config, run_manager), **kwargs)
        made: list[Any] = []
        caller = threading.get_ident()

        def generate() -> Answer:
            heard = Heard()
            is_background = threading.get_ident() != caller
            child = _apart(config, heard) if is_background else _child(config, run_manager, heard)
            with gathering(heard.gathered):
                made.append(self.llmcache_bound.invoke(given, child, **kwargs))
            return self._answering.answer(given, made[-1], heard)

        outcome = self._cache.call(asked[0], generate, identity=asked[1]).outcome
        if not isinstance(outcome, Hit):
            return made[0]
        output = self._output(outcome)
        if output is None:
            self._cache.update(asked[0], generate(), identity=asked[1])
            return made[-1]
        _tell(outcome, config, run_manager)
        return output[0]

    async def _ainvoke(
        self, given: Any, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig, **kwargs: Any
    ) -> Any:
        asked = self._asked(given, config, kwargs)
        if asked is None:
            return await self.llmcache_bound.ainvoke(given, _child(config, run_manager), **kwargs)
        made: list[Any] = []
        caller = asyncio.current_task()

        async def generate() -> Answer:
            heard = Heard()
            is_background = asyncio.current_task() is not caller
            child = _apart(config, heard) if is_background else _child(config, run_manager, heard)
            with gathering(heard.gathered):
                made.append(await self.llmcache_bound.ainvoke(given, child, **kwargs))
            return self._answering.answer(given, made[-1], heard)

        outcome = (await self._cache.acall(asked[0], generate, identity=asked[1])).outcome
        if not isinstance(outcome, Hit):
            return made[0]
        output = self._output(outcome)
        if output is None:
            await self._cache.aupdate(asked[0], await generate(), identity=asked[1])
            return made[-1]
        await _atell(outcome, config, run_manager)
        return output[0]

    def _stream(
        self,
        inputs: Iterator[Any],
        run_manager: CallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> Iterator[Any]:
        (given,) = inputs
        asked = None if self._streams_states else self._asked(given, config, kwargs)
        found = (
            None
            if asked is None
            else self._cache.record(asked[0], self._renew(given, config, kwargs), identity=asked[1])
        )
        output = self._output(found) if isinstance(found, Hit) else None
        if isinstance(found, Hit) and output is not None:
            _tell(found, config, run_manager)
            yield from pieces_of(output[0], given, by_key=self._by_key)
            return
        recording = found if isinstance(found, Recording) else _Unrecorded(self._cache, asked)
        heard, pieces = Heard(), list[Any]()
        stream = self.llmcache_bound.stream(given, _child(config, run_manager, heard), **kwargs)
        try:
            for piece in each_part(stream, heard):
                pieces.append(piece)
                yield piece
            recording.store(self._answering.answer_of_pieces(given, pieces, heard))
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.release()

    async def _astream(
        self,
        inputs: AsyncIterator[Any],
        run_manager: AsyncCallbackManagerForChainRun,
        config: RunnableConfig,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        (given,) = [one async for one in inputs]
        asked = None if self._streams_states else self._asked(given, config, kwargs)
        found = (
            None
            if asked is None
            else await self._cache.arecord(asked[0], self._arenew(given, config, kwargs), identity=asked[1])
        )
        output = self._output(found) if isinstance(found, Hit) else None
        if isinstance(found, Hit) and output is not None:
            await _atell(found, config, run_manager)
            for piece in pieces_of(output[0], given, by_key=self._by_key):
                yield piece
            return
        recording = found if isinstance(found, Recording) else _Unrecorded(self._cache, asked)
        heard, pieces = Heard(), list[Any]()
        stream = self.llmcache_bound.astream(given, _child(config, run_manager, heard), **kwargs)
        try:
            async with aclosing(cast("Any", stream)):
                async for piece in aeach_part(stream, heard):
                    pieces.append(piece)
                    yield piece
            await recording.astore(self._answering.answer_of_pieces(given, pieces, heard))
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.release()

    def _renew(self, given: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> Callable[[], Answer]:
        def renew() -> Answer:
            heard = Heard()
            with gathering(heard.gathered):
                output = self.llmcache_bound.invoke(given, _apart(config, heard), **kwargs)
            return self._answering.answer(given, output, heard)

        return renew

    def _arenew(self, given: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> Callable[[], Any]:
        async def renew() -> Answer:
            heard = Heard()
            with gathering(heard.gathered):
                output = await self.llmcache_bound.ainvoke(given, _apart(config, heard), **kwargs)
            return self._answering.answer(given, output, heard)

        return renew

    def _asked(self, given: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> Asked | None:
        """None where the call cannot be told from others, so that nothing may be answered or stored for it."""
        try:
            request = self._asking.request(given, kwargs, config, self._identity)
            return request, self._cache.identify(request)
        except Exception as error:  # also of the user's own functions
            self._cache.report_error(_COMPONENT, error)
            if not self._cache.config.fail_open:
                raise
            return None

    def _output(self, hit: Hit) -> tuple[Any] | None:
        """What is stored, in a tuple, since it may be None itself; None when it cannot be read."""
        gather(hit.entry.profile.tags)
        try:
            return (output_of(hit, self._answering.output),)
        except CodecError as error:
            self._cache.report_error(_COMPONENT, error)
            return None


class _Unrecorded:
    """In place of a recording: nobody waits for the end of this stream. With a request, what is stored for it could not
    be read, and is replaced."""

    def __init__(self, cache: SemanticCache, asked: Asked | None) -> None:
        self._cache = cache
        self._asked = asked

    def store(self, answer: Answer) -> None:
        if self._asked is not None:
            self._cache.update(self._asked[0], answer, identity=self._asked[1])

    async def astore(self, answer: Answer) -> None:
        if self._asked is not None:
            await self._cache.aupdate(self._asked[0], answer, identity=self._asked[1])

    def fail(self, error: BaseException) -> None:
        pass

    def release(self) -> None:
        pass


def _child(config: RunnableConfig, run: Manager, heard: Heard | None = None) -> RunnableConfig:
    """For what runs inside of this run."""
    callbacks = run.get_child()
    if heard is not None:
        callbacks.add_handler(heard, inherit=True)
    return patch_config(config, callbacks=callbacks)


def _apart(config: RunnableConfig, heard: Heard) -> RunnableConfig:
    """For what runs in the background, when the run of the caller has ended: its handlers must not hear of it."""
    return {**patch_config(config, callbacks=CallbackManager([])), "callbacks": [heard]}


def _tell(hit: Hit, config: RunnableConfig, run: CallbackManagerForChainRun) -> None:
    if run.handlers:
        with suppress(Exception):  # a handler of the user's
            dispatch_custom_event(MARK, _mark(hit), config=_child(config, run))


async def _atell(hit: Hit, config: RunnableConfig, run: AsyncCallbackManagerForChainRun) -> None:
    if run.handlers:
        with suppress(Exception):
            await adispatch_custom_event(MARK, _mark(hit), config=_child(config, run))


def _mark(hit: Hit) -> dict[str, Any]:
    return {**mark_of(hit, usage_metadata_of(hit.entry.usage)), "model": hit.entry.model}
