"""Aliases that wait to be written: a match by meaning is served without a round trip for remembering it.

They are written together: before whatever this process writes next, before it reads one of them, when there are many,
or when the oldest is old. When the process dies first, the wording is matched once more.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import NamedTuple

__all__ = ["WaitingAlias", "WaitingAliases"]

_KEPT = 32
_SECONDS = 2.0


class WaitingAlias(NamedTuple):
    """An alias as the server is to keep it."""

    address: bytes
    target: bytes
    size: int
    body: bytes


class WaitingAliases:
    """By address, oldest first. Thread-safe; the lock is never held while somebody writes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[bytes, WaitingAlias] = {}
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, address: bytes) -> bool:
        return address in self._waiting

    def add(self, alias: WaitingAlias) -> bool:
        """True when it is time to write."""
        with self._lock:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.pop(alias.address, None)
            self._waiting[alias.address] = alias
            if len(self._waiting) < _KEPT and time.monotonic() - self._since <= _SECONDS:
                return False
            self._since = time.monotonic()  # when writing fails, it is tried again after as long
            return True

    def take(self) -> list[WaitingAlias]:
        """All of them; none waits afterwards."""
        if not self._waiting:
            return []
        with self._lock:
            taken, self._waiting = list(self._waiting.values()), {}
        return taken

    def give_back(self, taken: list[WaitingAlias]) -> None:
        """Writing them failed. Those that came meanwhile are newer; of very many the oldest are dropped."""
        with self._lock:
            waiting = {one.address: one for one in taken} | self._waiting
            self._waiting = dict(list(waiting.items())[-_KEPT:])
