"""What an entry takes on a server, by the sizes of answer, question and vector: `python -m benchmarks.sizes`.

Stores some thousand entries of several sizes on a server of its own for each kind of index, reads `used_memory`, fits
bytes = fixed + a * answer + q * question + d * dimension, and writes `llmcache_plugins/stores/redis/sizes.json`, from
which `size_estimate` and `llmcache doctor --entries` take their numbers. About a minute.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import redis

import llmcache_plugins.stores.redis
from llmcache_plugins.stores.redis import RedisStore
from llmcache_plugins.stores.redis.sizing import FILE
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.types import Entry, Profile, Usage

__all__ = ["FLAVOURS", "fill", "main", "used_memory"]

FLAVOURS = {"hnsw": "search", "flat": "search", "sets": "vectorset", "local": "plain"}
_ENTRIES = 2000
_SIZES = (  # answer, question, dimension
    (200, 60, 384),
    (800, 60, 384),
    (3000, 60, 384),
    (800, 300, 384),
    (800, 60, 768),
    (800, 60, 128),
    (3000, 300, 1024),
)
_TEXT = """
the of and to in is that for it as with on be at by this which or from are can was not but an will if one
has more when their there what about also into only other new some time these may then first any such now
like than over use router interface password account backup server database network address session
policy update version error because before after usually change setting value service request answer
customer invoice report message device installed configuration administrator permission certificate
available recommended following individual different
"""
_WORDS = _TEXT.split()


def text_of(size: int, chance: Random) -> str:
    """So many letters of text in which words return as they do in answers."""
    words: list[str] = []
    length = 0
    while length < size:
        words.append(chance.choices(_WORDS, weights=range(len(_WORDS), 0, -1))[0])
        length += len(words[-1]) + 1
    return " ".join(words)[:size]


def fill(store: RedisStore, count: int, *, answer_bytes: int, question_bytes: int, dimension: int) -> None:
    """Store entries as an application does: profiled, tagged, in a few scopes."""
    chance, numbers = Random(count), np.random.default_rng(5)
    for number in range(count):
        vector = None
        if dimension:
            vector = numbers.standard_normal(dimension).astype(np.float32)
            vector /= np.linalg.norm(vector)
        store.put(
            Entry(
                scope=f"{number % 4:040x}",
                key=f"{number:040x}",
                normalised_key=f"{number + 2**80:040x}",
                namespace=("acme", "support"),
                text=text_of(question_bytes, chance),
                answer_json=json.dumps(text_of(answer_bytes, chance)),
                created_at=1_700_000_000.0 + number,
                expires_at=1_700_086_400.0 + number,
                embedder_id="sizes" if dimension else None,
                vector=vector,
                model="a-model-of-today",
                usage=Usage(100, 200),
                generation_seconds=2.5,
                node_id="cache-7d9f8b6c5-x2x4q:17:0a1b2c3d",
                profile=Profile("how_to", "stable", (f"device:rtr-{number % 500:03}",)),
                finish_reason="end_turn",
            ),
            tier="warm",
        )
    store.stats()  # writes what waits


def used_memory(server: RedisServer) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("memory")["used_memory"])


def measured(index: str, sizes: tuple[int, int, int]) -> tuple[float, float]:
    """Bytes of the server without entries, and of each entry."""
    answer_bytes, question_bytes, dimension = sizes
    with RedisServer(FLAVOURS[index]) as server:
        before = used_memory(server)
        with closing(RedisStore(server.url, index=index)) as store:  # type: ignore[arg-type]  # one of its kinds
            fill(store, _ENTRIES, answer_bytes=answer_bytes, question_bytes=question_bytes, dimension=dimension)
            after = used_memory(server)
    return before, (after - before) / _ENTRIES


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes", description="Measure what an entry takes.")
    folder = Path(llmcache_plugins.stores.redis.__file__).parent
    parser.add_argument("--out", type=Path, default=folder / FILE, metavar="FILE", help="where to write")
    out: Path = parser.parse_args(argv).out
    matrix = np.array([(1, *sizes) for sizes in _SIZES], dtype=float)
    entry: dict[str, dict[str, float]] = {}
    servers: list[float] = []
    for index in FLAVOURS:
        found = [measured(index, sizes) for sizes in _SIZES]
        servers += [before for before, _ in found]
        each = np.array([bytes_of for _, bytes_of in found])
        # Relative errors count: an answer of 200 bytes as much as one of 3,000.
        weights, *_ = np.linalg.lstsq(matrix / each[:, None], np.ones(len(each)), rcond=None)
        names = ("fixed", "answer_byte", "question_byte", "dimension")
        entry[index] = {name: round(float(weight), 3) for name, weight in zip(names, weights, strict=True)}
        worst = float(np.max(np.abs(matrix @ weights / each - 1)))
        print(f"{index:6} {entry[index]}  off by {worst:.0%} at most")
    out.write_text(json.dumps({"server": round(max(servers)), "entry": entry}, indent=1) + "\n", encoding="utf-8")
    print(f"written: {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
