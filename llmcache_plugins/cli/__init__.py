"""The command `llmcache`: `demo` shows a LangChain application answered from the cache, `doctor` what is installed,
`eval` what the cache gets right and wrong on labelled questions, `tune` which setting suits them, `invalidate` removes
answers that are no longer true, `warm` asks before users do, `analyze` says what might be changed, or what a cache
would do for a log, `replay` tries sizes and times to live on it, `stats` what all processes have counted, `report` what
that was worth, `export` and `import` bring entries from one cache to another.

Exit codes: 0 all well, 1 something failed while it ran, 2 it could not start (wrong arguments, a missing package).
"""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from llmcache_plugins.cli.invalidate_options import add_options
from llmcache_plugins.cli.log_options import add_log_analysis_options, add_replay_options
from llmcache_plugins.cli.transfer_options import add_export_options, add_import_options
from llmcache_plugins.cli.warm_options import add_analyze_options, add_warm_options
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.errors import ConfigError, LLMCacheError, MissingExtraError

__all__ = ["main"]

_BUDGET = CacheConfig().max_error_rate


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, and raises SystemExit only for `--help` and `--version`."""
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:
        if stop.code in (None, 0):
            raise
        return 2
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    run: Callable[[argparse.Namespace], int] = options.run
    _print_any_text()
    try:
        code = run(options)
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is said here, not by the interpreter when it ends
        return code
    except (ConfigError, MissingExtraError) as error:
        print(f"llmcache {options.command}: {error}", file=sys.stderr)
        return 2
    except LLMCacheError as error:
        print(f"llmcache {options.command}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader went away, `| head` for example
        _let_go_of_stdout()
        return 1
    except OSError as error:
        print(f"llmcache {options.command}: {type(error).__name__}: {error}", file=sys.stderr)
        _let_go_of_stdout()
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130  # 128 + SIGINT, as shells have it


def _print_any_text() -> None:
    """What the output's encoding lacks is printed as an escape: a name in somebody's data must not end the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Where the output takes nothing any more, the interpreter must not flush into it again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Shows the whole help on a wrong argument, not the usage line alone."""

    def error(self, message: str) -> None:  # type: ignore[override]  # the base says NoReturn, and so does exit()
        self.print_help(sys.stderr)
        self.exit(2, f"\n{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="llmcache", description="A semantic cache for LLM answers.")
    parser.add_argument("--version", action="version", version=f"llmcache-plugins {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_demo(commands)
    doctor = commands.add_parser("doctor", help="say what is installed and what is missing")
    doctor.add_argument("url", nargs="?", metavar="URL", help="a cache to look at (default: LLMCACHE_URL)")
    planned = doctor.add_argument_group("what so many entries would take on a server")
    planned.add_argument("--entries", type=_positive_integer, metavar="N", help="how many")
    planned.add_argument("--answer-bytes", type=_positive_integer, default=800, metavar="N", help="mean (default: 800)")
    planned.add_argument("--question-bytes", type=_positive_integer, default=60, metavar="N", help="mean (default: 60)")
    planned.add_argument("--dimension", type=int, default=384, metavar="N", help="of a vector (default: 384)")
    planned.add_argument("--index", default="hnsw", help="hnsw, flat, sets or local (default: hnsw)")
    doctor.set_defaults(run=_doctor)
    _add_eval(commands)
    _add_tune(commands)
    _add_invalidate(commands)
    _add_warm(commands)
    _add_analyze(commands)
    _add_replay(commands)
    _add_stats(commands)
    _add_report(commands)
    _add_export(commands)
    _add_import(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[_Parser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="serve a stream of real questions from the cache and count right and wrong hits",
        description="A LangChain chat application answers a stream of labelled questions through the cache. The model "
        "is a server on this machine that echoes the question, so nothing is paid for; --live asks the real one.",
    )
    demo.add_argument("--data", type=Path, metavar="FILE", help="questions (default: examples/data/questions.jsonl)")
    demo.add_argument("--url", help="the cache, disk:///path/of/file.db for example (default: in your cache folder)")
    demo.add_argument("--fresh", action="store_true", help="forget what earlier runs stored")
    demo.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    demo.add_argument("--live", action="store_true", help="ask the real model (costs money, needs ANTHROPIC_API_KEY)")
    demo.add_argument("--limit", type=_positive_integer, metavar="N", help="only the first N questions")
    _add_what_decides(demo, "--threshold")
    demo.add_argument(
        "--latency-ms",
        type=_milliseconds,
        default=150.0,
        metavar="MS",
        help="how long the loopback server takes for an answer (default: %(default)g)",
    )
    demo.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="of the loopback server (default: always the same, as earlier answers are found under that one only)",
    )
    demo.set_defaults(run=_demo)


def _add_what_decides(command: _Parser, threshold: str) -> None:
    command.add_argument(
        "--max-error-rate",
        type=float,
        metavar="X",
        help=f"error budget: wrong hits / requests that may be (default: {_BUDGET:g})",
    )
    command.add_argument(threshold, type=float, metavar="X", help="a plain cosine of at least X decides instead")


def _add_eval(commands: argparse._SubParsersAction[_Parser]) -> None:
    evaluation = commands.add_parser(
        "eval",
        help="say what the cache gets right and wrong on labelled questions",
        description="Labelled pairs, conversations or request streams (JSON lines, gzipped or not) are replayed "
        "through the cache's public look-ups, which see no label; then right and wrong hits are counted.",
    )
    evaluation.add_argument("files", type=Path, nargs="+", metavar="FILE", help="labelled JSON lines")
    evaluation.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    _add_what_decides(evaluation, "--similarity-threshold")
    evaluation.add_argument("--no-guards", action="store_true", help="let no guard veto a candidate")
    evaluation.add_argument("--exact-only", action="store_true", help="exact and normalised matches alone")
    evaluation.add_argument(
        "--embedder", choices=("default", "lexical"), default="default", help="lexical: words alone, without a model"
    )
    evaluation.set_defaults(run=_eval)


def _add_tune(commands: argparse._SubParsersAction[_Parser]) -> None:
    tuning = commands.add_parser(
        "tune",
        help="say which setting suits your own labelled pairs, or which pairs are worth a label",
        description="Thresholds and error budgets, with the guards and without, are tried on labelled pairs of "
        "questions; with --from-log, the near misses of a running cache become pairs to label.",
    )
    tuning.add_argument("pairs", type=Path, nargs="*", metavar="PAIRS", help="JSON lines of a, b and label, as in eval")
    tuning.add_argument("--from-log", type=Path, metavar="FILE", help="a near-miss log: print the pairs worth a label")
    tuning.add_argument("--top", type=_positive_integer, default=50, metavar="N", help="of the log (default: 50)")
    tuning.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    tuning.add_argument("--plot", type=Path, metavar="FILE.png", help="draw right hits over wrong hits")
    tuning.add_argument(
        "--cost-per-call", type=_cost, default=0.01, metavar="X", help="of the model, for the saving (default: 0.01)"
    )
    tuning.add_argument(
        "--max-error-rate",
        type=float,
        default=_BUDGET,
        metavar="X",
        help="error budget: wrong hits / pairs that may be (default: %(default)g)",
    )
    tuning.add_argument("--lexical", action="store_true", help="tune the LexicalMatcher in place of the embedder")
    tuning.set_defaults(run=_tune)


def _add_invalidate(commands: argparse._SubParsersAction[_Parser]) -> None:
    invalidation = commands.add_parser(
        "invalidate",
        help="remove answers that are no longer true, or mark them stale",
        description="All that is given must hold of an answer. No model is asked. Who has the cache open sees it at "
        "once. A gradual invalidation is for the process that serves: cache.invalidate(mode='gradual').",
    )
    add_options(invalidation)
    invalidation.set_defaults(run=_invalidate)


def _add_warm(commands: argparse._SubParsersAction[_Parser]) -> None:
    warming = commands.add_parser(
        "warm",
        help="ask a model what users are going to ask, and store the answers",
        description="Questions from a file, from a log, from templates and an inventory, or those whose answers are "
        "about to expire; what is fresh is skipped. For cron; inside an application: cache.warm(...).",
    )
    add_warm_options(warming)
    warming.set_defaults(run=_warm)


def _add_analyze(commands: argparse._SubParsersAction[_Parser]) -> None:
    analysis = commands.add_parser(
        "analyze",
        help="say what the entries of a cache tell about it, or what a cache would do for a log",
        description="Of a cache: look-ups are counted by the process that makes them, and cache.analyze() in there "
        "knows the hit rate too; from outside, the entries and their reads are what there is to see. Of a file with a "
        "call of a model in each line (text, JSON, CSV; gzipped or not): the hit rate and the saving to expect. For "
        "example: llmcache analyze calls.jsonl.gz",
    )
    add_analyze_options(analysis)
    add_log_analysis_options(analysis)
    analysis.set_defaults(run=_analyze)


def _add_replay(commands: argparse._SubParsersAction[_Parser]) -> None:
    replaying = commands.add_parser(
        "replay",
        help="try sizes, orders of eviction, times to live and tiers on a log",
        description="What each would have answered of the log's calls, beside the most that any could have. For "
        "example: llmcache replay calls.jsonl.gz --sizes 100,1000 --ttls 1h,none",
    )
    add_replay_options(replaying)
    replaying.set_defaults(run=_replay)


def _add_stats(commands: argparse._SubParsersAction[_Parser]) -> None:
    counting = commands.add_parser(
        "stats",
        help="say what all processes that use a cache have counted",
        description="Hits, misses, errors and so on of all processes that use a cache in a file or on a server, living "
        "and gone. A process writes its counts every few seconds.",
    )
    counting.add_argument("url", nargs="?", metavar="URL", help="the cache (default: LLMCACHE_URL)")
    counting.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    counting.add_argument("--reset", action="store_true", help="let all counts begin at 0")
    counting.set_defaults(run=_stats)


def _add_report(commands: argparse._SubParsersAction[_Parser]) -> None:
    from llmcache_plugins.cli.report_options import add_report_options

    reporting = commands.add_parser(
        "report",
        help="say what a cache has done and saved: hit rates, latencies, money, quality",
        description="Of all processes that use a cache in a file or on a server. What calls cost is told by the tokens "
        "of the stored answers and the prices of their models. For example: llmcache report redis://localhost:6379/0 "
        "--setup-cost 2000",
    )
    add_report_options(reporting)
    reporting.set_defaults(run=_report)


def _add_export(commands: argparse._SubParsersAction[_Parser]) -> None:
    export = commands.add_parser(
        "export",
        help="write the entries of a cache to a file that any other can import",
        description="The cache may be in use. The file holds questions and answers as they are; docs/transfer.md says "
        "how. For example: llmcache export redis://localhost:6379/0 answers.jsonl.gz",
    )
    add_export_options(export)
    export.set_defaults(run=_export)


def _add_import(commands: argparse._SubParsersAction[_Parser]) -> None:
    importing = commands.add_parser(
        "import",
        help="store the entries of an export in a cache, whatever its store",
        description="The cache may be in use; what was interrupted is run again. Import only what you trust: who wrote "
        "the file says what users are answered. For example: llmcache import disk:///var/cache/answers.db "
        "answers.jsonl.gz",
    )
    add_import_options(importing)
    importing.set_defaults(run=_import)


def _version() -> str:
    from llmcache_plugins import __version__

    return __version__


def _positive_integer(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def _milliseconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 60_000:
        raise argparse.ArgumentTypeError(f"must be from 0 to 60000, not {text}")
    return number


def _cost(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number of at least 0, not {text}")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"must be from 0 (any) to 65535, not {text}")
    return number


def _demo(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.demo import DEMO_PORT, DemoOptions, run_demo

    return run_demo(
        DemoOptions(
            data=options.data,
            url=options.url,
            fresh=options.fresh,
            as_json=options.json,
            live=options.live,
            limit=options.limit,
            threshold=options.threshold,
            max_error_rate=options.max_error_rate,
            latency=options.latency_ms / 1000,
            port=DEMO_PORT if options.port is None else options.port,
        )
    )


def _eval(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.eval import EvalOptions, run_eval

    return run_eval(
        EvalOptions(
            files=options.files,
            as_json=options.json,
            max_error_rate=options.max_error_rate,
            similarity_threshold=options.similarity_threshold,
            use_guards=not options.no_guards,
            exact_only=options.exact_only,
            embedder=options.embedder,
        )
    )


def _tune(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.tune import TuneOptions, run_proposals, run_tune

    if bool(options.pairs) == (options.from_log is not None):
        raise ConfigError("give files of labelled pairs, or --from-log and a near-miss log")
    if options.from_log is not None:
        if options.json or options.plot is not None:
            raise ConfigError("--json and --plot go with labelled pairs; --from-log prints JSON lines to be labelled")
        return run_proposals(options.from_log, options.top)
    return run_tune(
        TuneOptions(
            pairs=options.pairs,
            as_json=options.json,
            plot=options.plot,
            cost_per_call=options.cost_per_call,
            max_error_rate=options.max_error_rate,
            lexical=options.lexical,
        )
    )


def _invalidate(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.invalidate import run_invalidate

    return run_invalidate(options)


def _warm(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.warm import run_warm

    return run_warm(options)


def _analyze(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.analyze import run_analyze
    from llmcache_plugins.cli.log_analysis import is_log, run_log_analysis
    from llmcache_plugins.cli.log_options import cost_of, log_analysis_options

    if is_log(options.url):
        return run_log_analysis(log_analysis_options(options), cost_of=cost_of(options.prices))
    return run_analyze(options)


def _replay(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.log_options import replay_options
    from llmcache_plugins.cli.replay import run_replay

    return run_replay(replay_options(options))


def _export(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.transfer import run_export

    return run_export(options)


def _import(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.transfer import run_import

    return run_import(options)


def _stats(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.stats import run_stats

    return run_stats(options)


def _report(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.report_command import run_report
    from llmcache_plugins.cli.report_options import report_options

    return run_report(report_options(options))


def _doctor(options: argparse.Namespace) -> int:
    from llmcache_plugins.cli.doctor import run_doctor, say_size

    if options.entries is not None:
        return say_size(
            options.entries,
            answer_bytes=options.answer_bytes,
            question_bytes=options.question_bytes,
            dimension=options.dimension,
            index=options.index,
        )
    return run_doctor(url=options.url)
