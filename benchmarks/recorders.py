"""What recorders cost an exact hit of the engine: `python -m benchmarks.recorders`, a table in docs/recorders.md.

Two costs, for they are paid by different people: CPU time of the thread that looks up, which is what a lookup waits for
on a machine with room, and CPU time of the whole process, with what other threads do for that lookup afterwards. Both
are ratios to a cache without recorders in the same rounds, and CPU time, so that a busy machine counts for neither.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time, thread_time

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks import machine
from benchmarks.report import in_unit, table, with_blocks
from benchmarks.timing import without_gc
from llmcache_plugins import Hit, Request, SemanticCache, open_cache
from llmcache_plugins.protocols import Recorder
from llmcache_plugins.telemetry import (
    EventLog,
    LatencyRecorder,
    LogRecorder,
    OpenTelemetryRecorder,
    PrometheusCollector,
    observe_cache,
)

__all__ = ["blocks", "main"]

PAGE = Path(__file__).parent.parent / "docs" / "recorders.md"
QUESTION = "How do I check the BGP status of rtr-001?"
# What the plugin of a chat model asks: the least there is to hash, and a conversation of three turns.
ASKED: dict[str, str | Request] = {
    "a plain string": QUESTION,
    "a chat request": Request(
        QUESTION,
        provider="anthropic",
        model="claude-haiku-4-5",
        params={"max_tokens": 1024, "temperature": 0.0},
        context=[
            {"role": "system", "content": "You answer questions of network engineers. Be short and exact. " * 4},
            {"role": "user", "content": "Which routers are there at ny1?"},
            {"role": "assistant", "content": "There are two: rtr-001 and rtr-002. Both run IOS XR 7.9."},
        ],
    ),
}
LIMIT = 0.15  # of an exact hit
_NEVER = 3600.0  # seconds: what is left to threads is done between the rounds


class _Dropped(SpanExporter):
    """Where spans end: sending them is the affair of the exporter that is chosen."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Nowhere(logging.Handler):
    """Formats a record, which every handler does, and writes it nowhere."""

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)


@dataclass
class Setting:
    """A cache with some recorders."""

    name: str
    cache: SemanticCache
    flush: list[Callable[[], object]] = field(default_factory=list)
    scrape: list[Callable[[], object]] = field(default_factory=list)
    dropped: Callable[[], int] = lambda: 0

    def finish(self) -> None:
        """What threads do a little later."""
        for flush in self.flush:
            flush()


ALL = "all of these"
PARTS = ("Prometheus", "OpenTelemetry", "event log", "percentiles", "logs")
SETTINGS: dict[str, tuple[str, ...]] = {
    "no recorder": (),
    "Prometheus": ("Prometheus",),
    "OpenTelemetry, metrics": ("OpenTelemetry",),
    "event log": ("event log",),
    "percentiles": ("percentiles",),
    "logs, level INFO": ("logs",),
    ALL: PARTS,
    "all, and logs at DEBUG": (*PARTS, "DEBUG"),
    "all, and spans": (*PARTS, "spans"),
}


@contextmanager
def opened(folder: Path) -> Iterator[list[Setting]]:
    with ExitStack() as stack:
        yield [_open(stack, name, set(parts), folder) for name, parts in SETTINGS.items()]


