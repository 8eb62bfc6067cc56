"""The judge of a cache: a model call, so within limits of time, number and money, and never twice for one pair."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from llmcache_plugins.engine.daemons import Daemons, awaited
from llmcache_plugins.engine.layers import inside
from llmcache_plugins.engine.leads import is_on_loop
from llmcache_plugins.engine.listening import Listener
from llmcache_plugins.engine.steps import AskJudge
from llmcache_plugins.engine.verdicts import finished, outcome_of, word_for
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import fingerprint
from llmcache_plugins.policies.asking_limits import Breaker, Budget, Verdicts
from llmcache_plugins.protocols import Judge
from llmcache_plugins.quality import Judgement
from llmcache_plugins.recorded import JudgeEvent, JudgeOutcome
from llmcache_plugins.types import Namespace

__all__ = ["JudgeCalls"]

_log = logging.getLogger(__name__)
_MINUTE = 60.0
_THREADS = 32  # as many calls may hang; the breaker lets a few an hour begin
# A judge is often a model behind this very cache: its own questions must not be put before a judge again.
_is_judging: ContextVar[bool] = ContextVar("llmcache_is_judging", default=False)


@dataclass(slots=True, eq=False)
class _Call:
    """One question to the judge, on its way; whoever asks the same meanwhile waits for it.

    `answer` never fails: None is "no verdict". Once it has landed or timed out nobody waits for it. A call that has
    timed out may still land, late: `charged` is what was booked for it before.
    """

    pair: str
    namespace: Namespace
    began: float
    is_on_loop: bool
    answer: Future[float | None] = field(default_factory=Future)
    work: Future[Any] | asyncio.Task[Any] | None = None
    has_landed: bool = False
    has_timed_out: bool = False
    charged: float = 0.0


class JudgeCalls:
    """Asks one judge, remembers what it said, and keeps it within its limits. Whatever goes wrong is no verdict.

    Args:
        judge_id: changes with what the judge says; part of what is remembered.
        timeout: seconds after which a call has no verdict.
        limit: calls in a minute.
        budget: money in 24 hours, or None.
        cost: of a call that does not say it.
    """

    def __init__(
        self, judge: Judge, judge_id: str, *, timeout: float, limit: int, budget: float | None, cost: float
    ) -> None:
        self.judge = judge
        self._ajudge = _coroutine_function(judge)
        self._runs_apart = getattr(judge, "runs_apart", False) is True
        self._id = judge_id
        self._timeout = timeout
        self._limit = limit
        self._daemons = Daemons(_THREADS)
        self._lock = threading.Lock()
        self._verdicts = Verdicts()
        self._budget = Budget(budget, cost)
        self._breaker = Breaker()
        self._has_budget, self._has_flat_cost = budget is not None, cost > 0.0
        self._calls: dict[str, _Call] = {}
        self._under_way = 0
        self._minute_began, self._in_minute = float("-inf"), 0
        self._said: set[str] = set()  # what was logged, until it changes
        self._to: Listener | None = None

    def listen(self, listener: Listener) -> None:
        self._to = listener

    def after_fork(self) -> None:
        """In a forked child the lock may be held, and no call is on its way."""
        self._lock = threading.Lock()
        self._calls, self._under_way = {}, 0

    # ---------------------------------------------------------------- plain calls
    def ask(self, step: AskJudge) -> float | None:
        """The judge's probability, or None. Never raises."""
        if _is_judging.get():
            return None
        call, is_new = self._call(step, is_on_loop=False)
        if is_new:
            self._start(call, partial(self._judged, step, None))
        elif call.is_on_loop and is_on_loop():
            return None  # it may need this very loop to go on
        try:
            return call.answer.result(self._timeout)
        except TimeoutError:
            self._give_up(call)
            return None

    # ---------------------------------------------------------------- awaits
    async def aask(self, step: AskJudge) -> float | None:
        """`ask` for event loops. What is no coroutine runs in a thread."""
        if _is_judging.get():
            return None
        is_task = self._ajudge is not None
        call, is_new = self._call(step, is_on_loop=True)
        if is_new and is_task:
            call.work = asyncio.get_running_loop().create_task(self._ajudged(step), context=self._context())
            call.work.add_done_callback(partial(self._land, call))
        elif is_new:
            self._start(call, partial(self._judged, step, asyncio.get_running_loop()))
        try:
            return await awaited(call.answer, self._timeout)
        except TimeoutError:
            self._give_up(call)
            return None
        except asyncio.CancelledError:
            if is_new and is_task and call.work is not None:
                call.work.cancel()  # who waits for it hears that there is no verdict
            raise

    # ---------------------------------------------------------------- making a call
    def _start(self, call: _Call, work: Callable[[], Any]) -> None:
        try:
            call.work = self._daemons.start(partial(self._context().run, work))
        except Exception as error:  # no more threads, or the process is ending
            broken: Future[Any] = Future()
            broken.set_exception(error)
            self._land(call, broken)
        else:
            call.work.add_done_callback(partial(self._land, call))

    def _context(self) -> contextvars.Context:
        """A thread does not have its caller's context by itself."""
        return contextvars.Context() if self._runs_apart else contextvars.copy_context()

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """What the judge does in here is asked of no judge, and of no cache."""
        token = _is_judging.set(True)
        try:
            with inside(), self._listener.bypassed():
                yield
        finally:
            _is_judging.reset(token)

    def _judged(self, step: AskJudge, loop: asyncio.AbstractEventLoop | None) -> Any:
        """In a thread. A function that gives an awaitable has it awaited on the loop that asks."""
        with self._marked():
            if loop is None and _is_coroutine_function(self.judge):
                raise ConfigError("a coroutine function is asked by the asynchronous lookups only")
            value = self.judge(step.request, step.entry)
            if loop is None or not inspect.isawaitable(value):
                return finished(value)
            waiting = asyncio.run_coroutine_threadsafe(_await(value), loop)
            try:
                return waiting.result(self._timeout)
            finally:
                waiting.cancel()

    async def _ajudged(self, step: AskJudge) -> Any:
        assert self._ajudge is not None
        with self._marked():
            return await self._ajudge(step.request, step.entry)

    # ---------------------------------------------------------------- who is asked
    def _call(self, step: AskJudge, *, is_on_loop: bool) -> tuple[_Call, bool]:
        """The call that answers this question, and whether it is still to be made. Where nobody is asked it is over."""
        entry, now = step.entry, self._now()
        pair = fingerprint(
            *(
                text.encode("utf-8", "surrogatepass")
                for text in (self._id, step.request.text, entry.scope, entry.key, entry.text, entry.answer_json)
            )
        )
        call = _Call(pair, step.request.namespace, now, is_on_loop)
        with self._lock:
            known, running = self._verdicts.get(pair, now), self._calls.get(pair)
            outcome: JudgeOutcome | None = "known" if known or running else self._refusal(now)
            if outcome is None:
                self._calls[pair] = call
                self._under_way += 1
        if outcome is None:
            return call, True
        self._emit(call, outcome)
        if known is None and running is not None:
            return running, False
        call.answer.set_result(None if known is None else known.opinion)
        return call, False

    def _refusal(self, now: float) -> JudgeOutcome | None:
        """Why nobody is asked now, or None; then this counts as a call. Under the lock."""
        if now - self._minute_began >= _MINUTE:
            self._minute_began, self._in_minute = now, 0
        if self._in_minute >= self._limit:
            return "limit"
        if not self._budget.allows(now, self._under_way):
            self._say("budget", "the judge's budget for 24 hours is used up: it is not asked until there is some again")
            return "budget"
        self._said.discard("budget")
        if not self._breaker.allows(now):
            return "paused"
        self._in_minute += 1
        return None

    # ---------------------------------------------------------------- how a call ends
    def _land(self, call: _Call, work: Future[Any] | asyncio.Task[Any]) -> None:
        """The call is over: book it, remember what was said, and tell who waits."""
        judgement, error = outcome_of(work)
        now, cost, outcome = self._now(), 0.0, word_for(judgement.verdict)
        try:
            with self._lock:
                call.has_landed = True
                if call.has_timed_out:  # what was booked when it timed out is the least it costs
                    outcome, told = "late", judgement.cost
                    cost = max(0.0, (0.0 if told is None else told) - call.charged)
                    self._budget.book(now, cost)
                else:
                    self._forget(call)
                    self._breaker.returned()
                    cost = self._budget.spend(now, self._budget.expected if work.cancelled() else judgement.cost)
                if error is None and not work.cancelled():
                    self._verdicts.keep(call.pair, judgement.verdict, now)
                    self._warn_of_no_cost(judgement)
            self._tell(call, outcome, error, cost, now, is_cancelled=work.cancelled())
        finally:
            _resolve(call, judgement.verdict)

    def _give_up(self, call: _Call) -> None:
        """Nobody waits for this call any longer. What it costs is guessed: it was made."""
        now = self._now()
        with self._lock:
            if call.has_timed_out or call.has_landed:
                return  # somebody else did, or it came at the last moment
            call.has_timed_out = True
            self._forget(call)
            self._breaker.timed_out(now)
            call.charged = self._budget.expected
            self._budget.book(now, call.charged)
        if isinstance(call.work, asyncio.Task):
            # Only its own loop may cancel it, and who gives up may be on another thread.
            with suppress(RuntimeError):  # it is closed
                call.work.get_loop().call_soon_threadsafe(call.work.cancel)
        elif call.work is not None:
            call.work.cancel()  # it has not begun: all threads hang
        self._listener.failed(AskJudge.component, TimeoutError())
        self._emit(call, "none", call.charged, now - call.began)
        _resolve(call, None)

    def _forget(self, call: _Call) -> None:
        if self._calls.get(call.pair) is call:
            del self._calls[call.pair]
        self._under_way = max(0, self._under_way - 1)

    def _tell(
        self,
        call: _Call,
        outcome: JudgeOutcome,
        error: BaseException | None,
        cost: float,
        now: float,
        *,
        is_cancelled: bool,
    ) -> None:
        if call.has_timed_out and (is_cancelled or error is not None):
            return  # it counted as a failure when it timed out
        if error is not None:
            self._listener.failed(AskJudge.component, error)
        elif not is_cancelled:
            self._listener.succeeded(AskJudge.component)
        self._emit(call, outcome, cost, max(0.0, now - call.began))

    def _warn_of_no_cost(self, judgement: Judgement) -> None:
        if self._has_budget and judgement.cost is None and not self._has_flat_cost:
            self._say("cost", "the judge does not say what it costs, and judge_cost is 0: judge_budget limits nothing")

    def _say(self, what: str, message: str) -> None:
        """Log once per change of state."""
        if what not in self._said:
            self._said.add(what)
            _log.warning(message)

    def _emit(self, call: _Call, outcome: JudgeOutcome, cost: float = 0.0, seconds: float = 0.0) -> None:
        self._listener.emit(JudgeEvent(outcome, call.namespace, cost, seconds))

    @property
    def _listener(self) -> Listener:
        assert self._to is not None  # a cache listens before it asks
        return self._to

    def _now(self) -> float:
        return self._listener.clock.monotonic()


def _resolve(call: _Call, opinion: float | None) -> None:
    with suppress(InvalidStateError):  # who gave up was quicker
        call.answer.set_result(opinion)


def _coroutine_function(judge: Judge) -> Callable[..., Any] | None:
    given = getattr(judge, "ajudge", None)
    if given is not None:
        return given  # type: ignore[no-any-return]
    return judge if _is_coroutine_function(judge) else None


def _is_coroutine_function(judge: Judge) -> bool:
    return inspect.iscoroutinefunction(judge) or inspect.iscoroutinefunction(getattr(judge, "__call__", None))  # noqa: B004


async def _await(value: Any) -> Any:
    return await value
