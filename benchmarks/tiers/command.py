"""The command line of the tiers benchmark: options, progress, files."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.report import with_blocks
from benchmarks.tiers.cost import costs
from benchmarks.tiers.replay import STREAMS, Replayed, read_stream, replays
from benchmarks.tiers.report import blocks_of, plot
from benchmarks.timing import Group
from llmcache_plugins.evaluation import PreparedEmbedder, VectorFile
from llmcache_plugins.protocols import Embedder

__all__ = ["main", "measure_costs", "measure_replays", "write"]

_DOCS = Path(__file__).parent.parent.parent / "docs"
_DOCUMENT, _PLOT = "tiers.md", "tiers.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the report. 0 also when an aim is missed: a number is no failure."""
    options = _parser().parse_args(arguments)
    from llmcache_plugins.embedders import OnnxEmbedder

    groups = measure_costs(size=5000, rounds=5 if options.quick else 21, calls=200)
    capacities = (200,) if options.quick else (50, 400, 1600)
    replayed = measure_replays(options.data, OnnxEmbedder(), capacities, options.cache)
    write(options.output, groups, replayed)
    print(f"written: {options.output / _DOCUMENT}, {options.output / _PLOT}")
    return 0


def measure_costs(*, size: int, rounds: int, calls: int) -> list[Group]:
    groups = []
    with tempfile.TemporaryDirectory() as folder:
        for group in costs(Path(folder), size=size, rounds=rounds, calls=calls):
            _say(f"{group.title}: {group.timings[1].ratio:.2f} times one tier")
            groups.append(group)
    return groups


def measure_replays(
    data: Path, embedder: Embedder, capacities: Sequence[int], cache: Path | None = None
) -> list[Replayed]:
    prepared = PreparedEmbedder(embedder, file=None if cache is None else VectorFile(cache), threads=2)
    replayed = []
    for name in STREAMS:
        stream = read_stream(data / f"stream_{name}_dev.jsonl.gz")
        prepared.prepare([asked.text for asked in stream])
        for one in replays(name, stream, prepared, capacities):
            _say(f"{name}, {one.capacity} entries, {one.shape}: hit rate {one.hit_rate:.1%}")
            replayed.append(one)
    return replayed


def write(folder: Path, groups: Sequence[Group], replayed: Sequence[Replayed]) -> None:
    """`tiers.md` with this run's tables, and the picture; the prose is that of the repository's."""
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    blocks = blocks_of(describe(), groups, replayed)
    (folder / _DOCUMENT).write_text(with_blocks(document, blocks), encoding="utf-8")
    plot(replayed, folder / _PLOT)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiers", description="Measure, and write docs/tiers.md.")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="where the labelled streams are")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep vectors here from run to run")
    parser.add_argument("--quick", action="store_true", help="one capacity, few rounds")
    parser.add_argument("--output", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    return parser
