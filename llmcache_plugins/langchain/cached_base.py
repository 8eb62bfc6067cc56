"""What cached models of either kind have in common: the link to their cache, copies, pickles, rate limits."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from langchain_core.language_models import BaseLanguageModel
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from llmcache_plugins.engine.layers import is_inside
from llmcache_plugins.langchain.cached_link import Link
from llmcache_plugins.langchain.model_identity import DESCRIBED, HELD

if TYPE_CHECKING:
    Base = BaseLanguageModel[Any]
else:
    Base = object

__all__ = ["CachedModel", "Caller", "OnMiss", "attach", "detach", "run_of", "sign"]

T = TypeVar("T")
_BEFORE = "_llmcache_before"  # in a cached model: the value of its field `cache` before
_run: ContextVar[Mapping[str, Any] | None] = ContextVar("llmcache_langchain_run", default=None)


class OnMiss(BaseRateLimiter):
    """Stands where LangChain waits for the rate limiter before it knows whether the model will be asked.

    Args:
        limiter: the model's own, for which a miss waits.
    """

    def __init__(self, limiter: BaseRateLimiter) -> None:
        self.limiter = limiter

    def acquire(self, *, blocking: bool = True) -> bool:
        """At once, unless the call belongs to an outer lookup and goes to the model in any case."""
        return self.limiter.acquire(blocking=blocking) if is_inside() else True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """`acquire` for event loops."""
        return await self.limiter.aacquire(blocking=blocking) if is_inside() else True


class Caller:
    """Who asks, with the callbacks of its run: where an old answer is renewed in the background, the run is over."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._who = _current()

    @property
    def manager(self) -> Any:
        """The run's callback manager; None for any other thread or task."""
        return self._manager if _current() == self._who else None


def _current() -> tuple[int, int]:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task)


def run_of(manager: Any) -> Mapping[str, Any] | None:
    """Tags and metadata of a run, for a profiler. Streams are asked without a callback manager, but told by
    `each_told`."""
    if manager is None:
        return _run.get()
    run = {"tags": list(manager.tags or ()), "metadata": dict(manager.metadata or {})}
    return run if any(run.values()) else None


def run_in(config: RunnableConfig | None, model: Any) -> Mapping[str, Any]:
    """`run_of`, from what a stream is called with."""
    known = ensure_config(config)
    tags = [*(known.get("tags") or ()), *(model.tags or ())]
    return {"tags": tags, "metadata": {**(known.get("metadata") or {}), **(model.metadata or {})}}


def each_told(run: Mapping[str, Any], pieces: Iterator[T]) -> Iterator[T]:
    """The pieces of a stream; who makes them is told what run they are of, and who takes them is not."""
    try:
        while True:
            token = _run.set(run)
            try:
                piece = next(pieces)
            except StopIteration:
                return
            finally:
                _run.reset(token)
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


async def aeach_told(run: Mapping[str, Any], pieces: AsyncIterator[T]) -> AsyncIterator[T]:
    """`each_told` for event loops."""
    try:
        while True:
            token = _run.set(run)
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
            finally:
                _run.reset(token)
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def sign(*methods: Callable[..., Any]) -> None:
    """LangChain asks for the signature of `_generate` at each call: worked out once, a hit costs a tenth less."""
    for method in methods:
        method.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]  # PEP 362


class CachedModel(Base):
    """A model that is answered from a cache. The class is made by `cached`, which sets the link."""

    __slots__ = ()
    _llmcache: ClassVar[Link]
    _llmcache_original: ClassVar[type]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        attach(self)  # LangChain makes models of the same class for `configurable_fields`

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _forget_description(self)

    def model_copy(self, **kwargs: Any) -> Any:
        """As of any model of pydantic; the copy describes itself anew."""
        copy = super().model_copy(**kwargs)
        _forget_description(copy)
        return copy

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        return each_told(run_in(config, self), super().stream(input, config, **kwargs))

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        return aeach_told(run_in(config, self), super().astream(input, config, **kwargs))

    def _wait_for_rate_limit(self) -> None:
        limiter = getattr(self, "rate_limiter", None)
        if isinstance(limiter, OnMiss):
            limiter.limiter.acquire(blocking=True)

    async def _await_rate_limit(self) -> None:
        limiter = getattr(self, "rate_limiter", None)
        if isinstance(limiter, OnMiss):
            await limiter.limiter.aacquire(blocking=True)

    @staticmethod
    def _manager_for(method: Callable[..., Any], run_manager: Any) -> dict[str, Any]:
        """Models that were written without callbacks do not take them."""
        function = getattr(method, "__func__", method)
        return {"run_manager": run_manager} if _takes_manager(function) else {}


@lru_cache(maxsize=256)
def _takes_manager(method: Callable[..., Any]) -> bool:
    return "run_manager" in inspect.signature(method).parameters


def _forget_description(model: Any) -> None:
    """LangChain keeps a model's description of itself, and would give that of before a change to the cache."""
    vars(model).pop("_serialized", None)


def attach(model: Any) -> None:
    """Make the framework leave lookup and rate limit to us. Not through `__setattr__`: frozen models can be cached
    too, and no field is to count as set by the user."""
    fields = vars(model)
    fields[_BEFORE] = fields.get("cache")
    fields["cache"] = False
    limiter = fields.get("rate_limiter")
    if isinstance(limiter, BaseRateLimiter) and not isinstance(limiter, OnMiss):
        fields["rate_limiter"] = OnMiss(limiter)


def detach(model: Any, original: type) -> None:
    """Undo `attach`, and give the model its own class back."""
    fields = vars(model)
    fields["cache"] = fields.pop(_BEFORE, None)
    for name in (DESCRIBED, HELD):
        fields.pop(name, None)
    limiter = fields.get("rate_limiter")
    if isinstance(limiter, OnMiss):
        fields["rate_limiter"] = limiter.limiter
    object.__setattr__(model, "__class__", original)
