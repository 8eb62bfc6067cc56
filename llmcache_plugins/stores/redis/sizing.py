"""What a cache will take on a server, from sizes that were measured.

The numbers are those of `sizes.json`, which `make sizes` (`python -m benchmarks.sizes`) writes anew; they change with
the form in which entries and vectors are stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from llmcache_plugins.errors import ConfigError

__all__ = ["FILE", "SizeEstimate", "size_estimate"]

FILE = "sizes.json"
_KINDS = ("hnsw", "flat", "sets", "local")


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """What was worked out.

    Args:
        entry_bytes: of one entry, everything that leads to it included.
        total_bytes: of all entries and of the server itself without any.
        advised_bytes: for `maxmemory`: half as much again, for copies of a save and for fragmentation.
    """

    entry_bytes: int
    total_bytes: int
    advised_bytes: int


def size_estimate(
    entries: int,
    *,
    answer_bytes: int = 800,
    question_bytes: int = 60,
    dimension: int = 384,
    index: str = "hnsw",
) -> SizeEstimate:
    """What so many entries take on a server, within a third or so.

    Args:
        entries: how many.
        answer_bytes: of an answer, as it is given to the cache; the mean counts.
        question_bytes: of a question.
        dimension: numbers of a vector; 0 where there is no embedder.
        index: `hnsw`, `flat`, `sets` or `local`, as of `RedisStore`.

    Raises:
        ConfigError: a number is negative, or there is no such index.
    """
    given = {
        "entries": entries,
        "answer_bytes": answer_bytes,
        "question_bytes": question_bytes,
        "dimension": dimension,
    }
    for name, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ConfigError(f"{name} must be an integer from 0 on, not {value!r}")
    if index not in _KINDS:
        raise ConfigError(f"index must be one of {', '.join(_KINDS)}, not {index!r}")
    measured = _measured()
    weights = measured["entry"][index]
    each = (
        weights["fixed"]
        + weights["answer_byte"] * answer_bytes
        + weights["question_byte"] * question_bytes
        + weights["dimension"] * dimension
    )
    total = measured["server"] + entries * each
    return SizeEstimate(round(each), round(total), round(1.5 * total))


@cache
def _measured() -> Any:
    return json.loads(files(__package__).joinpath(FILE).read_text("utf-8"))
