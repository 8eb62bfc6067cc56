"""A process is killed while it writes, at every step of a write: what it had confirmed stays, what it had begun is
there whole or not at all, and the next one goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.reliability.trial import Outcome
from llmcache_plugins import Hit, SemanticCache, open_cache

__all__ = ["invalidation_on_disk", "update_on_disk", "update_on_server"]

_OLD = {f"What is the address of router {number}?": f"10.0.0.{number}" for number in range(5)}
_NEW, _ANSWER = "What is the address of router 99?", "10.0.0.99"


def update_on_disk(times: int, folder: Path) -> Iterator[Outcome]:
    """Killed in an update of the disk store."""
    yield from _killed(times, lambda number: f"disk://{folder / f'{number}.db'}", _update, _has_new)


def invalidation_on_disk(times: int, folder: Path) -> Iterator[Outcome]:
    """Killed in an invalidation of everything: all of it is gone, or all of it is there."""
    yield from _killed(times, lambda number: f"disk://{folder / f'{number}.db'}", _invalidate, _all_or_none)


def update_on_server(times: int, folder: Path) -> Iterator[Outcome]:
    """Killed in an update of a server."""
    from llmcache_plugins.testing.redis_server import RedisServer

    with RedisServer("plain") as server:
        yield from _killed(times, lambda number: f"{server.url}?prefix=k{number}", _update, _has_new)


def _killed(
    times: int,
    url_of: Callable[[int], str],
    write: Callable[[SemanticCache], object],
    judge: Callable[[SemanticCache, Outcome], object],
) -> Iterator[Outcome]:
    """Each time one step later: a step is a call of a function, in Python or in C."""
    outcome = Outcome()
    steps = _steps(url_of(-1), write)
    outcome.told["steps of the write"] = steps
    for number in range(times):
        url = url_of(number)
        # All steps where there are as many tries, and else evenly spread, the first and the last among them.
        step = 1 + (number % steps if times >= steps else number * (steps - 1) // max(1, times - 1))
        with _opened(url) as cache:
            for text, answer in _OLD.items():
                cache.update(text, answer)
        died = _in_child(url, write, step)
        outcome.tried += 1
        outcome.tell("killed before the end" if died else "came to the end before")
        try:
            with _opened(url) as cache:
                judge(cache, outcome)
                cache.lookup("What is the address of router 7?")  # without it, an answer might be from before
                cache.update("What is the address of router 7?", "10.0.0.7")
                found = cache.lookup("What is the address of router 7?")
                outcome.lost += not found
        except Exception:
            outcome.raised += 1
        if url.startswith("disk://") and not _is_sound(Path(url.removeprefix("disk://"))):
            outcome.tell("damaged files")
        yield outcome


def _opened(url: str) -> SemanticCache:
    return open_cache(url, embedder=None, ttl=None, near_miss_log=0, single_flight_timeout=2.0)


def _update(cache: SemanticCache) -> object:
    return cache.update(_NEW, _ANSWER)


def _has_new(cache: SemanticCache, outcome: Outcome) -> None:
    for text, answer in _OLD.items():
        found = cache.lookup(text)
        if not isinstance(found, Hit):
            outcome.lost += 1
        elif found.answer != answer:
            outcome.wrong += 1
    found = cache.lookup(_NEW)
    if isinstance(found, Hit):
        outcome.wrong += found.answer != _ANSWER
        outcome.tell("the new answer was there")


def _invalidate(cache: SemanticCache) -> object:
    return cache.invalidate(everything=True)


def _all_or_none(cache: SemanticCache, outcome: Outcome) -> None:
    there = sum(isinstance(cache.lookup(text), Hit) for text in _OLD)
    if there not in (0, len(_OLD)):
        outcome.wrong += 1
    outcome.tell("everything was gone" if there == 0 else "everything was still there")


def _steps(url: str, write: Callable[[SemanticCache], object]) -> int:
    """How many calls a write makes, the first of a process that has opened the cache."""
    read, sent = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            count = 0

            def counting(frame: FrameType, event: str, argument: Any) -> None:
                nonlocal count
                count += event in ("call", "c_call")

            with _opened(url) as cache:
                sys.setprofile(counting)
                write(cache)
                sys.setprofile(None)
            os.write(sent, str(count).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(sent)
    with os.fdopen(read, "rb") as pipe:
        return int(pipe.read())


def _in_child(url: str, write: Callable[[SemanticCache], object], step: int) -> bool:
    """Whether a child that writes died at this step, or had no such step."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            count = 0

            def deadly(frame: FrameType, event: str, argument: Any) -> None:
                nonlocal count
                count += event in ("call", "c_call")
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            cache = _opened(url)
            sys.setprofile(deadly)
            write(cache)
            sys.setprofile(None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
