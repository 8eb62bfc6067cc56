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
from llmcache_plugins.types import Namespace

__all__ = ["Epochs"]

_PREFIX = "epoch:"


class Epochs:
    """The epochs of all namespaces of one store, kept in memory, read again when the store's `version` has changed.

    Args:
        bottom: the last tier.
        place: its place among the tiers.
        failed: hears why the notes could not be read. It may raise.
    """

    def __init__(self, bottom: Tier, place: int, failed: Callable[[Exception], None]) -> None:
        self._bottom = bottom
        self._place = place
        self._failed = failed
        self._is_blocking = bottom.store.capabilities.is_blocking
        self._version: Hashable = object()  # equal to no version of a store
        self._epochs: Mapping[Namespace, str] = {}
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
                is_known = version == before or self._take(before, version, store.notes(_PREFIX))
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
                is_known = version == before or self._take(before, version, await store.notes(_PREFIX))
        except Exception as error:
            self._lose(error)

    def glance(self) -> None:
        """`refresh` where that cannot block, or nothing is known yet: for callers that may be on an event loop, to whom
        the epochs of the last look-up are good enough."""
        if not self._is_blocking or not self._has_read:
            self.refresh()

    def of(self, namespace: Namespace) -> str:
        """The epoch of a full namespace: it changes with that of any namespace above it. Empty for the first one."""
        epochs = self._epochs
        if not epochs:
            return ""
        above = (namespace[:length] for length in range(len(namespace) + 1))
        found = [[place, epochs[start]] for place, start in enumerate(above) if start in epochs]
        return json.dumps(found) if found else ""

    def bump_flow(self, namespace: Namespace, now: float) -> Flow[None]:
        """Begin a new epoch of a full namespace and all below it.

        Note an invalidation in the store's log besides: an answer computed before it and stored after it would be
        one of the new epoch. Raises `StoreError`.
        """
        # A value nobody else has, and no count: of two caches that begin an epoch at the same time, each would write
        # the same next number, and what was stored between the two would live.
        yield WriteNote(self._place, _name(namespace), f"{now!r} {secrets.token_hex(8)}")
        with self._lock:
            self._version = object()

    def begun(self) -> dict[Namespace, float]:
        """When the present epoch of each namespace began: what was stored there before is to be removed."""
        begun = {}
        for namespace, epoch in self._epochs.items():
            start, _, _ = epoch.partition(" ")
            if start != "unknown":
                begun[namespace] = float(start)
        return begun

    def _take(self, before: Hashable, version: Hashable, notes: Mapping[str, str]) -> bool:
        """False when somebody else was quicker: what was read then may be older than what is known by now, and a
        look-up that began after a change must not see what was before it."""
        epochs = {tuple(json.loads(name.removeprefix(_PREFIX))): value for name, value in notes.items()}
        with self._lock:
            if self._version is not before:
                return False
            self._epochs, self._version, self._has_read = epochs, version, True
            return True

    def _lose(self, error: Exception) -> None:
        with self._lock:
            self._epochs, self._version = self._unknown, object()
        self._failed(error)


def _name(namespace: Namespace) -> str:
    return _PREFIX + json.dumps(list(namespace))
