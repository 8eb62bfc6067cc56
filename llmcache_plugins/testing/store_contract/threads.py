"""Contract: several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from llmcache_plugins.protocols import Store
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import (
    EMBEDDER,
    make_entry,
    make_vector,
    stored_of,
)
from llmcache_plugins.types import Entry

__all__ = ["ThreadContract"]


class ThreadContract(ContractBase):
    """Every verb is atomic."""

    def test_threads_see_whole_entries(self, clock: FakeClock) -> None:
        """Eight threads write, read, search and delete: what is found always belongs together."""
        angles = {f"{number}": number * 0.01 for number in range(16)}

        def entry_of(text: str, scope: str) -> Entry:
            return make_entry(
                text, scope=scope, answer_json=f'"{scope}/{text}"', vector=make_vector(angles[text], 1 + int(scope))
            )

        def work(seed: int) -> None:
            order = np.random.default_rng(seed)
            for step in range(40):
                text, scope = str(order.integers(16)), str(order.integers(3))
                if step % 8 == 7:
                    store.delete(scope, [f"key of {text}"])
                elif step % 2:
                    store.put(entry_of(text, scope))
                stored = store.get(scope, f"key of {text}")
                if stored is not None:
                    assert stored_of(stored).entry.answer == f"{scope}/{text}"
                query = make_vector(angles[text], 1 + int(scope))
                found = store.search(scope, EMBEDDER, query, limit=4, now=clock.now())
                for candidate in found:
                    assert candidate.entry.answer == f"{scope}/{candidate.entry.text}"
                    distance = angles[candidate.entry.text] - angles[text]
                    assert candidate.similarity == pytest.approx(np.cos(distance), abs=self.precision)

        with self.open_store(clock, max_entries=30) as store, ThreadPoolExecutor(8) as threads:
            for result in [threads.submit(work, seed) for seed in range(8)]:
                result.result()
            assert store.stats().entries <= 30

    def test_threads_lose_no_touch(self, store: Store) -> None:
        store.put(make_entry())
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: store.touch("scope", "key of hello", 5.0), range(400)))
        assert stored_of(store.get("scope", "key of hello")).access_count == 400
