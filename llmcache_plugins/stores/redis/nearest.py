"""What a server says is nearest, as candidates: equal ones in the order of storing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from llmcache_plugins.stores.redis.commands import Flow
from llmcache_plugins.stores.redis.core import FIELDS, Core, Row, as_int
from llmcache_plugins.types import Candidate

__all__ = ["Neighbour", "best_of", "neighbours_of"]

_EQUAL = 1e-6
_MOST = 1024
_ORDER = FIELDS.index("order")


class Neighbour(NamedTuple):
    """A candidate, and the order of its storing."""

    similarity: float
    order: int
    candidate: Candidate


def best_of(nearest: Callable[[int], Flow[tuple[list[Neighbour], int]]], limit: int) -> Flow[list[Candidate]]:
    """The best `limit`. Of equals a server gives any: when the last might have been left out for another, more are
    asked for; and when some of them were expired.

    Args:
        nearest: gives the usable ones of that many of the nearest, and how many the server gave.
    """
    wanted = limit + 1
    while True:
        found, given = yield from nearest(wanted)
        found.sort(key=lambda one: (-one.similarity, one.order))
        is_short = len(found) <= limit or found[-1].similarity > found[limit - 1].similarity - _EQUAL
        if given < wanted or not is_short or wanted >= _MOST:
            return [one.candidate for one in found[:limit]]
        wanted = min(wanted * 4, _MOST)


def neighbours_of(
    core: Core, rows: Iterable[tuple[bytes, Row, float]], scope: str, embedder_id: str, now: float
) -> list[Neighbour]:
    """Those of the address, row and similarity that are of this scope and embedder, live, and can be read."""
    found = []
    for address, row, similarity in rows:
        parsed = core.layout.parsed(address)
        if parsed is None or parsed.scope != scope:
            continue
        candidate = core.candidate(row, parsed, min(max(similarity, -1.0), 1.0))
        if candidate is None or candidate.entry.embedder_id != embedder_id or candidate.entry.is_expired(now):
            continue
        found.append(Neighbour(candidate.similarity, as_int(row[_ORDER]), candidate))
    return found
