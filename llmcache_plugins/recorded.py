"""What a cache tells its recorders: one frozen value for each thing that has happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from llmcache_plugins.ab_test import ArmName
from llmcache_plugins.counters import ServerLoad
from llmcache_plugins.quality import Reported, Validation
from llmcache_plugins.rollout import Group
from llmcache_plugins.types import Hit, HitKind, Namespace, Outcome, UpdateOutcome, Usage

__all__ = [
    "ComparisonEvent",
    "ErrorEvent",
    "Event",
    "EvictionsEvent",
    "GroupLookupEvent",
    "InvalidationEvent",
    "JudgeEvent",
    "JudgeOutcome",
    "LookupEvent",
    "MoveEvent",
    "PressureEvent",
    "ReportEvent",
    "ResolutionEvent",
    "ResolutionOutcome",
    "ServerPressureEvent",
    "ShadowEvent",
    "StageEvent",
    "StoreEvent",
    "UpdateEvent",
    "ValidationEvent",
]


@dataclass(frozen=True, slots=True)
class LookupEvent:
    """A lookup has ended.

    Args:
        namespace: the request's own.
        query_type: of the entry that answered it, else what the profiler finds in the question; empty where it cannot
            tell, and for a bypass.
        model: that was to be asked; empty where the request names none.
    """

    outcome: Outcome
    namespace: Namespace
    query_type: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class GroupLookupEvent(LookupEvent):
    """A lookup of one of the groups of a roll-out, or of one of the arms of an A/B test, has ended: what it has more is
    on no path without one.

    Args:
        group: `served`, or `control`; empty without a roll-out.
        withheld: of the control group: what would have been served; None when nothing would.
        arm: whose policy has decided, `a` or `b`; empty without an A/B test.
    """

    group: Group = ""
    withheld: Hit | None = None
    arm: ArmName = ""


@dataclass(frozen=True, slots=True)
class UpdateEvent:
    """A model has answered, and that was to be stored.

    Args:
        outcome: whether it was.
        namespace: the request's own.
        model: that was asked; empty where the request names none.
        usage: what the call took, zeros where nobody said.
        seconds: what it took, None where nobody knows.
        is_warming: the cache asked before a user did.
        group: of a roll-out, that of the lookup before, `served` or `control`; empty without one, without a lookup, and
            for warming.
        is_renewal: an old answer was served meanwhile: nobody has waited for this one.
    """

    outcome: UpdateOutcome
    namespace: Namespace
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    seconds: float | None = None
    is_warming: bool = False
    group: Group = ""
    is_renewal: bool = False


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """A part of the cache failed and the caller was spared: `component` is a tier's name or `"embedder"`, ... With
    `is_left_alone` it was not even asked, for it failed just now (its circuit is open)."""

    component: str
    error: str  # the class of the error, never its text: that may quote a prompt
    is_left_alone: bool = False


@dataclass(frozen=True, slots=True)
class ValidationEvent:
    """The validators were asked about a match. A rejected one would have been a wrong hit. With `has_failed` one of
    them broke, which says nothing about the match: it is not served, and counts as an error alone."""

    validation: Validation
    namespace: Namespace
    has_failed: bool = False


JudgeOutcome: TypeAlias = Literal["yes", "no", "none", "late", "known", "limit", "budget", "paused"]


@dataclass(frozen=True, slots=True)
class JudgeEvent:
    """The judge was asked, or would have been.

    Args:
        outcome: `yes` (a probability from 0.5 on) and `no`; `none`: asked, but no verdict (it could not say, failed, or
            did not come back in time); `late`: what a call that had timed out said and cost in the end; `known`: said
            before, or at this moment to somebody else; `limit`, `budget`, `paused` (after time-outs): not asked.
        cost: money that this call cost.
        seconds: how long it took; 0.0 where nobody was asked.
    """

    outcome: JudgeOutcome
    namespace: Namespace
    cost: float = 0.0
    seconds: float = 0.0


ResolutionOutcome: TypeAlias = Literal["resolved", "unresolved", "failed", "paused"]


@dataclass(frozen=True, slots=True)
class ResolutionEvent:
    """The resolver was asked what a follow-up means, or would have been.

    Args:
        outcome: `resolved` into a question by itself; `unresolved`: it could not tell, or said nothing that can be
            asked alone; `failed`, which counts as an error too; `paused` (after time-outs): not asked.
        seconds: how long it took.
    """

    outcome: ResolutionOutcome
    namespace: Namespace
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShadowEvent:
    """A fresh answer was compared with that of a stored candidate (adaptive policy).

    Args:
        outcome: `unknown` when nobody could tell, or no answer came that can be compared.
        is_drawn: the candidate would have been served: this check has cost a model call. Else it was not sure enough,
            and the model was asked anyway.
    """

    outcome: Literal["agrees", "differs", "unknown"]
    is_drawn: bool
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class ComparisonEvent:
    """A fresh answer was compared with the stored one that would have been served (roll-out: shadow, control group).

    Args:
        outcome: `same`, `different`, or `unclear`: nobody could tell, or no answer came that can be compared.
        kind: of the hit that would have been.
        arm: whose policy had decided; empty without an A/B test.
        reference: names the stored entry and what was asked, as that of a hit does: `report_wrong` takes it.
    """

    outcome: Literal["same", "different", "unclear"]
    kind: HitKind
    namespace: Namespace
    arm: ArmName = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class StageEvent:
    """A roll-out has gone up a stage, or back.

    Args:
        before: the share of requests that was served; `after`: that is served from now on. In [0, 1].
        reason: `proven`: long enough in the stage, and the error surely within its bound; `errors`: more fresh answers
            differed than the bound allows; `reports`: more answers were reported as wrong.
        low: of what decided, errors / requests: the lower end of its 95 % interval; `high`: the upper one.
    """

    before: float
    after: float
    reason: Literal["proven", "errors", "reports"]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """A user reported a wrong answer; `arm` is whose policy had decided, empty without an A/B test and where it is not
    known what was asked."""

    reported: Reported
    arm: ArmName = ""


@dataclass(frozen=True, slots=True)
class InvalidationEvent:
    """Entries were removed, or marked stale, because what they tell has changed: `count` of them in this `mode`, for
    this `reason`. With `has_failed` not all that was meant."""

    count: int
    mode: str
    reason: str
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class MoveEvent:
    """Entries were placed in another tier: a promotion after reads, a demotion after a time without any, or because
    the tier was full."""

    source: str
    target: str
    count: int
    reason: Literal["reads", "idle", "capacity"]

    @property
    def is_demotion(self) -> bool:
        return self.reason != "reads"


@dataclass(frozen=True, slots=True)
class PressureEvent:
    """A tier has become as full as `level` (a share of its capacity); of the last tier, the whole store has."""

    tier: str
    level: float
    utilisation: float


@dataclass(frozen=True, slots=True)
class ServerPressureEvent:
    """The memory of a store's server has become as full as `level`, a share of its limit."""

    store: str
    level: float
    load: ServerLoad


@dataclass(frozen=True, slots=True)
class EvictionsEvent:
    """More than 1,000 evictions within an hour: `count` of them, within the last `seconds`.

    Args:
        by: `server`: it takes keys by itself; `cache`: its own limits are too narrow.
    """

    store: str
    by: Literal["cache", "server"]
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """What a store has done by itself in this process since the last such event; told now and then."""

    store: str
    evictions: int = 0
    expirations: int = 0
    damaged: int = 0


Event: TypeAlias = (
    LookupEvent
    | UpdateEvent
    | ErrorEvent
    | ValidationEvent
    | JudgeEvent
    | ResolutionEvent
    | ShadowEvent
    | ComparisonEvent
    | StageEvent
    | ReportEvent
    | InvalidationEvent
    | MoveEvent
    | PressureEvent
    | ServerPressureEvent
    | EvictionsEvent
    | StoreEvent
)
