"""The command line: measure, write docs/quality.json, the tables of docs/quality.md and the plots.

With `--vetoed` nothing is measured: the paraphrases that a guard vetoes are written to a file, for people to read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality.material import Material, load
from benchmarks.quality.measure import about, measure
from benchmarks.quality.paraphrases import write_vetoed
from benchmarks.quality.report import blocks_of
from benchmarks.quality.targets import targets_of
from benchmarks.report import with_blocks
from llmcache_plugins.evaluation import Progress
from llmcache_plugins.protocols import Embedder

__all__ = ["kept_timing", "main", "write"]

_DOCS = Path(__file__).parent.parent.parent / "docs"
_DOCUMENT, _NUMBERS = "quality.md", "quality.json"
_TIMED = ("data_hash", "embedder_id", "guards_version", "calibration", "policy")  # what the time of judging depends on


def main(arguments: Sequence[str] | None = None) -> int:
    """0 also when an aim is missed: a number is no failure."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.data is None and (options.vetoed is not None or options.keep_timing):
        parser.error("--vetoed and --keep-timing need --data")
    if options.vetoed is not None:
        print(f"{write_vetoed(_material(options, _model()), options.vetoed)} pairs in {options.vetoed}")
        return 0
    results = _measured(options) if options.data is not None else _known()
    write(results, options.output)
    for target in targets_of(results):
        verdict = "" if target.limit is None else "reached" if target.is_reached else "MISSED"
        limit = "" if target.limit is None else f"{'<=' if target.is_most else '>='} {target.limit:g}"
        print(f"{verdict:8} {target.measured:8.4f} {limit:8} {target.what}")
    return 0


def write(results: dict[str, Any], folder: Path) -> None:
    """The numbers, the document with this run's tables (its prose is that of the repository's), the plots."""
    from benchmarks.quality.plot import plot_all  # matplotlib is needed for this alone

    results = _slim(results)
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(part)}" for name, part in results.items())
    (folder / _NUMBERS).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    (folder / _DOCUMENT).write_text(with_blocks(document, blocks_of(results)), encoding="utf-8")
    plot_all(results, folder)


def _slim(value: Any) -> Any:
    """Without what follows from the fractions, and with six digits."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {
            key: _slim(item)
            for key, item in value.items()
            if key not in ("intervals", "counts") or "fractions" not in value
        }
    return [_slim(item) for item in value] if isinstance(value, list) else value


def _known() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((_DOCS / _NUMBERS).read_text(encoding="utf-8"))
    return results


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    model = _model()
    material = _material(options, model)
    timed = kept_timing(_known(), about(material)) if options.keep_timing else None
    return measure(material, model, _reporter(), timed=timed)


def kept_timing(known: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """The timing of the numbers in docs/, told again as such; only where what was timed is what is measured now."""
    changed = [name for name in _TIMED if known["about"][name] != about[name]]
    if changed:
        raise SystemExit(f"--keep-timing: {', '.join(changed)} changed since {_NUMBERS} was made; time again")
    return {**known["timing"], "kept": True}


def _material(options: argparse.Namespace, model: Embedder) -> Material:
    return load(options.data, options.cache, model, _reporter()("vectors"), threads=os.cpu_count() or 1)


def _model() -> Embedder:
    from llmcache_plugins.embedders import OnnxEmbedder

    return OnnxEmbedder()


def _reporter() -> Callable[[str], Progress]:
    """Says on stderr what is being done: a line for each step, and on a terminal how far it is."""

    def of(step: str) -> Progress:
        print(step, file=sys.stderr, flush=True)

        def progress(stage: str, done: int, total: int) -> None:
            if sys.stderr.isatty():
                print(f"\r  {stage} {done:,} of {total:,}\033[K\r", end="", file=sys.stderr, flush=True)

        return progress

    return of


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the labelled files; without it the documents are made from the numbers",
    )
    default = Path(tempfile.gettempdir()) / "llmcache-quality"
    parser.add_argument("--cache", type=Path, default=default, metavar="DIR", help="vectors and parts (%(default)s)")
    parser.add_argument("--output", type=Path, default=_DOCS, metavar="DIR", help="where to write (docs)")
    parser.add_argument(
        "--keep-timing",
        action="store_true",
        help="tell the times of docs/quality.json again, on a machine that is too busy to time on",
    )
    parser.add_argument(
        "--vetoed",
        type=Path,
        metavar="FILE",
        help="only write the labelled paraphrases that a guard vetoes, with the reason, as JSON lines",
    )
    return parser
