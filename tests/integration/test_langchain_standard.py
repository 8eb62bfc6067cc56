"""LangChain's own test suites for caches, as they are, for every store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from langchain_core.caches import BaseCache
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from llmcache_plugins import open_cache
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.testing.embedder import FakeEmbedder


class TestMemory(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self) -> Iterator[BaseCache]:
        with open_cache("memory://", embedder=FakeEmbedder()) as engine:
            yield LLMCache(engine)


class TestDisk(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Iterator[BaseCache]:
        with open_cache(f"disk://{tmp_path}/cache.db", embedder=FakeEmbedder()) as engine:
            yield LLMCache(engine)


class TestMemoryAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self) -> AsyncIterator[BaseCache]:
        async with open_cache("memory://", embedder=FakeEmbedder()) as engine:
            yield LLMCache(engine)


class TestDiskAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, tmp_path: Path) -> AsyncIterator[BaseCache]:
        async with open_cache(f"disk://{tmp_path}/cache.db", embedder=FakeEmbedder()) as engine:
            yield LLMCache(engine)
