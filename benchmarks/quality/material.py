"""What is measured on: the report part of the labelled data, the streams whole, for the guards alone the English
rewordings of the other parts, and every text's vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.scored import PreparedVerifier
from benchmarks.quality.split import PARTS, data_files, data_hash, split, write_rows
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.deciding import verifier_of
from llmcache_plugins.evaluation import LabelledFile, LabelledPair, PreparedEmbedder, Progress, VectorFile, read_file
from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray, Request

__all__ = ["Material", "is_english", "load", "same_context", "similarities", "vectors_of"]

_SUFFIX = ".jsonl.gz"
_PAIRS = "pairs"


@dataclass(frozen=True, slots=True)
class Material:
    """Files by their name without `_dev.jsonl.gz`.

    Args:
        report: the report part of each file; nothing is fitted or chosen on it.
        whole: the streams as they are, in order and complete.
        rewordings: part -> its English pairs of label 1, of the fit and the choose part. Guards alone are measured on
            them, which have nothing to fit.
        verifier: the one that a cache with this embedder asks by default; None where it asks none.
    """

    embedder: PreparedEmbedder
    report: Mapping[str, LabelledFile]
    whole: Mapping[str, LabelledFile]
    rewordings: Mapping[str, Sequence[LabelledPair]]
    data_hash: str
    verifier: PreparedVerifier | None = None


def load(data: Path, cache: Path, embedder: Embedder, progress: Progress, *, threads: int) -> Material:
    """Split the data (once for each state of it), read what is measured on, and embed every text that is not known."""
    files = data_files(data)
    if not files:
        raise SystemExit(f"no *{_SUFFIX} in {data}")
    digest = data_hash(files)
    parts = _parts(files, cache / "parts" / digest[:16])
    report = {_name(path): read_file(path) for path in parts["report"]}
    rewordings = {
        part: [
            row
            for path in paths
            if _name(path) == _PAIRS
            for row in read_file(path).pairs
            if row.label == 1 and is_english(row)
        ]
        for part, paths in parts.items()
        if part != "report"
    }
    whole = {_name(path): read_file(path) for path in files if _name(path).startswith("stream_")}
    prepared = PreparedEmbedder(embedder, file=VectorFile(cache / "vectors"), threads=threads)
    requests = [request for file in [*report.values(), *whole.values()] for request in file.requests]
    requests += [request for rows in rewordings.values() for row in rows for request in (row.a, row.b)]
    prepared.prepare([request.text for request in requests], progress)
    shipped = verifier_of("grey", CacheConfig(), prepared)
    verifier = None if shipped is None else PreparedVerifier(shipped, cache / "scores", threads=threads)
    return Material(prepared, report, whole, rewordings, digest, verifier)


def _parts(files: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Part -> its files that hold rows; split and written when a part is not in the folder."""
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    found = split(files) if missing else {}
    for part in missing:
        unfinished = folder / "unfinished" / part
        for name, rows in found[part].items():
            write_rows(unfinished / f"{name}{_SUFFIX}", rows)
        unfinished.rename(folder / part)
    return {part: [path for path in data_files(folder / part) if path.stat().st_size > 100] for part in PARTS}


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