def _open(stack: ExitStack, name: str, parts: set[str], folder: Path) -> Setting:
    recorders: list[Recorder] = []
    flush: list[Callable[[], object]] = []
    counted: list[Callable[[], int]] = []
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("benchmark")
    if "OpenTelemetry" in parts:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(_Dropped(), max_queue_size=100_000))
        stack.callback(provider.shutdown)
        tracer = provider.get_tracer("benchmark") if "spans" in parts else None
        otel = stack.enter_context(closing(OpenTelemetryRecorder(meter=meter, tracer=tracer, interval=_NEVER)))
        recorders.append(otel)
        flush += [otel.flush, provider.force_flush]
        counted.append(lambda: otel.dropped)
    if "event log" in parts:
        log = stack.enter_context(EventLog(folder / f"{name}.jsonl", interval=_NEVER))
        recorders.append(log)
        flush.append(log.flush)
        counted.append(lambda: log.dropped)
    if "percentiles" in parts:
        latencies = stack.enter_context(closing(LatencyRecorder(interval=_NEVER)))
        recorders.append(latencies)
        flush.append(latencies.percentiles)
        counted.append(lambda: latencies.dropped)
    if "logs" in parts:
        logger = logging.Logger(name, logging.DEBUG if "DEBUG" in parts else logging.INFO)
        logger.addHandler(_Nowhere())
        recorders.append(LogRecorder(logger))
    cache = stack.enter_context(closing(open_cache("memory://", embedder=None, recorders=recorders)))
    for asked in ASKED.values():
        cache.update(asked, "It is Established.")
    setting = Setting(name, cache, flush, dropped=lambda: sum(count() for count in counted))
    if "Prometheus" in parts:
        registry = CollectorRegistry()
        registry.register(PrometheusCollector(cache))
        setting.scrape.append(lambda: generate_latest(registry))
    if "OpenTelemetry" in parts:
        observe_cache(cache, meter=meter)
        setting.scrape.append(reader.get_metrics_data)
    return setting


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of one lookup, and the medians of the rounds' ratios to the first setting.

    Args:
        own: of the thread that looks up.
        whole: of all threads, until nothing waits any more.
    """

    name: str
    own: float
    own_ratio: float
    whole: float
    whole_ratio: float


def costs(settings: Sequence[Setting], asked: str | Request, *, rounds: int, calls: int) -> list[Cost]:
    """All settings in every round, each round in another order, after one that only warms up.

    Raises:
        RuntimeError: a lookup was no hit, or a recorder dropped something: less was measured than is said.
    """
    own: dict[str, list[float]] = {one.name: [] for one in settings}
    whole: dict[str, list[float]] = {one.name: [] for one in settings}
    with without_gc():
        for number in range(-1, rounds):
            turn = number % len(settings)
            for one in (*settings[turn:], *settings[:turn]):
                seconds = _round(one, asked, calls)
                if number >= 0:
                    own[one.name].append(seconds[0])
                    whole[one.name].append(seconds[1])
    if lost := [one.name for one in settings if one.dropped()]:
        raise RuntimeError(f"something was dropped: {', '.join(lost)}")
    first = settings[0].name
    return [
        Cost(
            name,
            statistics.median(own[name]),
            _ratio(own[name], own[first]),
            statistics.median(whole[name]),
            _ratio(whole[name], whole[first]),
        )
        for name in own
    ]


def _round(setting: Setting, asked: str | Request, calls: int) -> tuple[float, float]:
    lookup = setting.cache.lookup
    setting.finish()
    start, whole_start = thread_time(), process_time()
    for _ in range(calls):
        lookup(asked)
    own = thread_time() - start
    setting.finish()
    whole = process_time() - whole_start
    if not isinstance(lookup(asked), Hit):
        raise RuntimeError(f"{setting.name} does not measure an exact hit")
    return own / calls, whole / calls


def _ratio(seconds: Sequence[float], floor: Sequence[float]) -> float:
    return statistics.median(one / least for one, least in zip(seconds, floor, strict=True))


def blocks(*, rounds: int, calls: int, folder: Path) -> dict[str, str]:
    """Name of a marker in docs/recorders.md -> its table."""
    with opened(folder) as settings:
        found = {name: costs(settings, asked, rounds=rounds, calls=calls) for name, asked in ASKED.items()}
        scraped = [_scraped(one) for one in settings if one.name in ("Prometheus", "OpenTelemetry, metrics")]
    tables, aims = [], []
    for name, measured in found.items():
        rows = [
            [one.name, in_unit(one.own), f"{one.own_ratio - 1:+.1%}", in_unit(one.whole), f"{one.whole_ratio - 1:+.1%}"]
            for one in measured
        ]
        head = (f"exact hit of {name}, memory store", "the lookup's thread", "more", "all threads", "more")
        tables.append(table(head, rows))
        more = next(one.own_ratio for one in measured if one.name == ALL) - 1
        aims.append(f"of {name} {more:.1%}, {'met' if more < LIMIT else f'missed by {more - LIMIT:.1%}'}")
    aim = f"The aim, {ALL} for less than {LIMIT:.0%} of an exact hit, in the lookup's thread: {'; '.join(aims)}."
    told = " ".join(scraped)
    here = machine.describe()
    where = "; ".join(f"{name}: {here[name]}" for name in ("processor", "load average at the start", "Python", "date"))
    shown = "\n\n".join(tables)
    return {"costs": f"{shown}\n\n{aim} {told}\n\n{rounds} rounds of {calls:,} lookups. {where}."}


def _scraped(setting: Setting) -> str:
    seconds = []
    for _ in range(20):
        start = perf_counter()
        for scrape in setting.scrape:
            scrape()
        seconds.append(perf_counter() - start)
    return f"One scrape of {setting.name.partition(',')[0]}: {in_unit(statistics.median(seconds))}."


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = blocks(rounds=60, calls=1000, folder=Path(folder))
    PAGE.write_text(with_blocks(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    print(f"{made['costs']}\nwritten: {PAGE.name}")


if __name__ == "__main__":
    main()
