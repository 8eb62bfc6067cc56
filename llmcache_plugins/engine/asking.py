"""Those who are asked before a match is served: a verifier, a judge, validators. All of them fail closed: who breaks,
hangs or says nothing clear costs a model call, never a wrong answer."""

from __future__ import annotations

import contextvars
import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

import numpy as np

from llmcache_plugins.engine.daemons import Daemons, awaited, within
from llmcache_plugins.engine.judging import JudgeCalls
from llmcache_plugins.engine.listening import Listener
from llmcache_plugins.engine.steps import Asking, AskJudge, Validate, Verify
from llmcache_plugins.engine.verdicts import as_probability, finished
from llmcache_plugins.policies.asking_limits import Breaker
from llmcache_plugins.protocols import AsyncVerifier, Clock, Judge, Validator, Verifier
from llmcache_plugins.quality import Validation
from llmcache_plugins.recorded import Event, ValidationEvent
from llmcache_plugins.types import FloatArray

__all__ = ["Advisers"]

T = TypeVar("T")

_THREADS = 4  # of those who compute; more of them at a time would only take turns
_VERIFIER_THREADS = 16  # as many calls of a remote verifier may hang; the breaker lets a few an hour begin


class Advisers:
    """The verifier, the judge and the validators of one cache; each may be missing.

    Args:
        verifier_timeout: seconds after which a verifier has said nothing, unless it is local.
        judge_id: changes with what the judge says.
        judge_timeout: seconds after which a judge has said nothing.
        judge_limit: calls of the judge in a minute; beyond it nobody is asked.
        judge_budget: money that the judge may cost in 24 hours, or None.
        judge_cost: what a call of it costs that does not say so.
    """

    def __init__(
        self,
        verifier: Verifier | None = None,
        judge: Judge | None = None,
        validators: Sequence[Validator] = (),
        *,
        verifier_timeout: float = 10.0,
        judge_id: str = "",
        judge_timeout: float = 10.0,
        judge_limit: int = 60,
        judge_budget: float | None = None,
        judge_cost: float = 0.0,
    ) -> None:
        self.verifier = verifier
        self.judge = judge
        self.validators = tuple(validators)
        self._is_local = getattr(verifier, "is_local", False) is True
        self._timeout = verifier_timeout
        self._breaker = Breaker()
        self._lock = threading.Lock()
        self._judge_calls = (
            None
            if judge is None
            else JudgeCalls(
                judge, judge_id, timeout=judge_timeout, limit=judge_limit, budget=judge_budget, cost=judge_cost
            )
        )
        # Of their own: who is slow or hangs must not hold up the stores, nor one kind of adviser the others.
        self._computing = Daemons(_THREADS)
        self._verifying = Daemons(_VERIFIER_THREADS)
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
        bypassed: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Where events and failures go: to the cache that asks. In `bypassed()` it neither answers nor stores."""
        self._clock, self._emit, self._failed, self._succeeded = clock, emit, failed, succeeded
        if self._judge_calls is not None:
            self._judge_calls.listen(Listener(clock, emit, failed, succeeded, bypassed))

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()
        if self._judge_calls is not None:
            self._judge_calls.after_fork()

    # ---------------------------------------------------------------- plain calls
    def ask(self, step: Asking) -> Any:
        """Perform a step by plain calls. Never raises."""
        try:
            if isinstance(step, Verify):
                return self._scores(self._verify(step.pairs), step) if self._may_verify() else None
            if isinstance(step, AskJudge):
                assert self._judge_calls is not None  # flows ask only those who are there
                return self._judge_calls.ask(step)
            return self._all_valid(step)
        except Exception as error:
            return self._spared(step, error)

    def _verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        assert self.verifier is not None
        if self._is_local:
            return self.verifier.verify(pairs)
        future = self._verifying.start(partial(_in_context(self.verifier.verify), pairs))
        try:
            return future.result(self._timeout)
        finally:
            future.cancel()

    def _all_valid(self, step: Validate) -> Validation:
        validation = Validation(True)
        for validator in self.validators:
            validation = self._validation(finished(validator(step.request, step.entry)), validator)
            if not validation.ok:
                break
        return self._counted(step, validation)

    # ---------------------------------------------------------------- awaits
    async def aask(self, step: Asking) -> Any:
        """`ask` for event loops; what is no coroutine runs in threads of the advisers' own."""
        try:
            if isinstance(step, Verify):
                return self._scores(await self._averify(step.pairs), step) if self._may_verify() else None
            if isinstance(step, AskJudge):
                assert self._judge_calls is not None
                return await self._judge_calls.aask(step)
            return await self._aall_valid(step)
        except Exception as error:
            return self._spared(step, error)

    async def _averify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        assert self.verifier is not None
        if isinstance(self.verifier, AsyncVerifier):
            return await within(self.verifier.averify(pairs), self._timeout)
        call = partial(_in_context(self.verifier.verify), pairs)
        if self._is_local:
            return await awaited(self._computing.start(call), None)
        future = self._verifying.start(call)
        try:
            return await awaited(future, self._timeout)
        finally:
            future.cancel()

    async def _aall_valid(self, step: Validate) -> Validation:
        validation = Validation(True)
        for validator in self.validators:
            validation = self._validation(await self._avalidate(validator, step), validator)
            if not validation.ok:
                break
        return self._counted(step, validation)

    async def _avalidate(self, validator: Validator, step: Validate) -> Any:
        """The validator's word; it may be a coroutine function, or block."""
        if inspect.iscoroutinefunction(validator):
            return await validator(step.request, step.entry)
        value = await awaited(self._computing.start(partial(_in_context(validator), step.request, step.entry)), None)
        return await value if inspect.isawaitable(value) else value

    # ---------------------------------------------------------------- what both share
    def _may_verify(self) -> bool:
        """False for a while after time-outs in a row: a verifier that hangs must not slow down every lookup."""
        assert self._clock is not None
        with self._lock:
            return self._breaker.allows(self._clock.monotonic())

    def _scores(self, scores: Any, step: Verify) -> list[float | None]:
        self._verifier_returned()
        array = np.asarray(scores, dtype=np.float64)
        if array.shape != (len(step.pairs),) or np.isinf(array).any():
            raise ValueError(f"the verifier gave shape {array.shape} for {len(step.pairs)} pairs, or no numbers")
        probabilities = [None if np.isnan(score) else as_probability(float(score)) for score in array]
        self._succeeded(step.component)
        return probabilities

    def _verifier_returned(self, error: Exception | None = None) -> None:
        assert self._clock is not None
        with self._lock:
            if isinstance(error, TimeoutError):
                self._breaker.timed_out(self._clock.monotonic())
            else:
                self._breaker.returned()

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
        if isinstance(step, Verify):
            self._verifier_returned(error)
        if not isinstance(step, Validate):
            return None
        validation = Validation(False, f"failed: {type(error).__name__}")
        if step.is_counted:
            self._emit(ValidationEvent(validation, step.request.namespace, has_failed=True))
        return validation


def _in_context(function: Callable[..., T]) -> Callable[..., T]:
    """The function as run in a copy of the caller's context, which a thread does not have by itself."""
    return partial(contextvars.copy_context().run, function)


def _name_of(validator: Validator) -> str:
    return getattr(validator, "__name__", type(validator).__name__)
