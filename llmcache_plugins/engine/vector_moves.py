"""Which embedder the vectors of a namespace are moved to, as a note that every process reads.

Without it two caches with different embedders would take the vectors of one store from each other: each look-up gives
those that it misses the vector of its own. The note ends by itself, so that an embedder that is changed later without
`reembed` fills its vectors in as ever. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from llmcache_plugins.types import Namespace

__all__ = ["MOVES", "MOVE_HELD", "VectorMove", "embedder_in", "move_note", "moves_in"]

MOVES = "epoch-vectors:"
"""How the names of these notes begin: like those of epochs, so that one reading brings both."""
MOVE_HELD = 24 * 3600.0
"""Seconds after its last sign of life for which a move counts: time to bring all replicas to the new embedder."""


class VectorMove(NamedTuple):
    """To which embedder, and until when that counts (wall clock, seconds)."""

    embedder_id: str
    until: float


def move_note(namespace: Namespace, embedder_id: str, now: float) -> tuple[str, str]:
    """Name and value of the note that says so from now on."""
    return MOVES + json.dumps(list(namespace)), json.dumps({"to": embedder_id, "until": now + MOVE_HELD})


def moves_in(notes: Mapping[str, str]) -> dict[Namespace, VectorMove]:
    """The moves in the notes of a store; what cannot be read (a later version may say it otherwise) is none."""
    moves = {}
    for name, value in notes.items():
        if name.startswith(MOVES):
            try:
                said = json.loads(value)
                namespace = tuple(map(str, json.loads(name.removeprefix(MOVES))))
                moves[namespace] = VectorMove(str(said["to"]), float(said["until"]))
            except (ValueError, KeyError, TypeError):
                continue
    return moves


def embedder_in(moves: Mapping[Namespace, VectorMove], namespace: Namespace, now: float) -> str | None:
    """To which embedder the vectors of a full namespace are moved; None where to none. The move that was told last
    counts, whether it is of this namespace or of one above it.

    >>> moves = {(): VectorMove("a", 50.0), ("acme",): VectorMove("b", 40.0)}
    >>> embedder_in(moves, ("acme", "support"), 30.0), embedder_in(moves, ("acme",), 60.0)
    ('a', None)
    """
    above = (namespace[:length] for length in range(len(namespace) + 1))
    found = [moves[start] for start in above if start in moves and moves[start].until > now]
    return max(found, key=lambda move: move.until).embedder_id if found else None
