"""Is the hit right? Candidates in, a match or near misses out. Pure."""

from llmcache_plugins.matching.decision import Decision, Judge, decide, has_conflict

__all__ = ["Decision", "Judge", "decide", "has_conflict"]
