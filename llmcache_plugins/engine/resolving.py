"""From what a caller gives to a request and its identity, as its surroundings and the epoch make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from llmcache_plugins.config import as_namespace
from llmcache_plugins.engine.dialogue import matched_context, without_dialogue
from llmcache_plugins.engine.epochs import Epochs
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.surroundings import Around, Surroundings
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import identity_since, key_of, scope_of
from llmcache_plugins.policies.tolerance import Tolerance
from llmcache_plugins.types import Identity, Namespace, Request

__all__ = ["Followed", "Resolver"]


@dataclass(frozen=True, slots=True, eq=False)
class _Derived(Identity):
    """An identity that surroundings or an epoch had a part in, and what it is without them: whoever keeps it may use it
    elsewhere and later. None for `base` when it goes with the request as it was resolved, and is final."""

    base: Identity | None = field(default=None, repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        return (self.scope, self.key) == (other.scope, other.key)

    def __hash__(self) -> int:
        return hash((self.scope, self.key))


@dataclass(frozen=True, slots=True, eq=False)
class Followed(_Derived):
    """The identity of a follow-up as the question that it means; `asked` is its own key, over its history."""

    asked: str = ""


class Resolver:
    """Identifies requests under the namespace of one cache.

    Args:
        namespace: the cache's own.
        surroundings: the contexts of the cache.
        epochs: the epochs of its store.
        tolerance: which parameters are no part of the scope.
        now: the wall clock.
        knows_dialogues: turns that stand alone are identified without the dialogue before them.
    """

    def __init__(
        self,
        namespace: Namespace,
        surroundings: Surroundings,
        epochs: Epochs,
        tolerance: Tolerance,
        now: Callable[[], float],
        *,
        knows_dialogues: bool = False,
    ) -> None:
        self._namespace = namespace
        self._surroundings = surroundings
        self._epochs = epochs
        self._tolerance = tolerance
        self._now = now
        self._knows_dialogues = knows_dialogues
        self._text_scope = scope_of(Request(""), namespace)

    @property
    def text_scope(self) -> str:
        """The scope of requests that are plain strings, in this epoch."""
        epoch = self._epochs.of(self._namespace)
        return identity_since(Identity(self._text_scope, ""), epoch).scope if epoch else self._text_scope

    def below(self, namespace: str | Namespace) -> Namespace | None:
        """The given namespace below the cache's own; None for everything."""
        return (*self._namespace, *as_namespace(namespace)) or None

    def __call__(self, request: AnyRequest, identity: Identity | None = None) -> tuple[Request, Identity]:
        """The request with what its surroundings add to it, and its identity.

        Args:
            identity: what `identify` gave for the request, from a caller that keeps it.

        Raises:
            ConfigError: it is neither text nor a request, or not made of JSON.
        """
        self._epochs.refresh()
        return self._resolved(request, identity)

    async def awaited(self, request: AnyRequest, identity: Identity | None = None) -> tuple[Request, Identity]:
        """The same without blocking an event loop."""
        await self._epochs.arefresh()
        return self._resolved(request, identity)

    def identify(self, request: AnyRequest) -> Identity:
        """The identity of a request here and now. Who keeps it may give it back anywhere and at any time."""
        self._epochs.glance()
        identity = self._resolved(request, None)[1]
        return replace(identity, base=self._base(request)[1]) if isinstance(identity, _Derived) else identity

    def _resolved(self, request: AnyRequest, identity: Identity | None) -> tuple[Request, Identity]:
        if isinstance(identity, _Derived) and isinstance(request, Request):
            if identity.base is None:
                return request, identity
            identity = identity.base
        around = self._surroundings.current
        if around is None:
            request, identity = self._base(request, identity)
        else:
            request, identity = self._surrounded(around, request, identity)
        return request, self._in_epoch(request, identity)

    def _in_epoch(self, request: Request, identity: Identity) -> Identity:
        if self._epochs.is_first:
            return identity
        epoch = self._epochs.of((*self._namespace, *request.namespace))
        if not epoch:
            return identity
        since = identity_since(identity, epoch)
        return _Derived(since.scope, since.key)

    def followed(self, request: Request, identity: Identity, question: str) -> tuple[Request, Followed]:
        """A resolved request as one that asks this question without its dialogue. The request keeps that, for whoever
        wants to know what it is about."""
        params, near = self._tolerance.split(request.params)
        whole = replace(request, text=question, context=without_dialogue(request.context))
        scope = scope_of(whole, self._namespace, params)
        alone = self._in_epoch(request, Identity(scope, key_of(scope, question, near)))
        return replace(request, text=question), Followed(alone.scope, alone.key, asked=identity.key)

    def _surrounded(self, around: Around, request: AnyRequest, identity: Identity | None) -> tuple[Request, Identity]:
        if isinstance(request, str):
            request = Request(request)
        if isinstance(request, Request):  # else `_base` says that it is none
            request = around.of(request, self._now())
        if not around.shapes_scope:
            return self._base(request, identity)
        request, identity = self._base(request)
        return request, _Derived(identity.scope, identity.key)

    def _base(self, request: AnyRequest, identity: Identity | None = None) -> tuple[Request, Identity]:
        """The request and its identity by itself, without an epoch."""
        if identity is not None and isinstance(request, Request):
            return request, identity
        if isinstance(request, str):
            return Request(request), Identity(self._text_scope, key_of(self._text_scope, request))
        if not isinstance(request, Request):
            raise ConfigError(f"a request is a str or a Request, not {type(request).__name__}")
        if request.namespace != ():
            request = replace(request, namespace=as_namespace(request.namespace))
        if request.tags or request.volatility is not None or request.query_type is not None:
            tags = self._surroundings.check(
                tags=request.tags, volatility=request.volatility, query_type=request.query_type
            )
            request = replace(request, tags=tags)
        try:
            params, near = self._tolerance.split(request.params)
            asked = request
            if self._knows_dialogues:
                asked = replace(request, context=matched_context(request))
            scope = scope_of(asked, self._namespace, params)
            return request, Identity(scope, key_of(scope, request.text, near))
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ConfigError(
                "text, provider, model and label of a Request must be str, params and context JSON: "
                + type(error).__name__
            ) from error
