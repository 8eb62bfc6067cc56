"""The LangChain plugin: `set_llm_cache(LLMCache())`."""

from __future__ import annotations

from llmcache_plugins.errors import MissingExtraError

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise MissingExtraError("the LangChain plugin", "langchain") from error

from llmcache_plugins.canonical.documents import ainvalidate_documents, invalidate_documents
from llmcache_plugins.langchain.cache import LLMCache
from llmcache_plugins.langchain.callbacks import (
    LLMCacheCallbackHandler,
    get_llmcache_callback,
    unwatch_llmcache,
    watch_llmcache,
)
from llmcache_plugins.langchain.chains import CachedChain, cached_chain
from llmcache_plugins.langchain.warming import Warmer, bridge
from llmcache_plugins.warming.models import register

__all__ = [
    "CachedChain",
    "LLMCache",
    "LLMCacheCallbackHandler",
    "Warmer",
    "ainvalidate_documents",
    "cached_chain",
    "get_llmcache_callback",
    "invalidate_documents",
    "unwatch_llmcache",
    "watch_llmcache",
]

register(bridge)  # from now on `cache.warm` takes models and chains of LangChain

del _langchain_core, bridge, register
