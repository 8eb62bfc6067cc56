"""What a cache would do for a log: hit rate, saving in a month, sizes, times to live, tiers, what warming is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.logs.meaning import HitRate, Replayed
from llmcache_plugins.logs.profile import LogProfile
from llmcache_plugins.logs.sizing import Room, room_for
from llmcache_plugins.policies.placement import default_tiers
from llmcache_plugins.types import JsonValue

__all__ = ["FLAT_CALL_COST", "FLAT_HIT_COST", "Advice", "Forecast", "Saving", "Warmth", "forecast_of"]

FLAT_CALL_COST = 0.10
"""Of a model call, where the log tells no tokens or nobody knows their price."""
FLAT_HIT_COST = 0.0001
"""Of an answer from the cache: the server's share, and the vector."""
_MONTH = 30 * 86400.0
_SHORTEST = 3600.0  # a log of less is no ground for a month
_KEPT = 0.95  # of the hits that are possible: beyond it, room and time to live cost much and bring little
_RARE = 0.01  # of the calls: where fewer repeat, sizes and times to live cannot be told from repeats
_TOPS = (10, 100, 1_000, 10_000)
_ANSWER_BYTES = 800.0  # where the log has no answers: what size_estimate takes for one


@dataclass(frozen=True, slots=True)
class Saving:
    """Net, in the unit of the prices; `low` and `high` are those of the hit rate's 95 % interval.

    Args:
        calls: in a month of 30 days.
        spent: for them without a cache.
        value: less what the hits cost, and the embeddings of all calls but exact repeats.
        low: at least.
        high: at most.
        call_cost: of one call, the mean.
        is_flat: the log tells no tokens, or nobody knows their price: `FLAT_CALL_COST` was taken.
        is_scaled: the calls of a month were worked out from the span of the log; false where they were given.
    """

    calls: float
    spent: float
    value: float
    low: float
    high: float
    call_cost: float
    is_flat: bool
    is_scaled: bool


@dataclass(frozen=True, slots=True)
class Warmth:
    """What asking the `top` most frequent questions beforehand is worth.

    Args:
        top: how many.
        covered: share of the calls that ask one of them.
        gained: share of the calls that a cache without warming would have missed for the first time: what is won.
        cost: of asking them once.
    """

    top: int
    covered: float
    gained: float
    cost: float


@dataclass(frozen=True, slots=True)
class Advice:
    """Settings to begin with.

    Args:
        max_entries: the smallest size with 95 % of the possible exact hits; None where too little repeats to tell.
        ttl: the shortest time to live with 95 % of them, seconds; None where the log cannot tell.
        tiers: share of all calls that the hot, the warm and the cold tier of this size would answer; empty where one
            tier does as well.
        room: what `max_entries` take, or where that is None all answers of the log.
        room_entries: how many these are.
    """

    max_entries: int | None
    ttl: float | None
    tiers: Mapping[str, float]
    room: Room
    room_entries: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """All that is said of a log. `saving` is None where nobody knows how many calls a month has."""

    profile: LogProfile
    replayed: Replayed
    saving: Saving | None
    advice: Advice
    warmth: tuple[Warmth, ...]

    @property
    def hit_rate(self) -> HitRate:
        return self.replayed.hit_rate

    def as_json(self) -> dict[str, JsonValue]:
        """No question is in it."""
        profile, advice = self.profile, self.advice
        return {
            "calls": profile.calls,
            "distinct": round(profile.distinct),
            "distinct_is_exact": profile.is_exact,
            "span_seconds": profile.span,
            "hit_rate": _plain(self.hit_rate),
            "hits": dict(self.replayed.hits),
            "clusters": list(self.replayed.clusters[:20]),
            "over_time": [_plain(one) for one in profile.periods],
            "over_time_in": "seconds" if profile.is_timed else "calls",
            "by_entries": {str(size): rate for size, rate in profile.by_size.items()},
            "by_ttl": {f"{ttl:g}": rate for ttl, rate in profile.by_ttl.items()},
            "saving_per_month": None if self.saving is None else _plain(self.saving),
            "recommended": {
                "max_entries": advice.max_entries,
                "ttl": advice.ttl,
                "tiers": dict(advice.tiers),
                "room_entries": advice.room_entries,
                "room": _plain(advice.room),
            },
            "warming": [_plain(one) for one in self.warmth],
            "models": dict(profile.models),
            "tokens": _plain(profile.usage),
            "calls_with_tokens": profile.usage_calls,
            "mean_seconds": profile.seconds,
        }

    def __str__(self) -> str:
        from llmcache_plugins.logs.text import text_of  # only people need it

        return text_of(self)


