"""The command line of the comparison: options, progress, files."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks.machine import describe, load
from benchmarks.peers.cases import EXACT, MISS, PEER, SEMANTIC, UPDATE, Texts, cases
from benchmarks.peers.contenders import MAKERS, MOST, contender, fill, spellings
from benchmarks.peers.report import blocks_of, plot
from benchmarks.peers.whole import Whole, whole
from benchmarks.progress import Say, progress
from benchmarks.redis.caches import Vectors
from benchmarks.redis.dataset import question
from benchmarks.redis.timing import Cell, measure
from benchmarks.report import with_blocks
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.evaluation import PreparedEmbedder, VectorFile

__all__ = ["main"]

_DOCS = Path(__file__).parents[2] / "docs"
_DOCUMENT, _PLOT, _JSON = "peers.md", "peers.png", "peers.json"
_PACKAGES = ("langchain-core", "langchain-community", "gptcache", "faiss-cpu", "mneme-cache", "waggle-cache")
_PLAN = ((EXACT, False), (MISS, False), (SEMANTIC, False), (SEMANTIC, True), (MISS, True), (UPDATE, False))
_ROUNDS, _CALLS = 5, {EXACT: 400, SEMANTIC: 20, MISS: 20, UPDATE: 20}
_MODEL_ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the report. 0 whatever comes out: a number is no failure."""
    options = _parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)  # what the others say while they work
    warnings.simplefilter("ignore")
    cells: list[Cell] = []
    parts: list[Whole] = []
    machine = describe() | {"packages compared": ", ".join(f"{name} {version(name)}" for name in _PACKAGES)}
    with progress() as say, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = options.cache or folder / "vectors"
        model = OnnxEmbedder(threads=1)
        vectors = Vectors(model, PreparedEmbedder(model, file=VectorFile(file), threads=2))
        for size in options.entries:
            stored = [one for number in range(size) for one in spellings(question(number))]
            vectors.prepare(stored, say)
            cells += _cells(size, folder / f"cells-{size}", vectors, rounds=options.rounds, say=say)
            names = [name for name in MAKERS if MOST.get(name, size) >= size]
            for done, name in enumerate(names):
                say(f"{size:,} entries, as a whole: {name}", done, len(names))
                parts.append(whole(name, size, folder / f"whole-{size}", file))
            machine["load average at the end"] = load()
            _write(options.out, machine, cells, parts)  # what there is, should a larger size be broken off
    return 0


def _cells(size: int, folder: Path, vectors: Vectors, *, rounds: int, say: Say) -> list[Cell]:
    """All timings of one size. Updates last, for they make the caches larger."""
    with ExitStack() as stack:
        caches = []
        for name in MAKERS:
            if MOST.get(name, size) < size:
                continue
            cache = contender(name, folder, vectors)
            stack.callback(cache.close)
            for done in fill(cache, size):
                if done % 100 == 0:
                    say(f"{size:,} entries, filling {name}", done, size)
            caches.append(cache)
        texts = Texts(size, lambda new: vectors.prepare(new, say), (2 * rounds + 2) * max(_CALLS.values()))
        gc.collect()
        gc.freeze()  # what is there by now would be looked through in every round
        cells = []
        for done, (section, runs_model) in enumerate(_PLAN):
            say(f"{size:,} entries, {section}{', with the model' * runs_model}", done, len(_PLAN))
            vectors.runs_model = runs_model
            cells.append(
                measure(
                    section,
                    cases(section, caches, texts),
                    entries=size,
                    clients=1,
                    runs_model=runs_model,
                    peer=PEER,
                    rounds=min(rounds, _MODEL_ROUNDS) if runs_model else rounds,
                    calls=_CALLS[section],
                )
            )
            vectors.runs_model = False
        gc.unfreeze()
        return cells


def _write(folder: Path, machine: dict[str, str], cells: Sequence[Cell], parts: Sequence[Whole]) -> None:
    """The tables, the picture and the figures; the prose is that of the repository's document."""
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine, "cells": [one.as_json() for one in cells], "whole": [one.as_json() for one in parts]}
    (folder / _JSON).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / _DOCUMENT).write_text(with_blocks(document, blocks_of(machine, cells, parts)), encoding="utf-8")
    plot(cells, folder / _PLOT)
    print(f"written: {folder / _DOCUMENT}, {folder / _JSON}, {folder / _PLOT}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Measure, and write docs/peers.md.")
    parser.add_argument("--entries", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N", help="sizes")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of each timing (5)")
    parser.add_argument("--cache", type=Path, metavar="FILE", help="keep the vectors of the questions there")
    parser.add_argument("--out", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    return parser
