"""A process of the load test: threads or tasks that ask, and now and then make what they ask about untrue.

    python redis_load.py CACHE_URL TRUTH_URL SECONDS NAME THREADS AWAITS SINGLE_FLIGHT_TIMEOUT

What is true is kept on another server, which is never stopped: each group of questions has a version, and an answer
names the one that was true when the model was asked. Prints what was found, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis

from llmcache_plugins import Request, SemanticCache, open_cache
from llmcache_plugins.recorded import ErrorEvent, Event
from llmcache_plugins.testing import FakeEmbedder

GROUPS = 12
QUESTIONS = 120
STALENESS = 1.5  # the store's default
RAISE = """
if (tonumber(redis.call('GET', KEYS[1])) or 0) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
"""
SLACK = 1.0  # of a busy machine


class Witness:
    """Asks and checks. What one process sees is written down by itself; nothing is shared but the counters."""

    def __init__(self, truth: redis.Redis, name: str) -> None:
        self._truth = truth
        self._name = name
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.at: dict[str, list[float]] = {"twice": [], "late": [], "error": [], "unanswered": []}
        self.samples: list[str] = []
        self._known: dict[int, deque[tuple[float, int]]] = {group: deque() for group in range(GROUPS)}

    def request(self) -> tuple[int, Request]:
        number = random.randrange(QUESTIONS)
        group = number % GROUPS
        return group, Request(f"What is the state of number {number}?", model="m", tags=(f"group:{group}",))

    def least(self, group: int) -> int:
        """The version that an answer must have at least: that of invalidations which had returned long enough ago."""
        done = int(self._truth.get(f"done:{group}") or 0)
        now = time.monotonic()
        with self._lock:
            known = self._known[group]
            known.append((now, done))
            while len(known) > 1 and known[1][0] <= now - STALENESS - SLACK:
                known.popleft()
            first_at, first = known[0]
            return first if first_at <= now - STALENESS - SLACK else 0

    def generate(self, group: int, text: str) -> str:
        """The model: says what is true now."""
        if self._truth.incr(f"running:{text}") > 1:
            self.note("twice", text)
        try:
            version = int(self._truth.get(f"version:{group}") or 0)
            time.sleep(random.uniform(0.001, 0.02))
            return f"{text}|{version}"
        finally:
            self._truth.decr(f"running:{text}")

    def check(self, group: int, text: str, least: int, answer: str) -> None:
        self.count("asked")
        said, _, version = answer.partition("|")
        if said != text:
            self.count("wrong")
        if int(version) < least:
            self.note("late", f"{text}: {version} instead of {least}")

    def change(self, cache: SemanticCache) -> None:
        """Something becomes untrue."""
        group = random.randrange(GROUPS)
        version = self._truth.incr(f"version:{group}")
        report = cache.invalidate(tags=f"group:{group}", reason="load")
        self.count("changed")
        if report.has_failed:
            self.count("change failed")
            return
        self._truth.eval(RAISE, 1, f"done:{group}", version)

    def hear(self, event: Event) -> None:
        if isinstance(event, ErrorEvent):
            with self._lock:
                self.at["unanswered"].append(time.time())

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def note(self, what: str, sample: str) -> None:
        with self._lock:
            self.at[what].append(time.time())
            self.samples.append(f"{what} {self._name} {sample}"[:300])


def by_threads(cache: SemanticCache, witness: Witness, until: float, threads: int) -> None:
    def work(seed: int) -> None:
        while time.monotonic() < until:
            try:
                if random.random() < 0.01:
                    witness.change(cache)
                group, request = witness.request()
                least = witness.least(group)
                answer = cache.get_or_generate(request, _call(witness, group, request.text))
                witness.check(group, request.text, least, answer)
            except Exception as error:
                witness.note("error", f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def _call(witness: Witness, group: int, text: str) -> Callable[[], str]:
    return lambda: witness.generate(group, text)


async def by_tasks(cache: SemanticCache, witness: Witness, until: float, tasks: int) -> None:
    async def work() -> None:
        while time.monotonic() < until:
            try:
                group, request = witness.request()
                least = await asyncio.to_thread(witness.least, group)

                async def generate(group: int = group, text: str = request.text) -> str:
                    return await asyncio.to_thread(witness.generate, group, text)

                answer = await cache.aget_or_generate(request, generate)
                witness.check(group, request.text, least, answer)
            except Exception as error:
                witness.note("error", f"{type(error).__name__}: {error}")

    await asyncio.gather(*(work() for _ in range(tasks)))
    await cache.aclose()


def main() -> None:
    url, truth_url, seconds, name, threads, awaits, longest = sys.argv[1:]
    logging.basicConfig(level=logging.CRITICAL)
    witness = Witness(redis.Redis.from_url(truth_url, decode_responses=True), name)
    until = time.monotonic() + float(seconds)
    settings: Any = {"embedder": FakeEmbedder(), "maintenance": "manual", "single_flight_timeout": float(longest)}
    with open_cache(url, **settings, recorders=[witness.hear]) as cache:
        if awaits == "yes":
            asyncio.run(by_tasks(cache, witness, until, int(threads)))
        else:
            by_threads(cache, witness, until, int(threads))
        stats: Any = cache.stats()
    hits = sum(stats.hits.values())
    sys.stdout.write(
        json.dumps({"counts": witness.counts, "at": witness.at, "samples": witness.samples[:20], "hits": hits})
    )


if __name__ == "__main__":
    main()
