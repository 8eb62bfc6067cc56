"""The command line of the benchmarks: options, progress bar, files."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe, load
from benchmarks.report import blocks_of, with_blocks
from benchmarks.results import Results, aims_of
from benchmarks.run import STEPS, perform
from benchmarks.workload import FULL, QUICK, Workload

__all__ = ["main"]

_DOCS = Path(__file__).parent.parent / "docs"
_DOCUMENT, _PLOT = "performance.md", "performance.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the report, say which aims were missed. 0 also then: a number is no failure."""
    options = _parser().parse_args(arguments)
    results = _measured(is_quick=options.quick)
    write(results, options.output)
    from benchmarks.plot import plot  # matplotlib is needed for this alone

    plot(results, options.output / _PLOT)
    if options.json is not None:
        options.json.write_text(json.dumps(results.as_json(), indent=1) + "\n", encoding="utf-8")
    for aim in aims_of(results):
        print(f"{aim.what}: {aim.measured:.4g} {aim.unit}, at most {aim.limit:g}: {aim.verdict}")
    print(f"written: {options.output / _DOCUMENT}, {options.output / _PLOT}")
    return 0


def write(results: Results, folder: Path) -> None:
    """`performance.md` with this run's tables; its prose is that of the repository's."""
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _DOCUMENT).write_text(with_blocks(document, blocks_of(results)), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write docs/performance.md.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute, and more noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything that was measured as JSON")
    parser.add_argument("--output", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    return parser


def _measured(*, is_quick: bool) -> Results:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from llmcache_plugins.embedders import OnnxEmbedder

    results = Results({**describe(), "mode": "quick" if is_quick else "full"})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # The bar is drawn by a thread of its own: not while something is timed.
    console = Console(file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console, auto_refresh=False) as progress:
        task = progress.add_task("starting", total=len(STEPS))
        plan = QUICK if is_quick else FULL
        steps = perform(results, Workload(Path(folder)), plan, OnnxEmbedder(threads=1), with_sqlite_cache=True)
        for number, step in enumerate(steps):
            progress.update(task, description=step, completed=number, refresh=True)
        results.machine["load average at the end"] = load()
        progress.update(task, description="done", completed=len(STEPS), refresh=True)
    return results
