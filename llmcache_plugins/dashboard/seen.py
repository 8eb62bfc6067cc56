"""The hits that rest on meaning, as a recorder hears of them: what the page shows of them, and can report as wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from llmcache_plugins.recorded import Event, GroupLookupEvent, LookupEvent
from llmcache_plugins.types import Hit, Namespace

__all__ = ["SeenHit", "SeenHits"]


@dataclass(frozen=True, slots=True)
class SeenHit:
    """One of them. `at` is wall clock, `namespace` the full one, `reference` what `report_wrong` takes. Not the hit
    itself: a thousand answers could be large. `is_withheld`: it would have been one, but for a roll-out."""

    asked: str = field(repr=False)
    stored: str = field(repr=False)
    similarity: float
    confidence: float
    kind: str
    at: float
    namespace: Namespace
    reference: str
    is_withheld: bool = False


class SeenHits:
    """A recorder of the last hits by meaning, aliases among them. Lookups wait for one append.

    Args:
        now: wall clock.
        namespace: the cache's own, which events leave out.
        limit: how many are kept; the oldest go first.
    """

    def __init__(self, now: Callable[[], float], namespace: Namespace = (), limit: int = 1000) -> None:
        self._now = now
        self._namespace = namespace
        self._hits: deque[SeenHit] = deque(maxlen=limit)

    def __call__(self, event: Event) -> None:
        if not isinstance(event, LookupEvent):
            return
        withheld = event.withheld if isinstance(event, GroupLookupEvent) else None
        hit = withheld or event.outcome
        if not isinstance(hit, Hit) or not hit.is_semantic:
            return
        namespace = (*self._namespace, *event.namespace)
        seen = SeenHit(
            hit.asked,
            hit.matched_question,
            hit.similarity,
            hit.confidence,
            hit.kind,
            self._now(),
            namespace,
            hit.reference,
            withheld is not None,
        )
        self._hits.append(seen)

    def snapshot(self) -> tuple[SeenHit, ...]:
        """Newest last."""
        return tuple(self._hits.copy())  # a copy in one step: another thread may append
