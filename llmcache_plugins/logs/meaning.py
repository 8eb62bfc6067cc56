"""What share of a log the real cache would answer: a sample of it replayed through the look-ups, then made whole.

A sample repeats itself less often than the log it is from, so its hit rate is too low. But how many different questions
the log has is counted, and what meaning adds is the share of these that the cache answers nevertheless. That share
grows with the number of requests in the sample; two curves through a quarter, half and all of it say where it stands
at the whole log:

- saturating, s(n) = n / (a n + b): as of a log with a limited number of intents (Michaelis and Menten, 1913);
- going on as before, 1 - s(n) falling by the same factor with each doubling, as vocabularies grow (Heaps, 1978).

The forecast is their mean. The interval spans both, and the error of the sample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from llmcache_plugins.evaluation import Interval, PreparedEmbedder, open_replay_cache, replay_stream, texts_to_embed
from llmcache_plugins.evaluation.vectors import Progress, silent
from llmcache_plugins.logs.profile import LogProfile
from llmcache_plugins.logs.sampling import Sampled
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Hit, Request

__all__ = ["HitRate", "Replayed", "expected_hit_rate", "replayed_keys"]

_PARTS = (4, 2, 1)  # the sample is replayed in quarters, in halves and whole
_FAR = (
    8.0  # a log of more samples than this is too far off for either curve: the interval then begins where no curve is
)


@dataclass(frozen=True, slots=True)
class HitRate:
    """What a cache that holds everything and lets nothing expire answers of the log, shares of all calls in [0, 1].

    Args:
        value: expected.
        low: lower end of the 95 % interval.
        high: upper end.
        exact: of exact and normalised repeats alone.
        sampled: requests that were replayed.
        is_whole: they were the whole log: nothing was extrapolated.
    """

    value: float
    low: float
    high: float
    exact: float
    sampled: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Replayed:
    """A sample after its replay.

    Args:
        hit_rate: what it says of the log.
        hits: by kind, within the sample.
        clusters: how many requests each stored answer served, itself included; the largest first.
        representatives: places in the sample of those stored, in the same order.
    """

    hit_rate: HitRate
    hits: dict[str, int]
    clusters: tuple[int, ...]
    representatives: tuple[int, ...]


def expected_hit_rate(
    profile: LogProfile, embedder: Embedder | None, *, progress: Progress = silent, **settings: Any
) -> Replayed:
    """Replay the profile's sample.

    Args:
        profile: of the log.
        embedder: of the cache that is to be bought; None for exact and normalised repeats only.
        progress: told of embedding and replaying.
        settings: of `CacheConfig` by name, as the cache will have them.

    Raises:
        ConfigError: a setting is out of range.
        EmbedderError: the embedder fails.
    """
    sample = profile.sample
    requests = [one.request for one in sample]
    embedder = _prepared(embedder, requests, progress)
    served, hits = _served(requests, embedder, progress, settings)
    clusters = Counter(served)
    ranked = clusters.most_common()
    is_whole = len(sample) == profile.calls
    if is_whole:
        stored = float(len(clusters))
        low_high = (stored, stored)
    else:
        stored, *low_high = _stored(profile, sample, len(clusters), embedder, settings)  # type: ignore[assignment]  # two
    rate = _rate(profile, len(sample), stored, (low_high[0], low_high[1]), is_whole)
    return Replayed(rate, hits, tuple(count for _, count in ranked), tuple(place for place, _ in ranked))


def replayed_keys(
    requests: Sequence[Request], embedder: Embedder | None, progress: Progress = silent, **settings: Any
) -> list[int]:
    """For each request the place of the one whose answer it would be served, its own on a miss: keys by meaning."""
    return _served(requests, _prepared(embedder, requests, progress), progress, settings)[0]


def _prepared(embedder: Embedder | None, requests: Sequence[Request], progress: Progress) -> Embedder | None:
    if embedder is None or isinstance(embedder, PreparedEmbedder):
        return embedder
    prepared = PreparedEmbedder(embedder)
    prepared.prepare(texts_to_embed(requests), progress)
    return prepared


def _served(
    requests: Sequence[Request], embedder: Embedder | None, progress: Progress, settings: dict[str, Any]
) -> tuple[list[int], dict[str, int]]:
    """Whose answer each request got, and the hits by kind."""
    if not requests:
        return [], {}
    with open_replay_cache(embedder, rows=len(requests), near_miss_log=0, **settings) as cache:
        served = replay_stream(cache, requests, progress)
    hits = Counter(str(one.outcome.kind) for one in served if isinstance(one.outcome, Hit))
    return [place if one.row is None else one.row for place, one in enumerate(served)], dict(sorted(hits.items()))


def _stored(
    profile: LogProfile, sample: Sequence[Sampled], whole: int, embedder: Embedder | None, settings: dict[str, Any]
) -> tuple[float, float, float]:
    """How many answers the cache stores in all of the log: expected, and the ends of what the curves say."""
    order = list(range(len(sample)))
    Random(0).shuffle(order)
    points: list[tuple[float, float]] = []  # requests, share of the different ones that was answered by meaning
    for parts in _PARTS:
        size = len(sample) // parts
        if not size:
            continue
        stored = distinct = 0
        for part in range(parts):
            rows = [sample[place] for place in sorted(order[part * size : (part + 1) * size])]
            stored += (
                whole if parts == 1 else len(set(_served([row.request for row in rows], embedder, silent, settings)[0]))
            )
            distinct += len({row.key for row in rows})
        points.append((float(size), 1.0 - stored / distinct))
    shares = extrapolated(points, float(profile.calls))
    error = 1.96 * math.sqrt(max(0.0, points[-1][1] * (1.0 - points[-1][1])) / points[-1][0])
    ends = [*shares, points[-1][1]] if profile.calls > _FAR * points[-1][0] else list(shares)
    expected = sum(shares) / 2
    return (
        profile.distinct * (1.0 - expected),
        profile.distinct * (1.0 - max(0.0, min(ends) - error)),
        profile.distinct * (1.0 - min(1.0, max(ends) + error)),
    )


def extrapolated(points: Sequence[tuple[float, float]], at: float) -> tuple[float, float]:
    """The share at a size, by the saturating curve and by the one that goes on.

    Args:
        points: sizes and shares, the smallest first.
        at: at least the largest size.

    >>> [round(share, 3) for share in extrapolated([(100, 0.1), (200, 0.18), (400, 0.3)], 800)]
    [0.45, 0.402]
    """
    (before, share_before), (last, share) = points[-2] if len(points) > 1 else points[-1], points[-1]
    if len(points) < 2 or share <= 0.0 or share >= 1.0:
        return share, share
    doublings = math.log(at / last) / math.log(last / before)
    factor = min(1.0, (1.0 - share) / max(1e-9, 1.0 - share_before))
    going_on = 1.0 - (1.0 - share) * factor**doublings
    usable = [(1.0 / size, 1.0 / part) for size, part in points if part > 0.0]
    if len(usable) < 2:
        return going_on, going_on
    mean_x, mean_y = (sum(values) / len(usable) for values in zip(*usable, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in usable)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in usable) / spread
    # 1 / s = a + b / n. The smallest points are the least sure, so that only `a` is theirs to say: not below 1, for no
    # share passes that. The curve itself goes through what the whole sample showed.
    limit = min(1.0 / share, max(1.0, mean_y - slope * mean_x))
    saturating = 1.0 / (limit + (1.0 / share - limit) * last / at)
    return max(share, saturating), max(share, going_on)


def _rate(profile: LogProfile, sampled: int, stored: float, ends: tuple[float, float], is_whole: bool) -> HitRate:
    calls = max(1, profile.calls)
    value = min(1.0, max(0.0, 1.0 - stored / calls))
    low, high = (1.0 - ends[0] / calls, 1.0 - ends[1] / calls)
    # The log itself is a sample of what comes: its own error remains even where all of it was replayed.
    wilson = Interval.wilson(round(value * calls), calls)
    low = max(0.0, min(low, wilson.low))
    high = min(1.0, max(high, wilson.high))
    return HitRate(value, low, high, profile.repeat_rate, sampled, is_whole)
