"""Counting a read that was served, and what follows from it."""

from __future__ import annotations

from llmcache_plugins.engine.moving import promote
from llmcache_plugins.engine.rules import Flow, Rules, Troubles
from llmcache_plugins.engine.steps import Touch
from llmcache_plugins.errors import StoreError
from llmcache_plugins.types import Candidate, Entry, Stored

__all__ = ["serve", "touch"]


def touch(tier: int, entry: Entry, now: float, troubles: Troubles) -> Flow[None]:
    """Count a served read."""
    try:
        yield Touch(tier, entry.scope, entry.key, now)
    except StoreError as error:  # the answer is in hand: a lost count is no reason to pay for another one
        troubles.spare(error)


def serve(tier: int, stored: Stored | Candidate, rules: Rules, now: float, troubles: Troubles) -> Flow[None]:
    """Count a served read, and let the entry move up when that was enough of them."""
    entry = stored.entry
    try:
        yield Touch(tier, entry.scope, entry.key, now)  # as `touch` does: this is on the road of every exact hit
    except StoreError as error:
        troubles.spare(error)
    tiering = rules.tiering
    if tiering is None:
        return
    if tiering.copies:
        tiering.count((entry.scope, entry.key))
    target = tiering.placement.promotion(stored.tier, stored.reads + 1)
    if target is None:
        return
    try:
        yield from promote(stored, target, rules, tiering, now)
    except StoreError as error:  # the next read tries again
        troubles.spare(error)
