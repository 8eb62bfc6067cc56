"""What `cached` puts before the class of a completion model (`BaseLLM`).

LangChain leaves the arguments of a single call out of such a model's key (`llm.invoke(text, temperature=1)`); here they
are in it. Without any, the key is LangChain's own, and so entries are shared with `LLMCache`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from llmcache_plugins.engine.layers import aeach_inside, each_inside, inside, is_inside
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.langchain.answers import MARK, usage_metadata_of
from llmcache_plugins.langchain.cached_base import CachedModel, Caller, run_of, sign
from llmcache_plugins.langchain.model_identity import with_model
from llmcache_plugins.langchain.pieces import text_pieces
from llmcache_plugins.langchain.replay import mark_of
from llmcache_plugins.types import Answer, Hit, Identity, Request

if TYPE_CHECKING:
    Base = BaseLLM
else:
    Base = object

__all__ = ["CachedAsyncLLMStream", "CachedLLM", "CachedLLMStream"]


class CachedLLM(CachedModel, Base):
    """`_generate` and `_agenerate`. Several prompts are looked up one by one, and those that miss are asked at once,
    as LangChain does."""

    __slots__ = ()

    def _generate(
        self, prompts: list[str], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        ask = partial(self._ask, super()._generate, stop, kwargs)  # type: ignore[safe-super]  # of a model
        if is_inside():
            return ask(prompts, run_manager)
        known = [self._known(prompt, stop, kwargs, run_manager) for prompt in prompts]
        if len(prompts) == 1 and known[0] is not None:
            return self._call_cached(ask, prompts[0], known[0], run_manager)
        found = [None if one is None else self._llmcache.cache.lookup(one[0], identity=one[1]) for one in known]
        answered = [self._generations(outcome) for outcome in found]
        missing = [place for place, generations in enumerate(answered) if generations is None]
        made = LLMResult(generations=[])
        if missing:
            with inside():
                made = ask([prompts[place] for place in missing], run_manager)
        for place, generations in zip(missing, made.generations, strict=False):
            answered[place], one = generations, known[place]
            if one is not None:
                self._llmcache.cache.update(one[0], self._answer(generations), identity=one[1])
        return LLMResult(generations=[one or [] for one in answered], llm_output=made.llm_output)

    async def _agenerate(
        self, prompts: list[str], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        ask = partial(self._ask, super()._agenerate, stop, kwargs)
        if is_inside():
            return await ask(prompts, run_manager)
        known = [self._known(prompt, stop, kwargs, run_manager) for prompt in prompts]
        if len(prompts) == 1 and known[0] is not None:
            return await self._acall_cached(ask, prompts[0], known[0], run_manager)
        cache = self._llmcache.cache
        found = [None if one is None else await cache.alookup(one[0], identity=one[1]) for one in known]
        answered = [self._generations(outcome) for outcome in found]
        missing = [place for place, generations in enumerate(answered) if generations is None]
        made = LLMResult(generations=[])
        if missing:
            with inside():
                made = await ask([prompts[place] for place in missing], run_manager)
        for place, generations in zip(missing, made.generations, strict=False):
            answered[place], one = generations, known[place]
            if one is not None:
                await cache.aupdate(one[0], self._answer(generations), identity=one[1])
        return LLMResult(generations=[one or [] for one in answered], llm_output=made.llm_output)

    def _call_cached(
        self, ask: Callable[..., LLMResult], prompt: str, known: tuple[Request, Identity], run_manager: Any
    ) -> Any:
        caller, made = Caller(run_manager), []

        def generate() -> Answer:
            with inside():
                made.append(ask([prompt], caller.manager))
            return self._answer(made[-1].generations[0])

        outcome = self._llmcache.cache.call(known[0], generate, identity=known[1]).outcome
        if not isinstance(outcome, Hit):
            return made[-1]
        generations = self._generations(outcome)
        if generations is None:
            with inside():
                return ask([prompt], run_manager)
        return LLMResult(generations=[generations], llm_output=_marked(outcome))

    async def _acall_cached(
        self, ask: Callable[..., Any], prompt: str, known: tuple[Request, Identity], run_manager: Any
    ) -> Any:
        caller, made = Caller(run_manager), []

        async def generate() -> Answer:
            with inside():
                made.append(await ask([prompt], caller.manager))
            return self._answer(made[-1].generations[0])

        outcome = (await self._llmcache.cache.acall(known[0], generate, identity=known[1])).outcome
        if not isinstance(outcome, Hit):
            return made[-1]
        generations = self._generations(outcome)
        if generations is None:
            with inside():
                return await ask([prompt], run_manager)
        return LLMResult(generations=[generations], llm_output=_marked(outcome))

    def _ask(
        self, method: Callable[..., Any], stop: list[str] | None, kwargs: dict[str, Any], prompts: Any, run_manager: Any
    ) -> Any:
        """The model's own method, called as LangChain calls it: old ones take neither callbacks nor arguments."""
        manager = self._manager_for(method, run_manager)
        return method(prompts, stop=stop, **manager, **kwargs) if manager else method(prompts, stop=stop)

    def _known(
        self, prompt: str, stop: list[str] | None, kwargs: dict[str, Any], run_manager: Any
    ) -> tuple[Request, Identity] | None:
        try:
            describe = getattr(self, "_dict_for_compat", self.dict)  # what LangChain's own key is made of
            parameters = {**describe(), "stop": stop, **kwargs}
            llm_string = with_model(str(sorted(parameters.items())), self, self._llmcache_original)
            return self._llmcache.request(prompt, llm_string, run_of(run_manager))
        except Exception as error:
            self._llmcache.spare(error)
            return None

    def _generations(self, outcome: object) -> list[Any] | None:
        return self._llmcache.generations(outcome) if isinstance(outcome, Hit) else None

    def _answer(self, generations: list[Any]) -> Answer:
        return self._llmcache.answer(lambda: generations)

    def _whole(self, chunks: list[GenerationChunk]) -> Answer:
        return self._llmcache.answer(lambda: _sum(chunks))


