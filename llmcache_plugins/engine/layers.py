"""One request, one lookup: of two layers that are both active (a framework's cache, and one on the client below it) the
outer one counts, and the inner one lets its calls pass.

The mark is a `ContextVar`, so that it reaches into threads that were started with a copied context, and into tasks.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import TypeVar

__all__ = ["aeach_inside", "each_inside", "enter_until", "inside", "is_inside", "leave"]

T = TypeVar("T")
_inside_until: ContextVar[float] = ContextVar("llmcache_inside_until", default=-math.inf)


def is_inside() -> bool:
    """Does the running code belong to a call that an outer layer looked up already?"""
    return _inside_until.get() > monotonic()


@contextmanager
def inside() -> Iterator[None]:
    """What runs in this block belongs to the caller's lookup. Not for generators that hand out values from within: use
    `each_inside`, or the consumer's own calls would count as inner ones."""
    token = _inside_until.set(math.inf)
    try:
        yield
    finally:
        _inside_until.reset(token)


def enter_until(deadline: float) -> None:
    """For a layer that is told of the lookup and of the update, but does not make the call between: mark the running
    context until `leave`, or until this `time.monotonic()` at the latest, when nobody tells it how the call ended."""
    _inside_until.set(deadline)


def leave() -> None:
    """Undo `enter_until`."""
    _inside_until.set(-math.inf)


def each_inside(pieces: Iterator[T]) -> Generator[T, None, None]:
    """The pieces of a stream; only the work of making each is inside. Closing this closes the stream."""
    try:
        while True:
            with inside():
                try:
                    piece = next(pieces)
                except StopIteration:
                    return
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


async def aeach_inside(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """`each_inside` for event loops."""
    try:
        while True:
            with inside():
                try:
                    piece = await anext(pieces)
                except StopAsyncIteration:
                    return
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
