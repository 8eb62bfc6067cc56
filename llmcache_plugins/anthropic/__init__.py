"""The Anthropic SDK plugin: `client = cache_client(anthropic.Anthropic())`."""

from __future__ import annotations

from llmcache_plugins.errors import ConfigError, MissingExtraError

try:
    import anthropic as _anthropic
except ImportError as error:
    raise MissingExtraError("the Anthropic SDK plugin", "anthropic") from error

if not hasattr(_anthropic, "Middleware"):  # nothing else in the SDK tells an old one apart
    _version = getattr(_anthropic, "__version__", "unknown")
    raise ConfigError(f"the plugin needs the middleware of anthropic 0.108 or newer; installed is {_version}")

from llmcache_plugins.anthropic.follow_ups import resolver
from llmcache_plugins.anthropic.install import cache_client
from llmcache_plugins.anthropic.middleware import LLMCacheMiddleware
from llmcache_plugins.judges import AnthropicJudge

__all__ = ["AnthropicJudge", "LLMCacheMiddleware", "cache_client", "resolver"]

del _anthropic
