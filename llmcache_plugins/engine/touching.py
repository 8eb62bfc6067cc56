"""Counting a read that was served."""

from __future__ import annotations

from llmcache_plugins.engine.rules import Flow, Troubles
from llmcache_plugins.engine.steps import Touch
from llmcache_plugins.errors import StoreError
from llmcache_plugins.types import Entry

__all__ = ["touch"]


def touch(tier: int, entry: Entry, now: float, troubles: Troubles) -> Flow[None]:
    """Count a served read."""
    try:
        yield Touch(tier, entry.scope, entry.key, now)
    except StoreError as error:  # the answer is in hand: a lost count is no reason to pay for another one
        troubles.spare(error)
