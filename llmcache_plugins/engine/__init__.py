"""The algorithm and its two drivers. Knows no framework, no driver of a server, no store: it is given them."""

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.drivers import Tier
from llmcache_plugins.engine.flow import Rules
from llmcache_plugins.engine.workers import Workers

__all__ = ["Rules", "SemanticCache", "Tier", "Workers"]
