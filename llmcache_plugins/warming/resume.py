"""Which questions of a run are done, in a form that can be kept: digests, no texts."""

from __future__ import annotations

import json
from collections.abc import Iterable

__all__ = ["digest_of", "read_done", "write_done"]

_VERSION = 1
_DIGITS = 16  # of the key: 64 bits, so that no question of a million is taken for another


def digest_of(key: str) -> str:
    """What is kept of the key of a request."""
    return key[:_DIGITS]


def write_done(done: Iterable[str]) -> str:
    """The digests as text."""
    return json.dumps({"version": _VERSION, "done": sorted(done)}, separators=(",", ":"))


def read_done(text: str | None) -> set[str]:
    """The digests that were kept; none when there is nothing, or nothing that can be read: then all is asked again,
    and what is fresh is skipped."""
    try:
        content = json.loads(text or "")
        if content["version"] != _VERSION:
            return set()
        return {digest for digest in content["done"] if isinstance(digest, str)}
    except (ValueError, TypeError, KeyError, RecursionError):
        return set()
