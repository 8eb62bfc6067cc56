"""Checks what a foreign model returned and brings it to unit length. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.types import FloatArray

__all__ = ["unit_rows"]


def unit_rows(raw: Any, *, count: int, dimension: int | None, source: str) -> FloatArray:
    """`raw` (a sequence of sequences of numbers) as float32 of shape (count, dim), rows of unit length.

    Args:
        raw: what the model returned.
        count: how many texts it was given, at least 1.
        dimension: what earlier calls returned; None when this is the first.
        source: names the model in messages.

    Raises:
        EmbedderError: not numbers, another number of rows, another dimension, or a row that is zero or not finite.
    """
    try:
        rows = np.asarray(raw, dtype=np.float64)  # so that squares of small numbers do not vanish
    except (TypeError, ValueError) as error:
        raise EmbedderError(f"{source} did not return one row of numbers for each text") from error
    if rows.ndim != 2 or len(rows) != count or rows.shape[1] == 0:
        raise EmbedderError(f"{source} returned an array of shape {rows.shape} for {count} texts")
    if dimension is not None and rows.shape[1] != dimension:
        raise EmbedderError(f"{source} returned vectors of {rows.shape[1]} numbers; earlier ones had {dimension}")
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not (norms > 0).all():
        raise EmbedderError(f"{source} returned a vector that is zero or not finite")
    unit: FloatArray = (rows / norms).astype(np.float32)
    return unit
