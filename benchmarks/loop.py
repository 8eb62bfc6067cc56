"""What an event loop sees: how long it stands still, and how many calls a crowd of equal questions makes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from langchain_core.messages import HumanMessage

from benchmarks.chain import anthropic_model
from benchmarks.workload import ANSWER, STORES, Plan, Workload
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

__all__ = ["CROWD", "Crowd", "Stall", "crowds", "stalls"]

CROWD = 20
_TICK = 0.001  # seconds between two ticks


@dataclass(frozen=True, slots=True)
class Stall:
    """The longest time between two ticks, less the tick itself; seconds. `took`: how long the work ran."""

    name: str
    seconds: float
    took: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """Calls that reached the provider when `callers` asked the same thing at the same time."""

    name: str
    callers: int
    calls: int


def stalls(workload: Workload, plan: Plan) -> list[Stall]:
    """The first one is an idle loop's, for as long as the embedder takes."""
    found = [asyncio.run(_idle(plan.embed_seconds))]
    return found + [asyncio.run(_slow_lookup(workload, store, plan.embed_seconds)) for store in STORES]


async def _idle(seconds: float) -> Stall:
    async with _ticking() as gaps:
        await asyncio.sleep(seconds)
    return _stall("floor: an idle loop", gaps)


async def _slow_lookup(workload: Workload, store: str, seconds: float) -> Stall:
    is_slow = False

    def wait(texts: Sequence[str]) -> None:
        if is_slow:
            time.sleep(seconds)

    async with workload.open(store, embedder=FakeEmbedder(before=wait)) as cache:
        await cache.aupdate("Which states does a session have?", ANSWER)
        is_slow = True
        async with _ticking() as gaps:
            await cache.alookup("Which timers does a session have?")
    return _stall(f"{store}, alookup", gaps)


@contextlib.asynccontextmanager
async def _ticking() -> AsyncIterator[list[float]]:
    """A task that ticks while the block runs, and the times between its ticks."""
    gaps: list[float] = []

    async def tick() -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            gaps.append(now - before)
            before = now

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(3 * _TICK)
    try:
        yield gaps
    finally:
        await asyncio.sleep(3 * _TICK)  # one more tick: a stall at the very end is one too
        ticker.cancel()


def _stall(name: str, gaps: Sequence[float]) -> Stall:
    return Stall(name, max(0.0, max(gaps) - _TICK), sum(gaps))


def crowds(workload: Workload) -> list[Crowd]:
    """The same question from many tasks at once, against a server that takes its time to answer."""
    return [asyncio.run(_crowd(workload, store)) for store in STORES]


async def _crowd(workload: Workload, store: str) -> Crowd:
    with FakeAnthropic(latency=0.2) as server:
        async with workload.open(store) as cache:
            model = anthropic_model(server.base_url, LLMCache(cache))
            asked = [HumanMessage("Which states does a BGP session have?")]
            await asyncio.gather(*(model.ainvoke(asked) for _ in range(CROWD)))
        return Crowd(f"LLMCache, {store}", CROWD, server.count())
