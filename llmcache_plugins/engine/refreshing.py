"""Renewing answers in the background, a bounded number at a time, in threads and on event loops."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from llmcache_plugins.engine.singleflight import Flight, FlightTable, Landing, LandingKind
from llmcache_plugins.protocols import Clock

__all__ = ["Refresher"]

_RESTS_FOR = 5.0  # seconds after a failure: a model that is down is not asked again by every reader
_MOST_RESTING = 1024


class Refresher:
    """Runs calls that nobody waits for. Each has a flight, which lands whatever happens.

    Beyond `workers` calls the next ones wait in a queue, and beyond `queue` of these nothing is begun: readers are
    served what is old until its window ends, and each asks again.

    Args:
        workers: calls at a time, in threads and on all event loops together.
        queue: calls that wait.
        flights: where their flights are.
        failed: told of a call that failed.
        succeeded: called after one that did not.
    """

    def __init__(
        self,
        workers: int,
        queue: int,
        flights: FlightTable,
        clock: Clock,
        failed: Callable[[BaseException], None],
        succeeded: Callable[[], None],
    ) -> None:
        self._most_running = workers
        self._most_waiting = queue
        self._flights = flights
        self._clock = clock
        self._failed = failed
        self._succeeded = succeeded
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child nothing runs, and the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()
        self._running: set[Flight] = set()
        self._waiting: OrderedDict[Flight, Callable[[], None]] = OrderedDict()
        self._resting: OrderedDict[str, float] = OrderedDict()
        self._tasks: dict[asyncio.Task[None], asyncio.AbstractEventLoop] = {}
        self._is_closed = False

    def may_begin(self, key: str) -> bool:
        """Is there room, and has this key not failed just now?"""
        if self._is_closed or self._clock.monotonic() < self._resting.get(key, 0.0):
            return False
        return len(self._running) < self._most_running or len(self._waiting) < self._most_waiting

    def start(self, flight: Flight, call: Callable[[], object]) -> None:
        """Make the call in a thread, with a copy of the caller's context. The thread keeps no process from ending."""
        context = contextvars.copy_context()

        def work() -> None:
            try:
                if not self._flights.adopt(flight):
                    return
                call()
            except BaseException as error:
                self._has_failed(flight, error)
            else:
                self._succeeded()
            finally:
                self._finish(flight)

        thread = threading.Thread(target=partial(context.run, work), name="llmcache-refresh", daemon=True)
        self._submit(flight, thread.start)

    def start_task(self, flight: Flight, call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Make the call in a task of the running loop, with a copy of the caller's context."""
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[None] = loop.create_future()

        async def work() -> None:
            await granted
            if not self._flights.adopt(flight):
                return
            try:
                await call()
            except Exception as error:
                self._has_failed(flight, error)
            else:
                self._succeeded()

        def done(task: asyncio.Task[None]) -> None:  # also when it was cancelled while it waited
            self._tasks.pop(task, None)
            self._finish(flight)

        # It is a task while it waits too: whoever ends the loop cancels it, and so it is not forgotten here.
        if self._submit(flight, lambda: _in_loop(loop, partial(_grant, granted))):
            task = loop.create_task(work())
            self._tasks[task] = loop  # a loop keeps no task alive by itself
            task.add_done_callback(done)

    def close(self) -> None:
        """Begin nothing more. What runs in threads runs on, and stores nothing; tasks are cancelled."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, OrderedDict()
        for flight in waiting:
            self._flights.land(flight, Landing(LandingKind.RELEASED))
        for task, loop in list(self._tasks.items()):
            with contextlib.suppress(RuntimeError):  # of a closed loop the tasks are gone too
                _in_loop(loop, task.cancel)

    # ---------------------------------------------------------------- inside
    def _submit(self, flight: Flight, launch: Callable[[], None]) -> bool:
        """Begin, or wait in the queue; False when there is no room."""
        self._flights.hand_over(flight)
        with self._lock:
            is_begun = not self._is_closed and self._has_slot()
            is_refused = not is_begun and (self._is_closed or len(self._waiting) >= self._most_waiting)
            if is_begun:
                self._running.add(flight)
            elif not is_refused:
                self._waiting[flight] = launch
        if is_refused:
            self._flights.land(flight, Landing(LandingKind.RELEASED))
        elif is_begun:
            self._launch(flight, launch)
        return not is_refused

    def _has_slot(self) -> bool:
        if len(self._running) >= self._most_running:  # a call past its deadline may be of a loop that is gone
            now = self._clock.monotonic()
            self._running = {flight for flight in self._running if flight.deadline > now}
        return len(self._running) < self._most_running

    def _launch(self, flight: Flight, launch: Callable[[], None]) -> None:
        try:
            launch()
        except RuntimeError:  # no more threads, or the loop was closed while the call waited
            self._finish(flight)

    def _finish(self, flight: Flight) -> None:
        """Land what has not landed, and begin the next."""
        self._flights.land(flight, Landing(LandingKind.RELEASED))
        following = None
        with self._lock:
            self._waiting.pop(flight, None)
            self._running.discard(flight)
            if self._waiting and self._has_slot():
                following = self._waiting.popitem(last=False)
                self._running.add(following[0])
        if following is not None:
            self._launch(*following)

    def _has_failed(self, flight: Flight, error: BaseException) -> None:
        with self._lock:
            self._resting[flight.key] = self._clock.monotonic() + _RESTS_FOR
            self._resting.move_to_end(flight.key)
            if len(self._resting) > _MOST_RESTING:
                self._resting.popitem(last=False)
        self._failed(error)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """
    Raises:
        RuntimeError: the loop is closed.
    """
    loop.call_soon_threadsafe(call)


def _grant(granted: asyncio.Future[None]) -> None:
    if not granted.done():
        granted.set_result(None)
