"""`cache_client`: a client whose calls go through a cache."""

from __future__ import annotations

from typing import Any, TypeVar

from llmcache_plugins.anthropic.middleware import LLMCacheMiddleware
from llmcache_plugins.anthropic.replay import UsageMode
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.question import Extractor

__all__ = ["cache_client"]

Client = TypeVar("Client")


def cache_client(
    client: Client,
    cache: SemanticCache | None = None,
    *,
    usage: UsageMode = "zero",
    extractor: Extractor | None = None,
) -> Client:
    """A client of the same class that asks the cache before the API; `client` itself stays as it is. Done twice, it is
    done once: the cache that was given last counts.

    The cache stands behind the client's other middleware, so that it sees the request as they leave it. Copies made
    with `with_options` keep it.

    Args:
        client: `Anthropic`, `AsyncAnthropic`, or a client for another platform that takes middleware.
        cache: the cache to ask; without one, the default cache of the process.
        usage: see `LLMCacheMiddleware`.
        extractor: see `LLMCacheMiddleware`.

    Raises:
        ConfigError: `client` takes no middleware, or another argument is none that `LLMCacheMiddleware` takes.

    Example:
        client = cache_client(anthropic.Anthropic())
    """
    changed: Any = client
    if not (hasattr(changed, "with_options") and isinstance(getattr(changed, "middleware", None), tuple)):
        raise ConfigError(f"a client of the Anthropic SDK that takes middleware is needed, not {type(client).__name__}")
    installed = [one for one in changed.middleware if isinstance(one, LLMCacheMiddleware)]
    if len(installed) == 1 and cache in (None, installed[0].cache) and usage == installed[0].usage and not extractor:
        return client
    if cache is None and installed:
        cache = installed[-1].cache
    others = [one for one in changed.middleware if not isinstance(one, LLMCacheMiddleware)]
    middleware = LLMCacheMiddleware(cache, usage=usage, extractor=extractor)
    # Copies of clients for other platforms forget an HTTP client of the user's, with its proxy, unless they are told.
    copy: Client = changed.with_options(middleware=[*others, middleware], http_client=changed._client)
    return copy
