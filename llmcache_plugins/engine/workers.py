"""The threads of a cache: for what would block an event loop, an embedding or a disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from llmcache_plugins.engine.forking import follow_forks

__all__ = ["Workers", "in_worker"]

T = TypeVar("T")

_THREADS = 4


async def in_worker(executor: Executor, call: Callable[[], T]) -> T:
    """What `call` returns, from a thread of `executor`.

    A `StopIteration` (a bare `next` in code of the user's) comes out as a `RuntimeError`, as it does from a coroutine:
    a future cannot carry it, and whoever awaits it would wait for ever.
    """
    return await asyncio.get_running_loop().run_in_executor(executor, _carried, call)


def _carried(call: Callable[[], T]) -> T:
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("StopIteration raised in a worker thread") from error


class Workers:
    """A thread pool of the cache's own, started when it is first asked for.

    Not the event loop's: its threads may all be waiting for a leader that needs one of them to store its answer.
    """

    def __init__(self) -> None:
        self.after_fork()
        follow_forks(self)

    def after_fork(self) -> None:
        """In a forked child the threads do not live, and the lock may be held by one of them."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self) -> Executor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="llmcache")
            return self._pool

    def close(self) -> None:
        """Let the threads end when they are done; asked again, it starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
