"""The meaning part of a lookup: search, judge, serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from llmcache_plugins.engine.ahead import read_census
from llmcache_plugins.engine.reporting import read_reports
from llmcache_plugins.engine.reports import Reports
from llmcache_plugins.engine.rules import Flow, Found, NotFound, Rules, Troubles
from llmcache_plugins.engine.settling import Opinions, settle
from llmcache_plugins.engine.steps import Embed, PutAlias, Search, SetVectors, Validate, Watch, Weigh
from llmcache_plugins.engine.touching import serve
from llmcache_plugins.errors import EmbedderError, StoreError
from llmcache_plugins.matching import Decision, Judged, Policy, decide
from llmcache_plugins.types import Alias, Candidate, Entry, FloatArray, Identity, MissReason, Request, Stored

__all__ = ["Neighbour", "find_by_meaning", "is_valid", "neighbours"]


class Neighbour(NamedTuple):
    """A candidate and the tier it was found in."""

    candidate: Candidate
    tier: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest candidates, best first, and the vector of what was asked; None when nothing was stored yet. `held`
    are those that an invalidation marked and whose turn to be renewed has not come yet."""

    ranked: Sequence[Neighbour] = ()
    vector: FloatArray | None = field(default=None, repr=False)
    held: Sequence[Neighbour] = ()


def find_by_meaning(
    request: Request, identity: Identity, rules: Rules, policy: Policy, now: float, troubles: Troubles
) -> Flow[Found | NotFound]:
    """Look for a stored question that means the same, inside the request's scope. A match that is refused at the last
    moment gives way to the next one."""
    if rules.learnt is not None:
        policy = rules.learnt(policy, request.namespace, identity.scope)
    found = yield from neighbours(request, identity.scope, rules, now, troubles)
    own = next((one for one in found.ranked if one.candidate.entry.key == identity.key), None)
    if own is not None:  # another caller stored it after we had asked for the exact key
        yield from serve(own.tier, own.candidate, rules, now, troubles)
        return Found(_stored(own.candidate), "exact", rules.tier_name(own.tier, own.candidate.tier))
    match = yield from _match(request, identity.key, found.ranked, found.vector, rules, policy, now, troubles)
    if isinstance(match, _Match):
        return (yield from _serve(request, identity, match, rules, policy, now, troubles))
    if (
        found.held and match.reason is not MissReason.SHADOW
    ):  # other words must not ask the model past the rate of an invalidation that goes on
        held = yield from _match(request, "", found.held, found.vector, rules, policy, now, troubles)
        if isinstance(held, _Match):
            troubles.keep_stale(_found(held, rules, policy))
            return match._replace(stale=troubles.stale)
    return match


class _Match(NamedTuple):
    """What is to be served, and the tier it was found in."""

    judged: Judged
    tier: int


def _match(
    request: Request,
    key: str,
    ranked: Sequence[Neighbour],
    vector: FloatArray | None,
    rules: Rules,
    policy: Policy,
    now: float,
    troubles: Troubles,
) -> Flow[_Match | NotFound]:
    """The first of these that nobody objects to, and that is not sent to the model to be checked.

    Args:
        key: of the request, under which its answer will come; empty when none is expected.
    """
    opinions = Opinions()
    reports: Reports | None = None
    while True:
        decision = decide(
            request.text,
            [neighbour.candidate for neighbour in ranked],
            policy=policy,
            guards=rules.guards,
            near_misses=rules.near_misses,
            refused=troubles.refused,
        )
        match = decision.match or (yield from settle(request, decision.grey, rules, opinions))
        if match is None:
            if rules.learnt is not None and key and decision.grey:
                yield Watch(request, key, opinions.most_sure(decision.grey))
            return troubles.miss(decision.reason, decision.near_misses)
        entry = match.candidate.entry
        if reports is None:
            reports = yield from read_reports(entry.scope, rules, now, troubles)
        if reports is None:
            return troubles.miss(MissReason.STORE_ERROR, decision.near_misses)
        if _is_reported(request.text, match, vector, reports, rules):
            troubles.refused[entry.key] = MissReason.REPORTED
        elif (yield from is_valid(request, entry, rules, troubles)):
            fate = "serve" if rules.learnt is None or not key else (yield Weigh(request, key, match))
            if fate != "serve":
                return _withheld(match, decision, rules, troubles, is_checked=fate == "check")
            return _Match(match, next(n.tier for n in ranked if n.candidate is match.candidate))


def _withheld(match: Judged, decision: Decision, rules: Rules, troubles: Troubles, *, is_checked: bool) -> NotFound:
    """The miss in place of a match: that one is the nearest of the near misses."""
    reason = MissReason.SHADOW if is_checked else MissReason.LOW_CONFIDENCE
    near_misses = (replace(match, reason=reason).near_miss(), *decision.near_misses)
    return troubles.miss(reason, near_misses[: rules.near_misses])


def _is_reported(asked: str, match: Judged, vector: FloatArray | None, reports: Reports, rules: Rules) -> bool:
    """Was this pair reported as wrong, or is it near a reported one and not sure enough for that?"""
    stored = match.candidate.entry.text
    if reports.forbid(asked, stored):
        return True
    if vector is None or rules.embedder_id is None or not reports.are_near(asked, stored, vector, rules.embedder_id):
        return False
    return match.policy is None or match.confidence < (match.policy.min_confidence + 1.0) / 2.0


