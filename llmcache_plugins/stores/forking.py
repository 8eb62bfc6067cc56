"""Stores and `os.fork`: a lock held by a thread that is not copied is never released in the child, and an SQLite
connection may not be carried across (https://www.sqlite.org/howtocorrupt.html, section 2.6).

So each living store is brought to rest before a fork and woken in the parent and in the child.
"""

from __future__ import annotations

import logging
import os
from threading import Lock
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forkable", "follow_forks"]


class Forkable(Protocol):
    def before_fork(self) -> None:
        """Take the locks and let go of what may not be copied."""
        ...

    def after_fork(self) -> None:
        """Release the locks; runs in the parent and in the child, in the thread that took them."""
        ...


_log = logging.getLogger(__name__)
_lock = Lock()
_stores: WeakSet[Forkable] = WeakSet()
_resting: list[Forkable] = []


def follow_forks(store: Forkable) -> None:
    """Tell `store` of every fork of this process for as long as it lives."""
    with _lock:
        _stores.add(store)


def _before() -> None:
    _lock.acquire()
    for store in list(_stores):
        try:
            store.before_fork()
        except Exception as error:  # noqa: BLE001  # Python goes on to fork all the same: the others must be woken again
            _log.warning("a store could not be made ready for a fork: %s", type(error).__name__)
        else:
            _resting.append(store)


def _after() -> None:
    try:
        while _resting:
            try:
                _resting.pop().after_fork()
            except Exception as error:  # noqa: BLE001  # the next one waits for its lock
                _log.warning("a store could not be woken after a fork: %s", type(error).__name__)
    finally:
        _lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
