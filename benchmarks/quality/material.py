"""What is measured on: the report part of the labelled data, the streams whole, and every text's vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.split import data_files, data_hash, split, write_rows
from llmcache_plugins.evaluation import LabelledFile, LabelledPair, PreparedEmbedder, Progress, VectorFile, read_file
from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray, Request

__all__ = ["Material", "is_english", "load", "same_context", "similarities", "vectors_of"]

_SUFFIX = ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Material:
    """Files by their name without `_dev.jsonl.gz`.

    Args:
        report: the report part of each file; nothing is fitted or chosen on it.
        whole: the streams as they are, in order and complete.
    """

    embedder: PreparedEmbedder
    report: Mapping[str, LabelledFile]
    whole: Mapping[str, LabelledFile]
    data_hash: str


def load(data: Path, cache: Path, embedder: Embedder, progress: Progress, *, threads: int) -> Material:
    """Split the data (once for each state of it), read the report part, and embed every text that is not known yet."""
    files = data_files(data)
    if not files:
        raise SystemExit(f"no *{_SUFFIX} in {data}")
    digest = data_hash(files)
    part = cache / "parts" / digest[:16] / "report"
    if not part.is_dir():
        unfinished = part.with_name("unfinished")
        for name, rows in split(files)["report"].items():
            write_rows(unfinished / f"{name}{_SUFFIX}", rows)
        unfinished.rename(part)
    report = {_name(path): read_file(path) for path in data_files(part) if path.stat().st_size > 100}
    whole = {_name(path): read_file(path) for path in files if _name(path).startswith("stream_")}
    prepared = PreparedEmbedder(embedder, file=VectorFile(cache / "vectors"), threads=threads)
    requests = [request for file in [*report.values(), *whole.values()] for request in file.requests]
    prepared.prepare([request.text for request in requests], progress)
    return Material(prepared, report, whole, digest)


def _name(path: Path) -> str:
    return path.name.removesuffix(_SUFFIX).removesuffix("_dev")


def vectors_of(embedder: PreparedEmbedder, requests: Sequence[Request]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Vectors of the requests' texts (zeros where a text does not fit the embedder), and a mask of those that fit."""
    fits = np.array([embedder.fits(request.text) for request in requests], bool)
    rows = np.flatnonzero(fits).tolist()
    if not rows:
        return np.zeros((len(requests), 1), np.float32), fits
    found = embedder.embed([requests[row].text for row in rows])
    vectors = np.zeros((len(requests), found.shape[1]), np.float32)
    vectors[rows] = found
    return vectors, fits


def similarities(embedder: PreparedEmbedder, pairs: Sequence[LabelledPair]) -> FloatArray:
    """Cosine of each pair's texts; -1 where one of them does not fit the embedder."""
    left, left_fits = vectors_of(embedder, [pair.a for pair in pairs])
    right, right_fits = vectors_of(embedder, [pair.b for pair in pairs])
    cosine = np.einsum("ij,ij->i", left, right).astype(np.float32)
    return np.where(left_fits & right_fits, cosine, np.float32(-1.0))


def same_context(pair: LabelledPair) -> bool:
    """System prompt and history of the two requests are equal, and so is the frame around the question."""
    return identify(pair.a).scope == identify(pair.b).scope


def is_english(pair: LabelledPair) -> bool:
    return pair.lang == "en"
