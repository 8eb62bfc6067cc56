"""The command line of the benchmark: options, progress, the tables of docs/before-buying.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.buying.forecasts import LIMIT, Compared, compared, streams_in
from benchmarks.buying.large import COMMANDS, Measured, measured, write_log
from benchmarks.machine import describe
from benchmarks.report import table, with_blocks
from llmcache_plugins.evaluation import PreparedEmbedder, VectorFile

__all__ = ["blocks_of", "main", "write"]

_DOCS = Path(__file__).parent.parent.parent / "docs"
_DOCUMENT = "before-buying.md"
_PARTS = (0.5, 0.25)
_LEAST = 200  # calls of a sample: fewer say nothing about a stream
_LINES = (10_000, 100_000, 1_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the tables. 0 also when a forecast is off: a number is no failure."""
    options = _parser().parse_args(arguments)
    from llmcache_plugins.embedders import OnnxEmbedder

    file = None if options.cache is None else VectorFile(options.cache)
    embedder = PreparedEmbedder(OnnxEmbedder(), file=file)
    found: list[Compared] = []
    for path in streams_in(options.data):
        for one in compared(path, embedder, _PARTS, _LEAST):
            print(f"{one.stream}, {one.part:.0%}: {one.forecast.value:.1%}, real {one.real:.1%}", file=sys.stderr)
            found.append(one)
    large: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for lines in _LINES[:1] if options.quick else _LINES:
            log = Path(folder) / "log.jsonl"
            write_log(log, lines)
            for name in COMMANDS:
                large.append(measured(name, log, lines))
                print(f"{name}, {lines:,} lines: {large[-1].seconds:.0f} s", file=sys.stderr)
    write(options.output, found, large)
    print(f"written: {options.output / _DOCUMENT}")
    return 0


def write(folder: Path, found: Sequence[Compared], large: Sequence[Measured]) -> None:
    """`before-buying.md` with this run's tables; the prose is that of the repository's."""
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _DOCUMENT).write_text(with_blocks(document, blocks_of(found, large)), encoding="utf-8")


def blocks_of(found: Sequence[Compared], large: Sequence[Measured]) -> dict[str, str]:
    """Name of a marker -> what belongs there."""
    rows = [
        [
            f"{one.stream}, {one.part:.0%} of {one.calls:,}",
            f"{one.forecast.exact:.1%}",
            f"{one.forecast.value:.1%}",
            f"{one.forecast.low:.1%} - {one.forecast.high:.1%}",
            f"{one.real:.1%}",
            f"{100 * one.error:+.1f}" if abs(one.error) <= LIMIT else f"**{100 * one.error:+.1f}**",
            "yes" if one.is_inside else "**no**",
        ]
        for one in found
    ]
    within = sum(abs(one.error) <= LIMIT for one in found)
    inside = sum(one.is_inside for one in found)
    head = ("stream, sample", "exact repeats", "forecast", "95 % interval", "real", "error, points", "inside")
    machine = describe()
    taken_on = (
        f"{machine['processor']}; Python {machine['Python']}; load average {machine['load average at the start']}."
    )
    return {
        "streams": f"{table(head, rows)}\n\n{within} of {len(found)} forecasts are within {100 * LIMIT:g} points, and "
        f"{inside} intervals hold the real rate.",
        "large": table(
            ("command, lines", "seconds", "peak memory"),
            [[f"{one.command}, {one.lines:,}", f"{one.seconds:.0f}", f"{one.peak / 2**20:,.0f} MiB"] for one in large],
        )
        + f"\n\n{taken_on}",
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.buying", description=f"Write docs/{_DOCUMENT}.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the labelled streams are")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep vectors here from run to run")
    parser.add_argument("--quick", action="store_true", help="a short log only")
    parser.add_argument("--output", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    return parser
