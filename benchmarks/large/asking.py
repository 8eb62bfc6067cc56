"""What a process measures that opens a large file: `... benchmarks.large.asking FILE QUESTIONS ENTRIES SCOPE ...`."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.large.files import NEIGHBOURS, Questions, scope_named, stored_text
from benchmarks.machine import resident
from benchmarks.workload import PreparedEmbedder, word
from llmcache_plugins import Hit, open_cache
from llmcache_plugins.keys.fingerprint import key_of
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.types import Request

__all__ = ["Measured", "as_file"]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one file.

    Args:
        opened: seconds until the file is open.
        exact: seconds from the start until the first exact hit.
        first: seconds from the start until the first search, which reads all vectors.
        held: bytes that the process has grown by then, by entry.
        search: seconds of one search, by scope.
        hit: seconds of a whole look-up that hits by meaning in the first scope, vector given.
        found: share of questions whose own entry comes first.
        recall: share of the nearest entries that are found.
    """

    opened: float
    exact: float
    first: float
    held: float
    search: dict[str, float]
    hit: float
    found: float
    recall: float


def as_file(questions: Questions, path: Path) -> None:
    """Keep the questions for the process that asks them."""
    np.savez(path, vectors=questions.vectors, targets=questions.targets, nearest=questions.nearest)


def _measure(path: Path, questions: Questions, entries: int, scopes: Sequence[str]) -> Measured:
    gc.collect()
    before, began = resident(), perf_counter()
    with closing(DiskStore(path, max_entries=10**9, max_bytes=2**42)) as store:
        opened = perf_counter() - began
        scope = scope_named("")
        store.get(scope, key_of(scope, stored_text(questions.targets[0])))
        exact = perf_counter() - began
        search = _searcher(store)
        search(scope, 0, questions)
        first = perf_counter() - began
        held = (resident() - before) / entries
        found = [search(scope, place, questions)[1] for place in range(len(questions.targets))]
        right = sum(names[0] == stored_text(own) for names, own in zip(found, questions.targets, strict=True))
        overlap = sum(
            len({*names} & {stored_text(number) for number in near})
            for names, near in zip(found, questions.nearest, strict=True)
        )
        took = {
            name: median(search(scope_named(name), place, questions)[0] for place in range(len(questions.targets)))
            for name in scopes
        }
    return Measured(
        opened,
        exact,
        first,
        held,
        took,
        _hits(path, questions),
        right / len(found),
        overlap / sum(map(len, questions.nearest)),
    )


def _searcher(store: DiskStore) -> Callable[[str, int, Questions], tuple[float, list[str]]]:
    def search(scope: str, place: int, questions: Questions) -> tuple[float, list[str]]:
        """Seconds, and the texts that were found, nearest first."""
        began = perf_counter()
        found = store.search(scope, PreparedEmbedder.embedder_id, questions.vectors[place], limit=NEIGHBOURS, now=1.0)
        return perf_counter() - began, [candidate.entry.text for candidate in found]

    return search


def _hits(path: Path, questions: Questions) -> float:
    """Seconds of whole look-ups."""
    embedder, took = PreparedEmbedder(), []
    with open_cache(
        f"disk://{path}",
        embedder=embedder,
        similarity_threshold=0.8,
        max_entries=10**9,
        max_bytes=2**42,
        sweep_interval=None,
        maintenance="manual",
    ) as cache:
        cache.lookup(Request("Is anything there?"))
        for place, (vector, target) in enumerate(zip(questions.vectors, questions.targets, strict=True)):
            named = stored_text(target).split()[5]
            text = f"What is the way to configure the {named} feature of this router, {word(place)}?"
            embedder.prepare(text, vector)
            began = perf_counter()
            outcome = cache.lookup(text)
            took.append(perf_counter() - began)
            if not isinstance(outcome, Hit) or outcome.kind != "semantic":
                raise RuntimeError("a question was not answered by meaning")
    return median(took)


def main(arguments: list[str]) -> None:
    """Print what was measured as JSON."""
    path, file = Path(arguments[0]), np.load(arguments[1])
    questions = Questions(file["vectors"], file["targets"].tolist(), file["nearest"].tolist())
    found: dict[str, Any] = asdict(_measure(path, questions, int(arguments[2]), arguments[3:]))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
