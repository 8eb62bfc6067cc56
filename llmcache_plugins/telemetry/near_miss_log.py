"""The near misses of one cache: kept in memory, and on request in a file, to find pairs that are worth labelling."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from llmcache_plugins.quality import NearMissRecord
from llmcache_plugins.recorded import Event, LookupEvent
from llmcache_plugins.telemetry.line_file import LineFile
from llmcache_plugins.types import Miss, MissReason, Namespace, NearMiss

__all__ = ["NearMissLog"]


class NearMissLog:
    """A recorder of what was nearly served: candidates near enough to be judged, else the nearest one of a miss.

    Args:
        limit: how many records stay in memory; the oldest go first.
        now: wall clock.
        namespace: the cache's own, put before each request's.
        file: also append them here. It then holds questions in clear.
        kept: what of a text the file may hold; None when nobody can tell, and then the record is not written.
        submit: runs a function in another thread; lookups never wait for the file.
    """

    def __init__(
        self,
        limit: int,
        *,
        now: Callable[[], float],
        namespace: Namespace = (),
        file: LineFile | None = None,
        kept: Callable[[str], str | None] = str,
        submit: Callable[[Callable[[], object]], Any] | None = None,
    ) -> None:
        self._records: deque[NearMissRecord] = deque(maxlen=limit)
        self._namespace = namespace
        self._now = now
        self._file = file
        self._kept = kept
        self._submit = submit

    def __call__(self, event: Event) -> None:
        if not isinstance(event, LookupEvent) or not isinstance(event.outcome, Miss):
            return
        at = self._now()
        for place, near in enumerate(event.outcome.near_misses):
            if place and near.reason is MissReason.BELOW_THRESHOLD:
                continue
            record = NearMissRecord(
                event.outcome.asked,
                near.question,
                near.similarity,
                near.confidence,
                near.vetoed_by,
                near.reason,
                at,
                (*self._namespace, *event.namespace),
                _reference(event.outcome, near),
            )
            self._records.append(record)
            if self._file is not None:
                self._keep(record, self._file)
        if self._file is not None and event.outcome.near_misses:
            self._file.write() if self._submit is None else self._submit(self._file.write)

    def _keep(self, record: NearMissRecord, file: LineFile) -> None:
        asked, stored = self._kept(record.asked), self._kept(record.stored)
        if asked is not None and stored is not None:
            file.add(replace(record, asked=asked, stored=stored).row())

    def snapshot(self) -> tuple[NearMissRecord, ...]:
        """What is in memory, newest last."""
        return tuple(self._records.copy())  # a copy in one step: another thread may append

    def close(self) -> None:
        """Write what is not yet in the file."""
        if self._file is not None:
            self._file.write()


def _reference(miss: Miss, near: NearMiss) -> str:
    """A candidate is always of the scope of what was asked."""
    return f"{miss.scope}:{near.key}:{miss.asked_key}" if miss.scope and miss.asked_key else ""
