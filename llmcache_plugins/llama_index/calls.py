"""A method of a cached LLM: look up, or make the call and store what it gives. At once and in pieces, sync and async.

What is looked up and how an answer is given back differs between methods, and is a `Turn`'s to say.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from llama_index.core.llms import LLM

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.layers import aeach_inside, each_inside, inside, is_inside
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.llama_index.binding import COMPONENT, Binding, binding_of
from llmcache_plugins.llama_index.events import announce
from llmcache_plugins.llama_index.plain import IndistinctCall
from llmcache_plugins.types import Answer, Bypass, Hit, Miss, Request

__all__ = ["Method", "Tape", "Turn", "TurnOf", "cached_method", "tell"]


class Tape(Protocol):
    """The pieces of one stream, as far as they are needed to store the whole."""

    def add(self, piece: Any) -> None: ...

    @property
    def answer(self) -> Answer:
        """What to store when the stream has ended. Never raises unless the cache is set to `fail_open=False`."""
        ...


class Turn(Protocol):
    """One call that is looked up."""

    @property
    def cache(self) -> SemanticCache: ...

    @property
    def request(self) -> Request: ...

    def answer(self, response: Any) -> Answer:
        """What to store for a response. Never raises unless the cache is set to `fail_open=False`."""
        ...

    def tape(self) -> Tape: ...

    def replayed(self, hit: Hit) -> Any:
        """What a hit gives back; None when what is stored cannot be read."""
        ...

    def shown(self, replayed: Any) -> Any:
        """It is given back at once."""
        ...

    def pieces(self, replayed: Any) -> Iterator[Any]:
        """It is given back in pieces."""
        ...

    def tell(self, outcome: Hit | Miss | Bypass) -> None: ...


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the user's class.

    Args:
        name: its name.
        function: the method without its span: the cached method stands in the same span.
        whole: that of the method which gives the same answer at once.
    """

    name: str
    function: Callable[..., Any]
    whole: Callable[..., Any]

    @property
    def is_stream(self) -> bool:
        return "stream" in self.name

    @property
    def is_async(self) -> bool:
        return self.name.startswith("a")


TurnOf: TypeAlias = Callable[[LLM, Method, Binding, tuple[Any, ...], Mapping[str, Any]], Turn]


def cached_method(method: Method, turn_of: TurnOf) -> Callable[..., Any]:
    """The method to put in its place; a new one each time, for LlamaIndex marks what it has put into a span, and does
    so but once.

    Args:
        turn_of: makes the turn of one call.
    """
    if method.is_async:
        adrive = _astreamed if method.is_stream else _acalled

        async def acached(self: LLM, *args: Any, **kwargs: Any) -> Any:
            return await adrive(_turn(self, method, turn_of, args, kwargs), method, self, args, kwargs)

        return _named(acached, method)
    drive = _streamed if method.is_stream else _called

    def cached(self: LLM, *args: Any, **kwargs: Any) -> Any:
        return drive(_turn(self, method, turn_of, args, kwargs), method, self, args, kwargs)

    return _named(cached, method)


def _named(cached: Any, method: Method) -> Callable[..., Any]:
    """Tracers read the names of the arguments from the signature, users read the rest."""
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        with suppress(AttributeError):
            setattr(cached, name, getattr(method.function, name))
    with suppress(TypeError, ValueError):
        cached.__signature__ = inspect.signature(method.function)
    named: Callable[..., Any] = cached
    return named


