"""The one place that knows the engine and the concrete parts. Reads the environment; makes the default cache."""

from __future__ import annotations

import atexit
import contextlib
import inspect
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from llmcache_plugins.checking import comparison_of, rolling_out_of, shadowing_of
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import guards_of, policy_for, verifier_of, version_of
from llmcache_plugins.embedders import CachingEmbedder, OnnxEmbedder, VectorCacheFile, as_embedder, caching
from llmcache_plugins.engine import Advisers, Rules, SemanticCache, Workers
from llmcache_plugins.engine.clock import SystemClock
from llmcache_plugins.engine.following import ResolveTurns, resolver_id_of
from llmcache_plugins.engine.node import Node
from llmcache_plugins.engine.timed_embedder import TimedEmbedder
from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.events import load_event_rules
from llmcache_plugins.judges import as_judge
from llmcache_plugins.keys.fingerprint import canonical_json, fingerprint
from llmcache_plugins.matching.guards import GUARDS_VERSION
from llmcache_plugins.matching.guards import judge as judge_texts
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.policies import Staleness
from llmcache_plugins.policies.event_rules import EventRule, EventRules
from llmcache_plugins.policies.keeping import Keeping
from llmcache_plugins.policies.placement import TierConfig
from llmcache_plugins.policies.profile import RuleProfiler
from llmcache_plugins.policies.tolerance import Tolerance
from llmcache_plugins.protocols import (
    AnswersAgree,
    Clock,
    Embedder,
    Guard,
    Judge,
    LooksAhead,
    Profiler,
    Recorder,
    Validator,
    Verifier,
)
from llmcache_plugins.rollout import DEFAULT_FRACTION, MODES
from llmcache_plugins.stack import Stack, open_stack, parse_url
from llmcache_plugins.telemetry import LineFile, NearMissLog, RegressionLog, SharedStatistics, Statistics
from llmcache_plugins.telemetry.feed import fed

__all__ = ["default_cache", "open_cache", "open_store", "parse_url", "set_default_cache"]

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_default: SemanticCache | None = None
_said_lock = threading.Lock()  # not `_lock`, which `default_cache` holds while it opens one
_said_no_embedder = False
_closes_at_exit = False


