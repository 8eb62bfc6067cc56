"""The arguments of `llmcache eval` and `llmcache tune`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from llmcache_plugins.cli.commands.arguments import JsonOption, at_least_0
from llmcache_plugins.cli.commands.command import Command, Run
from llmcache_plugins.errors import ConfigError

__all__ = ["EVAL", "TUNE"]


class _Embedder(StrEnum):
    DEFAULT = "default"
    LEXICAL = "lexical"


def _read_eval(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="labelled JSON lines, gzipped or not")],
    as_json: JsonOption = False,
    max_error_rate: Annotated[
        float | None,
        typer.Option("--max-error-rate", metavar="X", help="error budget: wrong hits / requests (default: 0.01)"),
    ] = None,
    similarity_threshold: Annotated[
        float | None,
        typer.Option("--similarity-threshold", metavar="X", help="a plain cosine of at least X decides instead"),
    ] = None,
    no_guards: Annotated[bool, typer.Option("--no-guards", help="let no guard veto a candidate")] = False,
    exact_only: Annotated[bool, typer.Option("--exact-only", help="exact and normalised matches alone")] = False,
    embedder: Annotated[
        _Embedder, typer.Option("--embedder", help="lexical: words alone, without a model")
    ] = _Embedder.DEFAULT,
) -> Run:
    from llmcache_plugins.cli.eval import EvalOptions, run_eval

    options = EvalOptions(
        files=files,
        as_json=as_json,
        max_error_rate=max_error_rate,
        similarity_threshold=similarity_threshold,
        use_guards=not no_guards,
        exact_only=exact_only,
        embedder=embedder.value,
    )
    return lambda: run_eval(options)


EVAL = Command(
    name="eval",
    read=_read_eval,
    summary="say what the cache gets right and wrong on labelled questions",
    description="Labelled pairs, conversations or request streams (JSON lines, gzipped or not) are replayed through "
    "the cache's public look-ups, which see no label; then right and wrong hits are counted.",
    example="llmcache eval pairs.jsonl stream.jsonl.gz --json",
)


def _read_tune(
    pairs: Annotated[
        list[Path] | None, typer.Argument(metavar="PAIRS", help="JSON lines of a, b and label, as in eval")
    ] = None,
    from_log: Annotated[
        Path | None, typer.Option("--from-log", metavar="FILE", help="a near-miss log: print the pairs worth a label")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="of the log")] = 50,
    as_json: JsonOption = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="draw right hits over wrong hits")
    ] = None,
    cost_per_call: Annotated[
        float,
        typer.Option("--cost-per-call", parser=at_least_0, metavar="X", help="of the model, for the saving"),
    ] = 0.01,
    max_error_rate: Annotated[
        float, typer.Option("--max-error-rate", metavar="X", help="error budget: wrong hits / pairs that may be")
    ] = 0.01,
    lexical: Annotated[
        bool, typer.Option("--lexical", help="tune the LexicalMatcher in place of the embedder")
    ] = False,
) -> Run:
    from llmcache_plugins.cli.tune import TuneOptions, run_proposals, run_tune

    if bool(pairs) == (from_log is not None):
        raise ConfigError("give files of labelled pairs, or --from-log and a near-miss log")
    if from_log is not None:
        if as_json or plot is not None:
            raise ConfigError("--json and --plot go with labelled pairs; --from-log prints JSON lines to be labelled")
        return lambda: run_proposals(from_log, top)
    options = TuneOptions(
        pairs=pairs or (),
        as_json=as_json,
        plot=plot,
        cost_per_call=cost_per_call,
        max_error_rate=max_error_rate,
        lexical=lexical,
    )
    return lambda: run_tune(options)


TUNE = Command(
    name="tune",
    read=_read_tune,
    summary="say which setting suits your own labelled pairs, or which pairs are worth a label",
    description="Thresholds and error budgets, with the guards and without, are tried on labelled pairs of questions; "
    "with --from-log, the near misses of a running cache become pairs to label.",
    example="llmcache tune pairs.jsonl --max-error-rate 0.005",
)
