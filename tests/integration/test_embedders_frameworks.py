"""The bridges over the real base classes of LangChain and LlamaIndex, and through `as_embedder`."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings import MockEmbedding
from pydantic import Field

from llmcache_plugins.embedders import AsyncCachingEmbedder, LangChainEmbedder, LlamaIndexEmbedder, as_embedder, caching
from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.protocols import AsyncEmbedder

VECTORS = {"a": [3.0, 4.0], "b": [0.0, 2.0], "zero": [0.0, 0.0]}


class OwnLangChain(Embeddings):
    """Async of its own; says which way it was called."""

    model = "own-model"

    def __init__(self):
        self.calls = []

    def embed_documents(self, texts):
        self.calls.append("documents")
        return [VECTORS[text] for text in texts]

    def embed_query(self, text):
        self.calls.append("query")
        return VECTORS[text]

    async def aembed_documents(self, texts):
        await asyncio.sleep(0)
        self.calls.append("async documents")
        return [VECTORS[text] for text in texts]


class OwnLlamaIndex(BaseEmbedding):
    calls: list[str] = Field(default_factory=list)

    def _get_text_embedding(self, text):
        self.calls.append("text")
        return VECTORS[text]

    def _get_query_embedding(self, query):
        self.calls.append("query")
        return VECTORS[query]

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)

    async def _aget_text_embedding(self, text):
        await asyncio.sleep(0)
        self.calls.append("async text")
        return VECTORS[text]


async def test_langchain_embeddings_are_used_as_documents_sync_and_async():
    embeddings = OwnLangChain()
    embedder = as_embedder(embeddings)
    assert isinstance(embedder, LangChainEmbedder)
    assert isinstance(embedder, AsyncEmbedder)
    expected = np.array([[0.6, 0.8], [0.0, 1.0]], np.float32)
    assert np.allclose(embedder.embed(["a", "b"]), expected)
    assert np.allclose(await embedder.aembed(["a", "b"]), expected)
    assert embeddings.calls == ["documents", "async documents"]
    assert embedder.embedder_id.endswith("OwnLangChain/own-model/unit")


async def test_langchain_default_async_works_too():
    embedder = as_embedder(DeterministicFakeEmbedding(size=16))
    assert isinstance(embedder, AsyncEmbedder)
    vectors = await embedder.aembed(["a", "b"])
    assert np.array_equal(vectors, embedder.embed(["a", "b"]))
    assert vectors.shape == (2, 16)
    assert "DeterministicFakeEmbedding/16/unit/" in embedder.embedder_id


async def test_llama_index_embeddings_are_used_as_texts_sync_and_async():
    model = OwnLlamaIndex(model_name="own-model", embed_batch_size=1)
    embedder = as_embedder(model)
    assert isinstance(embedder, LlamaIndexEmbedder)
    assert isinstance(embedder, AsyncEmbedder)
    expected = np.array([[0.6, 0.8], [0.0, 1.0]], np.float32)
    assert np.allclose(embedder.embed(["a", "b"]), expected)
    assert np.allclose(await embedder.aembed(["a", "b"]), expected)
    assert model.calls == ["text", "text", "async text", "async text"]
    assert embedder.embedder_id.endswith("OwnLlamaIndex/own-model/unit")


@pytest.mark.parametrize("make", [OwnLangChain, OwnLlamaIndex])
async def test_zero_vectors_and_failures_are_embedder_errors(make):
    embedder = as_embedder(make())
    assert isinstance(embedder, AsyncEmbedder)
    with pytest.raises(EmbedderError, match="zero"):
        embedder.embed(["a", "zero"])
    with pytest.raises(EmbedderError, match="KeyError"):
        embedder.embed(["unknown text"])
    with pytest.raises(EmbedderError, match="KeyError"):
        await embedder.aembed(["unknown text"])


async def test_cancellation_passes_through():
    class Waits(OwnLangChain):
        async def aembed_documents(self, texts):
            await asyncio.Event().wait()

    embedder = as_embedder(Waits())
    assert isinstance(embedder, AsyncEmbedder)
    task = asyncio.create_task(embedder.aembed(["a"]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cached_bridges_await_natively_and_ask_once():
    embeddings = OwnLangChain()
    embedder = caching(as_embedder(embeddings), 10)
    assert isinstance(embedder, AsyncCachingEmbedder)
    await embedder.aembed(["a", "b", "a"])
    await embedder.aembed(["b"])
    assert embeddings.calls == ["async documents"]


def test_llama_index_mock_model_is_recognised():
    embedder = as_embedder(MockEmbedding(embed_dim=4))
    assert np.allclose(embedder.embed(["text"]), 0.5)
