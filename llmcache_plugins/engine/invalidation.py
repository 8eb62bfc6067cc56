"""What is to be invalidated, and what came of it. The values, and from what a caller gives to them; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypedDict

from llmcache_plugins.config import as_namespace
from llmcache_plugins.engine.gradual import Pace
from llmcache_plugins.engine.invalidation_report import InvalidationProgress
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.event_rules import MODES
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Entry, Hit, Namespace

__all__ = ["AnyKey", "Given", "Near", "Plan", "Texts", "checked_mode", "pace_of", "plan_of"]

AnyKey: TypeAlias = Hit | str
Texts: TypeAlias = str | Sequence[str]

_KEY = 40  # digits of a whole key
_SIMILARITY = 0.9
_GIVEN_ONCE = {
    "keys": "key",
    "query_types": "query_type",
    "models": "model",
    "levels": "level",
    "namespace": "namespace",
}


class Given(TypedDict, total=False):
    """What `SemanticCache.invalidate` takes by name."""

    key: AnyKey | Iterable[AnyKey] | None
    tags: Texts
    tag_pattern: Texts
    query_type: Texts
    model: Texts
    level: Texts
    older_than: float | None
    namespace: str | Namespace
    meaning: str | None
    similarity: float
    everything: bool
    mode: str
    reason: str
    dry_run: bool
    rate: float
    batch_size: int
    delay: float
    warm: Callable[[Sequence[Entry]], object] | None
    progress: Callable[[InvalidationProgress], object] | None
    on_done: Callable[[InvalidationProgress], object] | None


_SELECTING = ("key", "tags", "tag_pattern", "query_type", "model", "level", "older_than", "namespace")
_PACE = ("rate", "batch_size", "delay", "warm", "progress", "on_done")


@dataclass(frozen=True, slots=True)
class Near:
    """Those whose question has at least this cosine to `text`."""

    text: str = field(repr=False)
    similarity: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One invalidation. An entry that any of the selectors finds is meant; with `near`, only if it is near too.
    `is_everything`: the one selector says a namespace and no more."""

    selectors: tuple[Selector, ...]
    mode: str = "now"
    reason: str = ""
    near: Near | None = None
    is_dry_run: bool = False
    is_everything: bool = False

    @property
    def is_lazy(self) -> bool:
        """Are the entries marked, in place of being removed?"""
        return self.mode != "now"


def checked_mode(mode: Any) -> str:
    """
    Raises:
        ConfigError: there is no such mode.
    """
    if mode not in MODES:
        raise ConfigError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    return str(mode)


def keys_of(key: AnyKey | Iterable[AnyKey] | None) -> tuple[str, ...]:
    """The keys of entries that hits, references and keys name.

    Raises:
        ConfigError: something is none of these, or there is nothing.
    """
    if key is None:
        return ()
    named = [key] if isinstance(key, Hit | str) else list(key) if isinstance(key, Iterable) else [key]
    if not named:
        raise ConfigError("key must name at least one entry; an empty list names none")
    return tuple(dict.fromkeys(_key_of(one) for one in named))


def _key_of(named: Any) -> str:
    if isinstance(named, Hit):
        return named.entry.key
    if isinstance(named, str):
        parts = named.split(":")  # a reference: scope, key, and perhaps the key of what was asked
        key = parts[0] if len(parts) == 1 else parts[1]
        if len(parts) <= 3 and len(key) == _KEY and all(sign in "0123456789abcdef" for sign in key):
            return key
    raise ConfigError("key must be a Hit, the reference of one, or the whole key of an entry (40 hexadecimal digits)")


