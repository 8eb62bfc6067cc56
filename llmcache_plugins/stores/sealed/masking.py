"""Vectors turned by a secret rotation, another one in each scope: a server still finds the nearest, and cannot compare
them with the vector of a question that somebody guesses.

A rotation keeps every similarity inside its scope, so it also shows them: which questions are alike, and how many. Who
knows as many questions of one scope as a vector has numbers can compute the rotation of that scope. It is less than
encryption, and docs/security-at-rest.md says so.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from llmcache_plugins.stores.sealed.keys import Keys
from llmcache_plugins.stores.sealed.sealing import associated
from llmcache_plugins.types import FloatArray

__all__ = ["Mask"]

_ROUNDS = 3
_BLOCK = 128  # one rotation of a whole vector would cost seconds for the largest embedders
_REMEMBERED = 256  # scopes


class Mask:
    """Rotations made from a key: the same in every process that has it.

    Each round exchanges the numbers of a vector, turns some signs, and rotates blocks of it. Which numbers and signs is
    the scope's own; the rotation of a block is that of the key.
    """

    def __init__(self, keys: Keys) -> None:
        self._seed = keys.vectors
        self._block = lru_cache(8)(self._made_block)
        self._order = lru_cache(_REMEMBERED)(self._made_order)

    def __call__(self, scope: str, embedder_id: str, vector: FloatArray) -> FloatArray:
        """
        Args:
            vector: float32, shape (dim,).

        Returns:
            The same, rotated; read-only.
        """
        size = len(vector)
        block = min(size, _BLOCK)
        whole = size // block * block if block else 0
        turned = np.asarray(vector, np.float32)
        for number, (order, signs) in enumerate(self._order(scope, embedder_id, size)):
            turned = turned[order] * signs
            if whole:
                turned[:whole] = (turned[:whole].reshape(-1, block) @ self._block(block, number)).ravel()
        turned.setflags(write=False)
        return turned

    def undone(self, scope: str, embedder_id: str, turned: FloatArray) -> FloatArray:
        """The vector that was rotated: the rounds backwards, each rotation by its transpose."""
        size = len(turned)
        block = min(size, _BLOCK)
        whole = size // block * block if block else 0
        vector = np.array(turned, np.float32)
        for number, (order, signs) in reversed(list(enumerate(self._order(scope, embedder_id, size)))):
            if whole:
                vector[:whole] = (vector[:whole].reshape(-1, block) @ self._block(block, number).T).ravel()
            before = np.empty_like(vector)
            before[order] = vector * signs
            vector = before
        vector.setflags(write=False)
        return vector

    def _made_order(self, scope: str, embedder_id: str, size: int) -> list[tuple[np.ndarray, FloatArray]]:
        """For each round, which number goes where, and with which sign."""
        drawn = self._draw(_ROUNDS * 2 * size, "order", scope, embedder_id, str(size)).reshape(_ROUNDS, 2, size)
        return [
            (np.argsort(places, kind="stable"), np.where(signs & 1, np.float32(1), np.float32(-1)).astype(np.float32))
            for places, signs in drawn
        ]

    def _made_block(self, size: int, number: int) -> FloatArray:
        """A rotation (or reflection) drawn evenly from all there are: QR of normal numbers, with the signs that make
        it unique (Mezzadri 2007, arXiv:math-ph/0609050)."""
        drawn = self._draw(2 * size * size, "block", str(size), str(number)) >> np.uint64(11)
        even = (drawn.astype(np.float64) + 0.5) * 2.0**-53
        lengths, angles = even.reshape(2, size, size)
        normal = np.sqrt(-2.0 * np.log(lengths)) * np.cos(2.0 * np.pi * angles)
        rotation, triangle = np.linalg.qr(normal)
        block: FloatArray = (rotation * np.sign(np.diagonal(triangle))).astype(np.float32)
        return block

    def _draw(self, count: int, *purpose: str) -> np.ndarray:
        """So many uint64. Not numpy's generator, whose stream may change from one version to the next."""
        stream = hashlib.shake_256(self._seed + associated(*purpose)).digest(8 * count)
        return np.frombuffer(stream, "<u8").astype(np.uint64)
