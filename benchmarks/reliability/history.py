"""Whether what many callers see of one entry could have happened one after the other (linearizability).

Each write has a value of its own, so that a read tells which write it saw. For a register with writes, removals and
reads that is checked by what must never be: a value that nobody had begun to write, one that was certainly replaced or
removed before the read began, one older than what an earlier read had certainly seen, and nothing at all where
something certainly was.

Source of the notion: Herlihy and Wing, Linearizability, ACM TOPLAS 12(3), 1990.
"""

from __future__ import annotations

import math
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.reliability.trial import Outcome
from llmcache_plugins import Hit, SemanticCache, open_cache
from llmcache_plugins.policies.placement import default_tiers
from llmcache_plugins.testing.redis_server import RedisServer

__all__ = ["Operation", "ages", "in_memory", "on_disk", "on_server", "on_server_with_copies", "violations"]

_KEYS = 3
_OPERATIONS = 60  # of a caller in a round


@dataclass(frozen=True, slots=True)
class Operation:
    """What a caller did and saw.

    Args:
        kind: `write` of `value`, `read` that saw `value` (None: nothing), or `remove`.
        begin, end: of one clock that all callers share, seconds.
    """

    kind: Literal["write", "read", "remove"]
    key: int
    value: str | None
    begin: float
    end: float


def violations(history: Sequence[Operation]) -> list[str]:
    """What cannot have happened, a line each; empty where all can.

    >>> first, second = Operation("write", 0, "a", 0, 1), Operation("write", 0, "b", 2, 3)
    >>> violations([first, second, Operation("read", 0, "a", 4, 5)])
    ['key 0: a was read after b had replaced it']
    >>> violations([first, second, Operation("read", 0, "a", 2.5, 5)])
    []
    """
    found = []
    for key in sorted({one.key for one in history}):
        own = [one for one in history if one.key == key]
        changes = [one for one in own if one.kind != "read"]
        writes = {one.value: one for one in changes if one.kind == "write"}
        for read in own:
            if read.kind == "read":
                found += [f"key {key}: {what}" for what in _of_read(read, changes, writes)]
        found += [f"key {key}: {what}" for what in _of_order(own, writes)]
    return found


def _of_read(read: Operation, changes: Sequence[Operation], writes: dict[str | None, Operation]) -> Iterator[str]:
    if read.value is None:
        before = [one for one in changes if one.kind == "write" and one.end < read.begin]
        last = max(before, key=lambda one: one.begin, default=None)
        # Nothing may be seen where some removal can lie between the last write and the read.
        removals = [one for one in changes if one.kind == "remove" and one.begin < read.end]
        if last is not None and not any(one.end > last.begin for one in removals):
            yield f"nothing was read where {last.value} was"
        return
    write = writes.get(read.value)
    if write is None or write.begin > read.end:
        yield f"{read.value} was read before it was written"
        return
    for later in changes:
        if later.begin > write.end and later.end < read.begin:
            yield f"{read.value} was read after {later.value or 'a removal'} had replaced it"
            return


def _of_order(own: Sequence[Operation], writes: dict[str | None, Operation]) -> Iterator[str]:
    """A read after another one never sees an older value."""
    reads = sorted((one for one in own if one.kind == "read" and one.value in writes), key=lambda one: one.end)
    for place, later in enumerate(reads):
        for earlier in reads[:place]:
            if earlier.end < later.begin and writes[later.value].end < writes[earlier.value].begin:
                yield f"{later.value} was read after {earlier.value} had been"
                break


def in_memory(times: int, folder: Path) -> Iterator[Outcome]:
    """Eight threads share a cache in memory."""
    yield from _rounds(times, lambda number: _threads("memory://", number, 8))


def on_disk(times: int, folder: Path) -> Iterator[Outcome]:
    """Three processes with three threads each share a file."""
    yield from _rounds(times, lambda number: _processes(f"disk://{folder / f'{number}.db'}", number))


