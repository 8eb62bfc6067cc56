"""What the kinds of index cost the server, and what they lose: insertion, search, recall, bytes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
import redis

from llmcache_plugins.stores.codec import VectorType, encode_vector
from llmcache_plugins.stores.redis.search_index import HNSW, IndexKind
from llmcache_plugins.types import FloatArray

__all__ = ["Kind", "kinds"]

_NEAREST = 9  # what a lookup asks for: eight candidates, and one to see whether the last is one of several equals
_AT_ONCE = 500
_NAME, _PREFIX, _TAG = "kinds", "kinds:", "all"


@dataclass(frozen=True, slots=True)
class Kind:
    """Seconds of the server's own time for one vector stored and one search; `recall` is the share of the true nearest
    ones that a search finds; `held` bytes of an entry, its hash and its place in the index together."""

    index: IndexKind
    vectors: VectorType
    entries: int
    insertion: float
    search: float
    recall: float
    held: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def kinds(client: redis.Redis, stored: FloatArray, asked: FloatArray, heard: Callable[[str], None]) -> Iterator[Kind]:
    """
    Args:
        client: speaks RESP2; keys that begin with `kinds:` are its own.
        stored: float32, shape (entries, dim), rows of unit length.
        asked: shape (searches, dim).
    """
    truth = [set(np.argpartition(-(stored @ one), _NEAREST)[:_NEAREST].tolist()) for one in asked]
    for index, vectors in itertools.product(get_args(IndexKind), get_args(VectorType)):
        heard(f"index {index}, {vectors}, {len(stored):,} entries")
        yield _measured(client, index, vectors, stored, asked, truth)


def _measured(
    client: redis.Redis,
    index: IndexKind,
    vectors: VectorType,
    stored: FloatArray,
    asked: FloatArray,
    truth: Sequence[set[int]],
) -> Kind:
    options = ("TYPE", vectors.upper(), "DIM", stored.shape[1], "DISTANCE_METRIC", "COSINE")
    options += HNSW if index == "hnsw" else ()
    before = client.info("memory")["used_memory"]
    schema = ("SCHEMA", "within", "TAG", "v", "VECTOR", index.upper(), len(options), *options)
    client.execute_command("FT.CREATE", _NAME, "ON", "HASH", "PREFIX", 1, _PREFIX, *schema)
    try:
        client.config_resetstat()
        for start in range(0, len(stored), _AT_ONCE):
            pipeline = client.pipeline(transaction=False)
            for number in range(start, min(start + _AT_ONCE, len(stored))):
                pipeline.hset(
                    f"{_PREFIX}{number}", mapping={"within": _TAG, "v": encode_vector(stored[number], vectors)}
                )
            pipeline.execute()
        insertion = client.info("commandstats")["cmdstat_hset"]["usec_per_call"]
        held = client.info("memory")["used_memory"] - before
        client.config_resetstat()
        found = sum(len(truth[place] & _search(client, one, vectors)) for place, one in enumerate(asked))
        search = client.info("commandstats")["cmdstat_FT.SEARCH"]["usec_per_call"]
    finally:
        client.execute_command("FT.DROPINDEX", _NAME, "DD")
    return Kind(
        index,
        vectors,
        len(stored),
        insertion * 1e-6,
        search * 1e-6,
        found / (len(asked) * _NEAREST),
        held / len(stored),
    )


def _search(client: redis.Redis, vector: FloatArray, vectors: VectorType) -> set[int]:
    query = f"(@within:{{{_TAG}}})=>[KNN {_NEAREST} @v $vector HYBRID_POLICY BATCHES AS distance]"
    reply = client.execute_command(
        *("FT.SEARCH", _NAME, query, "PARAMS", 2, "vector", encode_vector(vector, vectors), "SORTBY", "distance"),
        *("RETURN", 1, "distance", "LIMIT", 0, _NEAREST, "DIALECT", 2),
    )
    return {int(name.decode().removeprefix(_PREFIX)) for name in reply[1::2]}
