"""The algorithm: generators of steps. No I/O, no await, no clock: the sync and the async driver share every line.

Order of a lookup: the exact key in every tier; the normalised key in every tier; then the meaning. Each step is paid
for only when all before it have failed, and no embedding is computed while the scope holds nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from llmcache_plugins.engine.ahead import NORMALISED_LIMIT, ahead_of, read_exact, read_normalised
from llmcache_plugins.engine.copying import read_through
from llmcache_plugins.engine.meaning import find_by_meaning, is_valid
from llmcache_plugins.engine.moving import placed
from llmcache_plugins.engine.reporting import read_reports
from llmcache_plugins.engine.rules import LABELLED, Flow, Found, NotFound, Rules, Troubles
from llmcache_plugins.engine.steps import (
    CensusOf,
    Embed,
    Fits,
    Invalidations,
    Put,
    SequenceOf,
    Sweep,
)
from llmcache_plugins.engine.touching import serve
from llmcache_plugins.errors import EmbedderError, StoreError
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.matching import has_conflict
from llmcache_plugins.policies import payload_of
from llmcache_plugins.selection import Lease
from llmcache_plugins.types import Alias, Damaged, Entry, Identity, MissReason, Request, Stored, UpdateOutcome

__all__ = [
    "Flow",
    "Found",
    "NotFound",
    "Rules",
    "find_exact",
    "find_normalised",
    "look_exact_flow",
    "lookup_flow",
    "update_flow",
]

_SWEEP_LIMIT = 1000  # expired entries one update may have to remove


def lookup_flow(
    request: Request,
    identity: Identity,
    rules: Rules,
    now: float,
    *,
    takes_stale: bool = False,
    version: Hashable = None,
) -> Flow[Found | NotFound]:
    """One lookup: exact, normalised, meaning.

    Args:
        takes_stale: the caller can have the entry renewed: one that may be served meanwhile ends the lookup.
        version: as for `find_exact`.
    """
    troubles = Troubles(rules.fail_open)
    troubles.ahead = ahead_of(request, identity, rules)
    found = yield from find_exact(request, identity, rules, now, troubles, version)
    if found is not None:
        return found
    if takes_stale and troubles.stale is not None:
        return troubles.miss(MissReason.EXPIRED)
    exact_only = request.exact_only or payload_of(request.text)
    if exact_only is not None:
        return troubles.miss(MissReason.EXACT_ONLY, detail=exact_only)
    policy = rules.policy_for(request)
    if policy is None:
        return troubles.miss(MissReason.EXACT_ONLY, detail="budget")
    if rules.embedder_id is not None and not (yield Fits(request.text)):
        return troubles.miss(MissReason.UNREADABLE)
    found = yield from find_normalised(request, identity, rules, now, troubles)
    if found is not None:
        return found
    if takes_stale and troubles.stale is not None:
        return troubles.miss(MissReason.EXPIRED)
    if rules.embedder_id is None:
        return troubles.miss(MissReason.NO_EMBEDDER)
    try:
        return (yield from find_by_meaning(request, identity, rules, policy, now, troubles))
    except EmbedderError as error:
        troubles.spare(error)
        return troubles.miss(MissReason.EMBEDDER_ERROR)


def find_exact(
    request: Request, identity: Identity, rules: Rules, now: float, troubles: Troubles, version: Hashable = None
) -> Flow[Found | None]:
    """The entry under exactly this key, or the one its alias points to.

    Args:
        version: of the last tier's store, when it was asked for since the lookup began; None to ask for it.
    """
    tiering = rules.tiering
    for tier in range(len(rules.tiers)):
        try:
            if tiering is not None and tiering.copies:
                stored = yield from read_through(identity, rules, tiering, troubles, version)
            else:
                stored = yield from read_exact(tier, identity.scope, identity.key, rules, troubles)
            if stored is None:
                continue
            if isinstance(stored, Damaged):
                troubles.note(MissReason.DAMAGED)
                continue
        except StoreError as error:
            troubles.spare(error)
            continue
        entry, alias = stored.entry, stored.alias
        is_fresh = rules.staleness.is_fresh(entry, now)
        if not is_fresh:
            troubles.note(MissReason.EXPIRED if entry.is_expired(now) else MissReason.STALE)
            if not rules.is_servable(entry, now):
                continue
        if alias is not None and not _holds(alias, entry, request, rules):
            continue
        if alias is not None and not (yield from is_valid(request, entry, rules, troubles)):
            continue
        found = _found_exactly(stored, rules.tier_name(tier, stored.tier), rules)
        if is_fresh:
            yield from serve(tier, stored, rules, now, troubles)
            return found
        troubles.keep_stale(found)
    return None


def _found_exactly(stored: Stored, tier: str, rules: Rules) -> Found:
    alias = stored.alias
    if alias is None:
        return Found(stored, "exact", tier)
    policy_id = alias.policy_id.removeprefix(rules.policy_id).strip()
    return Found(stored, "alias", tier, alias.similarity, alias.confidence, policy=policy_id)


def _holds(alias: Alias, entry: Entry, request: Request, rules: Rules) -> bool:
    """Would the policy of today decide as the one that made this alias did, about the answer of today? A person's word
    needs no policy, but for a budget of 0, which lets nothing but the same text through."""
    policy = rules.policy_for(request)
    is_same = policy is not None and alias.policy_id in (LABELLED, rules.alias_policy_id(policy))
    return is_same and rules.tolerates(request, entry)


def find_normalised(
    request: Request, identity: Identity, rules: Rules, now: float, troubles: Troubles
) -> Flow[Found | None]:
    """An entry whose text differs in case, spaces and closing punctuation alone."""
    key = normalised_key_of(identity.scope, request.text)
    for tier in range(len(rules.tiers)):
        try:
            wordings = yield from read_normalised(tier, identity.scope, key, NORMALISED_LIMIT, rules, troubles)
        except StoreError as error:
            troubles.spare(error)
            continue
        for stored in wordings:
            is_fresh = rules.staleness.is_fresh(stored.entry, now)
            if not (is_fresh or rules.is_servable(stored.entry, now)) or not stored.entry.is_candidate:
                continue  # what may only be matched exactly answers no other layout either
            if not rules.tolerates(request, stored.entry):
                continue
            verdicts = rules.guards(request.text, stored.entry.text)
            if has_conflict(verdicts):  # case can matter: `TAG` and `tag` in code
                continue
            reports = yield from read_reports(identity.scope, rules, now, troubles)
            if reports is None:
                return None
            if reports.forbid(request.text, stored.entry.text):
                troubles.refused[stored.entry.key] = MissReason.REPORTED
                continue
            tier_name = rules.tier_name(tier, stored.tier)
            found = Found(stored, "normalised", tier_name, verdicts=verdicts)
            if stored.entry.key == identity.key:  # another caller stored it after we had asked for the exact key
                found = Found(stored, "exact", tier_name)
            if is_fresh:
                yield from serve(tier, stored, rules, now, troubles)
                return found
            troubles.keep_stale(found)
    return None


def update_flow(
    entry: Entry,
    rules: Rules,
    now: float,
    *,
    sweep: bool,
    seen: int | None = None,
    fence: Lease | None = None,
    has_candidates: bool | None = None,
) -> Flow[UpdateOutcome]:
    """Store one answer in every tier. Its vector is computed now only when the scope already holds a candidate: the
    first question of a scope gets its vector when a second one comes (most scopes never see one).

    Args:
        seen: the sequence of the last tier's store before the answer was asked for; see `Store.put`.
        fence: the lease the answer was computed under.
        has_candidates: did the scope hold one when it was looked at; None to look now.
    """
    try:
        entry = yield from _with_vector(entry, rules, has_candidates)
    except (EmbedderError, StoreError):
        if not rules.fail_open:
            raise
    is_stored, reason, start = False, "not_kept", rules.start_of(entry)
    for tier in reversed(range(len(rules.tiers))):  # the last one decides whether the answer still counts
        is_last = tier == rules.bottom
        try:
            is_kept = yield Put(tier, entry, start, seen if is_last else None, fence if is_last else None)
            if sweep:
                yield Sweep(tier, now - rules.staleness.kept_for, _SWEEP_LIMIT)
            if is_last and not is_kept and not (seen is None and fence is None):
                return UpdateOutcome(False, (yield from _why_refused(entry, tier, seen, fence)))
            is_stored = is_kept or is_stored
            if is_last and is_kept:
                yield from placed(start, rules, now)
        except StoreError:
            if not rules.fail_open:
                raise
            reason = MissReason.STORE_ERROR.value
    return UpdateOutcome(True) if is_stored else UpdateOutcome(False, reason)


def _why_refused(entry: Entry, tier: int, seen: int | None, fence: Lease | None) -> Flow[str]:
    """Of a refused answer: an invalidation or a later lease came between, or it was not kept for other reasons."""
    if seen is not None and (yield SequenceOf(tier)) > seen:
        log = yield Invalidations(tier, 0.0)
        since = [invalidation for invalidation in log if invalidation.number > seen]
        is_log_complete = bool(since) and since[0].number == seen + 1
        if not is_log_complete or any(invalidation.selector.matches(entry) for invalidation in since):
            return "invalidated"
    return "not_kept" if fence is None else "superseded"


def _with_vector(entry: Entry, rules: Rules, has_candidates: bool | None) -> Flow[Entry]:
    if rules.embedder_id is None or not entry.is_candidate:
        return entry
    if not (yield Fits(entry.text)):
        return replace(entry, is_candidate=False)
    for tier in range(len(rules.tiers) if has_candidates is None else 0):
        census = yield CensusOf(tier, entry.scope, rules.embedder_id, 0)
        if census.candidates:
            has_candidates = True
            break
    if not has_candidates:
        return entry
    vectors = yield Embed((entry.text,))
    return replace(entry, embedder_id=rules.embedder_id, vector=vectors[0])


def look_exact_flow(request: Request, identity: Identity, rules: Rules, now: float) -> Flow[Found | NotFound]:
    """The exact key in every tier, nothing else."""
    troubles = Troubles(rules.fail_open)
    found = yield from find_exact(request, identity, rules, now, troubles)
    return found if found is not None else troubles.miss(MissReason.NO_CANDIDATES)
