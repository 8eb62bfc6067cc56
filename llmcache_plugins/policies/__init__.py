"""Rules without I/O: what may be stored, and what may only be matched exactly."""

from llmcache_plugins.policies.admission import refusal_of
from llmcache_plugins.policies.payload import payload_of

__all__ = ["payload_of", "refusal_of"]
