"""`llmcache analyze LOG`: what a cache would do for the calls of a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmcache_plugins.cli.log_progress import log_progress
from llmcache_plugins.cli.plot_file import check_plot
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.logs.forecast import FLAT_CALL_COST, FLAT_HIT_COST, Forecast, forecast_of
from llmcache_plugins.logs.meaning import expected_hit_rate
from llmcache_plugins.logs.profile import CallCost, profile_of
from llmcache_plugins.logs.reading import LogFile
from llmcache_plugins.protocols import Embedder

__all__ = ["LogAnalysisOptions", "is_log", "run_log_analysis"]

_SHOWN = 60  # characters of a question


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAnalysisOptions:
    """What was asked for on the command line.

    Args:
        log: the file.
        as_json: print one JSON object and nothing else.
        plot: write a picture there.
        sample: calls that are replayed; at most so many are ever held.
        limit: read only so many calls.
        exact_only: without an embedder.
        calls_per_month: what to reckon with in place of the log's own rate.
        call_cost: of a call where the log does not say.
        hit_cost: of a hit.
        embedding_cost: of embedding one question.
        top: clusters shown with `with_text`.
        with_text: show the questions of the largest clusters.
    """

    log: Path
    as_json: bool = False
    plot: Path | None = None
    sample: int = 5_000
    limit: int | None = None
    exact_only: bool = False
    calls_per_month: float | None = None
    call_cost: float = FLAT_CALL_COST
    hit_cost: float = FLAT_HIT_COST
    embedding_cost: float = 0.0
    top: int = 10
    with_text: bool = False

    def __post_init__(self) -> None:
        for name in ("sample", "top"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"--{name} must be an integer of at least 1, not {value!r}")


def is_log(argument: str) -> bool:
    """Is this argument of `llmcache analyze` a log, and not the URL of a cache?"""
    return "://" not in argument and argument != "memory"


def run_log_analysis(
    options: LogAnalysisOptions,
    say: Callable[[str], object] = print,
    *,
    make_embedder: Callable[[], Embedder] = OnnxEmbedder,
    cost_of: CallCost | None = None,
) -> int:
    """Analyse the log and say what a cache would do; the exit code.

    Args:
        options: of the command line.
        say: prints.
        make_embedder: of the cache that is to be bought.
        cost_of: prices; without it every call costs `options.call_cost`.

    Raises:
        ConfigError: there is no such file, it holds no calls, an option is out of range, or the plot cannot be written.
        MissingExtraError: a plot was asked for, and matplotlib is not installed.
    """
    if options.plot is not None:
        from llmcache_plugins.cli.log_plot import save_plot  # says at once what is missing

        check_plot(options.plot)
    embedder = None if options.exact_only else _embedder(make_embedder)
    with log_progress() as told:
        log = LogFile(options.log, limit=options.limit, progress=lambda done, total: told("reading", done, total))
        profile = profile_of(log, sample=options.sample, cost_of=cost_of)
        if not profile.calls:
            raise ConfigError(f"{log.path} holds no model calls{_left_out(log)}")
        replayed = expected_hit_rate(profile, embedder, progress=told)
    forecast = forecast_of(
        profile,
        replayed,
        calls_per_month=options.calls_per_month,
        call_cost=options.call_cost,
        hit_cost=options.hit_cost,
        embedding_cost=options.embedding_cost,
        dimension=0 if embedder is None else int(embedder.embed(["a"]).shape[1]),
    )
    if options.as_json:
        say(json.dumps(_as_json(forecast, log, options, embedder)))
    else:
        _say(forecast, log, options, embedder, say)
    if options.plot is not None:  # last: what was found out is not lost when it cannot be drawn
        save_plot(forecast, options.plot)
    return 0


def _embedder(make: Callable[[], Embedder]) -> Embedder | None:
    """None where the embedder is not installed: exact repeats can be counted all the same, and the output says so."""
    try:
        return make()
    except MissingExtraError:
        return None


def _as_json(
    forecast: Forecast, log: LogFile, options: LogAnalysisOptions, embedder: Embedder | None
) -> dict[str, object]:
    content: dict[str, object] = {
        "log": options.log.name,
        "lines": log.lines,
        "left_out": dict(log.left_out),
        "shapes": dict(log.shapes),
        "embedder_id": None if embedder is None else embedder.embedder_id,
        **forecast.as_json(),
    }
    if options.with_text:
        content["clusters_with_text"] = [
            {"calls": count, "question": text} for count, text in _clusters(forecast, options)
        ]
    return content


def _say(
    forecast: Forecast,
    log: LogFile,
    options: LogAnalysisOptions,
    embedder: Embedder | None,
    say: Callable[[str], object],
) -> None:
    written = ", ".join(f"{count:,} as {shape}" for shape, count in log.shapes.most_common())
    say(f"{options.log.name}: {log.lines:,} lines, {written}{_left_out(log)}")
    say(str(forecast))
    if embedder is None and not options.exact_only:
        say("\nwithout an embedder only exact repeats count: pip install 'llmcache-plugins[local]' for the rest")
    if options.with_text:
        say("\nlargest clusters")
        for count, text in _clusters(forecast, options):
            say(f"{count:>6,}  {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}")


def _left_out(log: LogFile) -> str:
    if not log.left_out:
        return ""
    return "; left out: " + ", ".join(f"{count:,} ({why})" for why, count in log.left_out.most_common())


def _clusters(forecast: Forecast, options: LogAnalysisOptions) -> list[tuple[int, str]]:
    replayed, sample = forecast.replayed, forecast.profile.sample
    ranked = list(zip(replayed.clusters, replayed.representatives, strict=True))[: options.top]
    return [(count, " ".join(sample[place].request.text.split())) for count, place in ranked]
