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


class _Mark:
    """Until when a call is on its way, by `time.monotonic()`, and who said so. One object, so that whoever hears of the
    call's end in a child task or thread can unmark the caller's context too."""

    __slots__ = ("owner", "until")

    def __init__(self, until: float, owner: object) -> None:
        self.until = until
        self.owner = owner


_NOT = _Mark(-math.inf, None)
_mark: ContextVar[_Mark] = ContextVar("llmcache_inside", default=_NOT)


def is_inside(owner: object = None) -> bool:
    """Does the running code belong to a call that an outer layer looked up already?

    Args:
        owner: a layer that uses `enter_until`; what it marked itself does not count.
    """
    mark = _mark.get()
    return mark.until > monotonic() and (owner is None or mark.owner is not owner)


@contextmanager
def inside() -> Iterator[None]:
    """What runs in this block belongs to the caller's lookup. Not for generators that hand out values from within: use
    `each_inside`, or the consumer's own calls would count as inner ones."""
    token = _mark.set(_Mark(math.inf, None))
    try:
        yield
    finally:
        _mark.reset(token)


def enter_until(deadline: float, owner: object = None) -> None:
    """For a layer that is told of the lookup and of the update, but does not make the call between: mark the running
    context until `leave`, or until this `time.monotonic()` at the latest, when nobody tells it how the call ended."""
    _mark.set(_Mark(deadline, owner))


def leave(owner: object = None) -> None:
    """Undo `enter_until`, also in the context that the running one was copied from; with an `owner`, only its mark."""
    mark = _mark.get()
    if mark.until != math.inf and (owner is None or mark.owner is owner):
        mark.until = -math.inf


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
