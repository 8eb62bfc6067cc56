"""`SemanticCache`: the public face of the engine.

Its verbs are grouped by idea, each group a class over `Core`: they build flows, drive them, and report what came of
them. A new group is one more module and one more base here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from llmcache_plugins.counters import CacheStats, SharedStats, StoreStats, TierStats
from llmcache_plugins.engine.analysing import Analysing
from llmcache_plugins.engine.context import Contexts
from llmcache_plugins.engine.events import Events
from llmcache_plugins.engine.expiring import ExpiringEntries
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.housekeeping import Housekeeping
from llmcache_plugins.engine.inspecting import Inspecting
from llmcache_plugins.engine.overview import Overview
from llmcache_plugins.engine.quality import Quality
from llmcache_plugins.engine.reembedding import Reembedding
from llmcache_plugins.engine.transferring import Transferring
from llmcache_plugins.engine.warming import Warming
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import HasAsyncTwin
from llmcache_plugins.types import Identity, Request

__all__ = ["SemanticCache"]


class SemanticCache(
    Warming,
    Transferring,
    Reembedding,
    ExpiringEntries,
    Analysing,
    Overview,
    Inspecting,
    Quality,
    Events,
    Contexts,
    Housekeeping,
):
    """A cache of LLM answers: exact first, then by meaning. Safe to share between threads and event loops.

    Made by `open_cache`; the constructor is for those who bring their own parts.

    Args:
        tiers: stores that hold every entry stored from now on; with `rules.tiering` one.
        copies: stores of copies, in the order of the places that `rules.tiering` knows them by.
        config: the settings.
        rules: what the flows need, derived from the settings by the factory.
        embedder: None for a cache of exact and normalised matches only.
        statistics: counts every event.
        near_miss_log: keeps near misses, if anybody does.
        regression_log: keeps reported pairs, if anybody does.
        recorders: also hear every event; one that raises is logged once and dropped.
        advisers: who is asked before a match is served: verifier, judge, validators.
        shadowing: checks of would-be hits, for policies that learn from them.
        rolling_out: who is served and who is not; None where everybody is.
        redact: takes out of a question's text what must not be stored, if anybody does.
        resolver: says what a follow-up asks as a question by itself, if anybody does.
        workers: threads for what would block an event loop; the tiers' async stores should use the same.
        event_rules: what an event makes wrong; None for the default rules.
        shared_counts: keeps what `statistics` counts in the store, beside what other processes count.
        node: the id of this process; None for `config.node_id`.
        on_close: called at the end of `close`; none of them raises.
        clock: the time.
    """

    def identify(self, request: AnyRequest) -> Identity:
        """Scope and key of a request in this cache.

        Raises:
            ConfigError: `params` or `context` is not JSON.
        """
        return self._resolve.identify(request)

    def stats(self) -> CacheStats:
        """Counters since the cache was opened, and the size of each tier and store now."""
        stores = {}
        for tier in self._parts.tiers:
            with contextlib.suppress(StoreError):  # a store that is closed or down has no size; the counters remain
                stores[tier.name] = tier.store.stats()
        return self._snapshot(stores)

    async def astats(self) -> CacheStats:
        stores = {}
        for tier in self._parts.tiers:
            with contextlib.suppress(StoreError):
                stores[tier.name] = await tier.async_store.stats()
        return self._snapshot(stores)

    def shared_stats(self) -> SharedStats:
        """What all processes that use the store of this cache have counted, those that are gone included, since the
        first of them or since `reset_shared_stats`. Counts of other processes are up to `stats_interval` old; of a
        process that was killed what it had counted since its last write is missing. Caches with other namespaces are
        in it: `total.namespaces` tells them apart."""
        stores = self._sizes()
        shared = self._publisher.shared(stores, self._tier_stats(stores))
        down = () if stores else (self._tiers[-1].name,)
        return replace(shared, total=replace(shared.total, stores_down=down))

    async def ashared_stats(self) -> SharedStats:
        """`shared_stats` for event loops."""
        return await in_worker(self._workers(), self.shared_stats)

    def reset_shared_stats(self) -> None:
        """Let all shared counts begin at 0, whoever counted. `stats()` goes on.

        Raises:
            StoreError: the store is broken, or others kept writing at this moment.
        """
        self._publisher.reset()

    async def areset_shared_stats(self) -> None:
        """`reset_shared_stats` for event loops."""
        await in_worker(self._workers(), self.reset_shared_stats)

    @property
    def node_id(self) -> str:
        """What entries that this cache stores have as `node_id`, and its counts in `shared_stats`."""
        return self._node()

    def _sizes(self) -> dict[str, StoreStats]:
        """Of the store of all entries; empty when it cannot be read."""
        bottom = self._tiers[-1]
        with contextlib.suppress(StoreError):
            return {bottom.name: bottom.store.stats()}
        return {}

    def _snapshot(self, stores: Mapping[str, StoreStats]) -> CacheStats:
        snapshot = self._statistics.snapshot(stores, self._tier_stats(stores))
        down = tuple(tier.name for tier in self._parts.tiers if tier.name not in stores)
        adaptive = () if self._shadowing is None else self._shadowing.stats()
        return replace(snapshot, adaptive=adaptive, stores_down=down)

    def _tier_stats(self, stores: Mapping[str, StoreStats]) -> dict[str, TierStats]:
        tiering = self._rules.tiering
        if tiering is None:
            return {name: TierStats(s.entries, s.size_bytes, evictions=s.evictions) for name, s in stores.items()}
        return tiering.stats(stores.get(self._tiers[-1].name, StoreStats()))

    def report_error(self, component: str, error: BaseException) -> None:
        """A plugin failed and spared its caller: counted, and logged once per change of state."""
        self._health.failed(component, error)

    def report_success(self, component: str) -> None:
        """The plugin works (again). Costs next to nothing when nothing had failed."""
        self._health.succeeded(component)

    def close(self) -> None:
        """Make everything durable, release files and threads. A second call does nothing; a later lookup is a miss."""
        was_closed, self._is_closed = self._is_closed, True
        self._refresher.close()
        self._spread.close()
        if self._rolling_out is not None and not was_closed:
            self._rolling_out.close()
        self._housekeeper.close()
        if not was_closed:
            self._publisher.tick()
        for log in self._logs:
            log.close()
        for tier in reversed(self._parts.tiers):
            tier.store.close()
        self._workers.close()
        for close in self._on_close:
            close()

    async def aclose(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._workers(), self.close)
        for tier in self._parts.tiers:
            if isinstance(tier.store, HasAsyncTwin):  # its connections belong to this loop
                await tier.async_store.close()

    def __repr__(self) -> str:
        tiering = self._rules.tiering
        tiers = ", ".join(self._rules.tiers if tiering is None else tiering.placement.names)
        policy = None if self._rules.embedder_id is None else self._rules.policy_for(Request(""))
        return (
            f"SemanticCache(tiers=[{tiers}], namespace={self.config.namespace!r}, "
            f"embedder={self._rules.embedder_id!r}, policy={None if policy is None else policy.policy_id!r})"
        )
