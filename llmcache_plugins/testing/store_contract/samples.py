"""What the contract stores, and how it asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from llmcache_plugins.protocols import Store
from llmcache_plugins.types import Alias, Candidate, Damaged, Entry, FloatArray, Stored

__all__ = [
    "DIMENSION",
    "EMBEDDER",
    "keys_of",
    "make_alias",
    "make_entry",
    "make_vector",
    "search_in",
    "stored_of",
    "texts_in",
]

EMBEDDER = "fake/8/unit"
DIMENSION = 8


def make_vector(angle: float = 0.0, axis: int = 1, dimension: int = DIMENSION) -> FloatArray:
    """A unit vector `angle` radians from the first axis, towards `axis`: two of one axis meet at cos(difference)."""
    vector = np.zeros(dimension, np.float32)
    vector[0], vector[axis] = np.cos(angle), np.sin(angle)
    return vector


def make_entry(text: str = "hello", *, scope: str = "scope", **fields: Any) -> Entry:
    """An entry with everything filled in; `vector` without `embedder_id` belongs to the contract's own embedder."""
    if fields.get("vector") is not None:
        fields.setdefault("embedder_id", EMBEDDER)
    defaults: dict[str, Any] = {
        "key": f"key of {text}",
        "normalised_key": f"normalised {text.casefold()}",
        "namespace": ("acme",),
        "answer_json": '{"text": "answer"}',
        "created_at": 1_700_000_000.0,
        "expires_at": None,
    }
    return Entry(scope=scope, text=text, **{**defaults, **fields})


def make_alias(text: str, target: Entry, **fields: Any) -> Alias:
    """An alias of `target` in its scope."""
    defaults: dict[str, Any] = {
        "key": f"key of {text}",
        "similarity": 0.97,
        "confidence": 0.9,
        "policy_id": "policy",
        "created_at": 1_700_000_001.0,
    }
    return Alias(scope=target.scope, target_key=target.key, text=text, **{**defaults, **fields})


def stored_of(found: Stored | Damaged | None) -> Stored:
    assert isinstance(found, Stored), found
    return found


def keys_of(found: Sequence[Stored]) -> list[str]:
    return [stored.entry.key for stored in found]


def texts_in(store: Store, texts: Sequence[str]) -> list[str]:
    """Which of these texts the store has, as entries or aliases."""
    return [text for text in texts if store.get("scope", f"key of {text}") is not None]


def search_in(
    store: Store, *, vector: FloatArray | None = None, limit: int = 5, now: float = 1_700_000_000.0
) -> list[Candidate]:
    query = make_vector(0.0) if vector is None else vector
    return store.search("scope", EMBEDDER, query, limit=limit, now=now)
