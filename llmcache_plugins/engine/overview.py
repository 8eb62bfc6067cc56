"""The verb that says what a cache has done, and what that was worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from llmcache_plugins.counters import CacheStats, SharedStats
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.money import MoneySettings
from llmcache_plugins.report import Notice, Report, report_of

__all__ = ["Overview"]


class Overview(Core):
    """What a cache has done."""

    def stats(self) -> CacheStats:
        raise NotImplementedError

    async def astats(self) -> CacheStats:
        raise NotImplementedError

    def shared_stats(self) -> SharedStats:
        raise NotImplementedError

    async def ashared_stats(self) -> SharedStats:
        raise NotImplementedError

    def report(
        self,
        *,
        money: MoneySettings | None = None,
        shared: bool = False,
        since: Mapping[str, Any] | None = None,
        alerts: Iterable[Notice | tuple[str, str, str]] = (),
    ) -> Report:
        """Hit rates, latencies, money, quality and freshness since the cache was opened. `print` it. Nothing is
        counted.

        Args:
            money: prices and costs; None for the prices that come with the package.
            shared: of all processes that use the store, since the first of them began; see `shared_stats`.
            since: `as_json()` of an earlier report: what has changed comes with it.
            alerts: what wants attention: name, level and text of each, or the `Alerts` that watch this cache.

        Raises:
            ConfigError: `money` are no `MoneySettings`, `since` is no report of this version, or `alerts` are none.
        """
        _check(money)
        counted = self.shared_stats() if shared else self.stats()
        return self._report_of(counted, money, since, alerts)

    async def areport(
        self,
        *,
        money: MoneySettings | None = None,
        shared: bool = False,
        since: Mapping[str, Any] | None = None,
        alerts: Iterable[Notice | tuple[str, str, str]] = (),
    ) -> Report:
        """`report` for event loops."""
        _check(money)
        counted = await self.ashared_stats() if shared else await self.astats()
        # In a thread: the prices of the package are read from their file the first time.
        return await in_worker(self._workers(), partial(self._report_of, counted, money, since, alerts))

    # ---------------------------------------------------------------- inside
    def _report_of(
        self,
        counted: CacheStats | SharedStats,
        money: MoneySettings | None,
        since: Mapping[str, Any] | None,
        alerts: Iterable[Notice | tuple[str, str, str]],
    ) -> Report:
        is_shared = isinstance(counted, SharedStats)
        return report_of(
            counted.total if isinstance(counted, SharedStats) else counted,
            at=self._clock.now(),
            since=counted.since if isinstance(counted, SharedStats) else self._opened_at,
            namespace=self.config.namespace,
            is_shared=is_shared,
            is_complete=not isinstance(counted, SharedStats) or counted.is_complete,
            processes=len(counted.nodes) if isinstance(counted, SharedStats) else 1,
            money=money,
            alerts=alerts,
            earlier=since,
            fraction=None if self._rolling_out is None else self._rolling_out.fraction,
        )


def _check(money: object) -> None:
    if money is not None and not isinstance(money, MoneySettings):
        raise ConfigError(f"money must be MoneySettings, not {type(money).__name__}")
