"""What is asked of a cache as a whole, in a process of its own: how long it takes to fill it, what it holds in memory,
how soon it answers after a start, how long one entry in a hundred takes to go, and what many callers at once get."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.machine import resident
from benchmarks.peers.contenders import Contender, contender, fill, spellings
from benchmarks.redis.caches import Vectors
from benchmarks.redis.dataset import answer, question
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.evaluation import PreparedEmbedder, VectorFile

__all__ = ["ASYNC", "THREADS", "Whole", "whole"]

THREADS = (1, 2, 4, 8)
ASYNC = (1, 16, 64, 256)
_SECONDS = 0.3  # about so long does a round of all callers together take
_ROUNDS = 3  # of which the best counts: they show what is possible, and the machine has other things to do


@dataclass(frozen=True, slots=True)
class Whole:
    """Of one cache. None: it cannot do that, or does not keep anything.

    Args:
        put: seconds of one update, the mean of all while it was filled.
        held: bytes of memory by entry, those of the process after minus before.
        start: seconds from opening what is on the disk to the first answer, an exact hit.
        meaning: the same until the first semantic hit, or a miss where it finds none.
        removal: seconds to remove a hundredth of all entries.
        removed: how many that were.
        threads: number of threads -> exact hits a second of all together.
        tasks: number of tasks of one event loop -> exact hits a second of all together.
    """

    name: str
    entries: int
    put: float
    held: float
    start: float | None
    meaning: float | None
    removal: float | None
    removed: int
    threads: dict[int, float]
    tasks: dict[int, float]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def whole(name: str, size: int, folder: Path, vectors: Path) -> Whole:
    """Measure it in new processes, one that fills it and one that opens it again.

    Args:
        vectors: a file with the vectors of all questions: no model runs.

    Raises:
        subprocess.CalledProcessError: the cache failed; its last words are on stderr.
    """
    found: dict[str, Any] = {}
    for part in ("fill", "open"):
        command = [sys.executable, "-m", "benchmarks.peers.whole", part, name, str(size), str(folder), str(vectors)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    for many in ("threads", "tasks"):
        found[many] = {int(number): rate for number, rate in found[many].items()}
    return Whole(name, size, **found)


def _part(part: str, name: str, size: int, folder: Path, file: Path) -> dict[str, Any]:
    model = OnnxEmbedder(threads=1)
    vectors = Vectors(model, PreparedEmbedder(model, file=VectorFile(file), threads=1))
    reworded = f"Hello, {question(3)} Thanks!"
    texts = [*map(question, range(size)), reworded]
    vectors.prepare([one for text in texts for one in spellings(text)], lambda *_: None)
    return _filled(name, size, folder, vectors) if part == "fill" else _opened(name, folder, vectors, reworded)


def _filled(name: str, size: int, folder: Path, vectors: Vectors) -> dict[str, Any]:
    vectors.load()  # the model is nobody's entry
    gc.collect()
    before = resident()
    cache = contender(name, folder, vectors)
    began = perf_counter()
    for _ in fill(cache, size):
        pass
    put = (perf_counter() - began) / size
    cache.get(f"Hello, {question(5)} Thanks!")  # vectors that are stored late, and a search, count
    gc.collect()
    held = (resident() - before) / size
    calls = _calls(cache)
    threads = {number: _threads(cache, _asked(size, number, calls)) for number in THREADS}
    tasks = {}
    if cache.aget is not None:
        tasks = {number: asyncio.run(_tasks(cache.aget, _asked(size, number, calls))) for number in ASYNC}
    removal, removed = None, 0
    if cache.remove is not None:
        chosen = cache.hundredth(size)
        began = perf_counter()
        cache.remove(chosen)
        removal = perf_counter() - began
        removed = sum(cache.get(question(number)) != answer(number) for number in chosen)  # others' may be near enough
        for number in chosen:  # the next process asks for them
            cache.put(question(number), "again")
    cache.close()
    return {
        "put": put,
        "held": held,
        "threads": threads,
        "tasks": tasks,
        "removal": removal,
        "removed": removed,
    }


def _opened(name: str, folder: Path, vectors: Vectors, reworded: str) -> dict[str, Any]:
    began = perf_counter()
    cache = contender(name, folder, vectors)  # what it imports is a part of its start
    if not cache.is_kept:
        cache.close()
        return {"start": None, "meaning": None}
    found = cache.get(question(3))
    start = perf_counter() - began
    cache.get(reworded)
    meaning = perf_counter() - began
    cache.close()
    if found is None:
        raise RuntimeError(f"{name} has forgotten what it stored")
    return {"start": start, "meaning": meaning if cache.is_semantic else None}


def _calls(cache: Contender) -> int:
    """As many exact hits as take that long, one after the other; at least one for each caller."""
    began = perf_counter()
    for number in range(20):
        cache.get(question(number))
    return max(*ASYNC, *THREADS, min(20_000, int(20 * _SECONDS / (perf_counter() - began))))


def _asked(size: int, number: int, calls: int) -> list[list[str]]:
    """The same questions, dealt out to so many callers."""
    texts = [question(place * 7 % min(size, 1_000)) for place in range(calls)]
    return [texts[place::number] for place in range(number)]


def _threads(cache: Contender, asked: Sequence[Sequence[str]]) -> float:
    return max(_in_threads(cache, asked) for _ in range(_ROUNDS))


def _in_threads(cache: Contender, asked: Sequence[Sequence[str]]) -> float:
    barrier = threading.Barrier(len(asked) + 1)

    def work(mine: Sequence[str]) -> None:
        barrier.wait()
        for text in mine:
            cache.get(text)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in asked]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = perf_counter()
    for worker in workers:
        worker.join()
    return sum(map(len, asked)) / (perf_counter() - began)


async def _tasks(aget: Callable[[str], Any], asked: Sequence[Sequence[str]]) -> float:
    async def work(mine: Sequence[str]) -> None:
        for text in mine:
            await aget(text)

    best = 0.0
    for _ in range(_ROUNDS):
        began = perf_counter()
        await asyncio.gather(*(work(mine) for mine in asked))
        best = max(best, sum(map(len, asked)) / (perf_counter() - began))
    return best


if __name__ == "__main__":
    _, part, name, size, folder, file = sys.argv
    print(json.dumps(_part(part, name, int(size), Path(folder), Path(file))))
