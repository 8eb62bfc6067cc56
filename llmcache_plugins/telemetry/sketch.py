"""Percentiles of latencies from a sketch: a stated error, and memory that does not grow."""

from __future__ import annotations

import threading

from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.recorded import LookupEvent, UpdateEvent
from llmcache_plugins.telemetry.backlog import Backlog
from llmcache_plugins.telemetry.feed import Behind, Noted
from llmcache_plugins.telemetry.fields import latency_of
from llmcache_plugins.telemetry.percentiles import Percentiles
from llmcache_plugins.types import Miss

try:
    from ddsketch import LogCollapsingLowestDenseDDSketch
except ImportError as error:
    raise MissingExtraError("LatencyRecorder", "sketch") from error

__all__ = ["LatencyRecorder"]

_BINS = 2048
# With 0.5 % there are 1,842 bins from 10 microseconds to 1,000 seconds: ln(1e8) / ln((1 + 0.005) / (1 - 0.005)).
_FINEST, _COARSEST = 0.005, 0.2


class LatencyRecorder(Behind):
    """A recorder of how long hits, misses and calls of models take in this process.

    A lookup only leaves its number; a thread feeds them to the sketch. What does not fit is counted in `dropped`. After
    `close()` it still tells. A forked child begins anew.

    Args:
        relative_error: of every percentile, in [0.005, 0.2]; 0.01 is 1 %. It holds from 10 microseconds to 1,000
            seconds; each kind takes at most 2,048 counters.
        limit: how many numbers may wait.
        interval: seconds between two visits of the thread.

    Raises:
        ConfigError: a number out of range.

    Source: Masson, Rim, Lee: DDSketch, PVLDB 12(12), 2019, https://arxiv.org/abs/1908.10693
    """

    def __init__(self, *, relative_error: float = 0.01, limit: int = 10_000, interval: float = 1.0) -> None:
        if (
            not isinstance(relative_error, int | float)
            or isinstance(relative_error, bool)
            or not _FINEST <= relative_error <= _COARSEST
        ):
            raise ConfigError(f"relative_error must be from {_FINEST} to {_COARSEST}, not {relative_error!r}")
        super().__init__()
        self._relative_error = float(relative_error)
        self._begin()
        self._backlog: Backlog[tuple[str, float]] = Backlog(
            self._feed, "llmcache latencies", limit=limit, interval=interval, forked=self._begin
        )

    def _begin(self) -> None:
        self._reading = threading.Lock()
        self._sketches: dict[str, LogCollapsingLowestDenseDDSketch] = {}

    def take(self, noted: Noted) -> None:
        event = noted[2]
        if isinstance(event, tuple):
            self._backlog.put(("hit", latency_of(event)))
        elif isinstance(event, LookupEvent):
            if isinstance(event.outcome, Miss):
                self._backlog.put(("miss", event.outcome.latency))
        elif isinstance(event, UpdateEvent) and event.seconds is not None:
            self._backlog.put(("model", event.seconds))

    def percentiles(self) -> dict[str, Percentiles]:
        """By kind, `hit`, `miss` and `model`; without those that never were."""
        self.flush()
        with self._reading:
            return {kind: self._of(sketch) for kind, sketch in self._sketches.items()}

    def _feed(self, values: list[tuple[str, float]]) -> None:
        with self._reading:
            for kind, seconds in values:
                if not 0 <= seconds < float("inf"):  # a clock of the user's may say anything
                    continue
                sketch = self._sketches.get(kind)
                if sketch is None:
                    sketch = self._sketches[kind] = LogCollapsingLowestDenseDDSketch(self._relative_error, _BINS)
                sketch.add(seconds)

    def _of(self, sketch: LogCollapsingLowestDenseDDSketch) -> Percentiles:
        p50, p95, p99 = (sketch.get_quantile_value(share) or 0.0 for share in (0.5, 0.95, 0.99))
        return Percentiles(int(sketch.count), p50, p95, p99, self._relative_error)
