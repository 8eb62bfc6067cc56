"""The command line of the Redis benchmark: options, progress, files."""

from __future__ import annotations

import argparse
import gc
import itertools
import json
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import redis

from benchmarks.machine import describe, load
from benchmarks.progress import Say, progress
from benchmarks.redis.caches import BUILDS, Caches, Vectors, server
from benchmarks.redis.cases import EXACT, PEERS, SEMANTIC, UPDATE, Texts, exact, semantic, update
from benchmarks.redis.counting import Counted, Held, counted, fill
from benchmarks.redis.dataset import question, rewordings
from benchmarks.redis.kinds import Kind, kinds
from benchmarks.redis.report import blocks_of, plot
from benchmarks.redis.timing import Cell, measure
from benchmarks.report import with_blocks
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.evaluation import PreparedEmbedder, VectorFile

__all__ = ["main"]

_DOCS = Path(__file__).parents[2] / "docs"
_DOCUMENT, _PLOT, _JSON = "redis-benchmark.md", "redis-benchmark.png", "redis-benchmark.json"
_PACKAGES = ("redis", "redisvl", "langchain-redis")
_ROUNDS = 5
_SEARCHES = 200
_CALLS = {EXACT: 640, SEMANTIC: 128, UPDATE: 128}  # of a case in a round, by all clients together
_MODEL_ROUNDS, _MODEL_CALLS = 3, 64
_SLOW = 20_000  # entries above which the others' scan takes so long that fewer calls have to do


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the report. 0 whatever comes out: a number is no failure."""
    options = _parser().parse_args(arguments)
    with progress() as say, server() as running:
        machine = _machine(running.url)
        model = OnnxEmbedder(threads=1)
        prepared = PreparedEmbedder(model, file=options.cache and VectorFile(options.cache), threads=2)
        vectors = Vectors(model, prepared)
        held: list[Held] = []
        cells: list[Cell] = []
        counts: list[Counted] = []
        compared: list[Kind] = []
        for size in options.entries:
            with ExitStack() as stack:
                caches = Caches(running.url, size, vectors, stack)
                vectors.prepare((question(number) for number in range(size)), say)
                compared += _kinds(caches, say)
                for name in BUILDS:
                    held.append(fill(caches, name, lambda done, name=name, size=size: say(f"fill {name}", done, size)))
                caches.settle()
                texts = Texts(size, lambda new: vectors.prepare(new, say))
                if not counts:
                    counts = counted(caches, texts)
                gc.collect()
                gc.freeze()  # what is there by now would be looked through in every round
                cells += _cells(caches, texts, options.clients, options.quick, say)
            machine["load average at the end"] = load()
            _write(
                options.out, machine, held, counts, compared, cells
            )  # what there is, should a larger size be broken off
    return 0


def _kinds(caches: Caches, say: Say) -> list[Kind]:
    """On a server that has nothing else yet but smaller caches."""
    stored = caches.vectors.embed([question(number) for number in range(caches.size)])
    texts = [text for _, text in itertools.islice(rewordings(caches.size, seed=12), _SEARCHES)]
    caches.vectors.prepare(texts, say)
    return list(kinds(caches.client, stored, caches.vectors.embed(texts), lambda what: say(what, 0, 1)))


def _cells(caches: Caches, texts: Texts, clients: Sequence[int], is_quick: bool, say: Say) -> list[Cell]:
    """All timings of one size. Updates last, for they make the caches larger."""
    cells: list[Cell] = []
    plan = [
        *((EXACT, False, number) for number in clients),
        *((SEMANTIC, False, number) for number in clients),
        *((SEMANTIC, True, number) for number in clients),
        *((UPDATE, False, number) for number in clients),
        *((UPDATE, True, number) for number in clients),
    ]
    for done, (section, runs_model, number) in enumerate(plan):
        say(f"{caches.size} entries, {section}, {number} clients{', with the model' * runs_model}", done, len(plan))
        cases = exact(caches) if section == EXACT else (semantic if section == SEMANTIC else update)(caches, texts)
        rounds, calls = (_MODEL_ROUNDS, _MODEL_CALLS) if runs_model else (_ROUNDS, _CALLS[section])
        if is_quick:
            rounds, calls = 2, calls // 4
        if caches.size > _SLOW and section == SEMANTIC:
            rounds, calls = 3, 64
        if not runs_model:
            texts.expect(section, (rounds * calls + 10 * number) * (3 if section == SEMANTIC else 1))
        caches.vectors.runs_model = runs_model
        try:
            cell = measure(
                section,
                cases,
                entries=caches.size,
                clients=number,
                runs_model=runs_model,
                peer=PEERS[section],
                rounds=rounds,
                calls=max(calls, number * 2),
            )
        finally:
            caches.vectors.runs_model = False
        cells.append(cell)
    return cells


def _write(
    folder: Path,
    machine: dict[str, str],
    held: Sequence[Held],
    counts: Sequence[Counted],
    compared: Sequence[Kind],
    cells: Sequence[Cell],
) -> None:
    """The tables, the picture and the figures; the prose is that of the repository's document."""
    results = {
        "machine": machine,
        "held": [one.as_json() for one in held],
        "commands": [one.as_json() for one in counts],
        "kinds": [one.as_json() for one in compared],
        "cells": [one.as_json() for one in cells],
    }
    document = (_DOCS / _DOCUMENT).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _JSON).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / _DOCUMENT).write_text(
        with_blocks(document, blocks_of(machine, held, counts, compared, cells)), encoding="utf-8"
    )
    plot(cells, folder / _PLOT)
    print(f"written: {folder / _DOCUMENT}, {folder / _JSON}, {folder / _PLOT}")


def _machine(url: str) -> dict[str, str]:
    with redis.Redis.from_url(url) as client:
        modules = ", ".join(f"{_text(one['name'])} {one['ver']}" for one in _modules(client))
        running = f"Redis {client.info('server')['redis_version']} ({modules}), one on the same machine"
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    described = describe()
    return {**described, "server": running, "clients of the server": packages}


def _modules(client: redis.Redis) -> list[dict[str, Any]]:
    return [{_text(name): value for name, value in one.items()} for one in client.module_list()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.redis", description="Measure, and write docs/redis-benchmark.md."
    )
    parser.add_argument(
        "--entries",
        type=int,
        nargs="+",
        default=[1_000, 10_000],
        metavar="N",
        help="sizes (1000 10000); 100000 is most",
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="threads (1 8 32)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep vectors here from run to run")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and more noise")
    parser.add_argument("--out", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    return parser
