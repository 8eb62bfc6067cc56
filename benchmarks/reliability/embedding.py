"""Embedders and stores that fail in every way: each question is answered, by the cache or by the model."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.reliability.trial import Outcome
from llmcache_plugins import SemanticCache, TierConfig, open_cache
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore
from llmcache_plugins.types import FloatArray

__all__ = ["broken_embedder", "broken_store", "clock_set_back"]


class Moody:
    """An embedder that is well, or raises, gives numbers that are none, another shape, or says nothing for a while."""

    moods = ("well", "raises", "not a number", "nothing", "another dimension", "too few", "no array", "hangs")

    def __init__(self) -> None:
        self._inner = FakeEmbedder()
        self.mood = "well"

    @property
    def embedder_id(self) -> str:
        return self._inner.embedder_id

    def fits(self, text: str) -> bool:
        if self.mood == "raises":
            raise RuntimeError("the embedder is down")
        return True

    def embed(self, texts: Sequence[str]) -> FloatArray:
        vectors = self._inner.embed(texts)
        if self.mood == "raises":
            raise RuntimeError("the embedder is down")
        if self.mood == "hangs":
            threading.Event().wait(0.2)
        broken: dict[str, Callable[[], object]] = {
            "not a number": lambda: vectors * np.nan,
            "nothing": lambda: vectors * 0,
            "another dimension": lambda: vectors[:, :-1],
            "too few": lambda: vectors[:-1],
            "no array": lambda: None,
        }
        return broken.get(self.mood, lambda: vectors)()  # type: ignore[return-value]


def broken_embedder(times: int, folder: Path) -> Iterator[Outcome]:
    """All of that in turn, by chance."""
    chosen = random.Random(23)
    embedder, outcome = Moody(), Outcome()
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.9, ttl=None, embedder_timeout=0.02) as cache:
        for _ in range(times):
            embedder.mood = chosen.choice(Moody.moods)
            outcome.tried += 1
            outcome.tell(f"embedder: {embedder.mood}")
            _ask(cache, chosen, outcome)
            yield outcome


def broken_store(times: int, folder: Path) -> Iterator[Outcome]:
    """A store of which one verb or another fails, for a while."""
    chosen = random.Random(29)
    verbs = ("get", "get_normalised", "put", "put_alias", "search", "set_vectors", "touch", "census", "invalidate")
    outcome, store = Outcome(), FaultyStore(MemoryStore())
    tiers = [TierConfig("only", store=store)]
    with open_cache(tiers=tiers, embedder=FakeEmbedder(), similarity_threshold=0.9, ttl=None) as cache:
        for _ in range(times):
            broken = set(chosen.sample(verbs, chosen.randint(0, 3)))
            store.heal()
            if broken:
                store.fail(broken)
            outcome.tried += 1
            _ask(cache, chosen, outcome)
            yield outcome


def clock_set_back(times: int, folder: Path) -> Iterator[Outcome]:
    """The clock of the machine jumps, back or ahead, by up to a day."""
    chosen = random.Random(31)
    outcome, clock = Outcome(), FakeClock()
    with open_cache("memory://", embedder=FakeEmbedder(), similarity_threshold=0.9, ttl=3600.0, clock=clock) as cache:
        for _ in range(times):
            clock.set_wall(clock.now() + chosen.uniform(-86_400, 86_400))
            outcome.tried += 1
            _ask(cache, chosen, outcome)
            yield outcome


def _ask(cache: SemanticCache, chosen: random.Random, outcome: Outcome) -> None:
    number = chosen.randrange(50)
    try:
        told = cache.get_or_generate(f"What does error {number} mean?", lambda: f"answer {number}")
    except Exception:
        outcome.raised += 1
        return
    outcome.wrong += told != f"answer {number}"
