"""`cached_query_engine` and `cached_chat_engine`: engines whose answers are looked up before they retrieve."""

from __future__ import annotations

from typing import Any, Literal

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.memory import BaseMemory

from llmcache_plugins.canonical.documents import DocumentReader
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import default_cache
from llmcache_plugins.llama_index.engine_calls import EngineCalls, Partition
from llmcache_plugins.llama_index.engine_chat import CachedChatEngine
from llmcache_plugins.llama_index.engine_query import CachedQueryEngine

__all__ = ["CachedChatEngine", "CachedQueryEngine", "cached_chat_engine", "cached_query_engine"]


def cached_query_engine(
    engine: BaseQueryEngine,
    cache: SemanticCache | None = None,
    *,
    partition: Partition = None,
    documents: DocumentReader | None = None,
    name: str | None = None,
    output: Any = None,
    untagged: Literal["store", "skip"] = "store",
) -> CachedQueryEngine:
    """The query engine, with its answers looked up before it retrieves: on a hit neither index nor LLM is asked.

    The question is matched by meaning; the engine itself (index, retriever, LLMs, prompts, settings) has to be equal.
    An answer is tagged with its source nodes and the documents they belong to, see `invalidate_documents`.

    Args:
        cache: without one, the default cache of the process.
        partition: what separates answers besides: version of the index, group of the user. A str, a tuple, or a
            function of the question.
        documents: from a node to the id of its document, to (id, version), or to several of these. By default the ids
            of the node and of the document it is a part of, with their hashes, and what its metadata calls it (`id`,
            `doc_id`, `source`, `version`).
        name: of the engine, for answers that another process shall find although a part of the engine says nothing of
            itself. It stands for everything but LLMs and prompts.
        output: the class of responses that are objects, where the engine does not say it.
        untagged: `"skip"` does not store answers that no document is known of.

    Raises:
        ConfigError: it is no query engine, or a setting is not what it should be.
    """
    if not isinstance(engine, BaseQueryEngine):
        raise ConfigError(f"this is no query engine, but a {type(engine).__name__}")
    settings: dict[str, Any] = {"partition": partition, "documents": documents, "name": name, "output": output}
    return CachedQueryEngine(engine, _calls(engine, cache, "llama_index.query", untagged, settings))


def cached_chat_engine(
    engine: BaseChatEngine,
    cache: SemanticCache | None = None,
    *,
    partition: Partition = None,
    documents: DocumentReader | None = None,
    name: str | None = None,
    untagged: Literal["store", "skip"] = "store",
    memory: BaseMemory | None = None,
) -> CachedChatEngine:
    """The chat engine, with its answers looked up before it retrieves. The conversation so far has to be equal; on a
    hit it goes on in the engine's memory as on a miss. What is not named here is as in `cached_query_engine`.

    Args:
        memory: that of the engine, where it is not the engine's `_memory`.

    Raises:
        ConfigError: it is no chat engine, its memory is not found, or a setting is not what it should be.
    """
    if not isinstance(engine, BaseChatEngine):
        raise ConfigError(f"this is no chat engine, but a {type(engine).__name__}")
    found = getattr(engine, "_memory", None) if memory is None else memory
    if not isinstance(found, BaseMemory):
        raise ConfigError(f"the memory of this {type(engine).__name__} is not known; give it as memory=")
    settings: dict[str, Any] = {"partition": partition, "documents": documents, "name": name, "output": None}
    return CachedChatEngine(engine, found, _calls(engine, cache, "llama_index.chat_engine", untagged, settings))


def _calls(
    engine: Any, cache: SemanticCache | None, operation: str, untagged: str, settings: dict[str, Any]
) -> EngineCalls:
    if untagged not in ("store", "skip"):
        raise ConfigError(f'untagged must be "store" or "skip", not {untagged!r}')
    cache = default_cache() if cache is None else cache
    return EngineCalls(engine, cache, operation=operation, skips_untagged=untagged == "skip", **settings)
