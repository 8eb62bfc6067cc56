"""`llmcache replay LOG`: caches of several sizes, orders of eviction and times to live, tried on a log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from llmcache_plugins.cli.log_progress import log_progress
from llmcache_plugins.cli.plot_file import check_plot
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.evaluation.vectors import Progress
from llmcache_plugins.logs.meaning import replayed_keys
from llmcache_plugins.logs.optimum import best_possible
from llmcache_plugins.logs.reading import LogFile
from llmcache_plugins.logs.rows import LoggedCall
from llmcache_plugins.logs.sampling import shortened
from llmcache_plugins.logs.simulate import EVICTIONS, Configuration, Simulated, configurations, simulate
from llmcache_plugins.logs.text import text_of_replay
from llmcache_plugins.logs.trace import Trace, trace_of
from llmcache_plugins.protocols import Embedder

__all__ = ["ReplayOptions", "run_replay"]

_OPTIMUM = "optimum (knows the future)"
_SHARES = (
    100,
    20,
    5,
)  # sizes tried when none is given: a hundredth, a twentieth and a fifth of the different questions
_MOST_BY_MEANING = 100_000  # calls: they are all held, and each different one is embedded


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What was asked for on the command line.

    Args:
        log: the file.
        sizes: capacities in entries; none: three that suit the log.
        ttls: times to live in seconds, None for ever.
        evictions: of `EVICTIONS`.
        by_meaning: questions that one answer does for are one key, as the real look-ups decide.
        limit: read only so many calls.
        as_json: print one JSON object and nothing else.
        plot: write a picture there.
    """

    log: Path
    sizes: Sequence[int] = ()
    ttls: Sequence[float | None] = (None,)
    evictions: Sequence[str] = EVICTIONS
    by_meaning: bool = False
    limit: int | None = None
    as_json: bool = False
    plot: Path | None = None


def run_replay(
    options: ReplayOptions,
    say: Callable[[str], object] = print,
    *,
    make_embedder: Callable[[], Embedder] = OnnxEmbedder,
) -> int:
    """Replay the log and print a table of what each cache would have answered; the exit code.

    Raises:
        ConfigError: there is no such file, it holds no calls, an option is out of range, or the plot cannot be written.
        MissingExtraError: `by_meaning` without an embedder installed, or `plot` without matplotlib.
    """
    if options.plot is not None:
        from llmcache_plugins.cli.replay_plot import save_plot  # says at once what is missing

        check_plot(options.plot)
    embedder = make_embedder() if options.by_meaning else None
    configurations(options.sizes or (1,), options.ttls, options.evictions)  # what is wrong is said before the reading
    with log_progress() as told:
        log = LogFile(options.log, limit=options.limit, progress=lambda done, total: told("reading", done, total))
        trace = _by_meaning(log, embedder, told) if embedder is not None else trace_of(log)
        if not len(trace):
            raise ConfigError(f"{log.path} holds no model calls")
        distinct = trace.distinct
        sizes = options.sizes or sorted({max(1, distinct // share) for share in _SHARES})
        rows = _tried(trace, configurations(sizes, options.ttls, options.evictions), told)
    rows += [
        Simulated(name=_OPTIMUM, entries=size, ttl=ttl, hit_rate=best_possible(trace, size, ttl))
        for size in sizes
        for ttl in options.ttls
    ]
    rows.sort(key=lambda one: (one.entries, one.ttl is None, one.ttl or 0.0, -one.hit_rate, one.name != _OPTIMUM))
    if options.as_json:
        content = {"log": options.log.name, "calls": len(trace), "distinct": distinct, "left_out": dict(log.left_out)}
        say(json.dumps({**content, "by_meaning": options.by_meaning, "rows": [asdict(one) for one in rows]}))
    else:
        say(text_of_replay(rows, len(trace), distinct))
    if options.plot is not None:  # last: what was found out is not lost when it cannot be drawn
        save_plot(rows, options.plot)
    return 0


def _tried(trace: Trace, tried: Sequence[Configuration], told: Progress) -> list[Simulated]:
    rows, total = [], len(trace) * len(tried)
    for number, one in enumerate(tried):
        before = number * len(trace)
        rows.append(simulate(trace, one, lambda done, before=before: told("simulating", before + done, total)))  # type: ignore[misc]  # bound now
    told("simulating", total, total)
    return rows


def _by_meaning(log: LogFile, embedder: Embedder, told: Progress) -> Trace:
    """The trace with one key for all questions that the cache answers alike."""
    kept: list[LoggedCall] = []
    for call in log:
        if len(kept) == _MOST_BY_MEANING:
            raise ConfigError(f"--by-meaning takes at most {_MOST_BY_MEANING:,} calls: add --limit {_MOST_BY_MEANING}")
        kept.append(LoggedCall(request=shortened(call.request), at=call.at))
    return trace_of(kept).renamed(replayed_keys([one.request for one in kept], embedder, told))
