"""The command line of the benchmark of large files: options, progress, files."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.large.asking import Measured, as_file
from benchmarks.large.files import make, sizes_of_scopes
from benchmarks.large.recall import Overlooked, overlooked, texts_in
from benchmarks.machine import describe, load
from benchmarks.progress import Say, progress
from benchmarks.report import in_unit, table, with_blocks
from llmcache_plugins.types import FloatArray

__all__ = ["main"]

_DOCS = Path(__file__).parents[2] / "docs"
_DOCUMENT, _JSON = "large.md", "large.json"
_SCOPES = 20_000  # among which the entries of the last table are divided


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the report. 0 whatever comes out: a number is no failure."""
    options = _parser().parse_args(arguments)
    machine, results = describe(), {}
    with progress() as say, tempfile.TemporaryDirectory() as folder:
        one = {entries: _measured(Path(folder), [entries], say) for entries in options.entries}
        sizes = sizes_of_scopes(options.skewed, min(_SCOPES, options.skewed))
        many = _measured(Path(folder), sizes, say)
        found, texts = [], 0
        if options.data is not None:
            vectors = _embedded(texts_in(options.data), options.cache, say)
            found, texts = overlooked(vectors), len(vectors)
    machine["load average at the end"] = load()
    blocks = {
        "machine": "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "one": _one(one),
        "skewed": _skewed(many, sizes),
        "recall": _recall(found, texts),
    }
    results = {
        "machine": machine,
        "one": {str(entries): asdict(measured) for entries, measured in one.items()},
        "skewed": {"sizes": [len(sizes), sum(sizes), sizes[0]], **asdict(many)},
        "recall": {"texts": texts, "ways": [asdict(way) for way in found]},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    (options.out / _DOCUMENT).write_text(with_blocks(document, blocks), encoding="utf-8")
    (options.out / _JSON).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written: {options.out / _DOCUMENT}, {options.out / _JSON}")
    return 0


def _measured(folder: Path, sizes: list[int], say: Say) -> Measured:
    """Of a file with scopes of these sizes, in a process of its own that has not seen it before."""
    path, asked = folder / "large.db", folder / "asked.npz"
    try:
        as_file(make(path, sizes, say), asked)
        scopes = [""] if len(sizes) == 1 else ["", "9", "99", str(len(sizes) // 2)]
        measuring = [sys.executable, "-m", "benchmarks.large.asking"]
        command = [*measuring, str(path), str(asked), str(sum(sizes)), *scopes]
        say(f"{sum(sizes):,} entries: asking", 0, 1)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return Measured(**json.loads(done.stdout.splitlines()[-1]))
    finally:
        for leftover in folder.glob("large.db*"):
            leftover.unlink()


def _embedded(texts: list[str], cache: Path | None, say: Say) -> FloatArray:
    from llmcache_plugins.embedders import OnnxEmbedder
    from llmcache_plugins.evaluation import PreparedEmbedder, VectorFile

    model = OnnxEmbedder(threads=1)
    fitting = [text for text in texts if model.fits(text)]
    file = None if cache is None else VectorFile(cache)
    embedder = PreparedEmbedder(model, file=file, threads=2)
    embedder.prepare(fitting, lambda stage, done, total: say(f"real questions: {stage}", done, total))
    return np.concatenate([embedder.embed(fitting[at : at + 1000]) for at in range(0, len(fitting), 1000)])


def _one(measured: dict[int, Measured]) -> str:
    head = (
        "entries in one scope",
        "memory by entry",
        "open",
        "first exact hit",
        "first search",
        "search",
        "semantic hit",
    )
    rows = [
        [
            f"{entries:,}",
            f"{one.held:,.0f} bytes",
            *(in_unit(seconds) for seconds in (one.opened, one.exact, one.first, one.search[""], one.hit)),
        ]
        for entries, one in measured.items()
    ]
    found = ("entries in one scope", "own entry is the nearest found", "of the eight nearest are found")
    shares = [[f"{entries:,}", f"{one.found:.1%}", f"{one.recall:.1%}"] for entries, one in measured.items()]
    return f"{table(head, rows)}\n\n{table(found, shares)}"


def _skewed(one: Measured, sizes: list[int]) -> str:
    rows = [["entries", f"{sum(sizes):,}"], ["scopes", f"{len(sizes):,}"]]
    rows += [["memory by entry", f"{one.held:,.0f} bytes"], ["first search after the start", in_unit(one.first)]]
    for name, seconds in one.search.items():
        rows.append([f"search in a scope of {sizes[int(name or 0)]:,}", in_unit(seconds)])
    return table(("", ""), rows)


def _recall(found: Sequence[Overlooked], texts: int) -> str:
    if not found:
        return "Not measured: give `--data FOLDER`."
    head = (f"{texts:,} real questions", "of the eight nearest are found", "of those with a cosine of 0.7 or more")
    return table(head, [[one.way, f"{one.recall:.2%}", f"{one.close:.2%}"] for one in found])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description="Measure, and write docs/large.md.")
    sizes = [10_000, 100_000, 1_000_000]
    parser.add_argument("--entries", type=int, nargs="+", default=sizes, metavar="N", help="sizes of one scope")
    parser.add_argument("--skewed", type=int, default=100_000, metavar="N", help="entries in many scopes (100000)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="labelled questions, for what real ones overlook")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep the vectors of these questions there")
    parser.add_argument("--out", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    return parser
