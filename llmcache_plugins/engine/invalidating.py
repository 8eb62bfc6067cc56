"""The verbs that invalidate: remove answers, or mark them stale, because what they tell has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.gradual import GradualInvalidation, Pace
from llmcache_plugins.engine.invalidation import Given, Plan, pace_of, plan_of
from llmcache_plugins.engine.invalidation_flow import HELD_BACK, Done, invalidate_flow
from llmcache_plugins.engine.invalidation_report import InvalidationProgress, InvalidationReport
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import Invalidations as ReadInvalidations
from llmcache_plugins.errors import StoreError
from llmcache_plugins.recorded import InvalidationEvent
from llmcache_plugins.selection import Invalidation, Selector

__all__ = ["Invalidating"]

_DAY = 24 * 3600.0


class Invalidating(Core):
    """Invalidations of a cache."""

    def invalidate(self, selector: Selector | None = None, /, **given: Unpack[Given]) -> InvalidationReport:
        """Answers are no longer true: remove them, or mark them stale. An answer that is under way meanwhile, asked
        for before, is not stored. All that is given must hold; only what is stored under this cache's own namespace
        is ever touched.

        Args:
            selector: what to invalidate; its namespace is below the cache's own.
            given: what to invalidate, how, and why:

                - `key`: an entry, by a hit, its `reference` or its key; or several.
                - `tags`: the entry has all of these. `tag_pattern`: it has one that fits, `"device:rtr-001:*"`.
                - `query_type`, `model`, `level`: it is of this one, or of one of these.
                - `older_than`: seconds since it was stored, at least.
                - `namespace`: below the cache's own.
                - `meaning`, `similarity` (0.9): its question has at least this cosine to a text, in all scopes.
                - `everything`: all of it, or all below `namespace`.
                - `mode`: `"now"` removes. `"lazy"` marks stale: such an answer is served for five minutes
                  (`lazy_stale_limit`) while a new one is asked for. `"gradual"` marks stale and lets new answers be
                  asked for at `rate` (10 a second) alone; what nobody asks for is removed in the end, `batch_size`
                  (100) at a time with `delay` (0.1 s) between. `warm` is called with stale entries, as many as the
                  rate allows, to renew them; `progress` and `on_done` hear how far it is.
                - `reason`: for the log.
                - `dry_run`: count and list, touch nothing.

        Returns:
            What was done. A gradual one goes on: `report.wait()`, `report.cancel()`, `report.progress`.

        Raises:
            ConfigError: nothing is selected, or something given is wrong.
            StoreError: the store is broken, unless `fail_open`: then the report says `has_failed`.
            EmbedderError: the embedder is, in the same way.
        """
        plan, pace = self._planned(selector, given)
        return self._invalidate(plan, pace)

    async def ainvalidate(self, selector: Selector | None = None, /, **given: Unpack[Given]) -> InvalidationReport:
        """`invalidate` for event loops. `warm`, `progress` and `on_done` are called in a thread."""
        plan, pace = self._planned(selector, given)
        return await self._ainvalidate(plan, pace)

    def invalidations(self, since: float | None = None) -> tuple[Invalidation, ...]:
        """What was invalidated under this cache's namespace, or above it, by whoever shares the store; oldest first.

        Args:
            since: seconds since the epoch; a day ago by default, which is how long the log is kept.

        Raises:
            StoreError: the store is broken, unless `fail_open`.
        """
        return self._told_log(partial(run, perform=self._perform)(self._log_flow(since)))

    async def ainvalidations(self, since: float | None = None) -> tuple[Invalidation, ...]:
        """`invalidations` for event loops."""
        return self._told_log(await arun(self._log_flow(since), self._aperform))

    # ---------------------------------------------------------------- inside
    def _planned(self, selector: Selector | None, given: Given) -> tuple[Plan, Pace]:
        has_embedder = self._rules.embedder_id is not None
        plan = plan_of(selector, given, self.config.namespace, self._clock.now(), has_embedder=has_embedder)
        return plan, pace_of(given, plan.mode, self._rules.staleness.lazy_stale_limit)

    def _invalidate(self, plan: Plan, pace: Pace) -> InvalidationReport:
        now = self._clock.now()
        gradual = self._held(plan, pace)
        try:
            done = run(invalidate_flow(plan, self._rules, now, self._epochs.bump_flow), self._perform)
        except BaseException:
            self._let_go(gradual)
            raise
        return self._told_done(done, gradual, now)

    async def _ainvalidate(self, plan: Plan, pace: Pace) -> InvalidationReport:
        now = self._clock.now()
        gradual = self._held(plan, pace)
        try:
            done = await arun(invalidate_flow(plan, self._rules, now, self._epochs.bump_flow), self._aperform)
        except BaseException:
            self._let_go(gradual)
            raise
        return self._told_done(done, gradual, now)

    def _held(self, plan: Plan, pace: Pace) -> GradualInvalidation | None:
        """A gradual invalidation that holds back new answers from now on, before anything is marked."""
        if plan.mode != "gradual" or plan.is_dry_run:
            return None
        perform: Callable[[Flow[Any]], Any] = partial(run, perform=self._perform)
        gradual = GradualInvalidation(plan.selectors, pace, self._clock, perform, tiers=len(self._rules.tiers))
        self._spread.hold(gradual)
        return gradual

    def _let_go(self, gradual: GradualInvalidation | None) -> None:
        if gradual is not None:
            gradual.ended.set_result(InvalidationProgress(is_cancelled=True))

    def _told_done(self, done: Done, gradual: GradualInvalidation | None, now: float) -> InvalidationReport:
        report = done.report
        if gradual is not None:
            gradual.begin(done.selectors, report.count, now)
            self._spread.start(gradual)
            report = replace(report, underway=gradual)
        if not report.is_dry_run:
            self._emit(InvalidationEvent(report.count, report.mode, report.reason, report.has_failed))
        if done.error is not None:
            self._spared(done.error)
        return report

    def _log_flow(self, since: float | None) -> Flow[list[Invalidation]]:
        since = self._clock.now() - _DAY if since is None else since
        try:
            return (yield ReadInvalidations(self._rules.bottom, since))  # type: ignore[no-any-return]
        except StoreError as error:
            self._spared(error)
            return []

    def _told_log(self, log: list[Invalidation]) -> tuple[Invalidation, ...]:
        own = self.config.namespace
        return tuple(
            one
            for one in log
            if one.mode != HELD_BACK and all(a == b for a, b in zip(one.selector.namespace, own, strict=False))
        )
