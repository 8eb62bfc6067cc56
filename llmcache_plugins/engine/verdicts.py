"""What came of asking somebody: checked, and put into one form. Pure."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future
from typing import Any

import numpy as np

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.quality import Judgement
from llmcache_plugins.recorded import JudgeOutcome

__all__ = ["as_probability", "finished", "outcome_of", "word_for"]


def outcome_of(work: Future[Any] | asyncio.Task[Any]) -> tuple[Judgement, BaseException | None]:
    """What was said; of a call that failed, nothing, and why."""
    if work.cancelled():
        return Judgement(None), None
    error = work.exception()
    if error is None:
        try:
            return _checked(work.result()), None
        except (TypeError, ValueError) as senseless:
            error = senseless
    return Judgement(None), error


def _checked(said: Any) -> Judgement:
    """A probability, or nothing, with its cost.

    Raises:
        TypeError: it is neither.
        ValueError: it is outside [0, 1].
    """
    cost = said.cost if isinstance(said, Judgement) else None
    verdict = said.verdict if isinstance(said, Judgement) else said
    if isinstance(verdict, np.bool_ | np.floating | np.integer):
        verdict = verdict.item()
    if verdict is None:
        return Judgement(None, cost)
    if not isinstance(verdict, bool | int | float):
        raise TypeError(f"a judge says True, False, a probability or None, not {type(verdict).__name__}")
    return Judgement(as_probability(float(verdict)), cost)


def as_probability(value: float) -> float:
    """A raw logit or "3 out of 10" is no certainty: what is no probability is refused, not clipped.

    Raises:
        ValueError: it is outside [0, 1].
    """
    if not -1e-6 <= value <= 1.0 + 1e-6:
        raise ValueError("a verifier or judge gave a number outside [0, 1]")
    return min(max(value, 0.0), 1.0)


def finished(value: Any) -> Any:
    """The value of a plain call, which nobody can await.

    Raises:
        ConfigError: it is an awaitable.
    """
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise ConfigError("a coroutine function is asked by the asynchronous lookups only")
    return value


def word_for(opinion: float | None) -> JudgeOutcome:
    return "none" if opinion is None else "yes" if opinion >= 0.5 else "no"
