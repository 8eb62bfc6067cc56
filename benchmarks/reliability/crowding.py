"""Very many at once, forked workers, and a disk that is full."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.reliability.trial import Outcome
from llmcache_plugins import SemanticCache, open_cache

__all__ = ["crowd", "forked", "full_disk"]

_AT_ONCE, _DIFFERENT, _THREADS = 10_000, 100, 200


def crowd(times: int, folder: Path) -> Iterator[Outcome]:
    """10,000 tasks of one event loop with 100 different questions, and 200 threads beside them, at an empty cache."""
    outcome = Outcome()
    for number in range(times):
        with open_cache(f"disk://{folder / f'{number}.db'}", embedder=None, ttl=None) as cache:
            calls = asyncio.run(_crowded(cache, outcome))
        outcome.tried += 1
        outcome.tell("requests", _AT_ONCE + _THREADS)
        outcome.tell("calls of the model", calls)
        yield outcome


async def _crowded(cache: SemanticCache, outcome: Outcome) -> int:
    calls = 0
    counting = threading.Lock()

    def count() -> None:
        nonlocal calls
        with counting:
            calls += 1

    async def amodel(number: int) -> str:
        count()
        await asyncio.sleep(0.05)
        return f"answer {number}"

    def model(number: int) -> str:
        count()
        return f"answer {number}"

    async def ask(number: int) -> None:
        try:
            told = await cache.aget_or_generate(f"What does error {number} mean?", lambda: amodel(number))
            outcome.wrong += told != f"answer {number}"
        except Exception:
            outcome.raised += 1

    def ask_in_thread(number: int) -> None:
        try:
            told = cache.get_or_generate(f"What does error {number} mean?", lambda: model(number))
            outcome.wrong += told != f"answer {number}"
        except Exception:
            outcome.raised += 1

    threads = [threading.Thread(target=ask_in_thread, args=(place % _DIFFERENT,)) for place in range(_THREADS)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(ask(place % _DIFFERENT) for place in range(_AT_ONCE)))
    for thread in threads:
        thread.join()
    return calls


def forked(times: int, folder: Path) -> Iterator[Outcome]:
    """A process that has a cache open, with threads at work, forks four workers, as web servers do; all go on."""
    outcome = Outcome()
    for number in range(times):
        with open_cache(f"disk://{folder / f'{number}.db'}", embedder=None, ttl=None) as cache:
            stop = threading.Event()
            threads = [threading.Thread(target=_work_on, args=(cache, stop, outcome)) for _ in range(2)]
            for thread in threads:
                thread.start()
            children = [_worker(cache, place) for place in range(4)]
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            stop.set()
            for thread in threads:
                thread.join()
            outcome.raised += sum(code != 0 for code in codes)
            for place in range(4):
                for part in range(5):
                    found = cache.lookup(f"question {part} of worker {place}")
                    outcome.lost += not found
        outcome.tried += 1
        outcome.tell("workers", 4)
        yield outcome


def _work_on(cache: SemanticCache, stop: threading.Event, outcome: Outcome) -> None:
    number = 0
    while not stop.is_set():
        number = (number + 1) % 20
        try:
            told = cache.get_or_generate(f"question {number}", lambda: f"answer {number}")  # noqa: B023
            outcome.wrong += told != f"answer {number}"
        except Exception:
            outcome.raised += 1


def _worker(cache: SemanticCache, place: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    with suppress(BaseException):
        signal.alarm(30)  # one that waits for a lock of its parent's for ever
        for part in range(5):
            text = f"question {part} of worker {place}"
            assert cache.get_or_generate(text, lambda: text[::-1]) == text[::-1]  # noqa: B023
            assert cache.lookup(text)
        code = 0
    os._exit(code)


def full_disk(times: int, folder: Path) -> Iterator[Outcome]:
    """The disk takes so many more bytes and then no more, each time another number, and later it does again."""
    outcome = Outcome()
    for number in range(times):
        url = f"disk://{folder / f'{number}.db'}"
        with open_cache(url, embedder=None, ttl=None) as cache:
            for part in range(5):
                cache.update(f"question {part}", f"answer {part}")
        child = os.fork()
        if child == 0:
            code = 1
            with suppress(BaseException):
                code = _with_little_room(url, folder / f"{number}.db", 4096 * (number % 60))
            os._exit(code)
        outcome.raised += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        with open_cache(url, embedder=None, ttl=None) as cache:
            for part in range(5):
                outcome.lost += not cache.lookup(f"question {part}")
        outcome.tried += 1
        yield outcome


def _with_little_room(url: str, path: Path, room: int) -> int:
    signal.alarm(60)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails instead, as it does on a full disk
    with open_cache(url, embedder=None, ttl=None) as cache:
        sizes = [size.st_size for name in path.parent.glob(f"{path.name}*") for size in (name.stat(),)]
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + room, hard))
        for part in range(40):
            text = f"question {part} when there is no room " + "x" * 2000
            if cache.get_or_generate(text, lambda: text[::-1]) != text[::-1]:  # noqa: B023
                return 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        cache.get_or_generate("What is there now?", lambda: "room")
        return 0 if cache.lookup("What is there now?") else 3
