"""What so many answers take: in memory and in a file, and on a server."""

from __future__ import annotations

from dataclasses import dataclass

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.stores.capacity import ENTRY_OVERHEAD

__all__ = ["Room", "room_for"]

_DIMENSION = 384  # of the default embedder


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes.

    Args:
        memory: of the cache in a process or in a file, for `max_bytes`.
        redis: of a server with an index; None when the extra `redis` is not installed.
        redis_advised: for its `maxmemory`.
    """

    memory: int
    redis: int | None
    redis_advised: int | None


def room_for(entries: int, *, question_bytes: float, answer_bytes: float, dimension: int = _DIMENSION) -> Room:
    """What so many entries take.

    Args:
        entries: how many.
        question_bytes: mean.
        answer_bytes: mean.
        dimension: of a vector; 0 without an embedder.
    """
    memory = round(entries * (ENTRY_OVERHEAD + question_bytes + answer_bytes + 4 * dimension))
    try:
        from llmcache_plugins.stores.redis import size_estimate
    except MissingExtraError:
        return Room(memory, None, None)
    estimate = size_estimate(
        entries, answer_bytes=round(answer_bytes), question_bytes=round(question_bytes), dimension=dimension
    )
    return Room(memory, estimate.total_bytes, estimate.advised_bytes)
