"""Served reads that wait to be written: counting each one in the file at once would make every hit a write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import TypeAlias

__all__ = ["TouchBuffer", "Touches"]

Touches: TypeAlias = dict[tuple[str, str], tuple[int, float]]
"""(scope, key) -> how often, and when last; least recently touched first."""

_KEPT = 64
_SECONDS = 5.0


class TouchBuffer:
    """Collects touches. Thread-safe; its lock is never held while somebody writes."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._touches: Touches = {}
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._touches)

    def add(self, scope: str, key: str, now: float) -> bool:
        """Count one read; True when it is time to write."""
        with self.lock:
            if not self._touches:
                self._since = time.monotonic()
            count, _ = self._touches.pop((scope, key), (0, now))
            self._touches[scope, key] = (count + 1, now)
            if len(self._touches) < _KEPT and time.monotonic() - self._since <= _SECONDS:
                return False
            self._since = time.monotonic()  # when writing fails, it is tried again after as long
            return True

    def get(self, scope: str, key: str) -> tuple[int, float] | None:
        return self._touches.get((scope, key))

    def take(self) -> Touches:
        """All of them; the buffer is empty afterwards."""
        with self.lock:
            taken, self._touches = self._touches, {}
        return taken

    def give_back(self, taken: Mapping[tuple[str, str], tuple[int, float]]) -> None:
        """Writing them failed: keep them, before those that came meanwhile."""
        with self.lock:
            newer, self._touches = self._touches, dict(taken)
            for address, (count, now) in newer.items():
                before, _ = self._touches.pop(address, (0, now))
                self._touches[address] = (before + count, now)
