"""All settings of a cache in one frozen value, checked when it is made."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from llmcache_plugins.ab_test import ABTest
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.paths import as_path
from llmcache_plugins.rollout import MODES, SPLITS, Mode, Rollout, SplitBy
from llmcache_plugins.types import Namespace

__all__ = ["DEFAULT", "CacheConfig", "Default", "as_namespace"]

_MOST_ERROR = 0.5  # a budget above it is no budget: a coin would do


class Default(Enum):
    """Stands for an argument that was not given, where None means something else."""

    DEFAULT = "default"


DEFAULT = Default.DEFAULT


class _NotGiven(float):
    """A default that can be told from the same number given by the user. It survives `dataclasses.replace`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Settings of a cache; durations in seconds, sizes in bytes.

    Args:
        namespace: tenant, application, ...: part of every scope, so that two namespaces never share an entry. A string
            is a namespace of one part.
        ttl: how long a stored answer may be served where nothing below knows better; None for ever. Reading never
            extends it. A given one is also the longest life of the built-in classes of volatility.
        ttl_by_volatility: in place of, or besides, the built-in classes: `static` 7 days, `stable` 4 hours, `dynamic` 5
            minutes, `volatile` 30 seconds. None is for ever, here and in the next two.
        ttl_by_query_type: by query type; counts before the volatility.
        ttl_by_tag: by tag or tag pattern (`device:*`), the shortest of those that fit; counts before the query type.
        tag_patterns: regular expressions that find tags in questions, by name: `{"ticket": r"INC\\d+"}`.
        tolerance: parameters that need not be equal, and how far off they may be: `{"temperature": 0.2, "max_tokens":
            0.3}`, the latter as a share. Other answers may then serve the request, though never as an exact hit.
        max_error_rate: the error budget, wrong hits / requests, in (0, 0.5]. The thresholds follow from it by the
            calibration of the embedder (the shipped one knows budgets up to 0.1; larger ones are treated as that);
            without a calibration a cosine of 0.95 is the threshold.
        similarity_threshold: least cosine of a semantic hit, in (0, 1], in place of the calibrated confidence; None
            to leave the choice to `max_error_rate`. Not together with an error budget of any kind: a cosine keeps none.
        max_error_rate_by_query_type: other budgets by query type (`"status"`, ...), in [0, 0.5]; 0 is "by the
            same text alone". The stored question's type counts too. Types are rules over words: a budget by
            namespace is the safer fence.
        max_error_rate_by_namespace: other budgets by the start of the full namespace (the cache's own and the
            request's), in [0, 0.5]; the longest start decides. Between query type and namespace the smaller budget
            counts.
        embedder_timeout: longest wait for an embedder that is not local, for one text; a second more for each further
            text of a batch. None for no limit.
        verifier_timeout: longest wait for a verifier that is not local.
        judge_timeout: longest wait for the judge.
        judge_limit: how often in a minute the judge may be asked.
        judge_budget: money that the judge may cost within any 24 hours, in the unit of its prices; None for no limit.
            Of one cache in one process.
        judge_cost: what a call of the judge costs where the judge does not say it.
        standalone_turns: a last turn that stands alone ("What is OSPF?") may be answered by what was said to it over
            another history, where that is talk and nothing more; False for equal histories only. See
            docs/conversations.md for what you accept with it. A cache with a `resolver` does so too.
        resolver_timeout: longest wait for the resolver.
        policy: `"calibrated"` decides by the calibration alone; `"adaptive"` sends some would-be hits to the model,
            compares its answer with the stored one, and keeps the error budget by what comes of that, whatever the
            embedder and the traffic; see docs/adaptive.md. An `ABTest` decides about one part of the questions by one
            policy and about the others by another, and the report compares them; see docs/rollout.md.
        shadow_rate: of the adaptive policy: would-be hits that may be sent to the model / requests, in (0, 0.5]; beyond
            them the first 100.
        answer_similarity: least cosine of two answers that say the same, in (0.15, 1]: for the adaptive policy, and for
            the comparisons of a roll-out.
        mode: `"serve"` answers from the cache; `"shadow"` looks up, counts what would have been served, and always has
            the model asked; `"canary"` serves a fixed share of the requests, and treats the others, the control group,
            as in shadow. None for LLMCACHE_MODE of the environment, else `"canary"` with a `rollout`, else `"serve"`.
            See docs/rollout.md.
        fraction: the share that `"canary"` serves, in [0, 1]; None for LLMCACHE_FRACTION of the environment, else 0.1.
            A larger one serves all that a smaller one did, and more.
        split_by: what decides whether a request is served: its exact `"key"`, or its `"tenant"` (the namespace of the
            request; one without is split by its key).
        rollout: the stages that the share goes through by itself, in place of a `fraction`.
        use_guards: let the guards veto candidates (numbers, identifiers, negation, ...).
        max_candidates: how many neighbours a semantic lookup judges.
        near_misses: how many refused candidates a Miss lists.
        near_miss_log: how many near misses `cache.near_misses()` keeps in memory; 0 for none.
        near_miss_file: append near misses to this file too, one JSON object a line; at 10 MB it becomes `<name>.1`. It
            holds questions in clear.
        regression_file: append what `report_wrong` is told to this file, as labelled pairs. It holds questions in
            clear.
        max_entries: capacity of each tier in entries; the least recently used goes first.
        max_bytes: capacity of each tier in bytes (texts, answers and vectors).
        max_answer_bytes: larger answers are not stored.
        store_truncated: also store answers that were cut off at the token limit.
        store_text: False stores no text of a question, in answers, wordings and reports alike: its answer is found by
            the same text alone, for guards cannot read what is not there. See docs/security-at-rest.md.
        encryption_key: seals what is stored (extra `encryption`): 32 random bytes, or these in Base64; or several, of
            which the first seals and all open. Without it the environment variable LLMCACHE_ENCRYPTION_KEY (several
            with commas between them), else nothing is sealed.
        encryption_address_key: a key for what entries are found by, so that they are still found when all of
            `encryption_key` have been replaced; without it LLMCACHE_ENCRYPTION_ADDRESS_KEY, else the last of those.
        encryption_vectors: `"masked"` keeps vectors rotated by a secret, which is less than encryption; `"none"` keeps
            none in an encrypted store, and only the same text hits.
        fail_open: a failing store or embedder costs a model call (True) or raises (False).
        single_flight: concurrent identical misses make one model call.
        single_flight_timeout: longest wait of a follower for its leader.
        single_flight_across_processes: also hold a lease in the store while the model is called, so that the misses of
            several processes make one call; `"auto"` where the store is shared by processes.
        followers_on_failure: `"error"` gives the error of the leader's call to all that waited for it in
            `get_or_generate`; with `"retry"` they try again, one at a time.
        join_paraphrases: a question that means the same as one whose answer is on its way waits for that answer.
        stale_while_revalidate: seconds after its end in which an answer is still served while it is renewed in the
            background; 0 for none.
        lazy_stale_limit: seconds after a lazy invalidation in which a marked answer is still served, likewise.
        refresh_ahead: share of its lifetime, counted from the end, in which a popular answer is renewed before it ends;
            0 for never.
        refresh_ahead_reads: served reads that make an answer popular.
        refresh_workers: how many answers are renewed in the background at a time.
        refresh_queue: how many more may wait to be renewed.
        sweep_interval: least time between two sweeps of expired entries (they ride on updates); None for no sweeps.
        maintenance: `"auto"` for a background thread that removes what has expired and moves entries between tiers;
            `"manual"` where you call `cache.maintain()`. The thread starts with the first update.
        maintenance_interval: seconds between two of its passes.
        node_id: of this process among those that share the store: entries that it stores have it, and its counts. None
            for LLMCACHE_NODE_ID of the environment, else host name, process number and some random digits.
        stats_interval: seconds between two writes of what was counted into the store, where others add it up.
        embedding_cache_entries: how many texts keep their vectors in memory; 0 for none.
        embedding_cache_file: also keep vectors in this file (SQLite), so that the next run need not embed the same
            texts again. It holds no texts, but vectors tell something of them. None for no file: entries keep the
            vectors of stored questions anyway, so it is worth it where embedding is slow or paid for.
        embedding_cache_file_entries: how many vectors that file holds; those used longest ago go first.

    Raises:
        ConfigError: a value is out of its range; names the field, the rule and the value.
    """

    namespace: Namespace = ()
    ttl: float | None = _NotGiven(24 * 3600.0)
    ttl_by_volatility: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    ttl_by_query_type: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    ttl_by_tag: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    tag_patterns: Mapping[str, str] = field(default_factory=dict, hash=False)
    tolerance: Mapping[str, float] = field(default_factory=dict, hash=False)
    max_error_rate: float = _NotGiven(0.01)
    similarity_threshold: float | None = None
    max_error_rate_by_query_type: Mapping[str, float] = field(default_factory=dict, hash=False)
    max_error_rate_by_namespace: Mapping[str | Namespace, float] = field(default_factory=dict, hash=False)
    embedder_timeout: float | None = 10.0
    verifier_timeout: float = 10.0
    judge_timeout: float = 10.0
    judge_limit: int = 60
    judge_budget: float | None = None
    judge_cost: float = 0.0
    standalone_turns: bool = False
    resolver_timeout: float = 10.0
    policy: Literal["calibrated", "adaptive"] | ABTest = "calibrated"
    shadow_rate: float = 0.05
    answer_similarity: float = 0.85
    mode: Mode | None = None
    fraction: float | None = None
    split_by: SplitBy = "key"
    rollout: Rollout | None = None
    use_guards: bool = True
    max_candidates: int = 8
    near_misses: int = 3
    near_miss_log: int = 1000
    near_miss_file: str | os.PathLike[str] | None = None
    regression_file: str | os.PathLike[str] | None = None
    max_entries: int = 10_000
    max_bytes: int = 256 * 1024 * 1024
    max_answer_bytes: int = 1024 * 1024
    store_truncated: bool = False
    store_text: bool = True
    encryption_key: bytes | str | Sequence[bytes | str] | None = field(default=None, repr=False)
    encryption_address_key: bytes | str | None = field(default=None, repr=False)
    encryption_vectors: Literal["masked", "none"] = "masked"
    fail_open: bool = True
    single_flight: bool = True
    single_flight_timeout: float = 60.0
    single_flight_across_processes: bool | Literal["auto"] = "auto"
    followers_on_failure: Literal["error", "retry"] = "error"
    join_paraphrases: bool = True
    stale_while_revalidate: float = 0.0
    lazy_stale_limit: float = 300.0
    refresh_ahead: float = 0.0
    refresh_ahead_reads: int = 10
    refresh_workers: int = 2
    refresh_queue: int = 64
    sweep_interval: float | None = 60.0
    maintenance: Literal["auto", "manual"] = "auto"
    maintenance_interval: float = 60.0
    node_id: str | None = None
    stats_interval: float = 5.0
    embedding_cache_entries: int = 10_000
    embedding_cache_file: str | os.PathLike[str] | None = None
    embedding_cache_file_entries: int = 50_000

    def expiry(self, now: float, ttl: float | Default | None = DEFAULT) -> float | None:
        """When an entry stored `now` expires: after `ttl`, or after the setting of that name; None for never.

        Raises:
            ConfigError: `ttl` is neither above 0 nor None.
        """
        if isinstance(ttl, Default):
            ttl = self.ttl
        else:
            _positive_or_none("ttl", ttl)
        return None if ttl is None else now + ttl

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespace", as_namespace(self.namespace))
        _positive_or_none("ttl", self.ttl)
        for name in ("ttl_by_volatility", "ttl_by_query_type", "ttl_by_tag", "tolerance", "tag_patterns"):
            object.__setattr__(self, name, _table(name, getattr(self, name)))
        _positive_or_none("sweep_interval", self.sweep_interval)
        _positive_or_none("embedder_timeout", self.embedder_timeout)
        if self.maintenance not in ("auto", "manual"):
            raise ConfigError(f'maintenance must be "auto" or "manual", not {self.maintenance!r}')
        for name in (
            "single_flight_timeout",
            "verifier_timeout",
            "judge_timeout",
            "resolver_timeout",
            "maintenance_interval",
            "stats_interval",
        ):
            _number(name, getattr(self, name), least=0.0, exclusive=True)
        _node_or_none(self.node_id)
        self._check_learning()
        self._check_rollout()
        _positive_or_none("judge_budget", self.judge_budget)
        _number("judge_cost", self.judge_cost, least=0.0)
        self._check_flights()
        self._check_budgets()
        for name in ("max_candidates", "max_entries", "max_bytes", "max_answer_bytes", "embedding_cache_file_entries"):
            _integer(name, getattr(self, name), least=1)
        for name in ("near_miss_file", "regression_file", "embedding_cache_file"):
            object.__setattr__(self, name, _path_or_none(name, getattr(self, name)))
        if not _names_of(self.near_miss_file).isdisjoint(_names_of(self.regression_file)):
            raise ConfigError(
                f"near_miss_file and regression_file must be two files, not {str(self.near_miss_file)!r} and "
                f"{str(self.regression_file)!r} (the older part of a file is <name>.1)"
            )
        if self.embedding_cache_file is not None and not self.embedding_cache_entries:
            raise ConfigError("embedding_cache_file needs embedding_cache_entries above 0: the file stands behind them")
        for name in ("near_misses", "near_miss_log", "embedding_cache_entries", "judge_limit"):
            _integer(name, getattr(self, name), least=0)
        self._check_secrets()
        for name in ("standalone_turns", "use_guards", "store_truncated", "store_text", "fail_open", "single_flight"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")

    def _check_secrets(self) -> None:
        """Whether keys are keys is for the store to say that uses them. None of this shows one."""
        if isinstance(self.encryption_key, list):
            object.__setattr__(self, "encryption_key", tuple(self.encryption_key))
        if self.encryption_key is not None and not isinstance(self.encryption_key, bytes | str | tuple):
            raise ConfigError(
                f"encryption_key must be bytes, a str or a list of them, not {type(self.encryption_key).__name__}"
            )
        if self.encryption_vectors not in ("masked", "none"):
            raise ConfigError(f'encryption_vectors must be "masked" or "none", not {self.encryption_vectors!r}')
        for name in ("near_miss_file", "regression_file"):
            if self.store_text is False and getattr(self, name) is not None:
                raise ConfigError(f"{name} holds questions in clear, which store_text=False rules out; leave it out")

    def _check_learning(self) -> None:
        if not isinstance(self.policy, ABTest) and self.policy not in ("calibrated", "adaptive"):
            raise ConfigError(f'policy must be "calibrated", "adaptive" or an ABTest, not {self.policy!r}')
        _number("shadow_rate", self.shadow_rate, least=0.0, exclusive=True, most=_MOST_ERROR)
        _number("answer_similarity", self.answer_similarity, least=0.15, exclusive=True, most=1.0)
        if self.policy == "adaptive" and self.similarity_threshold is not None:
            raise ConfigError(
                f"similarity_threshold={self.similarity_threshold!r} and policy='adaptive' exclude each other: the "
                f"policy learns its threshold; leave one of them out"
            )

    def _check_rollout(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            raise ConfigError(f'mode must be "serve", "shadow" or "canary", or None, not {self.mode!r}')
        if self.fraction is not None:
            _number("fraction", self.fraction, least=0.0, most=1.0, otherwise="or None")
        if self.split_by not in SPLITS:
            raise ConfigError(f'split_by must be "key" or "tenant", not {self.split_by!r}')
        if self.rollout is None:
            return
        if not isinstance(self.rollout, Rollout):
            raise ConfigError(f"rollout must be a Rollout or None, not {type(self.rollout).__name__}")
        if self.fraction is not None:
            raise ConfigError(
                f"fraction={self.fraction!r} and rollout exclude each other: the stages say what is served; leave one "
                f"of them out"
            )

    def _check_flights(self) -> None:
        for name in ("stale_while_revalidate", "lazy_stale_limit"):
            _number(name, getattr(self, name), least=0.0)
        _number("refresh_ahead", self.refresh_ahead, least=0.0, most=1.0)
        for name in ("refresh_ahead_reads", "refresh_workers"):
            _integer(name, getattr(self, name), least=1)
        _integer("refresh_queue", self.refresh_queue, least=0)
        if not isinstance(self.join_paraphrases, bool):
            raise ConfigError(f"join_paraphrases must be True or False, not {self.join_paraphrases!r}")
        across = self.single_flight_across_processes
        if not isinstance(across, bool) and across != "auto":
            raise ConfigError(f"single_flight_across_processes must be True, False or 'auto', not {across!r}")
        if self.followers_on_failure not in ("error", "retry"):
            raise ConfigError(f"followers_on_failure must be 'error' or 'retry', not {self.followers_on_failure!r}")
        for name in ("stale_while_revalidate", "refresh_ahead"):
            if getattr(self, name) and not self.single_flight:
                raise ConfigError(f"{name} needs single_flight, or every reader of an old answer would renew it")

    def _check_budgets(self) -> None:
        _number("max_error_rate", self.max_error_rate, least=0.0, exclusive=True, most=_MOST_ERROR)
        by_query_type = _budgets("max_error_rate_by_query_type", self.max_error_rate_by_query_type)
        if not all(isinstance(name, str) for name in by_query_type):
            raise ConfigError(f"max_error_rate_by_query_type must map names of types, not {list(by_query_type)!r}")
        given = _budgets("max_error_rate_by_namespace", self.max_error_rate_by_namespace)
        by_namespace = {as_namespace(start): rate for start, rate in given.items()}
        if len(by_namespace) < len(given):
            raise ConfigError(f"max_error_rate_by_namespace must name a namespace once, not be {given!r}")
        object.__setattr__(self, "max_error_rate_by_query_type", by_query_type)
        object.__setattr__(self, "max_error_rate_by_namespace", by_namespace)
        if self.similarity_threshold is None:
            return
        _number("similarity_threshold", self.similarity_threshold, least=0.0, exclusive=True, most=1.0)
        budgets = {
            "max_error_rate": self.max_error_rate if self.is_budget_given else None,
            "max_error_rate_by_query_type": by_query_type or None,
            "max_error_rate_by_namespace": by_namespace or None,
        }
        for name, budget in budgets.items():
            if budget is not None:
                raise ConfigError(
                    f"{name}={budget!r} and similarity_threshold={self.similarity_threshold!r} exclude each other: a "
                    f"plain cosine keeps no error budget; leave one of them out"
                )

    @property
    def is_ttl_given(self) -> bool:
        """True when `ttl` was given, be it the default's number."""
        return not isinstance(self.ttl, _NotGiven)

    @property
    def is_budget_given(self) -> bool:
        """True when `max_error_rate` was given, be it the default's number."""
        return not isinstance(self.max_error_rate, _NotGiven)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The settings a user can give by name, in order."""
        return tuple(f.name for f in fields(cls))


def as_namespace(value: str | Sequence[str]) -> Namespace:
    """A namespace from a string (one part) or a sequence of strings.

    Raises:
        ConfigError: it is neither, or a part is empty.
    """
    parts = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else (None,)
    if not all(isinstance(part, str) and part for part in parts):
        raise ConfigError(f"namespace must be a non-empty string or a tuple or list of them, not {value!r}")
    return parts


def _table(name: str, table: Any) -> dict[str, Any]:
    """A copy of a table by names. Whether the names mean anything is for those to say who use it."""
    if not isinstance(table, Mapping) or not all(isinstance(key, str) and key for key in table):
        raise ConfigError(f"{name} must map names to values, not be {table!r}")
    for key, value in table.items():
        if name.startswith("ttl_"):
            _positive_or_none(f"{name}[{key!r}]", value)
        elif name == "tolerance":
            _number(f"{name}[{key!r}]", value, least=0.0, exclusive=True)
    return dict(table)


def _budgets(name: str, rates: Any) -> dict[Any, float]:
    if not isinstance(rates, Mapping):
        raise ConfigError(f"{name} must map names to error rates, not be {rates!r}")
    for key, rate in rates.items():
        _number(f"{name}[{key!r}]", rate, least=0.0, most=_MOST_ERROR)
    return dict(rates)


def _path_or_none(name: str, value: Any) -> Path | None:
    if value is None or (isinstance(value, str | os.PathLike) and os.fspath(value)):
        return None if value is None else as_path(value)
    raise ConfigError(f"{name} must be the path of a file or None, not {value!r}")


def _names_of(path: str | os.PathLike[str] | None) -> frozenset[str]:
    """Where such a file and its older part are."""
    if path is None:
        return frozenset()
    place = os.path.normpath(Path(path).absolute())
    return frozenset({place, f"{place}.1"})


def _node_or_none(node_id: Any) -> None:
    if node_id is not None and not (isinstance(node_id, str) and 0 < len(node_id) <= 128 and node_id.isprintable()):
        raise ConfigError(f"node_id must be 1 to 128 printable characters, or None, not {node_id!r}")


def _positive_or_none(name: str, value: float | None) -> None:
    if value is not None:
        _number(name, value, least=0.0, exclusive=True, otherwise="or None")


def _number(
    name: str,
    value: Any,
    *,
    least: float,
    exclusive: bool = False,
    most: float | None = None,
    otherwise: str = "",
) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if is_number and (value > least if exclusive else value >= least) and (most is None or value <= most):
        return
    rule = f"a number {'above' if exclusive else 'of at least'} {least:g}"
    rule += "" if most is None else f" and at most {most:g}"
    raise ConfigError(f"{name} must be {rule}{' ' + otherwise if otherwise else ''}, not {value!r}")


def _integer(name: str, value: Any, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} must be an integer of at least {least}, not {value!r}")
