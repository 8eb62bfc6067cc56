"""From where entries come to where they go, a page at a time: never more of them are in memory.

Both ends have three steps: `begin` gives or takes the header, `page` the next records, `end` the invalidations that
came meanwhile. Who carries a step out comes with the end: a flow is driven, what blocks runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["End", "acarry", "carry"]


@dataclass(frozen=True, slots=True)
class End:
    """One end of a transfer.

    Args:
        steps: has `begin`, `page` and `end`.
        do: carries one of them out with its arguments.
        ado: the same for event loops.
        close: lets go of what it holds; carried out like a step.
    """

    steps: Any
    do: Callable[..., Any]
    ado: Callable[..., Awaitable[Any]]
    close: Callable[[], None] | None = None


def carry(source: End, sink: End, told: Callable[[], None]) -> None:
    """All of it. What either end raises ends it; both are closed in any case.

    Args:
        told: called after each page.
    """
    try:
        sink.do(sink.steps.begin, source.do(source.steps.begin))
        while (records := source.do(source.steps.page)) is not None:
            sink.do(sink.steps.page, records)
            told()
        sink.do(sink.steps.end, source.do(source.steps.end))
    finally:
        for end in (sink, source):
            if end.close is not None:
                end.do(end.close)


async def acarry(source: End, sink: End, told: Callable[[], None]) -> None:
    """`carry` for event loops."""
    try:
        await sink.ado(sink.steps.begin, await source.ado(source.steps.begin))
        while (records := await source.ado(source.steps.page)) is not None:
            await sink.ado(sink.steps.page, records)
            told()
            await asyncio.sleep(0)  # between stores in memory nothing gave way to the others on this loop
        await sink.ado(sink.steps.end, await source.ado(source.steps.end))
    finally:
        for end in (sink, source):
            if end.close is not None:  # also after a cancellation, when a thread may still be at a page
                await asyncio.shield(end.ado(end.close))