def plan_of(selector: Selector | None, given: Given, own: Namespace, now: float, *, has_embedder: bool) -> Plan:
    """Everything that is given, joined by AND, under the cache's own namespace.

    Raises:
        ConfigError: a name is unknown, a thing has the wrong type or is given twice, or nothing is selected.
    """
    unknown = sorted(set(given) - set(Given.__annotations__))
    if unknown:
        raise ConfigError(f"invalidate has no {', '.join(unknown)}; it has {', '.join(Given.__annotations__)}")
    mode, reason = checked_mode(given.get("mode", "now")), given.get("reason", "")
    if not isinstance(reason, str):
        raise ConfigError(f"reason must be a str, not {reason!r}")
    chosen = _selector(selector, {name: given[name] for name in _SELECTING if name in given}, now)  # type: ignore[literal-required]
    near = _near(given.get("meaning"), given.get("similarity", _SIMILARITY), has_embedder)
    is_bare, is_everything = replace(chosen, namespace=()).is_empty and near is None, bool(given.get("everything"))
    if is_everything and not is_bare:
        raise ConfigError("everything=True goes with namespace= alone; leave it out to select by more")
    if is_bare and not chosen.namespace and not is_everything:
        raise ConfigError("nothing is selected: give tags, a key, ... or everything=True")
    chosen = replace(chosen, namespace=(*own, *chosen.namespace))
    return Plan((chosen,), mode, reason, near, bool(given.get("dry_run")), is_bare)


def pace_of(given: Given, mode: str, stale_limit: float) -> Pace:
    """How a gradual invalidation goes.

    Raises:
        ConfigError: a number is out of its range, or the mode is another one.
    """
    told = {name: given[name] for name in _PACE if given.get(name) is not None}  # type: ignore[literal-required]
    if told and mode != "gradual":
        raise ConfigError(f"{', '.join(told)} and mode={mode!r}: only a gradual invalidation takes its time")
    return Pace(stale_limit=stale_limit, **told)


def _near(meaning: Any, similarity: Any, has_embedder: bool) -> Near | None:
    if meaning is None:
        return None
    if not isinstance(meaning, str) or not meaning.strip():
        raise ConfigError("meaning must be a non-empty text")
    if isinstance(similarity, bool) or not isinstance(similarity, int | float) or not 0.0 < similarity <= 1.0:
        raise ConfigError(f"similarity must be a number above 0 and at most 1, not {similarity!r}")
    if not has_embedder:
        raise ConfigError("meaning needs a cache with an embedder; this one has none")
    return Near(meaning, float(similarity))


def _selector(selector: Selector | None, named: Mapping[str, Any], now: float) -> Selector:
    if selector is None:
        selector = Selector()
    elif not isinstance(selector, Selector):
        raise ConfigError(f"selector must be a Selector, not {type(selector).__name__}; tags are tags=, a key is key=")
    older_than = named.get("older_than")
    given = Selector(
        keys=keys_of(named.get("key")),
        tags=_several(named.get("tags", ())),
        tag_patterns=_several(named.get("tag_pattern", ())),
        query_types=_several(named.get("query_type", ())),
        models=_several(named.get("model", ())),
        levels=_several(named.get("level", ())),
        stored_before=None if older_than is None else now - _seconds(older_than),
        namespace=as_namespace(named.get("namespace", ())),
    )
    for name, argument in _GIVEN_ONCE.items():
        if getattr(selector, name) and getattr(given, name):
            raise ConfigError(f"{name} of the selector and {argument}= are both given; leave one of them out")
    bounds = [bound for bound in (selector.stored_before, given.stored_before) if bound is not None]
    return replace(
        selector,
        tags=(*selector.tags, *given.tags),
        tag_patterns=(*selector.tag_patterns, *given.tag_patterns),
        stored_before=min(bounds, default=None),
        **{name: getattr(selector, name) or getattr(given, name) for name in _GIVEN_ONCE},
    )


def _several(texts: Any) -> Any:
    return (texts,) if isinstance(texts, str) else texts  # what is neither, the selector refuses


def _seconds(older_than: Any) -> float:
    if isinstance(older_than, bool) or not isinstance(older_than, int | float) or not 0 <= older_than < float("inf"):
        raise ConfigError(f"older_than must be seconds of at least 0, not {older_than!r}")
    return float(older_than)
