"""The LlamaIndex plugin: `install(cache)`."""

from __future__ import annotations

from llmcache_plugins.errors import MissingExtraError

try:
    import llama_index.core as _llama_index_core
except ImportError as error:
    raise MissingExtraError("the LlamaIndex plugin", "llama-index") from error

from llmcache_plugins.canonical.documents import ainvalidate_documents, invalidate_documents
from llmcache_plugins.llama_index.engines import (
    CachedChatEngine,
    CachedQueryEngine,
    cached_chat_engine,
    cached_query_engine,
)
from llmcache_plugins.llama_index.events import LLMCacheCallbackHandler, LLMCacheEvent, LLMCacheEventHandler
from llmcache_plugins.llama_index.installing import cached_llm, install, uninstall
from llmcache_plugins.llama_index.warming import Warmer, bridge
from llmcache_plugins.warming.models import register

__all__ = [
    "CachedChatEngine",
    "CachedQueryEngine",
    "LLMCacheCallbackHandler",
    "LLMCacheEvent",
    "LLMCacheEventHandler",
    "Warmer",
    "ainvalidate_documents",
    "cached_chat_engine",
    "cached_llm",
    "cached_query_engine",
    "install",
    "invalidate_documents",
    "uninstall",
]

register(bridge)  # from now on `cache.warm` takes cached LLMs of LlamaIndex

del _llama_index_core, bridge, register