def _turn(llm: LLM, method: Method, turn_of: TurnOf, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Turn | None:
    """None when nothing is to be looked up for this call."""
    binding = binding_of(type(llm))
    if binding is None or is_inside():
        return None
    try:
        return turn_of(llm, method, binding, args, kwargs)
    except IndistinctCall:
        tell(llm, method.name, binding, binding.cache.report_bypass("indistinct"))
    except Exception as error:
        binding.spare(error)
    return None


def tell(llm: LLM, name: str, binding: Binding, outcome: Hit | Miss | Bypass) -> None:
    """Events are for those who watch: what goes wrong there changes nothing."""
    try:
        announce(llm, name, outcome)
    except Exception as error:
        binding.cache.report_error(COMPONENT, error)


# ---------------------------------------------------------------- at once
def _called(turn: Turn | None, method: Method, llm: LLM, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    def make() -> Any:
        with inside():
            return method.function(llm, *args, **kwargs)

    if turn is None:
        return make()
    given: list[Any] = []

    def generate() -> Answer:
        given.append(make())
        return turn.answer(given[-1])

    outcome = turn.cache.call(turn.request, generate).outcome
    if isinstance(outcome, Hit):
        replayed = turn.replayed(outcome)
        if replayed is not None:
            return turn.shown(replayed)
        with turn.cache.context(refresh=True):  # what is stored is of no use: it is replaced
            outcome = turn.cache.call(turn.request, generate).outcome
    turn.tell(outcome)
    return given[-1]


async def _acalled(
    turn: Turn | None, method: Method, llm: LLM, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    async def make() -> Any:
        with inside():
            return await method.function(llm, *args, **kwargs)

    if turn is None:
        return await make()
    given: list[Any] = []

    async def generate() -> Answer:
        given.append(await make())
        return turn.answer(given[-1])

    outcome = (await turn.cache.acall(turn.request, generate)).outcome
    if isinstance(outcome, Hit):
        replayed = turn.replayed(outcome)
        if replayed is not None:
            return turn.shown(replayed)
        with turn.cache.context(refresh=True):
            outcome = (await turn.cache.acall(turn.request, generate)).outcome
    turn.tell(outcome)
    return given[-1]


# ---------------------------------------------------------------- in pieces
def _streamed(turn: Turn | None, method: Method, llm: LLM, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    def make() -> Iterator[Any]:
        with inside():
            return iter(method.function(llm, *args, **kwargs))

    if turn is None:
        return make() if is_inside() else each_inside(make())

    def renew() -> Answer:
        with inside():
            return turn.answer(method.whole(llm, *args, **kwargs))

    found = turn.cache.record(turn.request, renew)
    if isinstance(found, Hit):
        replayed = turn.replayed(found)
        if replayed is not None:
            return turn.pieces(replayed)
        with turn.cache.context(refresh=True):
            found = turn.cache.record(turn.request, renew)
    assert isinstance(found, Recording)  # of what is refreshed nothing is served
    turn.tell(found.outcome)
    try:
        recorded = _recorded(turn, found, make())
    except BaseException as error:
        found.fail(error)
        raise
    next(recorded)  # from now on its `finally` is run, even if nobody takes a piece
    return recorded


def _recorded(turn: Turn, recording: Recording, pieces: Iterator[Any]) -> Generator[Any, None, None]:
    tape, inner = turn.tape(), each_inside(pieces)
    try:
        yield None
        for piece in inner:
            tape.add(piece)
            yield piece
        recording.store(tape.answer)
    except BaseException as error:
        recording.fail(error)
        raise
    finally:
        recording.release()
        inner.close()


async def _astreamed(
    turn: Turn | None, method: Method, llm: LLM, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    async def make() -> Any:
        with inside():
            pieces = method.function(llm, *args, **kwargs)
            return aiter(await pieces if inspect.isawaitable(pieces) else pieces)

    if turn is None:
        return await make() if is_inside() else aeach_inside(await make())

    async def renew() -> Answer:
        with inside():
            return turn.answer(await method.whole(llm, *args, **kwargs))

    found = await turn.cache.arecord(turn.request, renew)
    if isinstance(found, Hit):
        replayed = turn.replayed(found)
        if replayed is not None:
            return _apieces(turn.pieces(replayed))
        with turn.cache.context(refresh=True):
            found = await turn.cache.arecord(turn.request, renew)
    assert isinstance(found, Recording)
    turn.tell(found.outcome)
    try:
        recorded = _arecorded(turn, found, await make())
    except BaseException as error:
        found.fail(error)
        raise
    await anext(recorded)
    return recorded


async def _apieces(pieces: Iterator[Any]) -> AsyncGenerator[Any, None]:
    for piece in pieces:
        yield piece


async def _arecorded(turn: Turn, recording: Recording, pieces: Any) -> AsyncGenerator[Any, None]:
    tape, inner = turn.tape(), aeach_inside(pieces)
    try:
        yield None
        async for piece in inner:
            tape.add(piece)
            yield piece
        await recording.astore(tape.answer)
    except BaseException as error:
        recording.fail(error)
        raise
    finally:
        recording.release()
        await inner.aclose()
