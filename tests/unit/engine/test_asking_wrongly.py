"""Advisers that answer in a way nobody foresaw: no certainty comes of it, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import Entry, Hit, Miss, Request, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import FloatArray, Verdict

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"


class Scorer:
    verifier_id = "scorer"

    def __init__(self, score: Any) -> None:
        self.score = score

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        return np.array([self.score] * len(pairs))


def opened(similarity: float, **parts: Any) -> SemanticCache:
    cache = open_cache(
        "memory://", embedder=FakeEmbedder({ASKED: "bgp", STORED: "bgp"}, similarity=similarity), **parts
    )
    cache.update(STORED, "answer")
    return cache


def out_of(iterator: list[int]) -> bool:
    return bool(next(number for number in iterator if number > 2))  # raises StopIteration


@pytest.mark.parametrize("score", [1.2, -0.1, 3, "high"])
def test_what_is_no_probability_is_no_certainty(score: Any) -> None:
    with opened(0.9, verifier=Scorer(score)) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)
        assert cache.stats().errors["verifier"] == 1
    with opened(0.9, judge=lambda request, entry: score) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)
        assert cache.stats().errors["judge"] == 1


@pytest.mark.parametrize("yes", [True, 1, 1.0, np.True_, np.float32(1.0)])
def test_a_yes_of_any_numeric_type_is_one(yes: Any) -> None:
    with opened(0.9, judge=lambda request, entry: yes) as cache:
        assert isinstance(cache.lookup(ASKED), Hit)


async def test_stop_iteration_in_a_validator_is_a_rejection_and_not_a_hang() -> None:
    def validate(request: Request, entry: Entry) -> bool:
        return out_of([1])

    with opened(0.97, validators=[validate]) as cache:
        outcome = await asyncio.wait_for(cache.alookup(ASKED), 10)
        assert isinstance(outcome, Miss)
        assert outcome.reason == "rejected"


async def test_stop_iteration_in_a_verifier_or_an_embedder_is_a_miss_and_not_a_hang() -> None:
    class Broken(Scorer):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            return np.array([out_of([1])])

    with opened(0.9, verifier=Broken(1.0)) as cache:
        assert isinstance(await asyncio.wait_for(cache.alookup(ASKED), 10), Miss)

    class BrokenEmbedder(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> FloatArray:
            return np.array([out_of([1])])

    with open_cache("memory://", embedder=BrokenEmbedder({})) as cache:
        cache.update(STORED, "answer")
        assert isinstance(await asyncio.wait_for(cache.alookup(ASKED), 10), Miss)


async def test_validators_that_wait_hold_up_no_exact_hit(tmp_path: Path) -> None:
    release = threading.Event()

    def validate(request: Request, entry: Entry) -> bool:
        return release.wait(20)

    embedder = FakeEmbedder({f"{ASKED} {number}": "bgp" for number in range(8)} | {STORED: "bgp"}, similarity=0.97)
    with open_cache(f"disk://{tmp_path}/cache.db", embedder=embedder, validators=[validate]) as cache:
        cache.update(STORED, "answer")
        waiting = [asyncio.create_task(cache.alookup(f"{ASKED} {number}")) for number in range(8)]
        await asyncio.sleep(0)
        try:
            assert isinstance(await asyncio.wait_for(cache.alookup(STORED), 10), Hit)
        finally:
            release.set()
            await asyncio.gather(*waiting)


def test_a_misspelt_verdict_of_an_own_guard_is_no_silence() -> None:
    class Strict:
        name = "strict"

        def __call__(self, asked: str, stored: str) -> Verdict:
            return Verdict(self.name, "veto")  # type: ignore[arg-type]

    with opened(0.97, guards=[Strict()]) as cache:
        outcome = cache.lookup(ASKED)
        assert isinstance(outcome, Miss)
        assert outcome.reason == "internal_error"
