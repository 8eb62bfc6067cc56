"""What a call shape is, and how one is tried: the same call twice, against a server on this machine that counts."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmcache_plugins import SemanticCache, open_cache

__all__ = ["Row", "Seen", "Server", "Shape", "tried"]

Server = Any  # FakeAnthropic or FakeOpenAI


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller gets of one call.

    Args:
        result: what has to be equal in both calls: texts, tool calls, values; without ids and usage.
        pieces: how many pieces with content came, None where nothing is streamed.
        tokens: what is reported as spent, None where the framework reports nothing.
    """

    result: Any
    pieces: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to call.

    Args:
        plugin: what stands between: `set_llm_cache`, `cached(model)`, ...
        call: as users write it.
        make: given the server and the cache makes the application; returns a function without arguments, or a
            coroutine function, that calls once.
    """

    plugin: str
    call: str
    make: Callable[[Server, SemanticCache], Callable[[], Any]]
    undo: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a shape: calls of the provider and what was seen, cold and again."""

    shape: Shape
    calls: tuple[int, int]
    cold: Seen
    again: Seen

    @property
    def is_equal(self) -> bool:
        return bool(self.cold.result == self.again.result)

    @property
    def is_right(self) -> bool:
        """The provider was asked the first time only, the results are equal, what was streamed is streamed again, and
        nothing is counted as spent twice."""
        cold, again = self.cold.pieces, self.again.pieces
        are_pieces_kept = cold is None or cold < 2 or (again or 0) >= 2
        was_asked_once = self.calls[0] >= 1 and self.calls[1] == 0
        return was_asked_once and self.is_equal and are_pieces_kept and not self.again.tokens


def tried(server: Server, shapes: Iterable[Shape]) -> list[Row]:
    """Each shape twice, each with a cache of its own. On one event loop, for clients share their connections."""
    with asyncio.Runner() as runner:
        rows = [_tried(server, shape, runner) for shape in shapes]
        gc.collect()  # clients close their connections when they are collected, and that takes the loop
        runner.run(asyncio.sleep(0.01))
    return rows


def _tried(server: Server, shape: Shape, runner: asyncio.Runner) -> Row:
    with open_cache("memory://", embedder=None) as cache:
        try:
            call = shape.make(server, cache)
            before = server.count(server.main_path)
            cold = _called(call, runner)
            between = server.count(server.main_path)
            again = _called(call, runner)
            after = server.count(server.main_path)
        finally:
            shape.undo()
    return Row(shape, (between - before, after - between), cold, again)


def _called(call: Callable[[], Any], runner: asyncio.Runner) -> Seen:
    seen = runner.run(_awaited(call)) if inspect.iscoroutinefunction(call) else call()
    assert isinstance(seen, Seen)
    return seen


async def _awaited(call: Callable[[], Any]) -> Any:
    return await call()


def tokens_of(usage: Mapping[str, Any] | None) -> int | None:
    """Input and output tokens of a usage, whatever the framework calls them."""
    if usage is None:
        return None
    found = [usage.get(name) or 0 for name in ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")]
    return sum(map(int, found))
