"""The user's `generate` as the engine calls it: with the request or without, timed, its result an `Answer`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import perf_counter
from typing import Any, TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Answer, Request

__all__ = ["AnyRequest", "Generate", "atimed", "timed"]

AnyRequest: TypeAlias = Request | str
Generate: TypeAlias = Callable[..., Any]


def timed(generate: Generate, given: AnyRequest) -> Callable[[], Answer]:
    arguments = (given,) if _takes_request(generate) else ()

    def call() -> Answer:
        start = perf_counter()
        value = generate(*arguments)
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise ConfigError("generate returned an awaitable; use aget_or_generate")
        return _answer_of(value, perf_counter() - start)

    return call


def atimed(generate: Generate, given: AnyRequest) -> Callable[[], Awaitable[Answer]]:
    arguments = (given,) if _takes_request(generate) else ()

    async def call() -> Answer:
        start = perf_counter()
        value = generate(*arguments)
        if inspect.isawaitable(value):
            value = await value
        return _answer_of(value, perf_counter() - start)

    return call


def _answer_of(value: Any, seconds: float) -> Answer:
    if not isinstance(value, Answer):
        return Answer(value, generation_seconds=seconds)
    return value if value.generation_seconds is not None else replace(value, generation_seconds=seconds)


def _takes_request(generate: Generate) -> bool:
    """True when the callable needs a positional argument. Asked only on a miss, where a model call follows."""
    try:
        parameters = inspect.signature(generate).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.kind in positional and p.default is inspect.Parameter.empty for p in parameters)
