"""Vectors computed up front, in batches, so that a replay does not wait for the model text by text."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np

from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray

__all__ = ["PreparedEmbedder", "Progress", "VectorFile"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Hears of every step forward: what is done (`"embedding"`, `"replaying"`), how much of it, and of how much."""
_BATCH = 64


def silent(stage: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


class PreparedEmbedder:
    """An embedder whose vectors were computed beforehand; a text it was not prepared for is embedded when asked.

    The vectors are those of the inner embedder: the protocol promises that a text has the same one in any batch.

    Args:
        embedder: the one that does the work.
        file: remembers vectors from run to run.
        threads: how many batches are embedded at once.
    """

    is_local = True  # what it looks up

    def __init__(self, embedder: Embedder, *, file: VectorFile | None = None, threads: int = 1) -> None:
        self._embedder = embedder
        self._file = file
        self._threads = threads
        self._vectors: dict[bytes, FloatArray] = {} if file is None else file.read(embedder.embedder_id)
        self._fits: dict[str, bool] = {}

    @property
    def embedder_id(self) -> str:
        return self._embedder.embedder_id

    def fits(self, text: str) -> bool:
        known = self._fits.get(text)
        if known is None:
            known = self._fits[text] = self._embedder.fits(text)
        return known

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """float32 of shape (len(texts), dim)."""
        if len(texts) == 0:
            return self._embedder.embed(texts)
        found = [self._vectors.get(_digest(text)) for text in texts]
        known = [vector for vector in found if vector is not None]
        return np.stack(known) if len(known) == len(texts) else self._embedder.embed(texts)

    def prepare(self, texts: Iterable[str], progress: Progress = silent) -> int:
        """Embed every text that fits and is not known yet; how many these were."""
        new = {_digest(text): text for text in dict.fromkeys(texts)}
        new = {digest: text for digest, text in new.items() if digest not in self._vectors and self.fits(text)}
        by_length = sorted(new.items(), key=lambda item: len(item[1]))  # a batch is padded to its longest text
        batches = [by_length[start : start + _BATCH] for start in range(0, len(by_length), _BATCH)]
        done = 0
        with ThreadPoolExecutor(self._threads) as pool:
            embedded = pool.map(lambda batch: self._embedder.embed([text for _, text in batch]), batches)
            for batch, vectors in zip(batches, embedded, strict=True):
                for (digest, _), vector in zip(batch, vectors, strict=True):
                    self._vectors[digest] = vector
                done += len(batch)
                progress("embedding", done, len(new))
        if new and self._file is not None:
            self._file.write(self.embedder_id, self._vectors)
        return len(new)


class VectorFile:
    """Vectors on disk, one file for each `embedder_id`; keeps digests of texts, never texts.

    Args:
        folder: made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, embedder_id: str) -> dict[bytes, FloatArray]:
        """What was written for this embedder; nothing when there is no file or it is damaged."""
        try:
            with np.load(self._path(embedder_id), allow_pickle=False) as stored:
                digests, vectors = stored["digests"], np.asarray(stored["vectors"], np.float32)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return {}
        return {digest.tobytes(): vector for digest, vector in zip(digests, vectors, strict=True)}

    def write(self, embedder_id: str, vectors: dict[bytes, FloatArray]) -> None:
        """Replace what was written for this embedder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(embedder_id)
        unfinished = path.with_suffix(f".{os.getpid()}.npz")
        digests = np.frombuffer(b"".join(vectors), np.uint8).reshape(len(vectors), -1)
        np.savez(unfinished, digests=digests, vectors=np.stack(list(vectors.values())))
        unfinished.replace(path)

    def _path(self, embedder_id: str) -> Path:
        return self._folder / f"{_digest(embedder_id).hex()[:16]}.npz"


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()
