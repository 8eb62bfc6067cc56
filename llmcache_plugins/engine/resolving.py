"""From what a caller gives to a request and its identity."""

from __future__ import annotations

from dataclasses import replace

from llmcache_plugins.config import as_namespace
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import identify, key_of, scope_of
from llmcache_plugins.types import Identity, Namespace, Request

__all__ = ["Resolver"]


class Resolver:
    """Identifies requests under the namespace of one cache."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.text_scope = scope_of(Request(""), namespace)  # of requests that are plain strings

    def below(self, namespace: str | Namespace) -> Namespace | None:
        """The given namespace below the cache's own; None for everything."""
        return (*self._namespace, *as_namespace(namespace)) or None

    def __call__(self, request: AnyRequest, identity: Identity | None = None) -> tuple[Request, Identity]:
        """The request and its identity, which a caller may know already.

        Raises:
            ConfigError: it is neither text nor a request, or not made of JSON.
        """
        if identity is not None and isinstance(request, Request):
            return request, identity
        if isinstance(request, str):
            return Request(request), Identity(self.text_scope, key_of(self.text_scope, request))
        if not isinstance(request, Request):
            raise ConfigError(f"a request is a str or a Request, not {type(request).__name__}")
        if request.namespace != ():
            request = replace(request, namespace=as_namespace(request.namespace))
        try:
            identity = identify(request, self._namespace)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ConfigError(
                "text, provider and model of a Request must be str, params and context JSON: " + type(error).__name__
            ) from error
        return request, identity
