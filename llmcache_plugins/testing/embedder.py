"""An embedder without a model: it is told which texts are close."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from llmcache_plugins.types import FloatArray

__all__ = ["FakeEmbedder"]


class FakeEmbedder:
    """Deterministic unit vectors: texts of one group are nearly the same, all others nearly orthogonal.

    Args:
        groups: text -> group name; `{"hi": "greeting", "hello": "greeting"}` makes these two near. A text without a
            group is one of its own.
        similarity: cosine between two different texts of a group, in (0, 1).
        dimension: at least 16; random directions of 64 numbers meet at a cosine of about 0.0 +- 0.13.
        max_chars: longer texts do not `fit`.
        before: called with the texts before each embedding, to sleep, to count or to fail.

    >>> embedder = FakeEmbedder({"hi": "greeting", "hello": "greeting"}, similarity=0.97)
    >>> a, b = embedder.embed(["hi", "hello"])
    >>> round(float(a @ b), 2)
    0.97
    """

    is_local = True

    def __init__(
        self,
        groups: Mapping[str, str] | None = None,
        *,
        similarity: float = 0.98,
        dimension: int = 64,
        max_chars: int = 1000,
        name: str = "fake",
        before: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self.groups = dict(groups or {})
        self.dimension = dimension
        self.max_chars = max_chars
        self.embedded: list[str] = []
        self.batches = 0
        self._similarity = similarity
        self._name = name
        self._before = before

    @property
    def embedder_id(self) -> str:
        return f"{self._name}/{self.dimension}/unit"

    def fits(self, text: str) -> bool:
        return len(text) <= self.max_chars

    def embed(self, texts: Sequence[str]) -> FloatArray:
        if self._before is not None:
            self._before(texts)
        self.batches += 1
        self.embedded.extend(texts)
        return np.stack([self._vector(text) for text in texts]).astype(np.float32)

    def _vector(self, text: str) -> FloatArray:
        centre = _direction(f"group:{self.groups.get(text, text)}", self.dimension)
        if text not in self.groups:
            return centre
        own = _direction(f"text:{text}", self.dimension)
        own -= (own @ centre) * centre
        own /= np.linalg.norm(own)
        # Two such vectors have the cosine `share`**2 plus the small, random product of their own parts.
        share = np.sqrt(self._similarity)
        vector: FloatArray = share * centre + np.sqrt(1 - self._similarity) * own
        return vector / np.float32(np.linalg.norm(vector))


def _direction(seed: str, dimension: int) -> FloatArray:
    digest = hashlib.blake2b(seed.encode(), digest_size=8).digest()
    vector = np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(dimension).astype(np.float32)
    vector /= np.float32(np.linalg.norm(vector))
    return vector
