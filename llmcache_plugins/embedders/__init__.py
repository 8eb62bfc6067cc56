"""Ways to turn texts into vectors. Nothing optional is imported before an embedder is made or used."""

from __future__ import annotations

from llmcache_plugins.embedders.bridges import LangChainEmbedder, LlamaIndexEmbedder, as_embedder
from llmcache_plugins.embedders.caching import AsyncCachingEmbedder, CachingEmbedder, caching
from llmcache_plugins.embedders.onnx import OnnxEmbedder
from llmcache_plugins.embedders.sentence_transformers import SentenceTransformerEmbedder
from llmcache_plugins.embedders.vector_file import VectorCacheFile

__all__ = [
    "AsyncCachingEmbedder",
    "CachingEmbedder",
    "LangChainEmbedder",
    "LlamaIndexEmbedder",
    "OnnxEmbedder",
    "SentenceTransformerEmbedder",
    "VectorCacheFile",
    "as_embedder",
    "caching",
]
