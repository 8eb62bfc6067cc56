"""What a flow needs to know, and how a lookup can end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from llmcache_plugins.engine.steps import Step
from llmcache_plugins.errors import EmbedderError, LLMCacheError
from llmcache_plugins.matching import GuardChain, Policy
from llmcache_plugins.policies import Staleness
from llmcache_plugins.types import Entry, HitKind, Looked, MissReason, Namespace, NearMiss, Request, Stored, Verdict

if TYPE_CHECKING:
    from llmcache_plugins.engine.tiering import Tiering

__all__ = ["LABELLED", "Ahead", "Flow", "Found", "NotFound", "Rules", "Troubles"]

LABELLED = "labelled"
"""In place of the policy's id on an alias that a person has asked for: it holds whatever the thresholds become."""

T = TypeVar("T")
Flow: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a flow needs to know of the configuration.

    Args:
        tiers: names of the stores that hold every entry; all but hand-made caches have one.
        embedder_id: None when the cache has no embedder.
        policy_id: changes with the parts that decide a semantic match (embedder, guards, ...); with the id of the
            request's policy it is what aliases carry, and those of another one are judged again.
        policy_for: the policy of a request; None when it must never be matched by meaning.
        guards: what all guards say of two texts.
        staleness: what is fresh, and what is served although it is not.
        serves_longer: a marked entry that may be served beyond that, for its turn to be renewed has not come.
        tolerates: may an entry of the request's scope answer it, as far as parameters go that are no part of that?
        tiering: the tiers entries are placed in within the last store; None for none.
        learnt: a policy with the threshold that was learnt for a namespace and a scope; None where nothing is learnt.
        check_chance: with which a match of this policy is sent to the model as a check; None where nothing is learnt.
        looks_ahead: the last tier's store answers in one go what a lookup may ask (see `LooksAhead`).
        kept: what of a question's text may be stored; None when nobody can tell.
        moved_to: the embedder that the vectors of a request's namespace are moved to now; None where to none. A vector
            of that one is left where it is.
    """

    tiers: tuple[str, ...]
    embedder_id: str | None
    policy_id: str
    policy_for: Callable[[Request], Policy | None] = field(repr=False)
    guards: GuardChain = field(repr=False)
    max_candidates: int = 8
    near_misses: int = 3
    fail_open: bool = True
    has_verifier: bool = False
    has_judge: bool = False
    has_validators: bool = False
    staleness: Staleness = field(default_factory=Staleness)
    serves_longer: Callable[[Entry, float], bool] = field(default=lambda entry, now: False, repr=False)
    tolerates: Callable[[Request, Entry], bool] = field(default=lambda request, entry: True, repr=False)
    tiering: Tiering | None = field(default=None, repr=False)
    learnt: Callable[[Policy, Namespace, str], Policy] | None = field(default=None, repr=False)
    check_chance: Callable[[Policy], float] | None = field(default=None, repr=False)
    looks_ahead: bool = False
    kept: Callable[[str], str | None] = field(default=lambda text: text, repr=False)
    moved_to: Callable[[Namespace, float], str | None] = field(default=lambda namespace, now: None, repr=False)

    @property
    def bottom(self) -> int:
        """The place of the tier that holds every live entry."""
        return len(self.tiers) - 1

    def is_servable(self, entry: Entry, now: float) -> bool:
        """May an entry that is not fresh be served while somebody renews it?"""
        return self.staleness.is_servable(entry, now) or self.serves_longer(entry, now)

    def tier_name(self, place: int, tier: str) -> str:
        """The name of the tier an entry is in, for users: where it is placed, or its store's."""
        return self.tiers[place] if self.tiering is None else self.tiering.placement.name_of(tier)

    def start_of(self, entry: Entry) -> str:
        """The tier a new entry is placed in; empty without tiers."""
        return "" if self.tiering is None else self.tiering.placement.start_of(entry)

    def alias_policy_id(self, policy: Policy) -> str:
        """What decided an alias: the policy of its request and the parts of this cache."""
        return f"{self.policy_id} {policy.policy_id}"


class Ahead(NamedTuple):
    """What one lookup may ask the last tier's store besides the exact key: normalised keys with their limits, and how
    many candidates without a vector it would name."""

    normalised: Mapping[str, int]
    embedder_id: str
    pending: int


class Found(NamedTuple):
    stored: Stored
    kind: HitKind
    tier: str
    similarity: float = 1.0
    confidence: float = 1.0
    verdicts: tuple[Verdict, ...] = ()
    policy: str = ""
    verifier_score: float | None = None
    is_stale: bool = False


class NotFound(NamedTuple):
    """`stale` is what may be served instead, as long as somebody renews it. `looked` is what the store said in one go,
    where it does so; `has_failed_to_look`: it did not answer. `is_control`: the request is in the control group of a
    roll-out; then `withheld` is what would have been served, and with `is_renewed` it would have been renewed beside
    that."""

    reason: MissReason
    near_misses: tuple[NearMiss, ...] = ()
    detail: str = ""
    stale: Found | None = None
    looked: Looked | None = None
    has_failed_to_look: bool = False
    is_control: bool = False
    withheld: Found | None = None
    is_renewed: bool = False


class Troubles:
    """What went wrong on the way of one lookup. It outranks the ordinary reason of a miss: the gravest is reported.

    `refused` are the matches, by key, that somebody refused at the last moment, and why. `stale` is the first match
    that may be served while it is renewed. `ahead` tells what the lookup may ask besides the exact key, and `looked` is
    what the store said of all that.
    """

    __slots__ = ("_fail_open", "_reason", "ahead", "has_failed_to_look", "looked", "refused", "stale")
    _GRAVITY = (
        MissReason.EXPIRED,
        MissReason.STALE,
        MissReason.DAMAGED,
        MissReason.EMBEDDER_ERROR,
        MissReason.STORE_ERROR,
    )

    def __init__(self, fail_open: bool) -> None:
        self._fail_open = fail_open
        self._reason: MissReason | None = None
        self.refused: dict[str, MissReason] = {}
        self.stale: Found | None = None
        self.ahead: Callable[[], Ahead] | None = None
        self.looked: Looked | None = None
        self.has_failed_to_look = False

    def spare(self, error: LLMCacheError) -> None:
        """Note the error and go on, or raise it when the user wants to hear it."""
        if not self._fail_open:
            raise error
        self.note(MissReason.EMBEDDER_ERROR if isinstance(error, EmbedderError) else MissReason.STORE_ERROR)

    def note(self, reason: MissReason) -> None:
        if self._reason is None or self._GRAVITY.index(reason) > self._GRAVITY.index(self._reason):
            self._reason = reason

    def keep_stale(self, found: Found) -> None:
        """This match may be served while it is renewed, if nothing better comes."""
        if self.stale is None:
            self.stale = found._replace(is_stale=True)

    def miss(self, reason: MissReason, near_misses: tuple[NearMiss, ...] = (), detail: str = "") -> NotFound:
        reason = next(iter(self.refused.values()), reason)
        reason = self._reason or reason
        return NotFound(reason, near_misses, detail, self.stale, self.looked, self.has_failed_to_look)
