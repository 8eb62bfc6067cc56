"""Those who are asked before a match is served: a verifier, a judge, validators. All of them fail closed: who breaks,
hangs or says nothing clear costs a model call, never a wrong answer."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

from llmcache_plugins.engine.steps import Asking, AskJudge, Validate, Verify
from llmcache_plugins.engine.workers import Workers, in_worker
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.protocols import AsyncVerifier, Clock, Event, Judge, ValidationEvent, Validator, Verifier
from llmcache_plugins.quality import Validation
from llmcache_plugins.types import FloatArray

__all__ = ["Advisers"]

_MINUTE = 60.0
# A judge is often a model behind this very cache: its own questions must not be put before a judge again.
_is_judging: ContextVar[bool] = ContextVar("llmcache_is_judging", default=False)


class Advisers:
    """The verifier, the judge and the validators of one cache; each may be missing.

    Args:
        judge_timeout: seconds after which a judge has said nothing.
        judge_limit: calls of the judge in a minute; beyond it nobody is asked.
    """

    def __init__(
        self,
        verifier: Verifier | None = None,
        judge: Judge | None = None,
        validators: Sequence[Validator] = (),
        *,
        judge_timeout: float = 10.0,
        judge_limit: int = 60,
    ) -> None:
        self.verifier = verifier
        self.judge = judge
        self.validators = tuple(validators)
        self._timeout = judge_timeout
        self._limit = judge_limit
        self._lock = threading.Lock()
        self._minute_began = -math.inf
        self._calls = 0
        # Of their own: who is slow or hangs must not hold up the stores, nor a judge the others.
        self._workers = Workers()
        self._advisers = Workers()
        self._clock: Clock | None = None
        self._emit: Callable[[Event], None] = lambda event: None
        self._failed: Callable[[str, BaseException], None] = lambda component, error: None
        self._succeeded: Callable[[str], None] = lambda component: None

    def report_to(
        self,
        clock: Clock,
        emit: Callable[[Event], None],
        failed: Callable[[str, BaseException], None],
        succeeded: Callable[[str], None],
    ) -> None:
        """Where events and failures go: to the cache that asks."""
        self._clock, self._emit, self._failed, self._succeeded = clock, emit, failed, succeeded

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    def close(self) -> None:
        self._workers.close()
        self._advisers.close()

    # ---------------------------------------------------------------- plain calls
    def ask(self, step: Asking) -> Any:
        """Perform a step by plain calls. Never raises."""
        try:
            if isinstance(step, Verify):
                assert self.verifier is not None  # flows ask only those who are there
                return self._scores(self.verifier.verify(step.pairs), step)
            if isinstance(step, AskJudge):
                return self._opinion(self._ask_judge(step)) if self._may_judge() else None
            return self._all_valid(step)
        except Exception as error:
            return self._spared(step, error)

    def _ask_judge(self, step: AskJudge) -> Any:
        assert self.judge is not None
        token = _is_judging.set(True)
        try:
            future = self._workers().submit(_in_context(self.judge), step.request, step.entry)
            try:
                return _finished(future.result(self._timeout))
            finally:
                future.cancel()
        finally:
            _is_judging.reset(token)

    def _all_valid(self, step: Validate) -> Validation:
        validation = Validation(True)
        for validator in self.validators:
            validation = self._validation(_finished(validator(step.request, step.entry)), validator)
            if not validation.ok:
                break
        return self._counted(step, validation)

    # ---------------------------------------------------------------- awaits
    async def aask(self, step: Asking) -> Any:
        """`ask` for event loops; what is no coroutine runs in threads of the advisers' own."""
        try:
            if isinstance(step, Verify):
                return self._scores(await self._averify(step.pairs), step)
            if isinstance(step, AskJudge):
                return self._opinion(await self._aask_judge(step)) if self._may_judge() else None
            return await self._aall_valid(step)
        except Exception as error:
            return self._spared(step, error)

    async def _averify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        assert self.verifier is not None
        if isinstance(self.verifier, AsyncVerifier):
            return await self.verifier.averify(pairs)
        return await in_worker(self._advisers(), partial(self.verifier.verify, pairs))

    async def _aask_judge(self, step: AskJudge) -> Any:
        assert self.judge is not None
        token = _is_judging.set(True)
        try:
            return await asyncio.wait_for(_called(self.judge, self._workers(), step), self._timeout)
        finally:
            _is_judging.reset(token)

    async def _aall_valid(self, step: Validate) -> Validation:
        validation = Validation(True)
        for validator in self.validators:
            validation = self._validation(await _called(validator, self._advisers(), step), validator)
            if not validation.ok:
                break
        return self._counted(step, validation)

    # ---------------------------------------------------------------- what both share
    def _may_judge(self) -> bool:
        assert self._clock is not None
        if _is_judging.get():
            return False
        now = self._clock.monotonic()
        with self._lock:
            if now - self._minute_began >= _MINUTE:
                self._minute_began, self._calls = now, 0
            self._calls += 1
            return self._calls <= self._limit

    def _scores(self, scores: Any, step: Verify) -> list[float]:
        array = np.asarray(scores, dtype=np.float64)
        if array.shape != (len(step.pairs),) or not np.isfinite(array).all():
            raise ValueError(f"the verifier gave shape {array.shape} for {len(step.pairs)} pairs, or no numbers")
        probabilities = [_as_probability(float(score)) for score in array]
        self._succeeded(step.component)
        return probabilities

    def _opinion(self, opinion: Any) -> float | None:
        if isinstance(opinion, np.bool_ | np.floating | np.integer):
            opinion = opinion.item()
        if opinion is not None and not isinstance(opinion, bool | int | float):
            raise TypeError(f"a judge says True, False, a probability or None, not {type(opinion).__name__}")
        probability = None if opinion is None else _as_probability(float(opinion))
        self._succeeded(AskJudge.component)
        return probability

    def _validation(self, validation: Any, validator: Validator) -> Validation:
        if isinstance(validation, bool | np.bool_):
            validation = bool(validation)
            validation = Validation(validation, "" if validation else _name_of(validator))
        if not isinstance(validation, Validation):
            raise TypeError(f"a validator returns a Validation or a bool, not {type(validation).__name__}")
        return validation

    def _counted(self, step: Validate, validation: Validation) -> Validation:
        self._succeeded(step.component)
        if step.is_counted:
            self._emit(ValidationEvent(validation, step.request.namespace))
        return validation

    def _spared(self, step: Asking, error: Exception) -> Validation | None:
        self._failed(step.component, error)
        if not isinstance(step, Validate):
            return None
        validation = Validation(False, f"failed: {type(error).__name__}")
        if step.is_counted:
            self._emit(ValidationEvent(validation, step.request.namespace, has_failed=True))
        return validation


def _as_probability(value: float) -> float:
    """A raw logit or "3 out of 10" is no certainty: what is no probability is refused, not clipped."""
    if not -1e-6 <= value <= 1.0 + 1e-6:
        raise ValueError("a verifier or judge gave a number outside [0, 1]")
    return min(max(value, 0.0), 1.0)


async def _called(function: Callable[..., Any], executor: Executor, step: AskJudge | Validate) -> Any:
    """The function's value; it may be a coroutine function, or block."""
    if inspect.iscoroutinefunction(function):
        return await function(step.request, step.entry)
    call = partial(_in_context(function), step.request, step.entry)
    value = await in_worker(executor, call)
    return await value if inspect.isawaitable(value) else value


def _in_context(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as run in a copy of the caller's context, which a thread does not have by itself."""
    return partial(contextvars.copy_context().run, function)


def _finished(value: Any) -> Any:
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise ConfigError("a coroutine function is asked by the asynchronous lookups only")
    return value


def _name_of(validator: Validator) -> str:
    return getattr(validator, "__name__", type(validator).__name__)
