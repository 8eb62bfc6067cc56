"""Remembers vectors by text, so that a repeated question costs no model run: in memory, and in a file between runs."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from llmcache_plugins.embedders.vector_file import VectorCacheFile
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.protocols import AsyncEmbedder, Embedder
from llmcache_plugins.types import FloatArray

__all__ = ["AsyncCachingEmbedder", "CachingEmbedder", "caching"]

Value = TypeVar("Value")


def caching(embedder: Embedder, max_entries: int, file: VectorCacheFile | None = None) -> Embedder:
    """`embedder` with a cache of `max_entries` texts in front of it; the embedder itself when that is 0.

    Args:
        file: keeps vectors from run to run, behind those in memory.

    The result is an `AsyncEmbedder` if and only if `embedder` is one.
    """
    if max_entries == 0:
        return embedder
    if isinstance(embedder, AsyncEmbedder):
        return AsyncCachingEmbedder(embedder, max_entries=max_entries, file=file)
    return CachingEmbedder(embedder, max_entries=max_entries, file=file)


class CachingEmbedder:
    """An embedder that embeds a text once, however often it is asked and however often it stands in a batch.

    Least recently used texts go first. Keeps digests of texts, never texts. Safe to use from several threads; no lock
    is held while the inner embedder works, so two threads with the same new text may both embed it. Returned arrays
    are copies.

    Args:
        embedder: the one that does the work.
        max_entries: how many texts are remembered, at least 1; each costs 4 bytes for each number of its vector.
        file: keeps vectors from run to run; asked for what is not in memory.
    """

    def __init__(self, embedder: Embedder, *, max_entries: int, file: VectorCacheFile | None = None) -> None:
        if not isinstance(max_entries, int) or isinstance(max_entries, bool) or max_entries < 1:
            raise ConfigError(f"max_entries must be an integer of at least 1, not {max_entries!r}")
        self._embedder = embedder
        self._file = file
        self._dimension = 0  # until the first vector
        self._vectors: _LRU[FloatArray] = _LRU(max_entries)
        self._fits: _LRU[bool] = _LRU(max_entries)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._embedder!r})"

    @property
    def embedder_id(self) -> str:
        return self._embedder.embedder_id

    def fits(self, text: str) -> bool:
        digest = _digest(text)
        known = self._fits.get(digest)
        if known is None:
            known = self._embedder.fits(text)
            self._fits.put(digest, known)
        return known

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """float32 of shape (len(texts), dim); only the texts that are not remembered reach the inner embedder."""
        digests, known, new = self._look_up(texts)
        if not texts:
            return self._nothing()
        if new and self._file is not None:
            self._take(known, new, self._file.get(self.embedder_id, list(new)))
        if new:
            rows = self._remember(new, self._embedder.embed(list(new.values())))
            known.update(rows)
            if self._file is not None:
                self._file.put(self.embedder_id, _worth_keeping(rows))
        return np.stack([known[digest] for digest in digests])

    def close(self) -> None:
        """Release the file, if there is one. The embedder can be used on."""
        if self._file is not None:
            self._file.close()

    def _take(self, known: dict[bytes, FloatArray], new: dict[bytes, str], found: dict[bytes, FloatArray]) -> None:
        """Move what the file had from the new to the known. Vectors of another length than the embedder's are left:
        the file was written by one that differs and says it does not."""
        dimension = self._dimension or next((len(vector) for vector in known.values()), 0)
        for digest, vector in found.items():
            dimension = dimension or len(vector)
            if len(vector) == dimension:
                known[digest] = vector
                del new[digest]
                self._vectors.put(digest, vector)

    def _nothing(self) -> FloatArray:
        return np.empty((0, self._dimension), np.float32)

    def _look_up(self, texts: Sequence[str]) -> tuple[list[bytes], dict[bytes, FloatArray], dict[bytes, str]]:
        """The digests of `texts`, the vectors that are known, and the texts (once each) that are not."""
        digests = [_digest(text) for text in texts]
        known: dict[bytes, FloatArray] = {}
        new: dict[bytes, str] = {}
        for digest, text in zip(digests, texts, strict=True):
            if digest in known or digest in new:
                continue
            vector = self._vectors.get(digest)
            if vector is None:
                new[digest] = text
            else:
                known[digest] = vector
        return digests, known, new

    def _remember(self, new: dict[bytes, str], raw: Any) -> dict[bytes, FloatArray]:
        """The vectors of the new texts. One that is zero or not finite is handed on, for who asked to refuse it, but
        never kept: a model that recovers would be asked no more."""
        try:
            vectors = np.asarray(raw, np.float32)
        except (TypeError, ValueError) as error:
            raise EmbedderError(f"{self.embedder_id} did not give one row of numbers for each text") from error
        if vectors.ndim != 2 or len(vectors) != len(new):
            raise EmbedderError(f"{self.embedder_id} gave an array of shape {vectors.shape} for {len(new)} texts")
        self._dimension = vectors.shape[1]
        # A row of its own each: a view would keep the whole batch alive.
        rows = {digest: vector.copy() for digest, vector in zip(new, vectors, strict=True)}
        for digest, vector in _worth_keeping(rows).items():
            self._vectors.put(digest, vector)
        return rows


class AsyncCachingEmbedder(CachingEmbedder):
    """`CachingEmbedder` for an embedder with a coroutine of its own."""

    def __init__(self, embedder: AsyncEmbedder, *, max_entries: int, file: VectorCacheFile | None = None) -> None:
        super().__init__(embedder, max_entries=max_entries, file=file)
        self._async_embedder = embedder

    async def aembed(self, texts: Sequence[str]) -> FloatArray:
        """As `embed`, awaiting the inner embedder."""
        digests, known, new = self._look_up(texts)
        if not texts:
            return self._nothing()
        if new and self._file is not None:
            self._take(known, new, await self._file.aget(self.embedder_id, list(new)))
        if new:
            rows = self._remember(new, await self._async_embedder.aembed(list(new.values())))
            known.update(rows)
            if self._file is not None:
                await self._file.aput(self.embedder_id, _worth_keeping(rows))
        return np.stack([known[digest] for digest in digests])


class _LRU(Generic[Value]):
    """A dict of bounded size behind a lock; what was not read for longest goes first."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes) -> Value | None:
        with self._lock:
            value = self._values.get(digest)
            if value is not None:
                self._values.move_to_end(digest)
            return value

    def put(self, digest: bytes, value: Value) -> None:
        with self._lock:
            self._values[digest] = value
            self._values.move_to_end(digest)
            while len(self._values) > self._max_entries:
                self._values.popitem(last=False)


def _worth_keeping(rows: dict[bytes, FloatArray]) -> dict[bytes, FloatArray]:
    return {digest: vector for digest, vector in rows.items() if np.isfinite(vector).all() and vector.any()}


def _digest(text: str) -> bytes:
    # 160 bits, as for the keys: two texts with one digest would share a vector.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()
