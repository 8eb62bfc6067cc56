"""Rules without I/O: what may be stored, what may only be matched exactly, and what is fresh."""

from llmcache_plugins.policies.admission import refusal_of
from llmcache_plugins.policies.payload import payload_of
from llmcache_plugins.policies.staleness import Staleness

__all__ = ["Staleness", "payload_of", "refusal_of"]
