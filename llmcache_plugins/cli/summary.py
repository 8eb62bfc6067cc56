"""What a run came to: pure functions from served questions to one frozen summary."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from llmcache_plugins.cli.questions import Question
from llmcache_plugins.types import Bypass, Hit, Miss, MissReason, NearMiss, Outcome, Usage

__all__ = [
    "GUARD_KINDS",
    "HIT_KINDS",
    "PRICES",
    "Latency",
    "Matched",
    "Prices",
    "Refused",
    "Served",
    "Spent",
    "Summary",
    "percentile",
    "summarise",
]

HIT_KINDS = ("exact", "normalised", "semantic", "alias")
GUARD_KINDS = frozenset(
    {"number", "unit", "identifier", "address", "version", "date", "quoted", "negation", "opposite"}
)  # the differences that guards know; a name or a topic is none of them
_NUMBER = re.compile(r"\d(?:[\d.:/-]*\d)?")


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens of a model."""

    input: float
    output: float
    cache_write: float
    cache_read: float

    def of(self, usage: Usage) -> float:
        """US dollars."""
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_creation_input_tokens * self.cache_write
            + usage.cache_read_input_tokens * self.cache_read
        ) / 1_000_000


# Claude Haiku 4.5 as of October 2026, https://platform.claude.com/docs/en/models/haiku-4-5/overview; prompt caching
# costs 1.25 times (write, 5 minutes) and 0.1 times (read) the input price.
PRICES = Prices(input=1.0, output=5.0, cache_write=1.25, cache_read=0.1)


@dataclass(frozen=True, slots=True)
class Served:
    """One question and what became of it; `seconds` is what the application's user waited.

    `outcome` is None when the cache was not heard of; `usage` is what a call to the model cost, `error` the class of
    what the application raised.
    """

    question: Question
    outcome: Outcome | None
    seconds: float
    usage: Usage = field(default_factory=Usage)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """A hit with the question whose answer was served."""

    asked: str
    stored: str
    kind: str
    similarity: float
    asked_class: str
    stored_class: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A look-alike that was not answered from the cache: the nearest stored question and why it did not match."""

    asked: str
    stored: str
    similarity: float
    reason: str
    guard: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds; 0.0 when there was nothing to measure."""

    p50_ms: float = 0.0
    p95_ms: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        return cls(*(round(percentile(seconds, share) * 1000, 3) for share in (0.50, 0.95)))


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls to the model with their tokens and price."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0

    @classmethod
    def of(cls, usages: Sequence[Usage], prices: Prices) -> Spent:
        return cls(
            len(usages),
            sum(usage.total_tokens - usage.output_tokens for usage in usages),
            sum(usage.output_tokens for usage in usages),
            round(sum(prices.of(usage) for usage in usages), 6),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Counts of one run.

    Args:
        hits: by kind, all of `HIT_KINDS`.
        misses: by reason.
        other_calls: questions that went past the cache.
        wrong_hits: hits on an entry of another class, with those whose difference is of the guards' kinds.
        unjudged_hits: hits on a text that is not among the questions.
        rewordings: questions of the kind `reworded`; `rewordings_hit` were answered with an entry of their class, and
            `rewordings_hit_by_meaning` of them not with one of their own text (from an earlier run).
        look_alikes: questions of the kind `look_alike`; `look_alikes_hit` were answered with an entry of another class.
        failures: questions the application could not answer, by the class of the error.
        cache_errors: failures of a part of the cache, by component.
    """

    requests: int
    hits: Mapping[str, int]
    misses: Mapping[str, int]
    other_calls: int
    wrong_hits: int
    wrong_hits_of_guard_kinds: int
    wrong_hits_of_other_kinds: int
    unjudged_hits: int
    rewordings: int
    rewordings_hit: int
    rewordings_hit_by_meaning: int
    look_alikes: int
    look_alikes_hit: int
    spent: Spent
    saved: Spent
    hit_latency: Latency
    miss_latency: Latency
    example_hits: Sequence[Matched] = ()
    refused_look_alikes: Sequence[Refused] = ()
    wrong_examples: Sequence[Matched] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    cache_errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def hit_count(self) -> int:
        return sum(self.hits.values())

    @property
    def miss_count(self) -> int:
        return sum(self.misses.values())

    @property
    def hit_rate(self) -> float:
        """Hits over requests, in [0, 1]."""
        return self.hit_count / self.requests if self.requests else 0.0

    @property
    def error_rate(self) -> float:
        """Wrong hits over requests, in [0, 1]."""
        return self.wrong_hits / self.requests if self.requests else 0.0

    @property
    def reworded_hit_rate(self) -> float:
        """Rewordings answered with an entry of their own class, in [0, 1]."""
        return self.rewordings_hit / self.rewordings if self.rewordings else 0.0

    @property
    def has_failed(self) -> bool:
        return bool(self.failures or self.cache_errors)

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON, rates included."""
        rates = {
            "hit_rate": round(self.hit_rate, 4),
            "error_rate": round(self.error_rate, 4),
            "reworded_hit_rate": round(self.reworded_hit_rate, 4),
        }
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)} | rates


