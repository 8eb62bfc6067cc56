"""`LLMCacheMiddleware`: a cache for the agents of `langchain.agents.create_agent`, which knows whose run it is."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables.base import RunnableBindingBase

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.langchain.answers import UsageMode
from llmcache_plugins.langchain.cached import cached
from llmcache_plugins.langchain.cached_base import CachedModel

try:
    from langchain.agents.middleware import AgentMiddleware
    from langchain.agents.middleware.types import ModelRequest, ModelResponse
except ImportError as error:
    raise MissingExtraError("LLMCacheMiddleware", "agents") from error

if TYPE_CHECKING:
    _AnyMiddleware: TypeAlias = AgentMiddleware[Any, Any, Any]
else:
    _AnyMiddleware = AgentMiddleware  # which has had two type parameters, and three since

__all__ = ["LLMCacheMiddleware"]

_COMPONENT = "langchain"
_NAMES = ("tenant", "tags", "volatility", "query_type", "bypass", "refresh")
_WHERE = "llmcache"  # the key or attribute of a run's context that holds these, when they do not stand in it directly

Settings: TypeAlias = Mapping[str, Any]


class LLMCacheMiddleware(_AnyMiddleware):
    """Answers the model calls of an agent from a cache, as `cached(model)` does: with callbacks, tracing and streams as
    on a call to the model.

    What a run says of itself in its `context` (`agent.invoke(..., context=...)`: a dict, a dataclass or any object)
    counts for its model calls, as in `cache.context`: `tenant`, `tags`, `volatility`, `query_type`, `bypass` and
    `refresh`, either directly or together under `llmcache`. A run that says something wrong there bypasses the cache
    and is counted as an error: no tenant is ever given another one's answer.

    Middleware that comes later in the agent's list is nearer to the model: put this last, then it also answers for a
    model that another one chose (`ModelFallbackMiddleware`). It works in any place.

    Args:
        cache: the cache to ask; without one, the default cache of the process.
        context: what holds for a call, in place of the run's context: called with the `ModelRequest`, returns keyword
            arguments of `cache.context`, or None.
        tenant_required: bypass the cache where no tenant is named.
        usage: as for `LLMCache`.
        extractor: as for `LLMCache`.

    Raises:
        ConfigError: `context` cannot be called, or `usage` is neither word.

    Example:
        agent = create_agent(model, tools, middleware=[LLMCacheMiddleware()], context_schema=Customer)
        agent.invoke(question, context=Customer(tenant="acme"))
    """

    def __init__(
        self,
        cache: SemanticCache | None = None,
        *,
        context: Callable[[ModelRequest[Any]], Settings | None] | None = None,
        tenant_required: bool = False,
        usage: UsageMode = "zero",
        extractor: Extractor | None = None,
    ) -> None:
        super().__init__()
        if context is not None and not callable(context):
            raise ConfigError(f"context must be a function of the ModelRequest, not {type(context).__name__}")
        if usage not in ("zero", "keep"):
            raise ConfigError(f'usage must be "zero" or "keep", not {usage!r}')
        self._cache = default_cache() if cache is None else cache
        self._context = context
        self._is_tenant_required = tenant_required
        self._models = _Models(lambda model: cached(model, self._cache, usage=usage, extractor=extractor))

    @property
    def cache(self) -> SemanticCache:
        """The cache that is asked."""
        return self._cache

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any] | AIMessage:
        """Make the call with the cached model, in the surroundings that the run names."""
        asked = self._with_cached_model(request)
        with self._surroundings(asked):
            return handler(asked)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any] | AIMessage:
        """`wrap_model_call` for event loops."""
        asked = self._with_cached_model(request)
        with self._surroundings(asked):
            return await handler(asked)

    # ---------------------------------------------------------------- inside
    def _with_cached_model(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        try:
            return request.override(model=self._models.of(request.model))
        except Exception as error:
            self._spare(error)
            return request

    def _surroundings(self, request: ModelRequest[Any]) -> ExitStack:
        """What holds for the call: in our cache and, where the model came with one of its own, in that one too."""
        caches = {id(cache): cache for cache in (self._cache, _cache_of(request.model)) if cache is not None}
        try:
            settings = self._settings(request)
            if self._is_tenant_required and not settings.get("tenant"):
                raise ConfigError("this run names no tenant, and tenant_required is set")
            contexts = [cache.context(**settings) for cache in caches.values()]
        except Exception as error:
            self._spare(error)
            contexts = [cache.bypass() for cache in caches.values()]
        entered = ExitStack()
        for context in contexts:
            entered.enter_context(context)
        return entered

    def _settings(self, request: ModelRequest[Any]) -> dict[str, Any]:
        """What the run says, checked by `cache.context` only."""
        if self._context is not None:
            return _said(self._context(request))
        context = getattr(request.runtime, "context", None)
        whole = _read(context, _WHERE)
        if whole is not None:
            return _said(whole)
        found = {name: _read(context, name) for name in _NAMES}
        return {name: value for name, value in found.items() if value is not None and not callable(value)}

    def _spare(self, error: Exception) -> None:
        self._cache.report_error(_COMPONENT, error)
        if not self._cache.config.fail_open:
            raise error


def _cache_of(model: Any) -> SemanticCache | None:
    while isinstance(model, RunnableBindingBase):
        model = model.bound
    return model._llmcache.cache if isinstance(model, CachedModel) else None


def _read(context: Any, name: str) -> Any:
    return context.get(name) if isinstance(context, Mapping) else getattr(context, name, None)


def _said(settings: Any) -> dict[str, Any]:
    """Settings that were meant for the cache: all of them count, so that a misspelt name is refused and not passed
    over. What is None is not said, but for `ttl`, where it means never."""
    if settings is None:
        return {}
    if is_dataclass(settings) and not isinstance(settings, type):
        settings = {item.name: getattr(settings, item.name) for item in fields(settings)}
    elif not isinstance(settings, Mapping):
        settings = vars(settings)
    return {name: value for name, value in settings.items() if value is not None or name == "ttl"}


class _Cached(NamedTuple):
    original: weakref.ref[BaseChatModel]
    fields: dict[str, Any]
    model: BaseChatModel


class _Models:
    """The cached copy of each model, while the model lives and is as it was. Models have no hash, hence the ids."""

    def __init__(self, make: Callable[[BaseChatModel], BaseChatModel]) -> None:
        self._make = make
        self._known: dict[int, _Cached] = {}
        self._lock = threading.Lock()

    def of(self, model: BaseChatModel) -> BaseChatModel:
        known = self._known.get(id(model))
        if known is not None and known.original() is model and _is_same(known.fields, vars(model)):
            return known.model
        made = self._make(model)
        if made is model:  # it was cached already; kept here, it would never go
            return made
        with self._lock:
            self._known = {key: one for key, one in self._known.items() if one.original() is not None}
            self._known[id(model)] = _Cached(weakref.ref(model), dict(vars(model)), made)
        return made


def _is_same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Has nobody set a field of the model since? What lies inside of a field is shared with the copy."""
    return before.keys() == now.keys() and all(now[name] is value for name, value in before.items())
