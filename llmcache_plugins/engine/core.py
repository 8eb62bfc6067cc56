"""What all verbs of a cache share: its parts, and how an error of the cache is spared."""

from __future__ import annotations

from collections.abc import Sequence

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.engine.announcing import Announcer
from llmcache_plugins.engine.asking import Advisers
from llmcache_plugins.engine.clock import Every
from llmcache_plugins.engine.drivers import AsyncPerformer, Health, Parts, Performer, Tier
from llmcache_plugins.engine.flow import NotFound, Rules
from llmcache_plugins.engine.forking import follow_forks
from llmcache_plugins.engine.gradual import Spread
from llmcache_plugins.engine.reporting import Served
from llmcache_plugins.engine.resolving import Resolver
from llmcache_plugins.engine.sharing import Shared
from llmcache_plugins.engine.singleflight import FlightTable
from llmcache_plugins.engine.workers import Workers
from llmcache_plugins.errors import CodecError, LLMCacheError
from llmcache_plugins.policies.event_rules import EventRules
from llmcache_plugins.protocols import Clock, Embedder, Log, Recorder, StatisticsRecorder
from llmcache_plugins.quality import NearMissRecord, Regression
from llmcache_plugins.types import MissReason

__all__ = ["Core"]


class Core(Shared):
    """The parts of one cache. A family of verbs is a class over it, and the cache is made of all of them."""

    def __init__(
        self,
        tiers: Sequence[Tier],
        *,
        config: CacheConfig,
        rules: Rules,
        embedder: Embedder | None,
        statistics: StatisticsRecorder,
        clock: Clock,
        near_miss_log: Log[NearMissRecord] | None = None,
        regression_log: Log[Regression] | None = None,
        recorders: Sequence[Recorder] = (),
        advisers: Advisers | None = None,
        workers: Workers | None = None,
        copies: Sequence[Tier] = (),
        event_rules: EventRules | None = None,
    ) -> None:
        self.config = config
        self._tiers = tuple(tiers)
        self._rules = rules
        self._clock = clock
        self._statistics = statistics
        self._near_miss_log = near_miss_log
        self._regression_log = regression_log
        self._logs = [log for log in (near_miss_log, regression_log) if log is not None]
        self._emit = Announcer([statistics, *recorders])
        self._log = Announcer(self._logs)  # apart: they hear of misses and reports alone, and may write files
        self._health = Health(self._emit.error)
        self._flights = FlightTable(config.single_flight_timeout, clock)
        self._advisers = Advisers() if advisers is None else advisers
        self._advisers.report_to(clock, self._emit, self._health.failed, self._health.succeeded)
        self._parts = Parts(
            (*self._tiers, *copies), embedder, self._flights, self._health, clock, self._advisers, self._emit
        )
        self._perform = Performer(self._parts)
        self._workers = Workers() if workers is None else workers
        self._aperform = AsyncPerformer(self._parts, self._workers)
        self._sweeps = Every(config.sweep_interval, clock)
        self._resolve = Resolver(config.namespace)
        self._event_rules = EventRules() if event_rules is None else event_rules
        self._spread = Spread(clock)
        self._served = Served(self._resolve.text_scope)
        self._is_closed = False
        follow_forks(self)

    def _spared(self, error: Exception) -> NotFound:
        """Turn an error of the cache into a miss, or raise it when the user wants to hear it. The parts have reported
        their own failures by now; what is left is a bug of ours or of a user's guard."""
        if not self.config.fail_open:
            raise error
        if not isinstance(error, LLMCacheError) or isinstance(error, CodecError):
            self._health.failed("engine", error)
        return NotFound(MissReason.INTERNAL_ERROR)

    def after_fork(self) -> None:
        """In a forked child: no thread but one was copied, so nobody leads, and nobody will give a lock back."""
        self._flights.forget()
        self._served.after_fork()
        self._spread.after_fork()
        self._advisers.after_fork()
        if self._rules.tiering is not None:
            self._rules.tiering.after_fork()
