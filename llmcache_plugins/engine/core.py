"""What all verbs of a cache share: its parts, and how an error of the cache is spared."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from llmcache_plugins.ab_test import ABTest
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.engine.admitting import Admission
from llmcache_plugins.engine.announcing import Announcer
from llmcache_plugins.engine.asking import Advisers
from llmcache_plugins.engine.clock import Every
from llmcache_plugins.engine.drivers import AsyncPerformer, Health, Parts, Performer, Tier
from llmcache_plugins.engine.epochs import Epochs
from llmcache_plugins.engine.flow import NotFound, Rules
from llmcache_plugins.engine.following import FollowUps, ResolveTurns
from llmcache_plugins.engine.forking import follow_forks
from llmcache_plugins.engine.gradual import Spread
from llmcache_plugins.engine.housekeeper import Housekeeper
from llmcache_plugins.engine.joining import Joining
from llmcache_plugins.engine.leads import is_on_loop
from llmcache_plugins.engine.leasing import Holders, Leasing
from llmcache_plugins.engine.listening import Listener
from llmcache_plugins.engine.maintaining import Upkeep
from llmcache_plugins.engine.node import Node
from llmcache_plugins.engine.publishing import Publisher
from llmcache_plugins.engine.refreshing import Refresher
from llmcache_plugins.engine.reporting import Served
from llmcache_plugins.engine.resolving import Followed, Resolver
from llmcache_plugins.engine.rolling_out import RollingOut
from llmcache_plugins.engine.sequences import Sequences
from llmcache_plugins.engine.shadowing import Shadowing
from llmcache_plugins.engine.sharing import Shared
from llmcache_plugins.engine.shortcut import Shortcut
from llmcache_plugins.engine.singleflight import FlightTable
from llmcache_plugins.engine.surroundings import Around, Surroundings
from llmcache_plugins.engine.workers import Workers
from llmcache_plugins.errors import CodecError, LLMCacheError
from llmcache_plugins.policies.event_rules import EventRules
from llmcache_plugins.policies.freshness import Freshness
from llmcache_plugins.policies.keeping import Keeping
from llmcache_plugins.policies.tolerance import Tolerance
from llmcache_plugins.protocols import Clock, Embedder, Log, Profiler, Recorder, SharedCounts, StatisticsRecorder
from llmcache_plugins.quality import NearMissRecord, Regression
from llmcache_plugins.selection import Lease
from llmcache_plugins.types import Identity, MissReason, Namespace, Request

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
        profiler: Profiler | None = None,
        redact: Callable[[str], str] | None = None,
        resolver: ResolveTurns | None = None,
        shadowing: Shadowing | None = None,
        rolling_out: RollingOut | None = None,
        copies: Sequence[Tier] = (),
        event_rules: EventRules | None = None,
        shared_counts: SharedCounts | None = None,
        node: Node | None = None,
        on_close: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.config = config
        self._node = Node(config.node_id) if node is None else node
        self._is_closed = False
        self._on_close = list(on_close)
        self._tiers = tuple(tiers)
        self._spread = Spread(clock)
        kept = Keeping(store_text=config.store_text, redact=redact, failed=self._redaction_failed)
        self._keeps_all = config.store_text and redact is None
        self._rules = rules = replace(rules, serves_longer=self._spread.is_servable, kept=kept, moved_to=self._moved_to)
        if shadowing is not None:
            self._rules = rules = replace(rules, learnt=shadowing.learnt, check_chance=shadowing.chance)
        self._clock = clock
        self._opened_at = clock.now()
        self._statistics = statistics
        self._near_miss_log = near_miss_log
        self._regression_log = regression_log
        self._logs = [log for log in (near_miss_log, regression_log) if log is not None]
        self._emit = Announcer([statistics, *recorders])
        self._log = Announcer(self._logs)  # apart: they hear of misses and reports alone, and may write files
        self._health = Health(self._emit.error)
        self._flights = FlightTable(config.single_flight_timeout, clock, self._give_back)
        self._advisers = Advisers() if advisers is None else advisers
        self._parts = Parts(
            (*self._tiers, *copies), embedder, self._flights, self._health, clock, self._advisers, self._emit, shadowing
        )
        self._perform = Performer(self._parts)
        self._shadowing = shadowing
        if shadowing is not None:
            shadowing.report_to(self._emit, self._health.failed)
        self._rolling_out = rolling_out
        self._arm_of = config.policy.arm_of if isinstance(config.policy, ABTest) else None
        self._is_split = rolling_out is not None or self._arm_of is not None
        if rolling_out is not None:
            rolling_out.report_to(self._emit, self._health.failed)
        self._workers = Workers() if workers is None else workers
        self._aperform = AsyncPerformer(self._parts, self._workers)
        is_short = Shortcut.is_open(rules, is_rolling_out=rolling_out is not None)
        self._shortcut = Shortcut(rules, self._parts.tiers, self._health, clock) if is_short else None
        self._sweeps = Every(config.sweep_interval, clock)
        self._build_resolving(profiler, knows_dialogues=config.standalone_turns or resolver is not None)
        bypassed = partial(self._surroundings.entered, Around(is_bypassed=True))
        heard = Listener(clock, self._emit, self._health.failed, self._health.succeeded, bypassed)
        self._follow_ups = resolver and FollowUps(resolver, timeout=config.resolver_timeout, heard=heard)
        self._advisers.report_to(clock, self._emit, self._health.failed, self._health.succeeded, bypassed)
        self._event_rules = EventRules() if event_rules is None else event_rules
        self._build_joining()
        resolve = self._resolve
        self._served = Served(lambda: resolve.text_scope)
        self._upkeep = Upkeep(rules, self._epochs, clock, self._health, fail_open=config.fail_open)
        self._publisher = Publisher(self._tiers[-1], shared_counts, clock, self._emit)
        # A cache that is only read counts, too; where nobody shares the store that can wait until it is asked.
        self._publishes_reads = shared_counts is not None and self._tiers[-1].store.capabilities.is_shared
        chores = [
            (partial(_keep_up, weakref.ref(self)), config.maintenance_interval),
            (partial(_tell, weakref.ref(self)), config.stats_interval),
        ]
        self._housekeeper = Housekeeper(chores if config.maintenance == "auto" else ())
        weakref.finalize(self, self._housekeeper.stop)
        follow_forks(self)

    def _build_resolving(self, profiler: Profiler | None, *, knows_dialogues: bool) -> None:
        """What turns requests into identities, and answers into entries."""
        config = self.config
        tolerance = Tolerance(config.tolerance)
        freshness = Freshness(
            default=config.ttl,
            is_default_given=config.is_ttl_given,
            by_volatility=config.ttl_by_volatility,
            by_query_type=config.ttl_by_query_type,
            by_tag=config.ttl_by_tag,
        )
        self._surroundings = Surroundings(freshness.volatilities)
        self._epochs = Epochs(self._tiers[-1], len(self._tiers) - 1, self._epochs_failed, self._epochs_read)
        self._resolve = Resolver(
            config.namespace,
            self._surroundings,
            self._epochs,
            tolerance,
            self._clock.now,
            knows_dialogues=knows_dialogues,
        )
        self._admit = Admission(
            config,
            surroundings=self._surroundings,
            freshness=freshness,
            tolerance=tolerance,
            node=self._node,
            profiler=profiler,
            profiler_failed=self._profiler_failed,
            kept=self._rules.kept,
        )

    def _followed(self, request: Request, identity: Identity) -> tuple[Request, Identity]:
        """The request as the question that it was found to mean, if it was; nobody is asked."""
        if self._follow_ups is None or isinstance(identity, Followed):
            return request, identity
        question = self._follow_ups.known(identity.key)[1]
        if question is None:
            return request, identity
        flight = self._flights.flight_of(identity.key, request.text)
        if flight is not None and flight.key == identity.key:
            return request, identity  # it was looked up before anybody knew, and lands where it took off
        return self._resolve.followed(request, identity, question)

    def _moved_to(self, namespace: Namespace, now: float) -> str | None:
        return self._epochs.embedder_of((*self.config.namespace, *namespace), now)

    def _epochs_failed(self, error: Exception) -> None:
        if self._is_closed:
            return  # so nothing is looked for
        self._health.failed(self._tiers[-1].name, error, "read epochs")
        if not self.config.fail_open:
            raise error

    def _epochs_read(self) -> None:
        self._health.succeeded(self._tiers[-1].name, "read epochs")

    def _profiler_failed(self, error: Exception) -> None:
        self._health.failed("profiler", error)
        if not self.config.fail_open:
            raise error

    def _redaction_failed(self, error: Exception) -> None:
        self._health.failed("redaction", error)
        if not self.config.fail_open:
            raise error

    def _build_joining(self) -> None:
        """What lets concurrent misses make one call, and old answers be renewed."""
        config, clock, bottom = self.config, self._clock, self._rules.bottom
        timeout, across = config.single_flight_timeout, config.single_flight_across_processes
        self._sequences = Sequences(timeout, clock)
        self._refresher = Refresher(
            config.refresh_workers,
            config.refresh_queue,
            self._flights,
            clock,
            failed=lambda error: self._health.failed("refresh", error, "renew answers"),
            succeeded=lambda: self._health.succeeded("refresh", "renew answers"),
        )
        self._holders = Holders()
        is_shared = self._tiers[bottom].store.capabilities.is_shared if across == "auto" else across
        self._joining = Joining(
            self._rules,
            clock,
            timeout,
            allows_refresh=self._spread.allows_refresh,
            may_renew=self._refresher.may_begin,
            leasing=Leasing(bottom, timeout, self._holders, clock, config.fail_open) if is_shared else None,
            is_retrying=config.followers_on_failure == "retry",
            joins_paraphrases=config.join_paraphrases,
        )

    def _give_back(self, lease: Lease) -> None:
        """Flights land on event loops too, and these must not be blocked."""
        if not is_on_loop():
            return self._release(lease)
        with contextlib.suppress(RuntimeError):  # the process is ending: the lease ends by itself
            self._workers().submit(self._release, lease)

    def _release(self, lease: Lease) -> None:
        bottom = self._tiers[-1]
        try:
            bottom.store.release(lease)
        except Exception as error:  # the flight has landed: nothing of the caller's depends on this
            if not self._is_closed:
                self._health.failed(bottom.name, error, "release")

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
        self._sequences.after_fork()
        self._refresher.after_fork()
        self._holders.after_fork()
        self._served.after_fork()
        self._spread.after_fork()
        self._advisers.after_fork()
        if self._shadowing is not None:
            self._shadowing.after_fork()
        if self._rolling_out is not None:
            self._rolling_out.after_fork()
        if self._follow_ups is not None:
            self._follow_ups.after_fork()
        if self._rules.tiering is not None:
            self._rules.tiering.after_fork()
        self._publisher.after_fork()


def _keep_up(cache: weakref.ref[Core]) -> None:
    """One pass of maintenance, unless nobody has the cache any more: the thread that waits for the next one must not be
    what keeps it."""
    core = cache()
    if core is not None and not core._is_closed:
        core._upkeep.run(core._perform)


def _tell(cache: weakref.ref[Core]) -> None:
    """Share what was counted, on the same terms."""
    core = cache()
    if core is not None and not core._is_closed:
        core._publisher.tick()
