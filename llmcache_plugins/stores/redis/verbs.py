"""All verbs of one bucket, as flows of commands."""

from __future__ import annotations

from llmcache_plugins.stores.redis.inspecting import Inspection
from llmcache_plugins.stores.redis.noting import Notes
from llmcache_plugins.stores.redis.reading import Reads
from llmcache_plugins.stores.redis.tallying import Tallies

__all__ = ["Verbs"]


class Verbs(Reads, Notes, Tallies, Inspection):
    """Those of `Store`, and those that look further."""