def is_valid(request: Request, entry: Entry, rules: Rules, troubles: Troubles) -> Flow[bool]:
    """What the validators say of a match; a rejected one is not tried again in this lookup."""
    if not rules.has_validators or (yield Validate(request, entry)).ok:
        return True
    troubles.refused[entry.key] = MissReason.REJECTED
    return False


def _serve(
    request: Request,
    identity: Identity,
    match: _Match,
    rules: Rules,
    policy: Policy,
    now: float,
    troubles: Troubles,
) -> Flow[Found]:
    """Count the read, and remember the wording, unless it may have to be checked when it is asked again, or must not be
    stored as it is."""
    candidate, tier = match.judged.candidate, match.tier
    yield from serve(tier, candidate, rules, now, troubles)
    if rules.learnt is not None or rules.kept(request.text) != request.text:
        return _found(match, rules, policy)
    alias = Alias(
        scope=identity.scope,
        key=identity.key,
        target_key=candidate.entry.key,
        text=request.text,
        similarity=candidate.similarity,
        confidence=match.judged.confidence,
        policy_id=rules.alias_policy_id(policy),
        created_at=now,
    )
    try:
        yield PutAlias(tier, alias)
    except StoreError as error:
        troubles.spare(error)
    return _found(match, rules, policy)


def _found(match: _Match, rules: Rules, policy: Policy) -> Found:
    judged, candidate = match.judged, match.judged.candidate
    return Found(
        _stored(candidate),
        "semantic",
        rules.tier_name(match.tier, candidate.tier),
        candidate.similarity,
        judged.confidence,
        judged.verdicts,
        policy.policy_id,
        judged.verifier_score,
    )


def _stored(candidate: Candidate) -> Stored:
    return Stored(candidate.entry, candidate.access_count, tier=candidate.tier, reads=candidate.reads)


def neighbours(request: Request, scope: str, rules: Rules, now: float, troubles: Troubles) -> Flow[Neighbours]:
    """The nearest candidates that the request tolerates, over all tiers, best first; of one entry, the copy in the
    hotter tier."""
    embedder_id = rules.embedder_id
    assert embedder_id is not None  # without an embedder a lookup has ended before
    moved_to = rules.moved_to(request.namespace, now)
    tiers, pending = yield from _populated_tiers(scope, rules, embedder_id, moved_to, troubles)
    if not tiers:
        return Neighbours()
    vector = yield from _embed_with_pending(request.text, scope, embedder_id, tiers, pending, troubles)
    best: dict[str, Neighbour] = {}
    held: dict[str, Neighbour] = {}
    for tier in tiers:
        try:
            candidates = yield Search(tier, scope, embedder_id, vector, rules.max_candidates, now)
        except StoreError as error:
            troubles.spare(error)
            continue
        for candidate in candidates:
            entry = candidate.entry
            # An invalidation marked it: at most its own question is still answered with it, but for a gradual one.
            if (entry.stale_at is None or rules.serves_longer(entry, now)) and rules.tolerates(request, entry):
                (best if entry.stale_at is None else held).setdefault(entry.key, Neighbour(candidate, tier))
    return Neighbours(_ranked(best, rules), vector, _ranked(held, rules))


def _ranked(neighbours: Mapping[str, Neighbour], rules: Rules) -> list[Neighbour]:
    """Best first, of equal ones the first."""
    return sorted(neighbours.values(), key=lambda n: -n.candidate.similarity)[: rules.max_candidates]


def _populated_tiers(
    scope: str, rules: Rules, embedder_id: str, moved_to: str | None, troubles: Troubles
) -> Flow[tuple[list[int], dict[str, str]]]:
    """The tiers with candidates in this scope, and key -> text of those that still lack a vector: not of those that are
    there already where they are moved to, or an old cache and a new one would take them from each other."""
    tiers: list[int] = []
    pending: dict[str, str] = {}
    for tier in range(len(rules.tiers)):
        try:
            census = yield from read_census(tier, scope, embedder_id, rules, troubles)
        except StoreError as error:
            troubles.spare(error)
            continue
        if census.candidates:
            tiers.append(tier)
            pending.update((p.key, p.text) for p in census.pending if moved_to is None or p.embedder_id != moved_to)
    return tiers, pending


def _embed_with_pending(
    text: str, scope: str, embedder_id: str, tiers: Sequence[int], pending: dict[str, str], troubles: Troubles
) -> Flow[FloatArray]:
    """The vector of `text`; on the way, in the same batch, those that stored questions still lack."""
    if not pending:
        vectors = yield Embed((text,))
        return vectors[0]  # type: ignore[no-any-return]  # a step's answer is Any
    try:
        vectors = yield Embed((text, *pending.values()))
    except EmbedderError:  # one stored text that no longer embeds must not blind the whole scope
        vectors = yield Embed((text,))
        return vectors[0]  # type: ignore[no-any-return]
    late = dict(zip(pending, vectors[1:], strict=True))
    for tier in tiers:
        try:
            yield SetVectors(tier, scope, embedder_id, late)
        except StoreError as error:
            troubles.spare(error)
    return vectors[0]  # type: ignore[no-any-return]
