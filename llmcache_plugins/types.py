"""Values that cross the borders between the parts. Frozen; prompts, answers and vectors never show in a `repr`.

Stored instants are wall-clock seconds since the epoch, durations monotonic seconds, sizes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Alias",
    "Answer",
    "Bypass",
    "Candidate",
    "Census",
    "Damaged",
    "Entry",
    "FloatArray",
    "Hit",
    "HitKind",
    "Identity",
    "JsonValue",
    "Looked",
    "Miss",
    "MissReason",
    "Namespace",
    "NearMiss",
    "Outcome",
    "Pending",
    "Profile",
    "Request",
    "Stored",
    "UpdateOutcome",
    "Usage",
    "Verdict",
]

JsonValue: TypeAlias = Any
"""What `json.loads` returns: None, bool, int, float, str, list and dict (mypy has no cheap recursive JSON type)."""
Namespace: TypeAlias = tuple[str, ...]
FloatArray: TypeAlias = NDArray[np.float32]
HitKind: TypeAlias = Literal["exact", "normalised", "alias", "semantic"]


class MissReason(StrEnum):
    """Why a lookup was not answered. Few values: they are metric labels."""

    NO_CANDIDATES = "no_candidates"  # nothing was ever stored under this scope
    BELOW_THRESHOLD = "below_threshold"  # the nearest question is not near enough
    GUARD_CONFLICT = "guard_conflict"  # near enough, but a guard vetoed every candidate
    LOW_CONFIDENCE = "low_confidence"  # near, and no guard objects, but not surely right
    REJECTED = "rejected"  # would have been served, but a validator refused it
    REPORTED = "reported"  # would have been served, but a user reported it, or one like it, as wrong
    SHADOW = "shadow"  # would have been served, but is checked against a fresh answer (adaptive policy)
    WITHHELD = "withheld"  # would have been served, but the roll-out has the model asked (shadow mode, control group)
    EXACT_ONLY = "exact_only"  # this request may only be matched exactly, and was not found
    UNREADABLE = "unreadable"  # too long for the embedder, or unknown to it: exact only, and not found
    NO_EMBEDDER = "no_embedder"  # this cache has no embedder: exact and normalised only
    EXPIRED = "expired"  # the exact entry is there, but its time is over
    STALE = "stale"  # the exact entry is there, but an invalidation marked it
    REFRESH = "refresh"  # the entry is near its end and this caller was chosen to renew it, or a context asks for it
    DAMAGED = "damaged"  # the stored bytes are bad or of an unknown version
    STORE_ERROR = "store_error"
    EMBEDDER_ERROR = "embedder_error"
    CLOSED = "closed"  # the cache was closed
    INTERNAL_ERROR = "internal_error"  # a bug of ours or of a user's guard; counted and logged, never raised


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call, as the provider reported them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens


@dataclass(frozen=True, slots=True)
class Profile:
    """What a question is about, as far as freshness, tags and statistics go.

    Args:
        query_type: `"status"`, `"definition"`, ...; `"general"` when nobody can tell.
        volatility: class of freshness, `"static"`, `"stable"`, `"dynamic"`, `"volatile"` or one of the user's; empty
            when nobody can tell: the default `ttl` counts then.
        tags: what the answer depends on, `"device:rtr-001"` for example; invalidation goes by them.
    """

    query_type: str = "general"
    volatility: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model, canonical: equal requests deserve equal answers.

    Only `text` is ever matched by meaning. All the rest is the scope and has to be equal.

    Args:
        text: the question in the last user turn.
        provider: who serves the model, `"anthropic"` for example.
        model: the model's name.
        params: sampling parameters, tools, response format and whatever else shapes the answer; JSON.
        context: system prompt, earlier turns and the frame around the question; JSON.
        namespace: tenant, application, ...; put behind the cache's own namespace.
        exact_only: why this request may only be matched exactly (`"agent_step"`, `"media"`, ...), or None.
        tags: what the answer depends on, besides what the profiler finds. Shapes neither scope nor key.
        query_type: in place of what the profiler finds; None to leave it to that.
        volatility: in place of what the profiler finds; None to leave it to that.
        label: the readable key of a structured question (see `QueryContext`): part of the scope, and the entry's name.
        details: what a framework says of the run (its tags, its metadata), for a profiler; JSON. Shapes neither scope
            nor key, and is not stored.
    """

    text: str = field(repr=False)
    provider: str = ""
    model: str = ""
    params: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    context: JsonValue = field(default=None, repr=False)
    namespace: Namespace = ()
    exact_only: str | None = None
    tags: tuple[str, ...] = ()
    query_type: str | None = None
    volatility: str | None = None
    label: str = ""
    details: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The digests of a request: 40 hexadecimal digits each (blake2b, 20 bytes)."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, provider-neutral.

    Args:
        content: JSON; what a hit gives back.
        finish_reason: the provider's word for why it stopped; truncated and refused answers are not stored.
        usage: what the call cost in tokens.
        generation_seconds: how long the call took, or None when nobody measured it.
        tags: what it depends on, as far as only the call itself tells (the documents that it was made from, for
            example); beside the tags of the request.
    """

    content: JsonValue = field(repr=False)
    finish_reason: str | None = None
    usage: Usage = Usage()
    generation_seconds: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored answer.

    `answer_json` is the serialised content: every reader decodes a copy of its own, so nobody can change what is
    stored.
    `vector` is float32 of shape (dim,) and unit length, or None when it has not been computed yet (or was left out:
    then `embedder_id` says that there is one);
    `is_candidate` is False for entries that may only be matched exactly (they never get a vector, and no normalised
    match finds them).
    `stale_at` is when a lazy invalidation marked the entry: from then on it is served only while it is refreshed.
    `tolerant` are the parameters that are not part of the scope but compared (`{"temperature": 0.2}`).
    `is_note` marks what the cache keeps for itself under the same roof (reports): no selector finds it.
    """

    scope: str
    key: str
    normalised_key: str
    namespace: Namespace
    text: str = field(repr=False)
    answer_json: str = field(repr=False)
    created_at: float
    expires_at: float | None
    is_candidate: bool = True
    embedder_id: str | None = None
    vector: FloatArray | None = field(default=None, repr=False, compare=False)
    model: str = ""
    usage: Usage = Usage()
    generation_seconds: float | None = None
    node_id: str = ""
    profile: Profile = Profile()
    label: str = ""
    stale_at: float | None = None
    tolerant: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    finish_reason: str | None = None
    is_note: bool = False

    @property
    def answer(self) -> JsonValue:
        """A fresh copy of the stored content."""
        return json.loads(self.answer_json)

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Alias:
    """Another wording that once matched an entry by meaning: a pointer, never a copy and never a candidate itself.

    It lives as long as its entry, and is judged again when `policy_id` is no longer the cache's own.
    """

    scope: str
    key: str
    target_key: str
    text: str = field(repr=False)
    similarity: float
    confidence: float
    policy_id: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as a store returns it, with what only the store knows.

    `access_count` counts the reads that were served, this one not included. `alias` is set when the key that was asked
    for is an alias of the entry. `tier` is where it was placed last (empty: nowhere in particular), at `placed_at`;
    `reads` counts the served reads since it was stored or last demoted.
    """

    entry: Entry
    access_count: int = 0
    last_access: float | None = None
    alias: Alias | None = None
    tier: str = ""
    placed_at: float | None = None
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Damaged:
    """Something is stored under this key, but it cannot be read; `reason` is `"bad_bytes"`,
    `"unknown_version"` or, of an encrypted store, `"unknown_key"`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a search returned: an entry and its cosine similarity in [-1, 1]."""

    entry: Entry
    similarity: float
    access_count: int = 0
    tier: str = ""
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """A candidate without a vector of the embedder in use; `embedder_id` is that of the vector it has, None where it
    has none."""

    key: str
    text: str = field(repr=False)
    embedder_id: str | None = None


@dataclass(frozen=True, slots=True)
class Census:
    """How many candidates a scope holds (with and without a vector), and the newest of those that lack one."""

    candidates: int
    pending: tuple[Pending, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """What a store found at one moment of all that one lookup may ask it.

    `sequence` is the number of the last invalidation. When there is something under the exact key, the others are left
    out: `normalised` (entries by normalised key, newest first) is empty, `census` None.
    """

    exact: Stored | Damaged | None
    sequence: int
    normalised: Mapping[str, list[Stored]] = field(default_factory=dict)
    census: Census | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard says of two texts. `detail` may quote them, so it stays out of logs and reprs.

    Raises:
        ValueError: another word than the three: a misspelt veto must not pass for silence.
    """

    guard: str
    verdict: Literal["agree", "conflict", "silent"]
    detail: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.verdict not in ("agree", "conflict", "silent"):
            raise ValueError(f"a verdict is agree, conflict or silent, not {self.verdict!r}")


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A candidate that was not served: how near it was and why it was refused.

    `confidence` is 0 where it was not worked out: too far away, or vetoed.
    """

    question: str = field(repr=False)
    similarity: float
    reason: MissReason
    key: str
    verdicts: tuple[Verdict, ...] = ()
    confidence: float = 0.0

    @property
    def vetoed_by(self) -> tuple[str, ...]:
        """Names of the guards that found a conflict."""
        return tuple(verdict.guard for verdict in self.verdicts if verdict.verdict == "conflict")


@dataclass(frozen=True, slots=True)
class Hit:
    """Answered from the cache.

    Args:
        entry: what was stored.
        kind: `exact`, `normalised` (equal but for case, spaces and closing punctuation), `alias` (a wording that
            matched by meaning before) or `semantic`.
        tier: name of the tier that had it.
        similarity: cosine in [-1, 1]; 1.0 for exact and normalised hits.
        confidence: in [0, 1], that the stored answer is right for this request.
        age: seconds since the answer was stored.
        access_count: how often the entry has been served, this time included.
        latency: seconds this lookup took.
        verdicts: what the guards said; empty on an exact hit and on an alias.
        policy: what decided a match by meaning; empty on exact and normalised hits.
        verifier_score: what the verifier gave, None when it was not asked.
        asked: the question of the request.
        asked_key: the request's own key; the entry's on an exact hit.
        is_stale: the answer is past its time, or marked by an invalidation, and is served while it is renewed.
    """

    entry: Entry
    kind: HitKind
    tier: str
    similarity: float
    confidence: float
    age: float
    access_count: int
    latency: float
    verdicts: tuple[Verdict, ...] = ()
    policy: str = ""
    verifier_score: float | None = None
    asked: str = field(default="", repr=False)
    asked_key: str = ""
    is_stale: bool = False

    @property
    def answer(self) -> JsonValue:
        """A fresh copy of the stored content: changing it changes nothing that is stored."""
        return self.entry.answer

    @property
    def matched_question(self) -> str:
        return self.entry.text

    @property
    def evidence(self) -> dict[str, JsonValue]:
        """Why this was served, as JSON. It quotes neither question nor answer."""
        return {
            "kind": self.kind,
            "similarity": self.similarity,
            "confidence": self.confidence,
            "age": self.age,
            "matched_key": self.reference,
            "policy": self.policy,
            **({"is_stale": True} if self.is_stale else {}),
            "verdicts": {said.guard: said.verdict for said in self.verdicts},
            **({} if self.verifier_score is None else {"verifier_score": self.verifier_score}),
        }

    @property
    def reference(self) -> str:
        """Names the entry and what was asked, for `report_wrong` in any process and at any time: scope, key of the
        entry and, where it is another one, key of the request."""
        entry = f"{self.entry.scope}:{self.entry.key}"
        return entry if self.asked_key in ("", self.entry.key) else f"{entry}:{self.asked_key}"

    @property
    def latency_saved(self) -> float | None:
        """Seconds the stored answer took to generate, less this lookup; None when that was not measured."""
        spent = self.entry.generation_seconds
        return None if spent is None else max(0.0, spent - self.latency)

    @property
    def is_semantic(self) -> bool:
        """True when the match rests on meaning, now or (alias) at an earlier time."""
        return self.kind in ("semantic", "alias")


@dataclass(frozen=True, slots=True)
class Miss:
    """Not answered: why, the nearest candidates (best first), the seconds the lookup took, and what was asked.

    `scope` and `asked_key` are the request's own; empty where nobody knows.

    False where a truth value is asked for: `if hit := cache.lookup(question): ...`.
    """

    reason: MissReason
    near_misses: tuple[NearMiss, ...] = ()
    latency: float = 0.0
    detail: str = ""
    asked: str = field(default="", repr=False)
    scope: str = field(default="", repr=False)
    asked_key: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Bypass:
    """Not asked, on purpose. False where a truth value is asked for, as a `Miss` is."""

    reason: str
    latency: float = 0.0

    def __bool__(self) -> bool:
        return False


Outcome: TypeAlias = Hit | Miss | Bypass


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """Whether an answer was stored; `reason` says why not (`"truncated"`, `"empty"`, `"too_large"`, ...)."""

    stored: bool
    reason: str = ""
