"""Search in one scope as a ratio to one read pass over the same vectors: `python benchmarks/scan.py [--rows N ...]`.

The floor of an exact scan is reading the memory once (`numpy.sum` over the array). Queries are a stored vector with
noise (a cosine of about 0.9) and, for recall, of 0.8. The sign-bit prefilter is compared with the exact scan on both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from llmcache_plugins.stores.matrix import VectorIndex
from llmcache_plugins.types import FloatArray

DIMENSION = 384
CLUSTER = 20  # texts on one subject, at a cosine of about 0.8 to each other
NEVER = 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 4_000, 8_000, 10_000, 20_000, 100_000])
    parser.add_argument("--queries", type=int, default=60)
    arguments = parser.parse_args()
    print("| rows | read pass us | exact us (x) | prefilter us (x) | top-1 equal at 0.9 | at 0.8 | top-8 equal |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for rows in arguments.rows:
        print(measure(rows, arguments.queries), flush=True)


def measure(rows: int, queries: int) -> str:
    """One line of the table."""
    random = np.random.default_rng(0)
    vectors = clustered(random, rows)
    exact, filtered = VectorIndex(DIMENSION, prefilter_from=NEVER), VectorIndex(DIMENSION, prefilter_from=1)
    for number, vector in enumerate(vectors):
        for index in (exact, filtered):
            index.put("scope", str(number), vector, expires_at=None, order=number)
    near = [noisy(random, vectors[random.integers(rows)], 0.9) for _ in range(queries)]
    far = [noisy(random, vectors[random.integers(rows)], 0.8) for _ in range(queries)]

    def found(index: VectorIndex, query: FloatArray, limit: int) -> list[str]:
        return [match.key for match in index.search("scope", query, limit=limit, now=0.0)]

    def equal(asked: list[FloatArray], limit: int) -> str:
        same = sum(found(exact, query, limit) == found(filtered, query, limit) for query in asked)
        return f"{same}/{len(asked)}"

    read = median(lambda _: vectors.sum(), near)
    scan = median(lambda query: found(exact, query, 8), near)
    prefilter = median(lambda query: found(filtered, query, 8), near)
    times = f"{read:,.0f} | {scan:,.0f} ({scan / read:.2f}) | {prefilter:,.0f} ({prefilter / read:.2f})"
    return f"| {rows:,} | {times} | {equal(near, 1)} | {equal(far, 1)} | {equal(near, 8)} |"


def clustered(random: np.random.Generator, rows: int) -> FloatArray:
    centres = unit(random.standard_normal((-(-rows // CLUSTER), DIMENSION)))
    own = unit(random.standard_normal((rows, DIMENSION)))
    return unit(np.sqrt(0.8) * np.repeat(centres, CLUSTER, axis=0)[:rows] + np.sqrt(0.2) * own)


def noisy(random: np.random.Generator, vector: FloatArray, cosine: float) -> FloatArray:
    noise = unit(random.standard_normal((1, DIMENSION)))[0]
    turned: FloatArray = unit((cosine * vector + np.sqrt(1 - cosine**2) * noise)[None])[0]
    return turned


def unit(vectors: np.ndarray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def median(call: Callable[[FloatArray], object], queries: list[FloatArray]) -> float:
    """Microseconds."""
    times = []
    for query in queries:
        start = time.perf_counter()
        call(query)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


if __name__ == "__main__":
    main()
