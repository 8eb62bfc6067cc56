"""The verbs about whether matches are right: explain one, list the near ones, report a wrong one."""

from __future__ import annotations

import asyncio

from llmcache_plugins.ab_test import ArmName
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.explaining import Peek, explain_flow
from llmcache_plugins.engine.explanation import Explanation
from llmcache_plugins.engine.flow import Flow
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.labelling import label_flow, pair_of, unlabel_flow
from llmcache_plugins.engine.reporting import Wrong, report_flow
from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.keys.fingerprint import key_of
from llmcache_plugins.quality import Labelled, LabelOutcome, NearMissRecord, Regression, Reported
from llmcache_plugins.recorded import ReportEvent
from llmcache_plugins.types import Hit, Identity, Request

__all__ = ["Quality"]


class Quality(Core):
    """Why a cache answers as it does, and what users say of it."""

    def explain(self, request: AnyRequest, *, scope: str | None = None) -> Explanation:
        """What a lookup of this request would do now, and why: every candidate with its similarity, confidence and the
        verdicts on it. Nothing is counted, stored or served; the judge is not asked. `print` it.

        Args:
            scope: digest of a scope, as an `Entry` and a `Miss` have it: ask the text of the request in it, whatever
                model, parameters and history that is of. Where parameters are tolerated (`tolerance`), an exact match
                is not found so.

        Raises:
            ConfigError: `scope` is no digest.
            StoreError: the store is broken, unless `fail_open`.
            EmbedderError: the embedder is.
        """
        request, identity = _in_scope(*self._followed(*self._resolve(request)), scope)
        flow = explain_flow(request, identity, self._rules, self._clock.now(), peek := Peek())
        return run(flow, peek.by(self._perform))

    async def aexplain(self, request: AnyRequest, *, scope: str | None = None) -> Explanation:
        """`explain` for event loops."""
        request, identity = _in_scope(*self._followed(*(await self._resolve.awaited(request))), scope)
        flow = explain_flow(request, identity, self._rules, self._clock.now(), peek := Peek())
        return await arun(flow, peek.aby(self._aperform))

    def finish_checks(self, timeout: float | None = None) -> bool:
        """Wait until all answers that have come are compared with what was checked (adaptive policy) or withheld
        (roll-out), at the end of a job or in a test. False when either took longer than `timeout` seconds."""
        is_checked = self._shadowing is None or self._shadowing.finish(timeout)
        return (self._rolling_out is None or self._rolling_out.finish(timeout)) and is_checked

    def near_misses(self) -> tuple[NearMissRecord, ...]:
        """What was nearly served of late, newest last: near enough to be judged, or the nearest candidate of a miss."""
        return () if self._near_miss_log is None else self._near_miss_log.snapshot()

    def report_wrong(self, hit_or_key: Hit | str, *, asked: str | None = None) -> Reported:
        """The answer of this hit was wrong. Its entry is removed with all its aliases; what was asked and what was
        stored never match again in their scope, and matches near them need more confidence from now on.

        Args:
            hit_or_key: the hit, its `reference`, or a key: of the request or of the entry. Bare keys are known for the
                last thousand hits of this process that were not exact, and for requests that were plain strings.
            asked: the question, where a name does not tell it: that of a `normalised` hit of another process, or of
                an entry that is gone. Without it the entry goes and no pair is remembered.

        Raises:
            ConfigError: `hit_or_key` is none of these, or a bare key that is not known.
            StoreError: a store is broken, unless `fail_open`. The pair is among the `regressions` by then.
        """
        wrong = self._served.wrong_of(hit_or_key, asked)
        reported, error = run(self._report_flow(wrong), self._perform)
        self._emit(event := ReportEvent(reported, self._arm_of_wrong(wrong)))
        self._log(event)
        if self._rolling_out is not None and reported.removed:  # the same hit twice is one wrong answer
            self._rolling_out.reported()
        return self._told(reported, error)

    async def areport_wrong(self, hit_or_key: Hit | str, *, asked: str | None = None) -> Reported:
        """`report_wrong` for event loops."""
        wrong = self._served.wrong_of(hit_or_key, asked)
        reported, error = await arun(self._report_flow(wrong), self._aperform)
        self._emit(event := ReportEvent(reported, self._arm_of_wrong(wrong)))
        await asyncio.get_running_loop().run_in_executor(self._workers(), self._log, event)
        if self._rolling_out is not None and reported.removed:  # the same hit twice is one wrong answer
            self._rolling_out.reported()
        return self._told(reported, error)

    def _arm_of_wrong(self, wrong: Wrong) -> ArmName:
        if self._arm_of is None or wrong.asked is None:
            return ""
        return self._arm_of(Request(wrong.asked, namespace=wrong.namespace[len(self.config.namespace) :]))

    def label(self, near_miss: NearMissRecord, *, is_right: bool) -> Labelled:
        """A person says of a near miss whether the stored answer would have been right for what was asked. If so, what
        was asked becomes another wording of that entry, in its own scope alone, whatever guards and thresholds say: the
        next lookup of it is a hit, until the entry goes. If not, nothing was served and nothing changes, unless
        somebody had called it right before: that is taken back. Either way the pair comes back as a label that
        `llmcache tune` reads; keeping it is up to the caller.

        Args:
            near_miss: one of `near_misses()`, of whatever process.

        Raises:
            ConfigError: it is no near miss.
            StoreError: a store is broken, unless `fail_open`: then the outcome is `failed`.
        """
        pair = pair_of(near_miss, self._rules, is_right=is_right)
        try:
            return Labelled(run(self._label_flow(near_miss, is_right), self._perform), pair)
        except Exception as error:
            self._spared(error)
            return Labelled("failed", pair)

    async def alabel(self, near_miss: NearMissRecord, *, is_right: bool) -> Labelled:
        """`label` for event loops."""
        pair = pair_of(near_miss, self._rules, is_right=is_right)
        try:
            return Labelled(await arun(self._label_flow(near_miss, is_right), self._aperform), pair)
        except Exception as error:
            self._spared(error)
            return Labelled("failed", pair)

    def _label_flow(self, near_miss: NearMissRecord, is_right: bool) -> Flow[LabelOutcome]:
        if is_right:
            return label_flow(near_miss, self._rules, self.config.namespace, self._clock.now())
        return unlabel_flow(near_miss, self._rules, self.config.namespace)

    def _report_flow(self, wrong: Wrong) -> Flow[tuple[Reported, StoreError | None]]:
        try:
            return (yield from report_flow(wrong, self._rules, self._clock.now()))
        except ConfigError:
            raise
        except Exception as error:
            self._spared(error)
            return Reported(0, has_failed=True), None

    def _told(self, reported: Reported, error: StoreError | None) -> Reported:
        if error is not None:
            self._spared(error)
        return reported

    def regressions(self) -> tuple[Regression, ...]:
        """The pairs that were reported as wrong in this process, newest last: cases to test other settings with."""
        return () if self._regression_log is None else self._regression_log.snapshot()


def _in_scope(request: Request, identity: Identity, scope: str | None) -> tuple[Request, Identity]:
    """The request with the identity that its text has in another scope."""
    if scope is None:
        return request, identity
    if not isinstance(scope, str) or not scope or not scope.isascii():
        raise ConfigError(f"scope must be the digest of one, not {scope!r}")
    return request, Identity(scope, key_of(scope, request.text))
