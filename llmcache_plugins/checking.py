"""What compares fresh answers with stored ones, as far as settings ask for it: shadow checks, and roll-outs."""

from __future__ import annotations

import inspect

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.engine import Advisers, Rules
from llmcache_plugins.engine.comparing import Comparison
from llmcache_plugins.engine.rolling_out import RollingOut
from llmcache_plugins.engine.shadowing import Shadowing
from llmcache_plugins.engine.stages import Stages
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.protocols import AnswersAgree, Clock, Embedder

_LONGEST_CALL = 600.0  # seconds that a model may take to be compared: the default time-out of the Anthropic SDK

__all__ = ["comparison_of", "rolling_out_of", "shadowing_of"]


def comparison_of(
    config: CacheConfig, embedder: Embedder | None, rules: Rules, advisers: Advisers, answers_agree: AnswersAgree | None
) -> Comparison | None:
    """What says whether two answers agree; None where nobody asks.

    Args:
        config: with its mode known.

    Raises:
        ConfigError: `answers_agree` is no function, or nothing would ask it.
    """
    if answers_agree is not None and (not callable(answers_agree) or inspect.iscoroutinefunction(answers_agree)):
        raise ConfigError("answers_agree must be a function of two texts, and no coroutine function")
    if config.policy != "adaptive" and config.mode == "serve":
        if answers_agree is not None:
            raise ConfigError(
                'answers_agree is for policy="adaptive", mode="shadow" and mode="canary"; leave it out otherwise'
            )
        return None
    return Comparison(
        embedder, rules.guards, least=config.answer_similarity, answers_agree=answers_agree, advisers=advisers
    )


def shadowing_of(config: CacheConfig, comparison: Comparison | None, clock: Clock) -> Shadowing | None:
    if config.policy != "adaptive" or comparison is None:
        return None
    return Shadowing(config.shadow_rate, comparison, timeout=2 * config.single_flight_timeout, clock=clock)


def rolling_out_of(config: CacheConfig, comparison: Comparison | None, clock: Clock) -> RollingOut | None:
    """Who is served; None where everybody is.

    Raises:
        ConfigError: stages were asked for, and nothing can tell whether answers are right.
    """
    if config.mode == "serve" or comparison is None:
        return None
    stages = None
    if config.mode == "canary" and config.rollout is not None:
        if not comparison.can_tell:
            raise ConfigError(
                "a Rollout goes by whether fresh answers say what stored ones say, and nothing here can tell: give an "
                "embedder, answers_agree= or a judge that is no coroutine function"
            )
        stages = Stages(config.rollout, config.max_error_rate, clock.monotonic())
    return RollingOut(
        0.0 if config.mode == "shadow" or config.fraction is None else config.fraction,
        config.split_by,
        comparison,
        timeout=max(2 * config.single_flight_timeout, _LONGEST_CALL),
        clock=clock,
        stages=stages,
    )