def summarise(
    served: Sequence[Served],
    labelled: Iterable[Question],
    *,
    cache_errors: Mapping[str, int] | None = None,
    prices: Prices = PRICES,
    examples: int = 5,
) -> Summary:
    """Count a run.

    Args:
        labelled: every question whose text may be met in the cache, those of earlier runs included.
        examples: how many hits and refused look-alikes to show.
    """
    known = {question.query: question for question in labelled}
    hits = [(one, one.outcome) for one in served if isinstance(one.outcome, Hit) and one.error is None]
    judged = [(one, hit, known[hit.entry.text]) for one, hit in hits if hit.entry.text in known]
    wrong = [(one, hit, stored) for one, hit, stored in judged if stored.label != one.question.label]
    right = [(one, hit, stored) for one, hit, stored in judged if stored.label == one.question.label]
    misses = [(one, one.outcome) for one in served if isinstance(one.outcome, Miss) and one.error is None]
    calls = [one for one in served if not isinstance(one.outcome, Hit) and one.error is None]
    guarded = sum(_is_of_guard_kind(one.question, stored) for one, _, stored in wrong)
    kinds: Counter[str] = Counter(hit.kind for _, hit in hits)
    return Summary(
        requests=len(served),
        hits={kind: kinds[kind] for kind in HIT_KINDS},
        misses=dict(Counter(miss.reason.value for _, miss in misses).most_common()),
        other_calls=sum(one.outcome is None or isinstance(one.outcome, Bypass) for one in served if not one.error),
        wrong_hits=len(wrong),
        wrong_hits_of_guard_kinds=guarded,
        wrong_hits_of_other_kinds=len(wrong) - guarded,
        unjudged_hits=len(hits) - len(judged),
        rewordings=sum(one.question.kind == "reworded" for one in served),
        rewordings_hit=sum(one.question.kind == "reworded" for one, _, _ in right),
        rewordings_hit_by_meaning=sum(one.question.kind == "reworded" and hit.is_semantic for one, hit, _ in right),
        look_alikes=sum(one.question.kind == "look_alike" for one in served),
        look_alikes_hit=sum(one.question.kind == "look_alike" for one, _, _ in wrong),
        spent=Spent.of([one.usage for one in calls], prices),
        saved=Spent.of([hit.entry.usage for _, hit in hits], prices),
        hit_latency=Latency.of([one.seconds for one, _ in hits]),
        miss_latency=Latency.of([one.seconds for one, _ in misses]),
        example_hits=_varied([_matched(*one) for one in right if one[1].is_semantic], examples),
        refused_look_alikes=_refused_look_alikes(misses, known, examples),
        wrong_examples=[_matched(*one) for one in wrong],
        failures=dict(Counter(one.error for one in served if one.error is not None)),
        cache_errors=dict(cache_errors or {}),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below or at which `share` (in (0, 1]) of the values lie (nearest rank); 0.0 of none.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.0
    """
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _is_of_guard_kind(asked: Question, stored: Question) -> bool:
    """Whether a guard should have told the two apart: their numbers differ, or one of the two classes is set apart from
    the other's family by something else that guards know."""
    if sorted(_NUMBER.findall(asked.query)) != sorted(_NUMBER.findall(stored.query)):
        return True
    marks = {asked.differs_in, stored.differs_in} - {"number"}  # which says something of the nearest sibling only
    return asked.family == stored.family and bool(marks & GUARD_KINDS)


def _matched(served: Served, hit: Hit, stored: Question) -> Matched:
    asked = served.question
    return Matched(asked.query, stored.query, hit.kind, round(hit.similarity, 4), asked.label, stored.label)


def _varied(hits: Sequence[Matched], wanted: int) -> list[Matched]:
    """The first hit of each class, then the others; spread over the run when there are more than wanted."""
    first: dict[str, Matched] = {}
    for hit in hits:
        first.setdefault(hit.asked_class, hit)
    chosen = list(first.values())
    chosen += [hit for hit in hits if hit is not first[hit.asked_class]][: max(0, wanted - len(chosen))]
    step = max(1, len(chosen) // wanted) if wanted else 1
    return chosen[::step][:wanted]


def _refused_look_alikes(
    misses: Sequence[tuple[Served, Miss]], known: Mapping[str, Question], wanted: int
) -> list[Refused]:
    """Look-alikes whose nearest stored question has another class: one of each guard first, then the most similar."""
    refused = [
        _refused(served.question, miss.near_misses[0])
        for served, miss in misses
        if served.question.kind == "look_alike"
        and miss.near_misses
        and (stored := known.get(miss.near_misses[0].question)) is not None
        and stored.label != served.question.label
    ]
    by_similarity = sorted(refused, key=lambda one: (not one.guard, -one.similarity))
    leading: dict[str, Refused] = {}
    for one in by_similarity:
        leading.setdefault(one.guard, one)
    chosen = [one for one in leading.values() if one.guard]
    chosen += [one for one in by_similarity if one not in chosen]
    return chosen[:wanted]


def _refused(asked: Question, near: NearMiss) -> Refused:
    conflict = next((verdict for verdict in near.verdicts if verdict.verdict == "conflict"), None)
    is_guarded = near.reason is MissReason.GUARD_CONFLICT and conflict is not None
    return Refused(
        asked.query,
        near.question,
        round(near.similarity, 4),
        near.reason.value,
        conflict.guard if is_guarded and conflict else "",
        conflict.detail if is_guarded and conflict else "",
    )
