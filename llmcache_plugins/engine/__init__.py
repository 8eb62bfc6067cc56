"""The algorithm and its two drivers. Knows no framework, no driver of a server, no store: it is given them."""

from llmcache_plugins.engine.asking import Advisers
from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.drivers import Tier
from llmcache_plugins.engine.explanation import Explanation
from llmcache_plugins.engine.invalidation_report import InvalidationProgress, InvalidationReport
from llmcache_plugins.engine.rules import Rules
from llmcache_plugins.engine.workers import Workers

__all__ = [
    "Advisers",
    "Explanation",
    "InvalidationProgress",
    "InvalidationReport",
    "Rules",
    "SemanticCache",
    "Tier",
    "Workers",
]
