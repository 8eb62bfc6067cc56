"""Rules without I/O: what may be stored, and for how long."""

from llmcache_plugins.policies.admission import refusal_of

__all__ = ["refusal_of"]