def open_cache(
    url: str | None = None,
    *,
    embedder: Any = "default",
    config: CacheConfig | None = None,
    guards: Sequence[Guard] | None = None,
    verifier: Any = "grey",
    judge: Any = None,
    validators: Sequence[Validator] = (),
    resolver: ResolveTurns | None = None,
    redact: Callable[[str], str] | None = None,
    answers_agree: AnswersAgree | None = None,
    recorders: Sequence[Recorder] = (),
    tiers: Sequence[TierConfig] | None = None,
    profiler: Profiler | Literal["default"] | None = "default",
    event_rules: Sequence[EventRule] | str | os.PathLike[str] = (),
    clock: Clock | None = None,
    **settings: Any,
) -> SemanticCache:
    """Open a cache.

    Args:
        url: `memory://`, `disk:///absolute/path.db` (`disk://relative/path.db` is relative), `redis://host:6379/0`
            (see docs/redis.md for TLS, Valkey and what may stand behind a `?`), or `null://`. Without it: the
            environment variable LLMCACHE_URL, else `memory://`.
        embedder: an `Embedder`, a LangChain `Embeddings` or a LlamaIndex `BaseEmbedding`; None for exact and normalised
            matches only. By default the local model of the extra `local`; without that extra the cache has no
            embedder, and says so once.
        config: settings as one value; not together with `settings`.
        guards: the rules that may veto a candidate, in place of the default ones.
        verifier: reads asked and stored question together where the confidence alone does not decide: a `Verifier` of
            your own or a function of pairs, whose word counts; `"off"` or None. `"grey"` asks the local model of
            `llmcache-plugins-models`, where that has one and the embedder's calibration knows it; `"always"` asks it
            about sure matches too.
        judge: asked last, about the best candidate that is still undecided: a callable (see `Judge`), a model of
            LangChain, a client of the Anthropic SDK; see docs/judge.md.
        validators: each must accept a match by meaning before it is served.
        resolver: turns a follow-up ("And the other one?") into the question that it means, by which it is then matched
            over any history: a callable that is given the turns; see docs/conversations.md.
        redact: takes out of a question's text what must not be stored; a question that it changes is matched by the
            same text alone, one that it fails at is not stored. See docs/security-at-rest.md.
        answers_agree: says whether a fresh and a stored answer tell the same, in place of their similarity; for
            `policy="adaptive"`, `mode="shadow"` and `mode="canary"`.
        profiler: says of a question what type it is, how soon its answer is no longer true, and on what that depends;
            None to leave that to requests and `cache.context`. By default rules over its words.
        recorders: callables that hear every event.
        event_rules: what events make wrong, or a TOML file that says so; for events of the same name in place of the
            default rules. See `SemanticCache.handle_event`.
        tiers: hottest first, in place of hot, warm and cold (see `TierConfig` and docs/tiers.md).
        clock: the time; tests pass a `FakeClock`.
        settings: fields of `CacheConfig` by name, `ttl=3600` for example.

    Raises:
        ConfigError: an unknown name, a value out of range, a URL of no known kind.
        StoreError: the store cannot be opened.
    """
    config = with_mode(_with_keys(_config(config, settings)))
    if config.node_id is None and (named := os.environ.get("LLMCACHE_NODE_ID")):
        config = replace(config, node_id=named)
    clock = clock or SystemClock()
    chosen = _embedder(embedder, config)
    chosen_guards = guards_of(guards, config)
    advisers = _advisers(verifier_of(verifier, config, chosen, guards=chosen_guards), judge, validators, config)
    rules = _rules(
        config, chosen, chosen_guards, advisers, is_always_asked=isinstance(verifier, str) and verifier == "always"
    )
    if not isinstance(recorders, Sequence) or not all(callable(recorder) for recorder in recorders):
        raise ConfigError("recorders must be a list or tuple of callables")
    if redact is not None and (not callable(redact) or inspect.iscoroutinefunction(redact)):
        raise ConfigError("redact must be a function of a text, and no coroutine function")
    chosen_profiler = _profiler(profiler, config)
    workers = Workers()
    rules_of_events = _event_rules(event_rules)
    default_url = os.environ.get("LLMCACHE_URL") or "memory://"
    comparison = comparison_of(config, chosen, rules, advisers, answers_agree)
    stack = open_stack(url, default_url, tiers, config, workers)  # last: it opens files
    statistics = Statistics(config.namespace)
    node = Node(config.node_id)
    cache = SemanticCache(
        [stack.bottom],
        copies=stack.copies,
        config=config,
        rules=replace(
            rules,
            tiers=(stack.bottom.name,),
            tiering=stack.tiering,
            looks_ahead=isinstance(stack.bottom.store, LooksAhead),
        ),
        embedder=chosen,
        statistics=statistics,
        shared_counts=SharedStatistics(statistics, node, clock.now),
        node=node,
        clock=clock,
        near_miss_log=_near_miss_log(config, workers, clock, redact),
        regression_log=RegressionLog(_line_file(config.regression_file)),
        recorders=fed(recorders),
        advisers=advisers,
        workers=workers,
        event_rules=rules_of_events,
        on_close=(chosen.close,) if isinstance(chosen, CachingEmbedder) else (),
        profiler=chosen_profiler,
        redact=redact,
        resolver=_resolver(resolver),
        shadowing=shadowing_of(config, comparison, clock),
        rolling_out=rolling_out_of(config, comparison, clock),
    )
    _log.info("opened %r", cache)
    return cache


def open_store(url: str) -> Stack:
    """The stores of a cache without the cache, for who looks at its entries from outside; sealed ones with the keys of
    the environment. Close it.

    Raises:
        ConfigError: a URL of no known kind, or a key of the environment is none.
        StoreError: the store cannot be opened.
    """
    return open_stack(url, url, None, _with_keys(CacheConfig()), Workers())


def _rules(
    config: CacheConfig,
    embedder: Embedder | None,
    guards: tuple[Guard, ...],
    advisers: Advisers,
    *,
    is_always_asked: bool,
) -> Rules:
    """What the flows need, but for the tiers."""
    has_grey_zone = advisers.verifier is not None or advisers.judge is not None
    return Rules(
        tiers=(),
        embedder_id=None if embedder is None else embedder.embedder_id,
        policy_id=_policy_id(embedder, guards, advisers),
        policy_for=policy_for(
            config,
            embedder,
            guards=guards,
            has_grey_zone=has_grey_zone,
            verifier=advisers.verifier,
            is_always_asked=is_always_asked,
            has_judge=advisers.judge is not None,
        ),
        guards=partial(judge_texts, guards=guards),
        max_candidates=config.max_candidates,
        near_misses=config.near_misses,
        fail_open=config.fail_open,
        has_verifier=advisers.verifier is not None,
        has_judge=advisers.judge is not None,
        tolerates=Tolerance(config.tolerance).tolerates,
        has_validators=bool(advisers.validators),
        staleness=Staleness(
            stale_while_revalidate=config.stale_while_revalidate,
            lazy_stale_limit=config.lazy_stale_limit,
            refresh_ahead=config.refresh_ahead,
            refresh_ahead_reads=config.refresh_ahead_reads,
        ),
    )


