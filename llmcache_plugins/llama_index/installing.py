"""Caching LLMs: in place, so that everything that holds them is reached, or as copies."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from inspect import getattr_static
from typing import Any, TypeVar

from llama_index.core import Settings
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.keys.question import Extractor, QuestionExtractor
from llmcache_plugins.llama_index.binding import Binding, binding_of, original_of
from llmcache_plugins.llama_index.calls import Method, cached_method
from llmcache_plugins.llama_index.leaves import LEAVES, leaf_turn
from llmcache_plugins.llama_index.structured import STRUCTURED, structured_turn

__all__ = ["cached_llm", "install", "uninstall"]

L = TypeVar("L", bound=LLM)
_SPANNED = "__dispatcher_span_decorated__"
_ORDINARY = QuestionExtractor()
_lock = threading.Lock()
# LLMs have no hash; who is gone needs no uninstalling.
_installed: dict[int, weakref.ref[LLM]] = {}
_classes: weakref.WeakValueDictionary[Binding, type[LLM]] = weakref.WeakValueDictionary()


def install(
    cache: SemanticCache | None = None, *, llms: Sequence[LLM] = (), extractor: Extractor | None = None
) -> None:
    """Cache `Settings.llm` in place, and these LLMs: also for the engines, agents and programs that hold them already.

    An LLM that is put into `Settings.llm` later is not cached; call `install` again then, which changes nothing about
    those that are installed.

    Args:
        cache: the cache to ask; without one, the default cache of the process.
        llms: further LLMs, of query engines or agents that do not use that of the settings.
        extractor: finds the question in a user turn; the default knows LlamaIndex's own prompts.

    Raises:
        ConfigError: there is nothing to install, or one of them is no LLM.
    """
    given = [*llms]
    if getattr(Settings, "_llm", None) is not None or not given:
        given.insert(0, _of_settings())
    cache = default_cache() if cache is None else cache
    for llm in map(_innermost, given):
        binding = _binding(llm, cache, "", extractor)
        with _lock:
            object.__setattr__(llm, "__class__", _class_of(binding))
            _installed[id(llm)] = weakref.ref(llm)


def uninstall() -> None:
    """Undo every `install`: the same objects ask their models again. Copies made by `cached_llm` stay as they are."""
    with _lock:
        for reference in _installed.values():
            llm = reference()
            if llm is not None:
                object.__setattr__(llm, "__class__", original_of(llm))
        _installed.clear()


def cached_llm(
    llm: L, cache: SemanticCache | None = None, *, identity: str = "", extractor: Extractor | None = None
) -> L:
    """A copy of the LLM that asks the cache first: a subclass of its own class, with the same fields and clients.

    Args:
        llm: any LLM of LlamaIndex; it is not changed.
        cache: the cache to ask; without one, the default cache of the process.
        identity: what tells this LLM from others of its class where its fields do not: a path of weights, the name of
            what stands behind it. Fields that cannot be compared are left out of the key then.
        extractor: as in `install`.

    Raises:
        ConfigError: it is no LLM, or its class cannot be extended.
    """
    if isinstance(llm, StructuredLLM):
        inner = cached_llm(llm.llm, cache, identity=identity, extractor=extractor)
        return llm.model_copy(update={"llm": inner})
    _innermost(llm)
    binding = _binding(llm, default_cache() if cache is None else cache, identity, extractor)
    copy = llm.model_copy()
    object.__setattr__(copy, "__class__", _class_of(binding))
    return copy


def _of_settings() -> LLM:
    try:
        return Settings.llm
    except Exception as error:
        raise ConfigError("there is no LLM to install: set Settings.llm first, or give llms=[...]") from error


def _innermost(llm: Any) -> LLM:
    """An LLM for structured answers only asks the one it was made of."""
    while isinstance(llm, StructuredLLM):
        llm = llm.llm
    if not isinstance(llm, LLM):
        raise ConfigError(f"an LLM of LlamaIndex is needed, not {type(llm).__name__}")
    return llm


def _binding(llm: LLM, cache: SemanticCache, identity: str, extractor: Extractor | None) -> Binding:
    if not isinstance(cache, SemanticCache):
        raise ConfigError(f"cache must be a SemanticCache, not {type(cache).__name__}")
    return Binding(original_of(llm), cache, identity, _ORDINARY if extractor is None else extractor)


# ---------------------------------------------------------------- the class
def _class_of(binding: Binding) -> type[LLM]:
    """The class of the LLMs that are cached in this way: the same as long as there are any."""
    known = _classes.get(binding)
    if known is None:
        known = _classes[binding] = _made_class(binding)
    return known


def _made_class(binding: Binding) -> type[LLM]:
    """A subclass of the user's class. Everything in it that he did not write is called `_llmcache_...`."""
    original = binding.original
    namespace: dict[str, Any] = {
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "__reduce_ex__": _reduced,
    }
    # In the class's own namespace, for LlamaIndex puts only those into spans.
    for name in LEAVES:
        method = Method(name, _bare(original, name), _bare(original, name.replace("stream_", "")))
        namespace[name] = cached_method(method, leaf_turn)
    for name in STRUCTURED:
        if getattr_static(original, name, None) is not getattr_static(LLM, name, None):
            method = Method(name, _bare(original, name), _bare(original, name.replace("stream_", "")))
            namespace[name] = cached_method(method, structured_turn)
    try:
        meta: Any = type(original)
        made: type[LLM] = meta(original.__name__, (original,), namespace)
    except Exception as error:
        raise ConfigError(f"the class {original.__name__} cannot be extended: {type(error).__name__}") from error
    type.__setattr__(made, "_llmcache_binding", binding)  # pydantic would take it for a private field of the objects
    return made


def _bare(original: type[LLM], name: str) -> Any:
    """The method without the span that LlamaIndex has put round it: the cached method stands in one of that name."""
    method = getattr_static(original, name)
    inner = getattr(method, "__wrapped__", None)
    return inner if callable(inner) and getattr(method, _SPANNED, False) else method


def _reduced(self: LLM, protocol: Any) -> Any:
    """A pickled LLM is one of the user's own class, and not cached where it arrives: a cache cannot travel."""
    binding = binding_of(type(self))
    assert binding is not None
    made = binding.original.__reduce_ex__(self, protocol)
    if not isinstance(made, tuple) or not isinstance(made[1], tuple) or type(self) not in (made[0], *made[1]):
        return made
    function, arguments, *state = made
    originals = tuple(binding.original if part is type(self) else part for part in arguments)
    if function is type(self):
        return (binding.original, originals, *state)
    return (_rebuilt, originals, *state)  # pickle wants the object's own class where it calls `__new__` itself


def _rebuilt(original: type[LLM], *arguments: Any) -> LLM:
    return original.__new__(original, *arguments)
