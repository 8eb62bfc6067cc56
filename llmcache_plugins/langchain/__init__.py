"""The LangChain plugin: `set_llm_cache(LLMCache())`."""

from __future__ import annotations

from llmcache_plugins.errors import MissingExtraError

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise MissingExtraError("the LangChain plugin", "langchain") from error

from llmcache_plugins.langchain.cache import LLMCache

__all__ = ["LLMCache"]

del _langchain_core
