"""How the contract comes by a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llmcache_plugins.protocols import Clock, Store
from llmcache_plugins.testing.clock import FakeClock

__all__ = ["ContractBase"]


class ContractBase:
    """To be told how a store is made, and how exact it is.

    `precision` is by how much a similarity may differ from the cosine of the vectors as they were given.
    """

    precision = 1e-5

    def make_store(self, clock: Clock, **settings: Any) -> Store:
        """An empty store.

        Args:
            clock: what the test takes for the time.
            settings: any of `max_entries`, `max_bytes`, `eviction`, `eviction_by_tier`, `last_tier`, as `MemoryStore`
                takes them.
        """
        raise NotImplementedError

    @contextmanager
    def open_store(self, clock: Clock, **settings: Any) -> Iterator[Store]:
        """What the tests use: a store that is closed when they are done."""
        store = self.make_store(clock, **settings)
        try:
            yield store
        finally:
            store.close()

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock) -> Iterator[Store]:
        with self.open_store(clock) as store:
            yield store
