"""The LangChain plugin: `set_llm_cache(LLMCache())`, and `cached(model)` where streams are to be answered too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmcache_plugins.errors import MissingExtraError

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise MissingExtraError("the LangChain plugin", "langchain") from error

from llmcache_plugins.canonical.documents import ainvalidate_documents, invalidate_documents
from llmcache_plugins.judges import LangChainJudge
from llmcache_plugins.langchain.cache import LLMCache
from llmcache_plugins.langchain.cached import cached, uncached
from llmcache_plugins.langchain.callbacks import (
    LLMCacheCallbackHandler,
    get_llmcache_callback,
    unwatch_llmcache,
    watch_llmcache,
)
from llmcache_plugins.langchain.chains import CachedChain, cached_chain
from llmcache_plugins.langchain.follow_ups import resolver
from llmcache_plugins.langchain.warming import Warmer, bridge
from llmcache_plugins.warming.models import register

if TYPE_CHECKING:
    from llmcache_plugins.langchain.middleware import LLMCacheMiddleware

__all__ = [
    "CachedChain",
    "LLMCache",
    "LLMCacheCallbackHandler",
    "LLMCacheMiddleware",
    "LangChainJudge",
    "Warmer",
    "ainvalidate_documents",
    "cached",
    "cached_chain",
    "get_llmcache_callback",
    "invalidate_documents",
    "resolver",
    "uncached",
    "unwatch_llmcache",
    "watch_llmcache",
]

register(bridge)  # from now on `cache.warm` takes models and chains of LangChain

del _langchain_core, bridge, register


def __getattr__(name: str) -> Any:
    if name != "LLMCacheMiddleware":  # the only one that needs `langchain` beside `langchain-core`
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llmcache_plugins.langchain.middleware import LLMCacheMiddleware

    globals()[name] = LLMCacheMiddleware
    return LLMCacheMiddleware
