"""The algorithm: generators of steps. No I/O, no await, no clock: the sync and the async driver share every line.

Order of a lookup: the exact key in every tier; the normalised key in every tier; then the meaning. Each step is paid
for only when all before it have failed, and no embedding is computed while the scope holds nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias, TypeVar

from llmcache_plugins.engine.steps import (
    CensusOf,
    Embed,
    Fits,
    Put,
    PutAlias,
    ReadExact,
    ReadNormalised,
    Search,
    SetVectors,
    Step,
    Sweep,
    Touch,
)
from llmcache_plugins.errors import EmbedderError, LLMCacheError, StoreError
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.matching import Judge, decide, has_conflict
from llmcache_plugins.policies import payload_of
from llmcache_plugins.types import (
    Alias,
    Candidate,
    Damaged,
    Entry,
    FloatArray,
    HitKind,
    Identity,
    MissReason,
    NearMiss,
    Request,
    Stored,
    UpdateOutcome,
    Verdict,
)

__all__ = [
    "Flow",
    "Found",
    "NotFound",
    "Rules",
    "look_exact_flow",
    "lookup_flow",
    "update_flow",
]

T = TypeVar("T")
Flow: TypeAlias = Generator[Step, Any, T]

# With the rules of `update_flow` a scope has one pending vector at most; more only after a change of the embedder,
# and then they are worked off bit by bit.
_PENDING_BATCH = 64
_NORMALISED_LIMIT = 4  # wordings that differ in case alone: a guard may refuse the newest and accept an older one
_SWEEP_LIMIT = 1000  # expired entries one update may have to remove


@dataclass(frozen=True, slots=True)
class Rules:
    """What a flow needs to know of the configuration.

    Args:
        tiers: names, hottest first.
        embedder_id: None when the cache has no embedder.
        policy_id: changes with everything that decides a semantic match; aliases of another one are judged again.
    """

    tiers: tuple[str, ...]
    embedder_id: str | None
    policy_id: str
    threshold: float
    judge: Judge = field(repr=False)
    max_candidates: int = 8
    near_misses: int = 3
    fail_open: bool = True


class Found(NamedTuple):
    stored: Stored
    kind: HitKind
    tier: str
    similarity: float = 1.0
    confidence: float = 1.0
    verdicts: tuple[Verdict, ...] = ()


class NotFound(NamedTuple):
    reason: MissReason
    near_misses: tuple[NearMiss, ...] = ()
    detail: str = ""


class _Troubles:
    """Failures on the way of one lookup. They outrank the ordinary reason of a miss: the gravest is reported."""

    __slots__ = ("_fail_open", "_reason")
    _GRAVITY = (MissReason.EXPIRED, MissReason.DAMAGED, MissReason.EMBEDDER_ERROR, MissReason.STORE_ERROR)

    def __init__(self, fail_open: bool) -> None:
        self._fail_open = fail_open
        self._reason: MissReason | None = None

    def spare(self, error: LLMCacheError) -> None:
        """Note the error and go on, or raise it when the user wants to hear it."""
        if not self._fail_open:
            raise error
        self.note(MissReason.EMBEDDER_ERROR if isinstance(error, EmbedderError) else MissReason.STORE_ERROR)

    def note(self, reason: MissReason) -> None:
        if self._reason is None or self._GRAVITY.index(reason) > self._GRAVITY.index(self._reason):
            self._reason = reason

    def miss(self, reason: MissReason, near_misses: tuple[NearMiss, ...] = (), detail: str = "") -> NotFound:
        return NotFound(self._reason or reason, near_misses, detail)


def lookup_flow(request: Request, identity: Identity, rules: Rules, now: float) -> Flow[Found | NotFound]:
    """One lookup: exact, normalised, meaning."""
    troubles = _Troubles(rules.fail_open)
    found = yield from _find_exact(identity, rules, now, troubles)
    if found is not None:
        return found
    exact_only = request.exact_only or payload_of(request.text)
    if exact_only is not None:
        return troubles.miss(MissReason.EXACT_ONLY, detail=exact_only)
    if rules.embedder_id is not None and not (yield Fits(request.text)):
        return troubles.miss(MissReason.UNREADABLE)
    found = yield from _find_normalised(request, identity, rules, now, troubles)
    if found is not None:
        return found
    if rules.embedder_id is None:
        return troubles.miss(MissReason.NO_EMBEDDER)
    try:
        return (yield from _find_by_meaning(request, identity, rules, rules.embedder_id, now, troubles))
    except EmbedderError as error:
        troubles.spare(error)
        return troubles.miss(MissReason.EMBEDDER_ERROR)


def _find_exact(identity: Identity, rules: Rules, now: float, troubles: _Troubles) -> Flow[Found | None]:
    for tier, name in enumerate(rules.tiers):
        try:
            stored = yield ReadExact(tier, identity.scope, identity.key)
            if stored is None:
                continue
            if isinstance(stored, Damaged):
                troubles.note(MissReason.DAMAGED)
                continue
            if stored.entry.is_expired(now):
                troubles.note(MissReason.EXPIRED)
                continue
            alias = stored.alias
            if alias is not None and alias.policy_id != rules.policy_id:
                continue
        except StoreError as error:
            troubles.spare(error)
            continue
        try:
            yield Touch(tier, identity.scope, stored.entry.key, now)
        except StoreError as error:  # the answer is in hand: a lost count is no reason to pay for another one
            troubles.spare(error)
        if alias is None:
            return Found(stored, "exact", name)
        return Found(stored, "alias", name, alias.similarity, alias.confidence)
    return None


def _find_normalised(
    request: Request, identity: Identity, rules: Rules, now: float, troubles: _Troubles
) -> Flow[Found | None]:
    key = normalised_key_of(identity.scope, request.text)
    for tier, name in enumerate(rules.tiers):
        try:
            wordings = yield ReadNormalised(tier, identity.scope, key, _NORMALISED_LIMIT)
        except StoreError as error:
            troubles.spare(error)
            continue
        for stored in wordings:
            if stored.entry.is_expired(now) or not stored.entry.is_candidate:
                continue  # what may only be matched exactly answers no other layout either
            verdicts = rules.judge(request.text, stored.entry.text)
            if has_conflict(verdicts):  # case can matter: `TAG` and `tag` in code
                continue
            yield from _touch(tier, stored.entry, now, troubles)
            return Found(stored, "normalised", name, verdicts=verdicts)
    return None


def _find_by_meaning(
    request: Request, identity: Identity, rules: Rules, embedder_id: str, now: float, troubles: _Troubles
) -> Flow[Found | NotFound]:
    scope = identity.scope
    tiers, pending = yield from _populated_tiers(scope, rules, embedder_id, troubles)
    if not tiers:
        return troubles.miss(MissReason.NO_CANDIDATES)
    vector = yield from _embed_with_pending(request.text, scope, embedder_id, tiers, pending, troubles)
    best: dict[str, tuple[Candidate, int]] = {}
    for tier in tiers:
        try:
            candidates = yield Search(tier, scope, embedder_id, vector, rules.max_candidates, now)
        except StoreError as error:
            troubles.spare(error)
            continue
        for candidate in candidates:  # the best over all tiers wins; of one entry, the copy in the hotter tier
            best.setdefault(candidate.entry.key, (candidate, tier))
    ranked = sorted((candidate for candidate, _ in best.values()), key=lambda c: -c.similarity)
    decision = decide(
        request.text,
        ranked[: rules.max_candidates],
        threshold=rules.threshold,
        judge=rules.judge,
        near_misses=rules.near_misses,
    )
    match = decision.match
    if match is None:
        return troubles.miss(decision.reason, decision.near_misses)
    tier = best[match.entry.key][1]
    yield from _touch(tier, match.entry, now, troubles)
    alias = Alias(
        scope=scope,
        key=identity.key,
        target_key=match.entry.key,
        text=request.text,
        similarity=match.similarity,
        confidence=decision.confidence,
        policy_id=rules.policy_id,
        created_at=now,
    )
    try:
        yield PutAlias(tier, alias)
    except StoreError as error:
        troubles.spare(error)
    stored = Stored(match.entry, match.access_count)
    return Found(stored, "semantic", rules.tiers[tier], match.similarity, decision.confidence, decision.verdicts)


def _populated_tiers(
    scope: str, rules: Rules, embedder_id: str, troubles: _Troubles
) -> Flow[tuple[list[int], dict[str, str]]]:
    """The tiers with candidates in this scope, and key -> text of those that still lack a vector."""
    tiers: list[int] = []
    pending: dict[str, str] = {}
    for tier in range(len(rules.tiers)):
        try:
            census = yield CensusOf(tier, scope, embedder_id, _PENDING_BATCH)
        except StoreError as error:
            troubles.spare(error)
            continue
        if census.candidates:
            tiers.append(tier)
            pending.update((p.key, p.text) for p in census.pending)
    return tiers, pending


def _embed_with_pending(
    text: str, scope: str, embedder_id: str, tiers: Sequence[int], pending: dict[str, str], troubles: _Troubles
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


def _touch(tier: int, entry: Entry, now: float, troubles: _Troubles) -> Flow[None]:
    try:
        yield Touch(tier, entry.scope, entry.key, now)
    except StoreError as error:  # as in `_find_exact`, which spares itself this generator
        troubles.spare(error)


def update_flow(entry: Entry, rules: Rules, now: float, *, sweep: bool) -> Flow[UpdateOutcome]:
    """Store one answer in every tier. Its vector is computed now only when the scope already holds a candidate: the
    first question of a scope gets its vector when a second one comes (most scopes never see one)."""
    try:
        entry = yield from _with_vector(entry, rules)
    except (EmbedderError, StoreError):
        if not rules.fail_open:
            raise
    is_stored, reason = False, "not_kept"
    for tier in range(len(rules.tiers)):
        try:
            is_stored = (yield Put(tier, entry)) or is_stored
            if sweep:
                yield Sweep(tier, now, _SWEEP_LIMIT)
        except StoreError:
            if not rules.fail_open:
                raise
            reason = MissReason.STORE_ERROR.value
    return UpdateOutcome(True) if is_stored else UpdateOutcome(False, reason)


def _with_vector(entry: Entry, rules: Rules) -> Flow[Entry]:
    if rules.embedder_id is None or not entry.is_candidate:
        return entry
    if not (yield Fits(entry.text)):
        return replace(entry, is_candidate=False)
    for tier in range(len(rules.tiers)):
        census = yield CensusOf(tier, entry.scope, rules.embedder_id, 0)
        if census.candidates:
            vectors = yield Embed((entry.text,))
            return replace(entry, embedder_id=rules.embedder_id, vector=vectors[0])
    return entry


def look_exact_flow(identity: Identity, rules: Rules, now: float) -> Flow[Found | NotFound]:
    """The exact key in every tier, nothing else."""
    troubles = _Troubles(rules.fail_open)
    found = yield from _find_exact(identity, rules, now, troubles)
    return found if found is not None else troubles.miss(MissReason.NO_CANDIDATES)
