"""Drive a cache with the requests of a labelled file. No label is in sight here: only requests go in, only what the
cache did comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.evaluation.vectors import PreparedEmbedder, Progress, silent
from llmcache_plugins.factory import open_cache
from llmcache_plugins.policies import payload_of
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import Hit, Outcome, Request

__all__ = ["Served", "open_replay_cache", "replay_pairs", "replay_stream", "texts_to_embed"]

_SPACE = "llmcache-evaluation"


@dataclass(frozen=True, slots=True)
class Served:
    """What one request of a stream got: the outcome, and on a hit the place of the request that was answered first."""

    outcome: Outcome
    row: int | None


def open_replay_cache(embedder: Embedder | None, *, rows: int, **settings: Any) -> SemanticCache:
    """A cache in memory that never evicts or expires anything within a replay of `rows` rows.

    Args:
        embedder: as given, a `PreparedEmbedder` for speed; None for exact and normalised matches only.
        settings: of `CacheConfig` by name, or other arguments of `open_cache`.
    """
    # Whatever mode the environment has for applications: what is measured here is what would be served.
    ours: dict[str, Any] = {"ttl": None, "max_entries": max(10_000, rows + 1), "max_bytes": 2**34, "mode": "serve"}
    if isinstance(embedder, PreparedEmbedder):
        ours["embedding_cache_entries"] = 0  # it remembers every vector already
    return open_cache("memory://", embedder=embedder, **{**ours, **settings})


def texts_to_embed(requests: Sequence[Request]) -> list[str]:
    """The texts that a cache may want vectors of."""
    return [request.text for request in requests if request.exact_only is None and payload_of(request.text) is None]


def replay_pairs(
    cache: SemanticCache, pairs: Sequence[tuple[Request, Request]], progress: Progress = silent
) -> list[Outcome]:
    """What the cache says to the second request of each pair when it holds an answer to the first and nothing else.

    Every pair has a namespace of its own, which is cleared behind it.
    """
    outcomes: list[Outcome] = []
    for number, (stored, asked) in enumerate(pairs):
        space = (_SPACE, str(number))
        cache.update(replace(stored, namespace=space), f"answer {number}")
        outcomes.append(cache.lookup(replace(asked, namespace=space)))
        cache.clear(space)
        progress("replaying", number + 1, len(pairs))
    return outcomes


def replay_stream(cache: SemanticCache, requests: Sequence[Request], progress: Progress = silent) -> list[Served]:
    """Ask for every request in order, from an empty cache; what is missed is stored.

    The answer that is stored is the request's own place in the stream, so that a hit says whose answer was served.
    """
    served: list[Served] = []
    for number, request in enumerate(requests):
        request = replace(request, namespace=(_SPACE, "stream"))
        outcome = cache.lookup(request)
        if isinstance(outcome, Hit):
            served.append(Served(outcome, int(outcome.answer["row"])))
        else:
            cache.update(request, {"row": number})
            served.append(Served(outcome, None))
        progress("replaying", number + 1, len(requests))
    cache.clear((_SPACE, "stream"))
    return served
