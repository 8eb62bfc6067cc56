"""What has to be done now and then: remove what has expired, move what is idle or too much, forget old notes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from llmcache_plugins.engine.copying import drop_outdated_copies
from llmcache_plugins.engine.drivers import AsyncPerformer, Health, Performer, arun, run
from llmcache_plugins.engine.epochs import Epochs
from llmcache_plugins.engine.moving import adopt, balance, demote_idle, promote_read
from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import Delete, ForgetInvalidations, Select, Sweep
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import LLMCacheError
from llmcache_plugins.protocols import Clock
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Namespace

__all__ = ["Maintained", "Pass", "Upkeep"]

Pass: TypeAlias = Callable[[float], Flow[int]]
"""Makes the flow of one piece of maintenance from the time; the flow says how much it did."""

_SWEEP_LIMIT = 1000
_LOG_KEPT = 24 * 3600.0  # seconds an invalidation stays in the log


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one pass of maintenance did, by name of the work, and the names of what failed.

    `expired` entries were removed after their end; `promoted`, `idle` and `capacity` entries moved to another tier;
    `copies` were dropped because the truth has changed since; `epochs` entries of earlier epochs were removed;
    `invalidations` have left the log.
    """

    done: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


class Upkeep:
    """The maintenance of one cache, as a list of named passes.

    What fails is counted under the part that failed, and the next pass is tried all the same.
    """

    def __init__(self, rules: Rules, epochs: Epochs, clock: Clock, health: Health, *, fail_open: bool) -> None:
        self._rules = rules
        self._epochs = epochs
        self._emptied: dict[Namespace, float] = {}  # epochs before which nothing is left, by namespace
        self._clock = clock
        self._health = health
        self._fail_open = fail_open
        self._passes: dict[str, Pass] = {
            "expired": self._sweep,
            "epochs": self._leave_epochs,
            "invalidations": self._forget,
        }
        if rules.tiering is not None:
            self._passes |= {
                "adopted": lambda now: adopt(rules, now),
                "promoted": lambda now: promote_read(rules, now),
                "idle": lambda now: demote_idle(rules, now),
                "capacity": lambda now: balance(rules, now),
            }
            if rules.tiering.copies:
                self._passes["copies"] = lambda now: drop_outdated_copies(rules)
        self._chores: dict[str, Callable[[], Any]] = {}

    def add_chore(self, name: str, work: Callable[[], Any]) -> None:
        """One more piece of work that is a plain call; one of the same name is replaced."""
        self._chores[name] = work

    def run(self, perform: Performer) -> Maintained:
        done: dict[str, int] = {}
        failed: list[str] = []
        for name, make in list(self._passes.items()):
            try:
                done[name] = run(make(self._clock.now()), perform)
            except Exception as error:
                self._spare(name, error, failed)
        for name, work in list(self._chores.items()):
            try:
                done[name] = _count(work())
            except Exception as error:
                self._spare(name, error, failed)
        return Maintained(done, tuple(failed))

    async def arun(self, perform: AsyncPerformer, executor: Callable[[], Executor]) -> Maintained:
        done: dict[str, int] = {}
        failed: list[str] = []
        for name, make in list(self._passes.items()):
            try:
                done[name] = await arun(make(self._clock.now()), perform)
            except Exception as error:
                self._spare(name, error, failed)
            await asyncio.sleep(0)  # a store in memory never gave way to the others on this loop
        for name, work in list(self._chores.items()):
            try:
                done[name] = _count(await in_worker(executor(), work))
            except Exception as error:
                self._spare(name, error, failed)
        return Maintained(done, tuple(failed))

    def _spare(self, name: str, error: Exception, failed: list[str]) -> None:
        if not self._fail_open:
            raise error
        if not isinstance(error, LLMCacheError):  # the stores have reported their own failures by now
            self._health.failed("maintenance", error, name)
        failed.append(name)

    def _sweep(self, now: float) -> Flow[int]:
        """Remove what has expired, and is of no use any more."""
        rules, removed = self._rules, 0
        for tier in range(len(rules.tiers)):
            while swept := (yield Sweep(tier, now - rules.staleness.kept_for, _SWEEP_LIMIT)):
                removed += swept
        return removed

    def _leave_epochs(self, now: float) -> Flow[int]:
        """Remove what was stored before the present epoch of its namespace: nobody finds it any more."""
        rules, removed = self._rules, 0
        for namespace, begun in self._epochs.begun().items():
            earlier = Selector(namespace=namespace, stored_before=begun)
            while self._emptied.get(namespace) != begun:
                page = yield Select(rules.bottom, earlier, _SWEEP_LIMIT)
                if not page.rows:
                    self._emptied[namespace] = begun
                by_scope: dict[str, list[str]] = {}
                for stored in page.rows:
                    by_scope.setdefault(stored.entry.scope, []).append(stored.entry.key)
                for scope, keys in by_scope.items():
                    removed += yield Delete(rules.bottom, scope, keys)
        return removed

    def _forget(self, now: float) -> Flow[int]:
        return int((yield ForgetInvalidations(self._rules.bottom, now - _LOG_KEPT)))


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
