"""Asking in one go what one lookup may need, of a store where each question is a round trip."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from llmcache_plugins.engine.reports import MOST_REPORTS, key_of_reports
from llmcache_plugins.engine.rules import Ahead, Flow, Rules, Troubles
from llmcache_plugins.engine.steps import CensusOf, LookAhead, ReadExact, ReadNormalised
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.types import Census, Damaged, Identity, Request, Stored

__all__ = ["NORMALISED_LIMIT", "PENDING_BATCH", "ahead_of", "read_census", "read_exact", "read_normalised"]

NORMALISED_LIMIT = 4  # wordings that differ in case alone: a guard may refuse the newest and accept an older one
# With the rules of `update_flow` a scope has one pending vector at most; more only after a change of the embedder,
# and then they are worked off bit by bit.
PENDING_BATCH = 64


def ahead_of(request: Request, identity: Identity, rules: Rules) -> Callable[[], Ahead] | None:
    """What this lookup may ask, if its store takes that in one go. Called when the store is asked: a hit by a copy in
    the process needs none of these digests."""
    if not rules.looks_ahead or rules.embedder_id is None or request.exact_only is not None:
        return None
    return partial(_ahead, request, identity, rules.embedder_id)


def _ahead(request: Request, identity: Identity, embedder_id: str) -> Ahead:
    normalised = {
        normalised_key_of(identity.scope, request.text): NORMALISED_LIMIT,
        key_of_reports(identity.scope): MOST_REPORTS,
    }
    return Ahead(normalised, embedder_id, PENDING_BATCH)


def read_exact(tier: int, scope: str, key: str, rules: Rules, troubles: Troubles) -> Flow[Stored | Damaged | None]:
    """What is under this key; on the way, where that can be had, all that the lookup may ask next."""
    if troubles.ahead is None or tier != rules.bottom:
        return (yield ReadExact(tier, scope, key))  # type: ignore[no-any-return]  # a step's answer is Any
    ahead = troubles.ahead()
    troubles.looked, troubles.has_failed_to_look = None, True
    troubles.looked = yield LookAhead(tier, scope, key, ahead.normalised, ahead.embedder_id, ahead.pending)
    troubles.has_failed_to_look = False
    return troubles.looked.exact


def read_normalised(
    tier: int, scope: str, key: str, limit: int, rules: Rules, troubles: Troubles
) -> Flow[list[Stored]]:
    """Entries with this normalised key."""
    _spare_the_store(tier, rules, troubles)
    if troubles.looked is not None and tier == rules.bottom and key in troubles.looked.normalised:
        return troubles.looked.normalised[key]
    return (yield ReadNormalised(tier, scope, key, limit))  # type: ignore[no-any-return]


def read_census(tier: int, scope: str, embedder_id: str, rules: Rules, troubles: Troubles) -> Flow[Census]:
    """How many candidates the scope has."""
    _spare_the_store(tier, rules, troubles)
    if troubles.looked is not None and tier == rules.bottom and troubles.looked.census is not None:
        return troubles.looked.census
    return (yield CensusOf(tier, scope, embedder_id, PENDING_BATCH))  # type: ignore[no-any-return]


def _spare_the_store(tier: int, rules: Rules, troubles: Troubles) -> None:
    """Who has waited in vain for a store in this lookup does not wait for it again."""
    if troubles.has_failed_to_look and tier == rules.bottom:
        raise StoreUnavailable("the store did not answer this lookup before")
