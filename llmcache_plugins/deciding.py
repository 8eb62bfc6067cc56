"""What decides about candidates: the guards, the policies and the verifier that settings and embedder ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from llmcache_plugins.ab_test import ABTest, Arm
from llmcache_plugins.config import CacheConfig, as_namespace
from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.matching import ConfidencePolicy, Policies, Policy, SimilarityPolicy, VerifiedPolicy
from llmcache_plugins.matching.adaptive import AdaptivePolicy
from llmcache_plugins.matching.calibration import Calibration, calibration_for
from llmcache_plugins.matching.guards import DEFAULT_GUARDS
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.matching.query_types import QUERY_TYPES, query_type_of
from llmcache_plugins.protocols import Embedder, Guard, Judge, Verifier
from llmcache_plugins.types import Request
from llmcache_plugins.verifiers import FunctionVerifier, OnnxVerifier

__all__ = ["guards_of", "policies_for", "policy_for", "verifier_of", "version_of"]

_log = logging.getLogger("llmcache_plugins")
_UNCALIBRATED_THRESHOLD = 0.95  # what users of other caches expect of a cosine
_GREY_WIDTH = 0.15  # below a plain threshold: rewordings that a verifier can still tell from look-alikes


def guards_of(given: Sequence[Guard] | None, config: CacheConfig) -> tuple[Guard, ...]:
    if given is None:
        return DEFAULT_GUARDS if config.use_guards else ()
    if not config.use_guards:
        raise ConfigError("guards are given and use_guards is False; leave one of them out")
    if not isinstance(given, list | tuple):
        raise ConfigError(f"guards must be a list or tuple of guards, not {type(given).__name__}")
    for guard in given:
        if not callable(guard) or not isinstance(getattr(guard, "name", None), str):
            raise ConfigError(f"a guard is callable and has a name, a str; {type(guard).__name__} is not and has not")
        version_of(guard)
    return tuple(given)


def policies_for(
    config: CacheConfig,
    embedder: Embedder | None,
    *,
    guards: Sequence[Guard] | None = None,
    has_grey_zone: bool = False,
    verifier: Verifier | None = None,
    is_always_asked: bool = False,
    has_judge: bool = False,
) -> Policies:
    """The policies these settings ask for. A given threshold is a plain cosine; else the error budget decides by the
    embedder's calibration; an embedder without one gets a cosine of 0.95. A `LexicalMatcher` decides by its score.

    Args:
        guards: those in use (None: those of the settings). A calibration was fitted behind the default ones and counts
            on every one of them: without them a plain cosine decides.
        has_grey_zone: a verifier or a judge is asked below a plain threshold too, down to 0.15 under it.
        verifier: the one in use. Where the embedder's calibration knows it, its score is weighed with all else.
        is_always_asked: it is asked about what is sure without it, too.
        has_judge: a judge is asked behind that verifier.

    Raises:
        ConfigError: a budget names a query type that does not exist, or the matcher has a threshold of its own and
            there is an error budget.
    """
    unknown = sorted(set(config.max_error_rate_by_query_type) - set(QUERY_TYPES))
    if unknown:
        known = ", ".join(QUERY_TYPES)
        raise ConfigError(f"max_error_rate_by_query_type: unknown query type {', '.join(unknown)}; known are {known}")
    guards = guards_of(guards, config) if guards is None else guards
    is_adaptive = config.policy == "adaptive"  # it watches the grey zone, whoever is asked about it
    verified = partial(VerifiedPolicy, is_always=is_always_asked, has_judge=has_judge)
    make = _maker(config, embedder, guards, has_grey_zone or is_adaptive, verifier, verified)
    return Policies(
        (lambda budget: AdaptivePolicy(make(budget), budget)) if is_adaptive else make,
        config.max_error_rate,
        by_query_type=config.max_error_rate_by_query_type,
        by_namespace={as_namespace(start): rate for start, rate in config.max_error_rate_by_namespace.items()},
        query_type_of=query_type_of,
        root=config.namespace,
    )


def policy_for(
    config: CacheConfig,
    embedder: Embedder | None,
    *,
    guards: Sequence[Guard] | None = None,
    has_grey_zone: bool = False,
    verifier: Verifier | None = None,
    is_always_asked: bool = False,
    has_judge: bool = False,
) -> Callable[[Request], Policy | None]:
    """Which policy decides about a request: of an A/B test that of its arm. All else as for `policies_for`.

    Raises:
        ConfigError: as there; or the settings of the cache and of an arm exclude each other.
    """
    make = partial(
        policies_for,
        embedder=embedder,
        guards=guards,
        has_grey_zone=has_grey_zone,
        verifier=verifier,
        is_always_asked=is_always_asked,
        has_judge=has_judge,
    )
    test = config.policy
    if not isinstance(test, ABTest):
        return make(config)
    a, b = (make(_with_arm(config, arm)) for arm in (test.a, test.b))
    return lambda request: (b if test.arm_of(request) == "b" else a)(request)


def _with_arm(config: CacheConfig, arm: Arm) -> CacheConfig:
    if arm.max_error_rate is not None:
        return replace(config, policy="calibrated", max_error_rate=arm.max_error_rate)
    return replace(config, policy="calibrated", similarity_threshold=arm.similarity_threshold)


def _maker(
    config: CacheConfig,
    embedder: Embedder | None,
    guards: Sequence[Guard],
    has_grey_zone: bool,
    verifier: Verifier | None,
    verified: Callable[[Calibration, float], Policy],
) -> Callable[[float], Policy]:
    threshold = config.similarity_threshold
    if isinstance(embedder, LexicalMatcher):
        has_budgets = config.max_error_rate_by_query_type or config.max_error_rate_by_namespace
        if embedder.threshold is not None and (config.is_budget_given or has_budgets):
            raise ConfigError(
                f"LexicalMatcher(threshold={embedder.threshold!r}) and an error budget (max_error_rate, or one by "
                f"query type or namespace) exclude each other: one score would decide for all; leave one of them out"
            )
        return partial(embedder.policy, threshold=threshold, has_grey_zone=has_grey_zone)
    calibration = _calibration(config, embedder, guards)
    if calibration is None and threshold is None:
        threshold = _UNCALIBRATED_THRESHOLD
        if embedder is not None:
            _say_uncalibrated(config, embedder, threshold, _is_guarded(guards))
    if calibration is not None:
        if verifier is not None and _knows(calibration, verifier):
            return partial(verified, calibration)
        return partial(ConfidencePolicy, calibration, has_grey_zone=has_grey_zone)
    assert threshold is not None
    plain = SimilarityPolicy(threshold, max(threshold - _GREY_WIDTH, 0.0) if has_grey_zone else None)
    return lambda max_error_rate: plain


def _calibration(config: CacheConfig, embedder: Embedder | None, guards: Sequence[Guard]) -> Calibration | None:
    """The one that decides; None where a plain threshold does."""
    if config.similarity_threshold is not None or embedder is None or not _is_guarded(guards):
        return None
    return calibration_for(embedder.embedder_id)


def _is_guarded(guards: Sequence[Guard]) -> bool:
    return all(guard in guards for guard in DEFAULT_GUARDS)


def _knows(calibration: Calibration, verifier: Verifier) -> bool:
    return calibration.verified is not None and calibration.verified.verifier_id == verifier.verifier_id


def verifier_of(
    given: Any, config: CacheConfig, embedder: Embedder | None, *, guards: Sequence[Guard] | None = None
) -> Verifier | None:
    """The verifier that is asked: the given one, or for "grey" and "always" the shipped one where the embedder's
    calibration knows it; "grey" does without where it does not.

    Raises:
        ConfigError: `given` is nothing that verifies, or "always" cannot be had with this embedder and these settings.
        MissingExtraError: "always", without the model's package.
    """
    if given is None or given == "off":
        return None
    if isinstance(given, str) and given not in ("grey", "always"):
        raise ConfigError(f"verifier must be 'grey', 'always', 'off', a verifier or a callable, not {given!r}")
    if not isinstance(given, str):
        if isinstance(given, Verifier):
            return given
        if not callable(given):
            raise ConfigError(
                f"verifier must have verifier_id and verify, or be callable; {type(given).__name__} is not"
            )
        return FunctionVerifier(given)
    calibration = _calibration(config, embedder, guards_of(guards, config) if guards is None else guards)
    try:
        shipped = None if calibration is None or calibration.verified is None else OnnxVerifier()
    except MissingExtraError:
        if given == "always":
            raise
        return None
    if shipped is not None and calibration is not None and _knows(calibration, shipped):
        return shipped
    if given == "always":
        raise ConfigError(
            "verifier='always' needs a local verifier that the embedder's calibration knows, no similarity_threshold, "
            "and all default guards; give a verifier of your own otherwise"
        )
    return None


def _say_uncalibrated(config: CacheConfig, embedder: Embedder, threshold: float, is_guarded: bool) -> None:
    """A default says so quietly; who set an error budget that cannot be kept is warned."""
    budgets = (*config.max_error_rate_by_query_type.values(), *config.max_error_rate_by_namespace.values())
    is_promised = config.is_budget_given or any(budgets)
    if config.policy == "adaptive":
        return _log.info("%s: nothing is served by meaning until checks have shown what is right", embedder.embedder_id)
    _log.log(
        logging.WARNING if is_promised else logging.INFO,
        "%s: a cosine of %g decides, whatever the error budget",
        f"{embedder.embedder_id} has no calibration" if is_guarded else "not all default guards are in use",
        threshold,
    )


def version_of(part: Guard | Judge) -> str:
    version = getattr(part, "version", "")  # optional, so no part of the protocols
    if not isinstance(version, str):
        raise ConfigError(f"the version of {type(part).__name__} must be a str, not {type(version).__name__}")
    return version
