"""Scores of a verifier that are computed once: a pair keeps its score from run to run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from llmcache_plugins.evaluation import Progress
from llmcache_plugins.protocols import Verifier
from llmcache_plugins.types import FloatArray

__all__ = ["PreparedVerifier"]

_BATCH = 32


class PreparedVerifier:
    """A verifier that remembers its scores; a pair it was not prepared for is read when asked.

    Args:
        verifier: the one that does the work.
        folder: where scores are kept, in a file for each `verifier_id`.
        threads: how many batches are read at once.
    """

    is_local = True

    def __init__(self, verifier: Verifier, folder: Path, *, threads: int = 1) -> None:
        self._verifier = verifier
        name = hashlib.blake2b(verifier.verifier_id.encode(), digest_size=8).hexdigest()
        self._path = folder / f"{name}.npz"
        self._threads = threads
        self._scores: dict[bytes, float] = {}
        if self._path.exists():
            with np.load(self._path) as kept:
                keys, scores = kept["keys"], kept["scores"]
            self._scores = {key.tobytes(): float(score) for key, score in zip(keys, scores, strict=True)}

    @property
    def verifier_id(self) -> str:
        return self._verifier.verifier_id

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """float32 of shape (len(pairs),), NaN where the verifier cannot say."""
        found = [self._scores.get(_key(pair)) for pair in pairs]
        if any(score is None for score in found):
            return self._verifier.verify(pairs)
        return np.array(found, np.float32)

    def prepare(self, pairs: Iterable[tuple[str, str]], progress: Progress) -> None:
        """Read every pair that is not known yet, and keep its score."""
        new = {key: pair for pair in dict.fromkeys(pairs) if (key := _key(pair)) not in self._scores}
        items = sorted(new.items(), key=lambda item: len(item[1][0]) + len(item[1][1]))
        batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
        done = 0
        with ThreadPoolExecutor(self._threads) as pool:
            read = pool.map(lambda batch: self._verifier.verify([pair for _, pair in batch]), batches)
            for batch, scores in zip(batches, read, strict=True):
                self._scores.update((key, float(score)) for (key, _), score in zip(batch, scores, strict=True))
                done += len(batch)
                progress("verifying", done, len(items))
        if items:
            self._write()

    def score(self, asked: str, stored: str) -> float | None:
        """Of a pair that was prepared, or is read now; None where the verifier cannot say."""
        score = float(self.verify([(asked, stored)])[0])
        return None if math.isnan(score) else score

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        keys = np.frombuffer(b"".join(self._scores), np.uint8).reshape(len(self._scores), -1)
        part = self._path.with_suffix(".part.npz")
        np.savez(part, keys=keys, scores=np.fromiter(self._scores.values(), np.float32, len(self._scores)))
        part.replace(self._path)


def _key(pair: tuple[str, str]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for text in pair:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.digest()
