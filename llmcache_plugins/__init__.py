"""A semantic cache for LLM answers: exact first, then by meaning, and a hit only when the stored answer is right.

`open_cache()` makes one; `llmcache_plugins.langchain` puts it under LangChain with one line.
"""

import logging
from typing import TYPE_CHECKING, Any

from llmcache_plugins.ab_test import ABTest, Arm
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.counters import CacheStats
from llmcache_plugins.errors import (
    CodecError,
    ConfigError,
    EmbedderError,
    LLMCacheError,
    MissingExtraError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)
from llmcache_plugins.protocols import Clock, Embedder, Guard, Judge, Profiler, Recorder, Store, Validator, Verifier
from llmcache_plugins.quality import Judgement, Labelled, NearMissRecord, Regression, Reported, Validation
from llmcache_plugins.rollout import Rollout
from llmcache_plugins.selection import Invalidation, Selector
from llmcache_plugins.types import (
    Answer,
    Bypass,
    Entry,
    Hit,
    Miss,
    MissReason,
    NearMiss,
    Outcome,
    Profile,
    Request,
    UpdateOutcome,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from llmcache_plugins.engine import Explanation, InvalidationProgress, InvalidationReport, SemanticCache, Tier
    from llmcache_plugins.events import load_event_rules
    from llmcache_plugins.factory import default_cache, open_cache, set_default_cache
    from llmcache_plugins.keys.label import QueryContext
    from llmcache_plugins.matching.lexical import LexicalMatcher
    from llmcache_plugins.policies.event_rules import EventRule
    from llmcache_plugins.policies.placement import TierConfig

__version__ = "0.1.0"

__all__ = [
    "ABTest",
    "Answer",
    "Arm",
    "Bypass",
    "CacheConfig",
    "CacheStats",
    "Clock",
    "CodecError",
    "ConfigError",
    "Embedder",
    "EmbedderError",
    "Entry",
    "EventRule",
    "Explanation",
    "Guard",
    "Hit",
    "Invalidation",
    "InvalidationProgress",
    "InvalidationReport",
    "Judge",
    "Judgement",
    "LLMCacheError",
    "Labelled",
    "LexicalMatcher",
    "Miss",
    "MissReason",
    "MissingExtraError",
    "NearMiss",
    "NearMissRecord",
    "Outcome",
    "Profile",
    "Profiler",
    "QueryContext",
    "Recorder",
    "Regression",
    "Reported",
    "Request",
    "Rollout",
    "Selector",
    "SemanticCache",
    "Store",
    "StoreCorrupt",
    "StoreError",
    "StoreUnavailable",
    "Tier",
    "TierConfig",
    "UpdateOutcome",
    "Usage",
    "Validation",
    "Validator",
    "Verdict",
    "Verifier",
    "__version__",
    "default_cache",
    "load_event_rules",
    "open_cache",
    "set_default_cache",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())

# The parts that do work are imported when they are first used: `import llmcache_plugins` stays cheap in programs that
# only catch its errors or name its types.
_LAZY = {
    "EventRule": "llmcache_plugins.policies.event_rules",
    "Explanation": "llmcache_plugins.engine",
    "InvalidationProgress": "llmcache_plugins.engine",
    "InvalidationReport": "llmcache_plugins.engine",
    "LexicalMatcher": "llmcache_plugins.matching.lexical",
    "QueryContext": "llmcache_plugins.keys.label",
    "SemanticCache": "llmcache_plugins.engine",
    "Tier": "llmcache_plugins.engine",
    "TierConfig": "llmcache_plugins.policies.placement",
    "default_cache": "llmcache_plugins.factory",
    "load_event_rules": "llmcache_plugins.events",
    "open_cache": "llmcache_plugins.factory",
    "set_default_cache": "llmcache_plugins.factory",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
