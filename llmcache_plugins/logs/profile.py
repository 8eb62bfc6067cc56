"""What one pass over a log says: calls, repeats over time, sizes, times to live, commonest questions, and a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from llmcache_plugins.logs.counting import Bins, Commonest, FirstSeen, Frequencies
from llmcache_plugins.logs.reuse import Reuse
from llmcache_plugins.logs.rows import LoggedCall
from llmcache_plugins.logs.sampling import Sample, Sampled
from llmcache_plugins.types import Usage

__all__ = ["CallCost", "LogProfile", "Period", "profile_of"]

CallCost = Callable[[str, Usage], float | None]
"""What a call of this model with this usage cost, or None where nobody knows."""
_PERIODS = 24  # of the repeat rate over time


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of the log: from when on (seconds, or the number of a call where the log has no times), how many calls,
    and the share of them that was an exact repeat of any before, in [0, 1]."""

    start: float
    calls: int
    repeat_rate: float


@dataclass(frozen=True, slots=True)
class LogProfile:
    """One log, counted.

    Args:
        calls: how many.
        distinct: different ones, where case, spaces and closing punctuation do not count; an estimate when `is_exact`
            is false.
        first_at: the earliest time, seconds; None without times.
        last_at: the latest.
        periods: the repeat rate over time.
        is_timed: `periods` start at times; else at numbers of calls.
        frequencies: of the commonest questions.
        by_size: hit rate by number of entries (LRU, exact repeats only), share of all calls.
        by_ttl: hit rate by time to live, of the calls with a time; empty without times.
        question_bytes: mean.
        answer_bytes: mean of those that are known; None without any.
        usage_calls: calls whose tokens are known.
        usage: their sum.
        cost: of the calls that `cost_of` knew, summed.
        cost_calls: how many these were.
        seconds: mean duration of a call; None when not known.
        models: calls by model, the commonest twenty.
        sample: requests to replay, in the order of the log.
    """

    calls: int
    distinct: float
    is_exact: bool
    first_at: float | None
    last_at: float | None
    periods: tuple[Period, ...]
    is_timed: bool
    frequencies: Frequencies = field(repr=False)
    by_size: Mapping[int, float]
    by_ttl: Mapping[float, float]
    question_bytes: float
    answer_bytes: float | None
    usage_calls: int
    usage: Usage
    cost: float
    cost_calls: int
    seconds: float | None
    models: Mapping[str, int]
    sample: tuple[Sampled, ...] = field(repr=False)

    @property
    def repeat_rate(self) -> float:
        """Exact repeats of all calls, in [0, 1]."""
        return max(0.0, 1.0 - self.distinct / self.calls) if self.calls else 0.0

    @property
    def span(self) -> float | None:
        """Seconds from the first call to the last; None without times, or where all have the same."""
        if self.first_at is None or self.last_at is None or self.last_at <= self.first_at:
            return None
        return self.last_at - self.first_at


def profile_of(calls: Iterable[LoggedCall], *, sample: int = 5000, cost_of: CallCost | None = None) -> LogProfile:
    """Count the calls of a log in one pass. The memory does not grow with their number.

    Args:
        calls: in order of arrival.
        sample: how many requests are kept for a replay.
        cost_of: prices.
    """
    counts = _Counts(sample, cost_of)
    for call in calls:
        counts.add(call)
    return counts.profile()


class _Counts:
    def __init__(self, sample: int, cost_of: CallCost | None) -> None:
        self._cost_of = cost_of
        self._first = FirstSeen()
        self._commonest = Commonest()
        self._reuse = Reuse()
        self._sample = Sample(sample)
        self._by_time, self._by_number = Bins(60.0), Bins(16.0)
        self._calls = self._timed = self._answers = self._usage_calls = self._cost_calls = self._lasted = 0
        self._question_bytes = self._answer_bytes = 0
        self._cost = self._seconds = 0.0
        self._times: tuple[float, float] | None = None
        self._usage = Usage()
        self._models: dict[str, int] = {}

    def add(self, call: LoggedCall) -> None:
        key, number, at = call.key(), self._calls, call.at
        self._calls += 1
        self._first.add(key, number, at)
        self._commonest.add(key)
        self._reuse.add(key, at)
        self._sample.add(number, key, call.request)
        self._by_number.add(float(number))
        if at is not None:
            self._timed += 1
            self._by_time.add(at)
            low, high = self._times or (at, at)
            self._times = (min(low, at), max(high, at))
        self._question_bytes += call.question_bytes
        if call.answer_bytes is not None:
            self._answers += 1
            self._answer_bytes += call.answer_bytes
        if call.seconds is not None:
            self._lasted += 1
            self._seconds += call.seconds
        self._spend(call)

    def _spend(self, call: LoggedCall) -> None:
        model, usage = call.request.model, call.usage
        if model in self._models or len(self._models) < 1000:  # a log may write nonsense there
            self._models[model] = self._models.get(model, 0) + 1
        if not usage.total_tokens:
            return
        self._usage_calls += 1
        self._usage = Usage(
            self._usage.input_tokens + usage.input_tokens,
            self._usage.output_tokens + usage.output_tokens,
            self._usage.cache_creation_input_tokens + usage.cache_creation_input_tokens,
            self._usage.cache_read_input_tokens + usage.cache_read_input_tokens,
        )
        cost = None if self._cost_of is None else self._cost_of(model, usage)
        if cost is not None:
            self._cost += cost
            self._cost_calls += 1

    def profile(self) -> LogProfile:
        # Some calls without a time do not matter; of a log with few times the numbers of the calls say more.
        is_timed = self._times is not None and self._timed >= 0.95 * self._calls
        return LogProfile(
            calls=self._calls,
            distinct=min(float(self._calls), self._first.distinct),
            is_exact=self._first.rate == 1.0,
            first_at=None if self._times is None else self._times[0],
            last_at=None if self._times is None else self._times[1],
            periods=self._periods(is_timed),
            is_timed=is_timed,
            frequencies=self._commonest.frequencies,
            by_size={size: self._reuse.hit_rate_at_size(size) for size in self._reuse.sizes()},
            by_ttl=self._reuse.hit_rate_with_ttls(),
            question_bytes=self._question_bytes / max(1, self._calls),
            answer_bytes=self._answer_bytes / self._answers if self._answers else None,
            usage_calls=self._usage_calls,
            usage=self._usage,
            cost=self._cost,
            cost_calls=self._cost_calls,
            seconds=self._seconds / self._lasted if self._lasted else None,
            models=dict(sorted(self._models.items(), key=lambda item: -item[1])[:20]),
            sample=tuple(self._sample.rows),
        )

    def _periods(self, is_timed: bool) -> tuple[Period, ...]:
        bins = self._by_time if is_timed else self._by_number
        if not bins.counts:
            return ()
        first, last = min(bins.counts), max(bins.counts)
        wide = max(1, -(-(last - first + 1) // _PERIODS))  # bins of a period, rounded up
        calls: dict[int, int] = {}
        for place, count in bins.counts.items():
            calls[(place - first) // wide] = calls.get((place - first) // wide, 0) + count
        new: dict[int, float] = {}
        for value in self._first.by_time() if is_timed else self._first.by_number():
            period = (int(value // bins.width) - first) // wide
            new[period] = new.get(period, 0.0) + 1.0 / self._first.rate
        return tuple(
            Period((first + place * wide) * bins.width, count, max(0.0, 1.0 - new.get(place, 0.0) / count))
            for place, count in sorted(calls.items())
        )
