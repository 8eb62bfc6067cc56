"""`cached`: a model of LangChain that is answered from a cache, streams included."""

from __future__ import annotations

import threading
import weakref
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.runnables import RunnableSequence, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.configurable import DynamicRunnable

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.langchain.answers import UsageMode
from llmcache_plugins.langchain.cached_base import CachedModel, attach, detach
from llmcache_plugins.langchain.cached_chat import CachedAsyncStream, CachedChat, CachedStream, NoNativeEvents
from llmcache_plugins.langchain.cached_link import Link
from llmcache_plugins.langchain.cached_llm import CachedAsyncLLMStream, CachedLLM, CachedLLMStream

__all__ = ["cached", "uncached"]

M = TypeVar("M")
# A class holds its link, and that its cache: while the class lives, the ids in its key are nobody else's.
_classes: weakref.WeakValueDictionary[tuple[object, ...], type] = weakref.WeakValueDictionary()
_lock = threading.Lock()
_NATIVE_EVENTS = ("_stream_chat_model_events", "_astream_chat_model_events")


def cached(
    model: M,
    cache: SemanticCache | None = None,
    *,
    inplace: bool = False,
    usage: UsageMode = "zero",
    extractor: Extractor | None = None,
) -> M:
    """The model, answered from a cache: `invoke`, `batch`, `stream`, `astream_events` and all that is built on them.

    Unlike `set_llm_cache`, it reaches streams: they are recorded while they come, and replayed in pieces. Callbacks,
    tracing, `bind_tools` and `with_structured_output` work as before, and `isinstance` too: what comes back is of a
    subclass. Entries are shared with `LLMCache`. A framework cache (`set_llm_cache`) is not asked a second time.

    Args:
        model: a chat model, or a completion model (`BaseLLM`). Of one with bound arguments (`model.bind_tools(...)`) or
            retries (`model.with_retry()`), the model inside is cached.
        cache: the cache to ask; without one, the default cache of the process.
        inplace: change the model itself, so that chains and agents that were built with it are answered too; else it
            stays as it is, and a copy is returned.
        usage: as for `LLMCache`.
        extractor: as for `LLMCache`.

    Returns:
        The cached model. One that is cached already comes back as it is, with the cache that it has.

    Raises:
        ConfigError: it is no model, or `usage` is neither word.

    Example:
        model = cached(ChatAnthropic(model="claude-haiku-4-5"))
    """
    if usage not in ("zero", "keep"):
        raise ConfigError(f'usage must be "zero" or "keep", not {usage!r}')
    if isinstance(model, RunnableBindingBase):
        bound = cached(model.bound, cache, inplace=inplace, usage=usage, extractor=extractor)
        return model if bound is model.bound else cast("M", model.model_copy(update={"bound": bound}))
    if isinstance(model, CachedModel):
        return model
    if not isinstance(model, BaseChatModel | BaseLLM):
        raise ConfigError(_remedy(model))
    kind = _class_for(type(model), default_cache() if cache is None else cache, usage, extractor)
    asked = model if inplace else model.model_copy()
    object.__setattr__(asked, "__class__", kind)
    attach(asked)
    return cast("M", asked)


def uncached(model: M, *, inplace: bool = False) -> M:
    """The model as it was before `cached`; one that is not cached comes back as it is.

    Args:
        inplace: change the model itself, as `cached(model, inplace=True)` did; else a copy is returned.
    """
    if isinstance(model, RunnableBindingBase):
        bound = uncached(model.bound, inplace=inplace)
        return model if bound is model.bound else cast("M", model.model_copy(update={"bound": bound}))
    if not isinstance(model, CachedModel):
        return model
    plain = model if inplace else model.model_copy()
    detach(plain, type(model)._llmcache_original)
    return cast("M", plain)


class _Pickled(CachedModel):
    """Pickled as the model that it was, for the class is made anew in each process; the cache is then that process's
    default cache."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        link = self._llmcache
        return _restored, (uncached(self), link.usage, link.extractor)


def _restored(plain: Any, usage: UsageMode, extractor: Extractor | None) -> Any:
    return cached(plain, inplace=True, usage=usage, extractor=extractor)


def _class_for(original: type, cache: SemanticCache, usage: UsageMode, extractor: Extractor | None) -> type:
    """The subclass that asks this cache; under the name of the original, by which LangChain describes models."""
    key = (original, id(cache), usage, id(extractor))
    with _lock:
        known = _classes.get(key)
        if known is None:
            namespace = {"__module__": original.__module__, "__qualname__": original.__qualname__}
            known = type(original)(original.__name__, (_Pickled, *_parts(original), original), namespace)
            known.__doc__ = original.__doc__
            known._llmcache = Link(cache, usage, extractor)  # type: ignore[attr-defined]  # of `CachedModel`
            known._llmcache_original = original  # type: ignore[attr-defined]
            _classes[key] = known
    return known


def _parts(original: type) -> tuple[type, ...]:
    """What is put before the class. A method that it does not have it must not get: by that, LangChain judges whether
    a model streams."""
    wanted: tuple[tuple[type, bool], ...]
    if issubclass(original, BaseLLM):
        streams, astreams = _overrides(original, BaseLLM)
        wanted = ((CachedAsyncLLMStream, astreams or streams), (CachedLLMStream, streams), (CachedLLM, True))
        return tuple(part for part, is_wanted in wanted if is_wanted)
    streams, astreams = _overrides(original, BaseChatModel)
    is_native = (streams or astreams) and any(getattr(original, name, None) is not None for name in _NATIVE_EVENTS)
    wanted = (
        (NoNativeEvents, is_native),
        (CachedAsyncStream, astreams or streams),
        (CachedStream, streams),
        (CachedChat, True),
    )
    return tuple(part for part, is_wanted in wanted if is_wanted)


def _overrides(original: Any, base: Any) -> tuple[bool, bool]:
    return original._stream is not base._stream, original._astream is not base._astream


def _remedy(model: object) -> str:
    name = type(model).__name__
    if isinstance(model, RunnableSequence):
        return f"cached takes the model, not the {name} with it: prompt | cached(model)"
    if isinstance(model, RunnableWithFallbacks):
        return "cached takes the models one by one: cached(model).with_fallbacks([cached(other)])"
    if isinstance(model, DynamicRunnable) or name == "_ConfigurableModel":
        return f"a {name} makes its model anew for each call: call cached(model) first, or set_llm_cache(LLMCache())"
    return f"cached takes a chat model or a completion model of LangChain, not a {name}"