def default_cache() -> SemanticCache:
    """The cache that plugins share when none is given: made on first use, from LLMCACHE_URL, closed at exit."""
    global _default, _closes_at_exit
    with _lock:
        if _default is None:
            _default = open_cache()
            if not _closes_at_exit:
                _closes_at_exit = True
                atexit.register(_close_default)
        return _default


def _close_default() -> None:
    if _default is not None:
        _default.close()


def set_default_cache(cache: SemanticCache | None) -> None:
    """Replace the default cache (None: the next use makes a new one). The one before is not closed."""
    global _default
    with _lock:
        _default = cache


def _event_rules(given: Any) -> EventRules:
    if isinstance(given, str | os.PathLike):
        return EventRules(load_event_rules(given))
    if not isinstance(given, list | tuple):
        raise ConfigError(f"event_rules must be a list of EventRule, or a TOML file, not {type(given).__name__}")
    return EventRules(given)


def _config(config: CacheConfig | None, settings: dict[str, Any]) -> CacheConfig:
    if config is not None and not isinstance(config, CacheConfig):
        raise ConfigError(f"config must be a CacheConfig, not {type(config).__name__}; settings can be given by name")
    if config is not None:
        if settings:
            raise ConfigError(f"give config= or settings by name, not both: {', '.join(sorted(settings))}")
        return config
    unknown = sorted(set(settings) - set(CacheConfig.names()))
    if unknown:
        raise ConfigError(f"unknown setting {', '.join(unknown)}; known are {', '.join(CacheConfig.names())}")
    return CacheConfig(**settings)


def _with_keys(config: CacheConfig) -> CacheConfig:
    """The settings with the keys of the environment where they have none of their own."""
    given = os.environ.get("LLMCACHE_ENCRYPTION_KEY") if config.encryption_key is None else None
    if given:
        config = replace(config, encryption_key=tuple(key.strip() for key in given.split(",")))
    address_key = os.environ.get("LLMCACHE_ENCRYPTION_ADDRESS_KEY")
    if address_key and config.encryption_address_key is None:
        config = replace(config, encryption_address_key=address_key)
    if config.encryption_key is None:
        for name in ("encryption_address_key", "encryption_vectors"):
            if getattr(config, name) not in (None, "masked"):
                raise ConfigError(f"{name} is for an encrypted cache; give encryption_key too, or leave it out")
    return config


def with_mode(config: CacheConfig) -> CacheConfig:
    """The settings with the mode and the fraction of the environment where they have none of their own; `llmcache
    doctor` asks too.

    Raises:
        ConfigError: a variable has no such value.
    """
    mode: Any = config.mode
    if mode is None:
        mode = os.environ.get("LLMCACHE_MODE") or ("serve" if config.rollout is None else "canary")
        if mode not in MODES:
            raise ConfigError(f'LLMCACHE_MODE must be "serve", "shadow" or "canary", not {mode!r}')
    fraction, given = config.fraction, os.environ.get("LLMCACHE_FRACTION")
    if fraction is None and config.rollout is None:
        fraction = _fraction(given) if given else DEFAULT_FRACTION
    return replace(config, mode=mode, fraction=fraction)


def _fraction(given: str) -> float:
    with contextlib.suppress(ValueError):
        if 0.0 <= (fraction := float(given)) <= 1.0:
            return fraction
    raise ConfigError(f"LLMCACHE_FRACTION must be a number from 0 to 1, not {given!r}")


