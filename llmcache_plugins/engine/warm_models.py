"""A plain `generate` as a `WarmModel`."""

from __future__ import annotations

import inspect
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from llmcache_plugins.engine.generating import Generate, atimed, timed
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Answer, Request
from llmcache_plugins.warming.models import WarmModel, bridged

__all__ = ["aask", "ask", "model_of"]


def model_of(generate: Any, pool: Executor | None = None) -> WarmModel:
    """The model behind what a user gave.

    Args:
        pool: where async warming calls a `generate` that is no coroutine function; without one it is called directly,
            and a coroutine function is refused.

    Raises:
        ConfigError: it is no callable and no model, or a coroutine function without a pool.
    """
    known = bridged(generate)
    if known is not None:
        return known
    if not callable(generate):
        raise ConfigError(f"generate must be callable or a model of a framework, not {type(generate).__name__}")
    is_async = inspect.iscoroutinefunction(generate) or inspect.iscoroutinefunction(type(generate).__call__)
    if is_async and pool is None:
        raise ConfigError("generate is a coroutine function; use awarm")
    return _Callable(generate, pool, is_async=is_async)


class _Callable:
    def __init__(self, generate: Generate, pool: Executor | None, *, is_async: bool) -> None:
        self._generate = generate
        self._pool = pool
        self._is_async = is_async

    def request_of(self, question: Request | str) -> Request:
        return Request(question) if isinstance(question, str) else question

    def ask(self, question: Request | str) -> Answer:
        return timed(self._generate, question)()

    async def aask(self, question: Request | str) -> Answer:
        if self._is_async:
            return await atimed(self._generate, question)()
        assert self._pool is not None
        return await in_worker(self._pool, partial(copy_context().run, self.ask, question))


def ask(model: WarmModel, question: Request | str) -> Answer:
    """`model.ask`, timed: with the duration the cache can tell whether something changed meanwhile."""
    start = perf_counter()
    return _timed(model.ask(question), start)


async def aask(model: WarmModel, question: Request | str) -> Answer:
    start = perf_counter()
    return _timed(await model.aask(question), start)


def _timed(answer: Answer, start: float) -> Answer:
    if answer.generation_seconds is not None:
        return answer
    return replace(answer, generation_seconds=perf_counter() - start)
