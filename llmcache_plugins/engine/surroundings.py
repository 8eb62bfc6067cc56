"""What surrounds a call: settings for everything that happens inside a `with cache.context(...)`.

They are kept in a `ContextVar`, so that they reach through frameworks into tasks, and into threads that were started
with a copied context.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from llmcache_plugins.config import DEFAULT, Default, as_namespace
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.label import QueryContext
from llmcache_plugins.policies.tags import device_tags
from llmcache_plugins.selection import canonical_tag
from llmcache_plugins.types import Namespace, Request

__all__ = ["Around", "Surroundings", "about"]

_ABOUT = "query_context"  # the parameter that brings the whole normalised context into the scope


@dataclass(frozen=True, slots=True)
class Around:
    """What one or several nested contexts say."""

    tags: tuple[str, ...] = ()
    volatility: str | None = None
    query_type: str | None = None
    tenant: Namespace = ()
    ttl: float | Default | None = DEFAULT
    about: QueryContext | None = None
    is_bypassed: bool = False
    is_refreshing: bool = False

    @property
    def shapes_scope(self) -> bool:
        """Is a request inside another one than the same request outside?"""
        return bool(self.tenant) or self.about is not None

    def of(self, request: Request, now: float) -> Request:
        """The request with all that it does not say itself."""
        if self.about is not None and not request.label:
            request = about(request, self.about, now)
        return replace(
            request,
            namespace=(*as_namespace(request.namespace), *self.tenant),
            tags=_with(request.tags, self.tags),
            query_type=self.query_type if request.query_type is None else request.query_type,
            volatility=self.volatility if request.volatility is None else request.volatility,
        )


# One variable for all caches: a variable of each would outlive its cache in every context that was copied.
_around: ContextVar[Mapping[Surroundings, Around] | None] = ContextVar("llmcache_surroundings", default=None)


class Surroundings:
    """The contexts of one cache.

    Args:
        volatilities: the classes that have a time to live.
    """

    def __init__(self, volatilities: Collection[str]) -> None:
        self._volatilities = frozenset(volatilities)

    @property
    def current(self) -> Around | None:
        """What holds here; None outside of every context."""
        everyone = _around.get()
        return None if everyone is None else everyone.get(self)

    @property
    def is_bypassed(self) -> bool:
        """Is the cache neither to be asked nor to be told here?"""
        everyone = _around.get()
        return everyone is not None and self in everyone and everyone[self].is_bypassed

    @property
    def is_refreshing(self) -> bool:
        """Is nothing that is stored to be served here?"""
        everyone = _around.get()
        return everyone is not None and self in everyone and everyone[self].is_refreshing

    def ttl(self, given: float | Default | None) -> float | Default | None:
        """The time to live that was given, or else what holds here."""
        around = self.current if isinstance(given, Default) else None
        return given if around is None else around.ttl

    @contextmanager
    def entered(self, around: Around) -> Iterator[None]:
        """Let this hold inside a block, with what holds around it."""
        everyone, outer = _around.get() or {}, self.current
        token = _around.set({**everyone, self: around if outer is None else _nested(outer, around)})
        try:
            yield
        finally:
            _around.reset(token)

    def check(self, *, tags: Any, volatility: Any, query_type: Any) -> tuple[str, ...]:
        """The tags, as they are stored.

        Raises:
            ConfigError: one of the three is not what it should be.
        """
        texts = (tags,) if isinstance(tags, str) else tuple(tags) if isinstance(tags, Sequence) else (None,)
        if not all(isinstance(tag, str) and tag for tag in texts):
            raise ConfigError(f"tags must be a str that is not empty, or several, not {tags!r}")
        if volatility is not None and not (isinstance(volatility, str) and volatility in self._volatilities):
            known = ", ".join(sorted(self._volatilities))
            raise ConfigError(f"volatility must be one of {known} (see ttl_by_volatility), not {volatility!r}")
        if query_type is not None and not (isinstance(query_type, str) and query_type):
            raise ConfigError(f"query_type must be a str that is not empty, or None, not {query_type!r}")
        return tuple(map(canonical_tag, texts))

    def around(
        self,
        *,
        tags: str | Sequence[str],
        volatility: str | None,
        query_type: str | None,
        tenant: str | Namespace,
        ttl: float | Default | None,
        about: QueryContext | None,
        bypass: bool,
        refresh: bool,
    ) -> Around:
        """These settings, checked (but for `ttl`).

        Raises:
            ConfigError: one of them is not what it should be.
        """
        if about is not None and not isinstance(about, QueryContext):
            raise ConfigError(f"about must be a QueryContext, not {type(about).__name__}")
        for name, value in (("bypass", bypass), ("refresh", refresh)):
            if not isinstance(value, bool):
                raise ConfigError(f"{name} must be True or False, not {value!r}")
        tags = self.check(tags=tags, volatility=volatility, query_type=query_type)
        return Around(tags, volatility, query_type, as_namespace(tenant), ttl, about, bypass, refresh)


def about(request: Request, context: QueryContext, now: float) -> Request:
    """The request as one about this context: named, tagged, and apart from all others."""
    return replace(
        request,
        label=context.label(now),
        params={**request.params, _ABOUT: context.content(now)},
        tags=_with(request.tags, (*context.tags, *_short_names(context.tags))),
        query_type=context.query_type if request.query_type is None else request.query_type,
    )


def _short_names(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The names that the profiler gives to interfaces: `interface:GigabitEthernet0/0` is `interface:gi0/0` too."""
    names = (tag.removeprefix("interface:") for tag in tags if tag.startswith("interface:"))
    return tuple(tag for name in names for tag in device_tags(name) if tag.startswith("interface:"))


def _with(tags: Any, more: tuple[str, ...]) -> Any:
    """A request's own tags and more; what is neither a text nor several is left for `Surroundings.check` to refuse."""
    own = (tags,) if isinstance(tags, str) else tags
    return tuple(dict.fromkeys((*own, *more))) if isinstance(own, Sequence) else tags


def _nested(outer: Around, inner: Around) -> Around:
    """Tags add up; of all else the inner counts where it says something."""
    return Around(
        tuple(dict.fromkeys((*outer.tags, *inner.tags))),
        outer.volatility if inner.volatility is None else inner.volatility,
        outer.query_type if inner.query_type is None else inner.query_type,
        inner.tenant or outer.tenant,
        outer.ttl if isinstance(inner.ttl, Default) else inner.ttl,
        outer.about if inner.about is None else inner.about,
        outer.is_bypassed or inner.is_bypassed,
        outer.is_refreshing or inner.is_refreshing,
    )
