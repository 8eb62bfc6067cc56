"""How a lookup ended, in the words of the caller."""

from __future__ import annotations

from llmcache_plugins.engine.rules import Found, NotFound
from llmcache_plugins.types import Hit, Identity, Miss

__all__ = ["outcome_of"]


def outcome_of(found: Found | NotFound, asked: str, identity: Identity, latency: float, now: float) -> Hit | Miss:
    """The public value of what a flow found.

    Args:
        identity: of the request.
        latency: seconds the lookup took.
        now: wall clock.
    """
    if isinstance(found, NotFound):
        return Miss(found.reason, found.near_misses, latency, found.detail, asked, identity.scope, identity.key)
    stored = found.stored
    return Hit(
        stored.entry,
        found.kind,
        found.tier,
        found.similarity,
        found.confidence,
        max(0.0, now - stored.entry.created_at),
        stored.access_count + 1,
        latency,
        found.verdicts,
        found.policy,
        found.verifier_score,
        asked,
        identity.key,
        found.is_stale,
    )
