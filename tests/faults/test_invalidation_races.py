"""Invalidations against everything that goes on at the same time: who asks after one never gets what was before it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, Request, Selector, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder

QUESTIONS = [Request(f"What is the state of port {number}?", tags=("ports",)) for number in range(8)]


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SemanticCache]:
    url = "memory://" if request.param == "memory" else f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None, stale_while_revalidate=0.0) as cache:
        yield cache


class World:
    """What the answers tell: a number that only grows. `known` is the last one that everybody has to know of."""

    def __init__(self) -> None:
        self.number = 0
        self.known = 0
        self.wrong: list[tuple[int, int]] = []

    def generate(self) -> int:
        """A model that takes its time: other threads go on between what it reads and what it says."""
        number = self.number
        for _ in range(20):
            os.sched_yield()
        return number

    def ask(self, look: Callable[[], int]) -> None:
        known = self.known
        told = look()
        if told < known:
            self.wrong.append((told, known))


def test_nobody_gets_an_answer_from_before_a_change_that_has_ended(cache: SemanticCache) -> None:
    world, stop = World(), threading.Event()

    def read(start: int) -> None:
        turn = start
        while not stop.is_set():
            turn += 1
            world.ask(partial(cache.get_or_generate, QUESTIONS[turn % 8], world.generate))

    readers = [threading.Thread(target=read, args=(start,)) for start in range(6)]
    for reader in readers:
        reader.start()
    for _ in range(60):
        with cache.changing(Selector(tags=("ports",))):
            world.number += 1
        world.known = world.number
        for question in QUESTIONS[:3]:
            world.ask(partial(cache.get_or_generate, question, world.generate))
    stop.set()
    for reader in readers:
        reader.join(30)
    assert world.wrong == []
    assert cache.stats().hit_count > 0


def test_the_same_for_tasks_and_their_threads(cache: SemanticCache) -> None:
    world = World()

    async def read(start: int) -> None:
        async def generate() -> int:
            number = world.number
            await asyncio.sleep(0)
            return number

        for turn in range(start, start + 150):
            known = world.known
            told = await cache.aget_or_generate(QUESTIONS[turn % 8], generate)
            if told < known:
                world.wrong.append((told, known))

    async def change() -> None:
        for _ in range(40):
            async with cache.changing(Selector(tags=("ports",))):
                world.number += 1
                await asyncio.sleep(0)
            world.known = world.number
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(change(), *(read(start) for start in range(6)))

    asyncio.run(main())
    assert world.wrong == []


@pytest.mark.parametrize("mode", ["now", "lazy"])
def test_a_popular_entry_is_not_served_from_a_copy(cache: SemanticCache, mode: str) -> None:
    cache.update(QUESTIONS[0], "old")
    for _ in range(25):
        assert isinstance(cache.lookup(QUESTIONS[0]), Hit)
    cache.invalidate(tags="ports", mode=mode)
    outcome = cache.lookup(QUESTIONS[0])
    assert isinstance(outcome, Miss) or (isinstance(outcome, Hit) and outcome.is_stale)


def test_a_wording_goes_with_what_it_points_to() -> None:
    embedder = FakeEmbedder({"is it up": "up", "does it run": "up"})
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.9, use_guards=False) as cache:
        cache.update(Request("is it up", tags=("ports",)), "old")
        for _ in range(3):
            assert isinstance(cache.lookup("does it run"), Hit)
        assert cache.invalidate(tags="ports").count == 1
        assert isinstance(cache.lookup("does it run"), Miss)
        assert cache.stats().entries == 0


def test_many_invalidate_at_once(cache: SemanticCache) -> None:
    for question in QUESTIONS:
        cache.update(question, "old")
    counts: list[int] = []

    def invalidate(tags: str) -> None:
        counts.append(cache.invalidate(tags=tags).count)

    threads = [threading.Thread(target=invalidate, args=("ports",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(counts) == len(QUESTIONS), "each entry is removed, and counted, once"
    assert len(cache.invalidations()) == 6


def test_an_entry_marked_and_renewed_is_not_removed_at_the_end_of_a_gradual_one(cache: SemanticCache) -> None:
    for question in QUESTIONS:
        cache.update(question, "old")
    renewed: list[Any] = []

    def warm(entries: Any) -> None:
        for entry in entries:
            request = Request(entry.text, tags=("ports",))
            assert isinstance(cache.lookup(request, lead=True), Miss)
            renewed.append(cache.update(request, "new").stored)

    report = cache.invalidate(tags="ports", mode="gradual", rate=1000, delay=0, warm=warm)
    done = report.wait(30)
    assert (done.is_done, done.removed, done.refreshed) == (True, 0, 8)
    assert renewed == [True] * 8
    assert all(isinstance(hit := cache.lookup(one), Hit) and hit.answer == "new" for one in QUESTIONS)
