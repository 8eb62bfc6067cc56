"""Threads for code that may never come back: a hung call ends with the process, and does not keep it from ending."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from llmcache_plugins.engine.forking import follow_forks

__all__ = ["Daemons", "awaited", "within"]

T = TypeVar("T")


class Daemons:
    """Runs calls in daemon threads, which Python does not wait for at its end, unlike those of an executor.

    A thread is started where one is needed and ends when nothing is left to do: what is asked here takes milliseconds
    and more, a thread a tenth of one.

    Args:
        most: threads at a time; further calls wait for one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.after_fork()
        follow_forks(self)

    def after_fork(self) -> None:
        """In a forked child the threads do not live, and the lock may be held by one of them."""
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running = 0

    def start(self, call: Callable[[], T]) -> Future[T]:
        """What `call` will return. Cancel it when nobody wants it any more: then it does not begin."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, call))
            if self._running >= self._most:
                return future
            self._running += 1
        try:
            threading.Thread(target=self._work, name="llmcache-adviser", daemon=True).start()
        except BaseException:  # no more threads: who waits for others may still be served
            with self._lock:
                self._running -= 1
                with contextlib.suppress(ValueError):
                    self._waiting.remove((future, call))
            raise
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                future, call = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                _finish(future, call)
            del future, call  # who hangs about here must not keep an answer


def _finish(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        value = call()
    except BaseException as error:
        # A future cannot carry a StopIteration (a bare `next` in code of the user's), and a thread's exit is nobody's.
        carries = isinstance(error, Exception) and not isinstance(error, StopIteration)
        failure = error if carries else RuntimeError(f"{type(error).__name__} raised in a worker thread")
        future.set_exception(failure)
    else:
        future.set_result(value)


async def awaited(future: Future[T], seconds: float | None) -> T:
    """The future's result, on an event loop. Unlike `asyncio.wrap_future`, giving up cancels nothing, and a result that
    comes when the loop is closed disturbs nobody.

    Raises:
        TimeoutError: it took longer.
    """
    loop = asyncio.get_running_loop()
    landed: asyncio.Future[None] = loop.create_future()

    def land(_: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(partial(_set, landed))

    future.add_done_callback(land)
    await asyncio.wait_for(landed, seconds)
    return future.result(0)


async def within(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """What a coroutine returns. Unlike `asyncio.wait_for`, it does not wait for one that will not be cancelled.

    Raises:
        TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # so that nobody misses it


def _set(landed: asyncio.Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)