def _embedder(given: Any, config: CacheConfig) -> Embedder | None:
    if given is None:
        return None
    if isinstance(given, str):
        if given != "default":
            raise ConfigError(f"embedder must be an embedder or None, not the string {given!r}")
        try:
            given = OnnxEmbedder()
        except MissingExtraError as error:
            _say_once_no_embedder(error)
            return None
    embedder = as_embedder(given)
    if isinstance(embedder, LexicalMatcher):
        return embedder  # reading a text costs it no more than looking its vector up
    if config.embedder_timeout is not None and getattr(embedder, "is_local", False) is not True:
        embedder = TimedEmbedder(embedder, config.embedder_timeout)
    file = config.embedding_cache_file
    kept = None if file is None else VectorCacheFile(file, max_entries=config.embedding_cache_file_entries)
    return caching(embedder, config.embedding_cache_entries, kept) if config.embedding_cache_entries else embedder


def _say_once_no_embedder(error: MissingExtraError) -> None:
    global _said_no_embedder
    with _said_lock:
        if _said_no_embedder:
            return
        _said_no_embedder = True
    _log.warning("no embedder: only exact and normalised matches hit. %s", error)


def _advisers(verifier: Verifier | None, given: Any, validators: Sequence[Validator], config: CacheConfig) -> Advisers:
    judge = None if given is None else as_judge(given)
    if config.judge_budget is not None and not config.judge_cost and getattr(judge, "has_price", True) is False:
        raise ConfigError("judge_budget needs to know what the judge costs: give it a price=, or set judge_cost")
    if not isinstance(validators, Sequence) or not all(callable(validator) for validator in validators):
        raise ConfigError("validators must be a list or tuple of callables")
    return Advisers(
        verifier,
        judge,
        validators,
        verifier_timeout=config.verifier_timeout,
        judge_id="" if judge is None else f"{_judge_id(judge)} {version_of(judge)}",
        judge_timeout=config.judge_timeout,
        judge_limit=config.judge_limit,
        judge_budget=config.judge_budget,
        judge_cost=config.judge_cost,
    )


def _resolver(given: Any) -> ResolveTurns | None:
    if given is not None and not callable(given) and not callable(getattr(given, "aresolve", None)):
        raise ConfigError(f"resolver must be callable, not {type(given).__name__}")
    if given is not None:
        resolver_id_of(given)  # a wrong one is refused now
    return given  # type: ignore[no-any-return]


def _profiler(given: Profiler | Literal["default"] | None, config: CacheConfig) -> Profiler | None:
    if given == "default":
        return RuleProfiler(query_type_of, config.tag_patterns)
    if config.tag_patterns:
        raise ConfigError("tag_patterns are for the default profiler; leave them out where another one is given")
    if given is not None and not callable(given):
        raise ConfigError(f"profiler must be callable or None, not {type(given).__name__}")
    return given


def _near_miss_log(
    config: CacheConfig, workers: Workers, clock: Clock, redact: Callable[[str], str] | None
) -> NearMissLog | None:
    file = _line_file(config.near_miss_file)
    if not config.near_miss_log and file is None:
        return None
    return NearMissLog(
        config.near_miss_log,
        now=clock.now,
        namespace=config.namespace,
        file=file,
        kept=Keeping(store_text=True, redact=redact, failed=_counted_elsewhere),
        submit=lambda write: workers().submit(write),
    )


def _counted_elsewhere(error: Exception) -> None:
    """Of a hook that fails at a near miss: the update of its answer counts that."""


def _line_file(path: str | os.PathLike[str] | None) -> LineFile | None:
    return None if path is None else LineFile(Path(path))


def _policy_id(embedder: Embedder | None, guards: Sequence[Guard], advisers: Advisers) -> str:
    """Of all that decides a match and is not in the id of the request's policy. Validators are not in it: they are
    asked about aliases too."""
    parts = [
        None if embedder is None else embedder.embedder_id,
        GUARDS_VERSION if guards else "",
        [[guard.name, version_of(guard)] for guard in guards],
        None if advisers.verifier is None else advisers.verifier.verifier_id,
        None if advisers.judge is None else [_judge_id(advisers.judge), version_of(advisers.judge)],
    ]
    return fingerprint(canonical_json(parts))[:16]


def _judge_id(judge: Judge) -> str:
    given = getattr(judge, "judge_id", None)
    if given is not None:
        if not isinstance(given, str):
            raise ConfigError(f"judge_id must be a str, not {type(given).__name__}")
        return given
    while isinstance(judge, partial):
        judge = judge.func
    named = judge if hasattr(judge, "__qualname__") else type(judge)
    return f"{named.__module__}.{named.__qualname__}"