def on_server(times: int, folder: Path) -> Iterator[Outcome]:
    """Three processes with three threads each share a server, and keep no copies of what it has."""
    with RedisServer("plain") as server:
        yield from _rounds(times, lambda number: _processes(f"{server.url}?prefix=h{number}", number))


def on_server_with_copies(times: int, folder: Path) -> Iterator[Outcome]:
    """The same with copies, as by default: a process hears a moment later what the others have changed, and what it
    reads meanwhile is told and not counted as wrong."""
    with RedisServer("plain") as server:
        outcome, oldest = Outcome(), 0.0
        for number in range(times):
            history = _processes(f"{server.url}?prefix=c{number}", number, has_copies=True)
            late = ages(history)
            oldest = max([oldest, *late])
            outcome.tried += 1
            outcome.tell("reads", sum(one.kind == "read" for one in history))
            outcome.tell("of them of a moment before", len(late))
            outcome.told["the longest moment, ms"] = math.ceil(oldest * 1000)
            yield outcome


def ages(history: Sequence[Operation]) -> list[float]:
    """Of each read that saw what had certainly been replaced or removed: how long before it began, in seconds."""
    writes = {one.value: one for one in history if one.kind == "write"}
    late = []
    for read in history:
        write = writes.get(read.value) if read.kind == "read" and read.value is not None else None
        if write is not None:
            later = [
                one.end
                for one in history
                if one.key == read.key and one.kind != "read" and one.begin > write.end and one.end < read.begin
            ]
            late += [read.begin - min(later)] if later else []
    return late


def _rounds(times: int, run: Callable[[int], list[Operation]]) -> Iterator[Outcome]:
    outcome = Outcome()
    for number in range(times):
        history = run(number)
        outcome.tried += 1
        outcome.wrong += len(violations(history))
        for kind in ("write", "read", "remove"):
            outcome.tell(f"{kind}s", sum(one.kind == kind for one in history))
        yield outcome


def _opened(url: str, *, has_copies: bool) -> SemanticCache:
    settings: dict[str, Any] = {} if has_copies else {"tiers": default_tiers(10_000, 2**30)}
    # A short wait, for an answer that nobody has asked for is refused so long after a removal.
    return open_cache(url, embedder=None, ttl=None, near_miss_log=0, single_flight_timeout=0.05, **settings)


def _threads(url: str, number: int, threads: int, process: int = 0, has_copies: bool = False) -> list[Operation]:
    with _opened(url, has_copies=has_copies) as cache, ThreadPoolExecutor(threads) as pool:
        barrier = threading.Barrier(threads)
        runs = [pool.submit(_caller, cache, f"{number}.{process}.{place}", barrier) for place in range(threads)]
        return [one for run in runs for one in run.result()]


def _processes(url: str, number: int, *, has_copies: bool = False) -> list[Operation]:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        runs = [pool.apply_async(_threads, (url, number, 3, process, has_copies)) for process in range(3)]
        return [one for run in runs for one in run.get(120)]


def _caller(cache: SemanticCache, name: str, barrier: threading.Barrier) -> list[Operation]:
    chosen = random.Random(name)
    done = []
    barrier.wait()
    for place in range(_OPERATIONS):
        key, kind = chosen.randrange(_KEYS), chosen.choices(("write", "read", "remove"), (3, 6, 1))[0]
        text, value = f"What is the state of port {key}?", f"{name}.{place}"
        begin = time.monotonic()
        if kind == "read":
            found = cache.lookup(text)
            done.append(
                Operation("read", key, str(found.answer) if isinstance(found, Hit) else None, begin, time.monotonic())
            )
        elif kind == "remove":
            cache.invalidate(key=cache.identify(text).key)
            done.append(Operation("remove", key, None, begin, time.monotonic()))
        else:
            cache.lookup(text)  # so that the answer counts as one from after any removal before it
            begin = time.monotonic()
            if cache.update(text, value).stored:
                done.append(Operation("write", key, value, begin, time.monotonic()))
    return done