sign(CachedLLM._generate, CachedLLM._agenerate)


class CachedLLMStream(CachedLLM):
    """`_stream`, for models that have one."""

    __slots__ = ()

    def _stream(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        ask = partial(self._ask, super()._stream, stop, kwargs, prompt)
        known = None if is_inside() else self._known(prompt, stop, kwargs, run_manager)
        if known is None:
            yield from ask(run_manager)
            return

        def renew() -> Answer:
            with inside():
                return self._whole(list(ask(None)))

        found = self._llmcache.cache.record(known[0], renew, identity=known[1])
        if isinstance(found, Recording):
            yield from self._recorded(found, ask, run_manager)
            return
        pieces = self._llmcache.pieces(found, text_pieces)
        if pieces is None:
            yield from each_inside(ask(run_manager))
            return
        for piece in pieces:
            if run_manager is not None:
                run_manager.on_llm_new_token(piece.text, chunk=piece)
            yield piece

    def _recorded(
        self, recording: Recording, ask: Callable[[Any], Iterator[GenerationChunk]], run_manager: Any
    ) -> Iterator[GenerationChunk]:
        chunks: list[GenerationChunk] = []
        try:
            with closing(each_inside(ask(run_manager))) as pieces:
                for chunk in pieces:
                    chunks.append(chunk.model_copy())
                    yield chunk
        except BaseException as error:
            recording.fail(error)
            raise
        recording.store(self._whole(chunks))


class CachedAsyncLLMStream(CachedLLM):
    """`_astream`, for models that stream in either way."""

    __slots__ = ()

    async def _astream(
        self, prompt: str, stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        ask = partial(self._ask, super()._astream, stop, kwargs, prompt)
        known = None if is_inside() else self._known(prompt, stop, kwargs, run_manager)
        if known is None:
            async for chunk in ask(run_manager):
                yield chunk
            return

        async def renew() -> Answer:
            with inside():
                return self._whole([chunk async for chunk in ask(None)])

        found = await self._llmcache.cache.arecord(known[0], renew, identity=known[1])
        if isinstance(found, Recording):
            async with aclosing(self._arecorded(found, ask, run_manager)) as recorded:
                async for chunk in recorded:
                    yield chunk
            return
        pieces = self._llmcache.pieces(found, text_pieces)
        if pieces is None:
            async for chunk in aeach_inside(ask(run_manager)):
                yield chunk
            return
        for piece in pieces:
            if run_manager is not None:
                await run_manager.on_llm_new_token(piece.text, chunk=piece)
            yield piece

    async def _arecorded(
        self, recording: Recording, ask: Callable[[Any], AsyncIterator[GenerationChunk]], run_manager: Any
    ) -> AsyncGenerator[GenerationChunk, None]:
        chunks: list[GenerationChunk] = []
        try:
            async with aclosing(aeach_inside(ask(run_manager))) as pieces:
                async for chunk in pieces:
                    chunks.append(chunk.model_copy())
                    yield chunk
        except BaseException as error:
            recording.fail(error)
            raise
        await recording.astore(self._whole(chunks))


def _sum(chunks: list[GenerationChunk]) -> list[Generation]:
    total: GenerationChunk | None = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return [] if total is None else [total]


def _marked(hit: Hit) -> dict[str, Any]:
    """A completion has no room for the mark, so it stands beside it, where LangChain's handlers see it."""
    return {MARK: mark_of(hit, usage_metadata_of(hit.entry.usage))}
