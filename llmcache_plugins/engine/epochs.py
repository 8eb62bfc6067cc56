"""Epochs of namespaces: a new one makes everything stored before it unreachable, however much that is, in one write.

An epoch is a note in the last tier's store. The resolver mixes it into scope and key, so that what was stored in an
earlier one is not found any more; maintenance removes it in its own time.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Hashable, Mapping

from llmcache_plugins.engine.drivers import Tier
from llmcache_plugins.engine.forking import follow_forks
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import WriteNote
from llmcache_plugins.engine.vector_moves import VectorMove, embedder_in, moves_in
from llmcache_plugins.protocols import TracksChanges
from llmcache_plugins.types import Namespace

__all__ = ["EPOCHS", "Epochs", "begun_at", "epoch_of", "epochs_in"]

EPOCHS = "epoch:"
"""How the names of these notes begin."""
_READ = "epoch"  # epochs, and the embedders that vectors are moved to


def epochs_in(notes: Mapping[str, str]) -> dict[Namespace, str]:
    """The epochs in the notes of a store."""
    return {
        tuple(json.loads(name.removeprefix(EPOCHS))): value for name, value in notes.items() if name.startswith(EPOCHS)
    }


def epoch_of(epochs: Mapping[Namespace, str], namespace: Namespace) -> str:
    """The epoch of a full namespace: it changes with that of any namespace above it. Empty for the first one."""
    if not epochs:
        return ""
    above = (namespace[:length] for length in range(len(namespace) + 1))
    found = [[place, epochs[start]] for place, start in enumerate(above) if start in epochs]
    return json.dumps(found) if found else ""


def begun_at(epoch: str) -> float | None:
    """When this epoch of one namespace began; None when nobody knows which one it is."""
    start, _, _ = epoch.partition(" ")
    return None if start == "unknown" else float(start)


class Epochs:
    """The epochs of all namespaces of one store, kept in memory, read again when the store's `version` has changed.

    Args:
        bottom: the last tier.
        place: its place among the tiers.
        failed: hears why the notes could not be read. It may raise.
        succeeded: hears that they were read.
    """

    def __init__(
        self,
        bottom: Tier,
        place: int,
        failed: Callable[[Exception], None],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._bottom = bottom
        self._place = place
        self._failed = failed
        self._succeeded = succeeded
        self._is_blocking = bottom.store.capabilities.is_blocking
        self._version: Hashable = object()  # equal to no version of a store
        self._notes_version: Hashable | None = None
        self._epochs: Mapping[Namespace, str] = {}
        self._moves: Mapping[Namespace, VectorMove] = {}
        self._has_read = False
        # While the notes cannot be read nobody knows which entries are of an earlier epoch: none is found then, and
        # what is stored meanwhile is found only as long as that lasts.
        self._unknown: Mapping[Namespace, str] = {(): f"unknown {secrets.token_hex(8)}"}
        self.after_fork()
        follow_forks(self)

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    @property
    def version(self) -> Hashable:
        """The version of the store as it was asked for last, by whatever look-up; it never goes back to an earlier
        one."""
        return self._version

    def refresh(self) -> None:
        """Read the notes again if they may have changed."""
        store = self._bottom.store
        try:
            is_known = False
            while not is_known:
                before = self._version
                version = store.version()  # before the notes: one that is written in between is read again
                if version == before:
                    return
                notes_version = self._notes_version_now()
                is_known = self._is_only_of_entries(before, version, notes_version) or self._take(
                    before, version, notes_version, store.notes(_READ)
                )
        except Exception as error:
            self._lose(error)

    async def arefresh(self) -> None:
        """`refresh` for event loops."""
        if not self._is_blocking:
            return self.refresh()
        store = self._bottom.async_store
        try:
            is_known = False
            while not is_known:
                before = self._version
                version = await store.version()
                if version == before:
                    return
                notes_version = self._notes_version_now()
                is_known = self._is_only_of_entries(before, version, notes_version) or self._take(
                    before, version, notes_version, await store.notes(_READ)
                )
        except Exception as error:
            self._lose(error)

    def glance(self) -> None:
        """`refresh` where that cannot block, or nothing is known yet: for callers that may be on an event loop, to whom
        the epochs of the last look-up are good enough."""
        if not self._is_blocking or not self._has_read:
            self.refresh()

    def of(self, namespace: Namespace) -> str:
        """The epoch of a full namespace: it changes with that of any namespace above it. Empty for the first one."""
        return epoch_of(self._epochs, namespace)

    @property
    def is_first(self) -> bool:
        """Is every namespace in its first epoch?"""
        return not self._epochs

    def embedder_of(self, namespace: Namespace, now: float) -> str | None:
        """To which embedder the vectors of a full namespace are moved; None where to none."""
        return embedder_in(self._moves, namespace, now) if self._moves else None

    def bump_flow(self, namespace: Namespace, now: float) -> Flow[None]:
        """Begin a new epoch of a full namespace and all below it.

        Note an invalidation in the store's log besides: an answer computed before it and stored after it would be
        one of the new epoch. Raises `StoreError`.
        """
        # A value nobody else has, and no count: of two caches that begin an epoch at the same time, each would write
        # the same next number, and what was stored between the two would live.
        yield from self.set_flow(namespace, f"{now!r} {secrets.token_hex(8)}")

    def set_flow(self, namespace: Namespace, epoch: str | None) -> Flow[None]:
        """Let a full namespace go on in this epoch, None for the first one: that of a store its entries come from.

        Only where nothing is stored at or below it: whatever is would be lost, or come back. Raises `StoreError`.
        """
        yield WriteNote(self._place, _name(namespace), epoch)
        with self._lock:
            self._version, self._notes_version = object(), None

    def begun(self) -> dict[Namespace, float]:
        """When the present epoch of each namespace began: what was stored there before is to be removed."""
        begun = {namespace: begun_at(epoch) for namespace, epoch in self._epochs.items()}
        return {namespace: start for namespace, start in begun.items() if start is not None}

    def _notes_version_now(self) -> Hashable | None:
        store = self._bottom.store
        return store.notes_version() if isinstance(store, TracksChanges) else None

    def _is_only_of_entries(self, before: Hashable, version: Hashable, notes_version: Hashable | None) -> bool:
        """Is the version another one because of entries alone? Then the epochs are those that are known."""
        with self._lock:
            if notes_version is None or notes_version != self._notes_version or self._version is not before:
                return False
            self._version = version
            return True

    def _take(
        self, before: Hashable, version: Hashable, notes_version: Hashable | None, notes: Mapping[str, str]
    ) -> bool:
        """False when somebody else was quicker: what was read then may be older than what is known by now, and a
        look-up that began after a change must not see what was before it."""
        epochs, moves = epochs_in(notes), moves_in(notes)
        with self._lock:
            if self._version is not before:
                return False
            self._epochs, self._moves, self._version, self._has_read = epochs, moves, version, True
            self._notes_version = notes_version
        self._succeeded()
        return True

    def _lose(self, error: Exception) -> None:
        with self._lock:
            self._epochs, self._version, self._notes_version = self._unknown, object(), None
        self._failed(error)


def _name(namespace: Namespace) -> str:
    return EPOCHS + json.dumps(list(namespace))
