"""Caches and `os.fork`: a child has one thread, so what its parent's other threads held or led is nobody's there.

The stores look after themselves (`stores.forking`): they have connections to let go of before a fork.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["follow_forks"]


class _Forked(Protocol):
    def after_fork(self) -> None: ...


_living: WeakSet[_Forked] = WeakSet()


def follow_forks(cache: _Forked) -> None:
    """Call `after_fork` in every forked child, for as long as the cache lives."""
    _living.add(cache)


def _after_fork_in_child() -> None:
    for cache in list(_living):
        cache.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
