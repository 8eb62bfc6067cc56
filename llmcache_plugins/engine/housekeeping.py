"""The verbs of maintenance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.maintaining import Maintained
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import ConfigError

__all__ = ["Housekeeping"]


class Housekeeping(Core):
    """Maintenance of a cache."""

    def maintain(self) -> Maintained:
        """One pass: remove what has expired, demote what is idle or too much for its tier, promote what was read often
        enough, drop outdated copies, forget invalidations of more than a day ago; and share what was counted. With
        `maintenance="auto"` a thread does it every `maintenance_interval` seconds; it may be called besides.

        Raises:
            StoreError: a store is broken, unless `fail_open`.
        """
        if self._is_closed:
            return Maintained()
        maintained = self._upkeep.run(self._perform)
        self._publisher.tick()
        return maintained

    async def amaintain(self) -> Maintained:
        """`maintain` for event loops."""
        if self._is_closed:
            return Maintained()
        maintained = await self._upkeep.arun(self._aperform, self._workers)
        await in_worker(self._workers(), self._publisher.tick)
        return maintained

    def add_maintenance(self, name: str, work: Callable[[], Any]) -> None:
        """Call `work` in each pass too; what it raises is counted and spared.

        Args:
            name: of the work in the result, in logs and in `errors`; a second work of that name replaces the first.
            work: called without arguments; an int it returns says how much it did.

        Raises:
            ConfigError: `work` is not callable.
        """
        if not callable(work):
            raise ConfigError(f"the work of a maintenance must be callable, not {type(work).__name__}")
        self._upkeep.add_chore(name, work)
