"""Each labelled stream as a log: the hit rate forecast from a part of it, and the one a replay of all of it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmcache_plugins.evaluation import PreparedEmbedder, open_replay_cache, replay_stream, texts_to_embed
from llmcache_plugins.logs import HitRate, LogFile, expected_hit_rate, profile_of
from llmcache_plugins.protocols import Embedder

__all__ = ["LIMIT", "Compared", "compared", "streams_in"]

LIMIT = 0.03
"""A forecast was to be at most so far from the replay."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One forecast. `part` is the share of the stream that was sampled, `real` the hit rate of the whole replay."""

    stream: str
    calls: int
    part: float
    forecast: HitRate
    real: float

    @property
    def error(self) -> float:
        return self.forecast.value - self.real

    @property
    def is_inside(self) -> bool:
        """Does the interval hold the truth?"""
        return self.forecast.low <= self.real <= self.forecast.high


def streams_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("stream_*.jsonl.gz"))


def compared(path: Path, embedder: Embedder, parts: Sequence[float], least: int) -> Iterator[Compared]:
    """Forecasts from each part of a stream that has at least `least` calls in it.

    The replay is done here by its own code, from an empty cache without a limit; labels are not looked at.
    """
    prepared = embedder if isinstance(embedder, PreparedEmbedder) else PreparedEmbedder(embedder)
    requests = [call.request for call in LogFile(path)]
    prepared.prepare(texts_to_embed(requests))
    with open_replay_cache(prepared, rows=len(requests)) as cache:
        hits = sum(one.row is not None for one in replay_stream(cache, requests))
    name = path.name.removeprefix("stream_").removesuffix(".jsonl.gz").removesuffix("_dev")
    for part in parts:
        sample = round(part * len(requests))
        if sample >= least:
            profile = profile_of(LogFile(path), sample=sample)
            forecast = expected_hit_rate(profile, prepared).hit_rate
            yield Compared(name, len(requests), part, forecast, hits / len(requests))