def forecast_of(
    profile: LogProfile,
    replayed: Replayed,
    *,
    calls_per_month: float | None = None,
    call_cost: float = FLAT_CALL_COST,
    hit_cost: float = FLAT_HIT_COST,
    embedding_cost: float = 0.0,
    dimension: int = 384,
) -> Forecast:
    """Put it together.

    Args:
        profile: of the log.
        replayed: of its sample.
        calls_per_month: what to reckon with; None: as many as the log's span says, when it is at least an hour.
        call_cost: of a call where the log does not say.
        hit_cost: of an answer from the cache.
        embedding_cost: of embedding one question; 0 where a model on this machine does it.
        dimension: of the vectors; 0 without an embedder.

    Raises:
        ConfigError: a number is below 0, or not finite.
    """
    costs = {"call_cost": call_cost, "hit_cost": hit_cost, "embedding_cost": embedding_cost}
    for name, value in {"calls_per_month": calls_per_month, **costs}.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not (is_number and value >= 0):
            raise ConfigError(f"{name} must be a number of at least 0, not {value!r}")
    each = profile.cost / profile.cost_calls if profile.cost_calls else call_cost
    return Forecast(
        profile,
        replayed,
        _saving(profile, replayed.hit_rate, calls_per_month, each, hit_cost, embedding_cost if dimension else 0.0),
        _advice(profile, replayed.hit_rate, dimension),
        _warmth(profile, each),
    )


def _saving(
    profile: LogProfile,
    rate: HitRate,
    calls_per_month: float | None,
    each: float,
    hit_cost: float,
    embedding_cost: float,
) -> Saving | None:
    calls = calls_per_month
    if calls is None:
        if profile.span is None or profile.span < _SHORTEST:
            return None
        calls = profile.calls / profile.span * _MONTH
    embedded = calls * (1.0 - rate.exact) * embedding_cost
    value, low, high = (calls * share * (each - hit_cost) - embedded for share in (rate.value, rate.low, rate.high))
    low, high = min(low, high), max(low, high)  # a hit that costs more than a call turns them round
    return Saving(calls, calls * each, value, low, high, each, not profile.cost_calls, calls_per_month is None)


def _advice(profile: LogProfile, rate: HitRate, dimension: int) -> Advice:
    entries = _least(profile.by_size)
    # A time to live as long as the log would look as good as any longer one.
    known = {ttl: hits for ttl, hits in profile.by_ttl.items() if profile.span and ttl <= profile.span}
    stored = max(1, round(profile.calls * (1.0 - rate.value)))
    room_entries = stored if entries is None else int(entries)
    answer_bytes = _ANSWER_BYTES if profile.answer_bytes is None else profile.answer_bytes
    room = room_for(room_entries, question_bytes=profile.question_bytes, answer_bytes=answer_bytes, dimension=dimension)
    return Advice(
        max_entries=None if entries is None else int(entries),
        ttl=_least(known),
        tiers={} if entries is None else _tiers(profile, int(entries), room.memory),
        room=room,
        room_entries=room_entries,
    )


def _least(rates: Mapping[int, float] | Mapping[float, float]) -> float | None:
    """The smallest that has nearly all hits of the largest."""
    most = max(rates.values(), default=0.0)
    if most < _RARE:
        return None
    return min(value for value, rate in rates.items() if rate >= _KEPT * most)


def _tiers(profile: LogProfile, entries: int, size_bytes: int) -> dict[str, float]:
    """What each of the default tiers would answer, if the upper ones held what was asked last."""
    if entries <= 1_000:  # one tier in memory holds all of it
        return {}
    shares, above = {}, 0.0
    for tier in default_tiers(entries, size_bytes):
        size = tier.max_entries or entries
        reached = max((rate for at, rate in profile.by_size.items() if at <= size), default=0.0)
        shares[tier.name] = max(0.0, reached - above)
        above = max(above, reached)
    return shares


def _warmth(profile: LogProfile, each: float) -> tuple[Warmth, ...]:
    counts = profile.frequencies.counts
    found = []
    for top in _TOPS:
        if top <= len(counts) and profile.calls:
            found.append(Warmth(top, sum(counts[:top]) / profile.calls, top / profile.calls, top * each))
    return tuple(found)


def _plain(value: object) -> dict[str, JsonValue]:
    return asdict(value)  # type: ignore[call-overload, no-any-return]  # only dataclasses come here
