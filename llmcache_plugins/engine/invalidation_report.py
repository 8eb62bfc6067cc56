"""What came of an invalidation, and how far one has come that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["InvalidationProgress", "InvalidationReport", "Underway"]


@dataclass(frozen=True, slots=True)
class InvalidationProgress:
    """How far a gradual invalidation has come.

    Args:
        total: entries that were marked.
        stale: of those, how many are still there and marked.
        removed: of those, how many were removed at the end, for nobody had asked for them.
        is_done: nothing more will happen.
        is_cancelled: it was stopped before its end; what is stale then stays so, as after a lazy one.
    """

    total: int = 0
    stale: int = 0
    removed: int = 0
    is_done: bool = True
    is_cancelled: bool = False

    @property
    def refreshed(self) -> int:
        """How many have a new answer, or have left by themselves."""
        return max(0, self.total - self.stale - self.removed)


class Underway(Protocol):
    """An invalidation that goes on."""

    @property
    def progress(self) -> InvalidationProgress: ...
    @property
    def ended(self) -> Future[InvalidationProgress]: ...
    def cancel(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class InvalidationReport:
    """What an invalidation did, or (dry run) would do.

    Args:
        count: entries that were removed, or marked stale. An entry that expired before it was swept counts too.
        number: of the invalidation in the log; 0 for a dry run, and where the store failed.
        mode: `now`, `lazy` or `gradual`.
        reason: as it was given.
        is_dry_run: nothing was touched.
        has_failed: a store or the embedder failed: answers that are meant may still be served. Try again.
        by_query_type: of a dry run, how many of each type.
        sample: of a dry run, the first entries: their label, or where they have none their key. No question.
    """

    count: int
    number: int
    mode: str = "now"
    reason: str = ""
    is_dry_run: bool = False
    has_failed: bool = False
    by_query_type: Mapping[str, int] = field(default_factory=dict)
    sample: tuple[str, ...] = ()
    underway: Underway | None = field(default=None, repr=False, compare=False)

    @property
    def progress(self) -> InvalidationProgress:
        """How far it is. One that is not gradual is done."""
        if self.underway is not None:
            return self.underway.progress
        return InvalidationProgress(self.count, removed=self.count if self.mode == "now" else 0)

    def cancel(self) -> bool:
        """Stop a gradual one; False when there is nothing to stop. What is marked by then stays marked."""
        return self.underway is not None and self.underway.cancel()

    def wait(self, timeout: float | None = None) -> InvalidationProgress:
        """Block until it is done, `timeout` seconds at most; how far it is then."""
        if self.underway is not None:
            try:
                return self.underway.ended.result(timeout)
            except FutureTimeoutError:
                pass
        return self.progress

    async def await_end(self) -> InvalidationProgress:
        """`wait` for event loops; `asyncio.timeout` bounds it."""
        if self.underway is not None:
            return await asyncio.shield(asyncio.wrap_future(self.underway.ended))
        return self.progress
